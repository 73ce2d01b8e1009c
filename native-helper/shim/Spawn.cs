using Containers.Linux;
using Psrun.State;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Psrun.Shim;

/// <summary>
/// Starts a program. Everything is laid out in unmanaged memory first; the cloned child (one thread, a copy of this process's memory)
/// then makes raw system calls alone: no allocation, no exception, no lock, nothing that could wait for a thread that is not there.
/// </summary>
sealed unsafe partial class Spawn
{
    /// <summary>The child's descriptors are 0 … 5: what is given to it must lie above them, or one move would overwrite the next.</summary>
    public const int FirstFreeDescriptor = 6;

    public required string Program { get; init; }
    public required string[] Arguments { get; init; }
    public required string[] Environment { get; init; }
    public required int Stdin { get; init; }
    public required int Stdout { get; init; }
    public required int Stderr { get; init; }
    /// <summary>Become the descriptors from 3 on; three at most.</summary>
    public int[] Extra { get; init; } = [];
    /// <summary>The groups that the child enters before anything else; null: it stays in the caller's.</summary>
    public CgroupEntry? Group { get; init; }
    /// <summary>After a failure: whether it was the group that could not be entered.</summary>
    public bool FailedToEnter { get; private set; }
    /// <summary>A session of its own, and a mount namespace that is a slave of this one.</summary>
    public bool Detach { get; init; }
    /// <summary>The signals that are blocked in the new program, bit N-1 for signal N.</summary>
    public ulong BlockedSignals { get; init; }

    [StructLayout(LayoutKind.Sequential)]
    struct Plan
    {
        public byte* Program;
        public byte** Arguments;
        public byte** Environment;
        public byte* Root;
        public fixed int Descriptors[6];
        public int DescriptorCount;
        public int* Groups;
        public byte* Self;
        public int GroupCount;
        public int Report;
        public int Detach;
        public ulong Mask;
        public kernel_sigaction DefaultAction;
    }

    /// <returns>The child's pid, or the negative errno of what failed, execve included.</returns>
    public int Start()
    {
        var memory = new List<nint>();
        var report = Sys.Pipe();
        try
        {
            Plan* plan = (Plan*)NativeMemory.AllocZeroed((nuint)sizeof(Plan));
            memory.Add((nint)plan);
            plan->Program = Text(Program, memory);
            plan->Arguments = Table(Arguments, memory);
            plan->Environment = Table(Environment, memory);
            plan->Root = Text("/", memory);
            plan->Descriptors[0] = Stdin;
            plan->Descriptors[1] = Stdout;
            plan->Descriptors[2] = Stderr;
            for (int i = 0; i < Extra.Length; i++) plan->Descriptors[3 + i] = Extra[i];
            plan->DescriptorCount = 3 + Extra.Length;
            plan->Self = Text("0", memory);
            plan->GroupCount = Group?.Files.Count ?? 0;
            plan->Groups = (int*)NativeMemory.AllocZeroed((nuint)plan->GroupCount + 1, sizeof(int));
            memory.Add((nint)plan->Groups);
            for (int i = 0; i < plan->GroupCount; i++) plan->Groups[i] = Group!.Files[i];
            plan->Report = report.Write;
            plan->Detach = Detach ? 1 : 0;
            plan->Mask = BlockedSignals;

            // No handler of this process may run in the child.
            ulong all = ulong.MaxValue, before = 0;
            Raw(Libc.SYS_rt_sigprocmask, Libc.SIG_BLOCK, (nint)(&all), (nint)(&before), 8, 0);
            clone_args how = default;
            how.exit_signal = Libc.SIGCHLD;
            if (Group is { Unified: >= 0 } group) (how.flags, how.cgroup) = (Libc.CLONE_INTO_CGROUP, (ulong)group.Unified);
            long pid = Raw(Libc.SYS_clone3, (nint)(&how), sizeof(clone_args), 0, 0, 0);
            if (pid == 0) Child(plan);
            int cloneError = pid < 0 ? *Libc.__errno_location() : 0;
            Raw(Libc.SYS_rt_sigprocmask, Libc.SIG_SETMASK, (nint)(&before), 0, 8, 0);
            if (pid < 0)
            {
                FailedToEnter = Group is { Unified: >= 0 };
                return -cloneError;
            }

            Sys.Close(report.Write);
            report.Write = -1;
            int* failure = stackalloc int[2];
            long n;
            do n = Sys.Read(report.Read, (byte*)failure, 8); while (n == -Libc.EINTR);
            if (n != 8) return (int)pid;
            int ended = (int)pid;
            Sys.Wait(ref ended, Libc.__WALL);
            FailedToEnter = failure[1] != 0;
            return -failure[0];
        }
        finally
        {
            Sys.Close(report.Read);
            Sys.Close(report.Write);
            foreach (nint p in memory) NativeMemory.Free((void*)p);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    static void Child(Plan* plan)
    {
        for (int i = 0; i < plan->GroupCount; i++)
            if (Raw(Libc.SYS_write, plan->Groups[i], (nint)plan->Self, 1, 0, 0) != 1) Fail(plan, 1);
        if (plan->Detach != 0)
        {
            Raw(Libc.SYS_setsid, 0, 0, 0, 0, 0);
            if (Raw(Libc.SYS_unshare, Libc.CLONE_NEWNS, 0, 0, 0, 0) != 0) Fail(plan, 0);
            if (Raw(Libc.SYS_mount, 0, (nint)plan->Root, 0, (nint)(Libc.MS_REC | Libc.MS_SLAVE), 0) != 0) Fail(plan, 0);
        }
        for (int i = 0; i < plan->DescriptorCount; i++)
            if (Raw(Libc.SYS_dup3, plan->Descriptors[i], i, 0, 0, 0) < 0) Fail(plan, 0);
        if (Raw(Libc.SYS_close_range, plan->DescriptorCount, int.MaxValue, Libc.CLOSE_RANGE_CLOEXEC, 0, 0) != 0) Fail(plan, 0);
        Raw(Libc.SYS_umask, 0x12, 0, 0, 0, 0);
        // The runtime ignores SIGPIPE and has handlers: a program must start with what the kernel gives.
        for (int signal = 1; signal <= 64; signal++) Raw(Libc.SYS_rt_sigaction, signal, (nint)(&plan->DefaultAction), 0, 8, 0);
        Raw(Libc.SYS_rt_sigprocmask, Libc.SIG_SETMASK, (nint)(&plan->Mask), 0, 8, 0);
        Raw(Libc.SYS_execve, (nint)plan->Program, (nint)plan->Arguments, (nint)plan->Environment, 0, 0);
        Fail(plan, 0);
    }

    static void Fail(Plan* plan, int entering)
    {
        int* failure = stackalloc int[2];
        failure[0] = *Libc.__errno_location();
        failure[1] = entering;
        Raw(Libc.SYS_write, plan->Report, (nint)failure, 8, 0, 0);
        Raw(Libc.SYS_exit_group, 126, 0, 0, 0, 0);
    }

    static byte* Text(string text, List<nint> memory)
    {
        int length = Encoding.UTF8.GetByteCount(text);
        byte* p = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
        memory.Add((nint)p);
        Encoding.UTF8.GetBytes(text, new Span<byte>(p, length));
        return p;
    }

    static byte** Table(string[] texts, List<nint> memory)
    {
        byte** table = (byte**)NativeMemory.AllocZeroed((nuint)(texts.Length + 1), (nuint)sizeof(byte*));
        memory.Add((nint)table);
        for (int i = 0; i < texts.Length; i++) table[i] = Text(texts[i], memory);
        return table;
    }

    static nint Raw(nint number, nint a, nint b, nint c, nint d, nint e) => Libc.syscall(number, a, b, c, d, e, 0);
}
