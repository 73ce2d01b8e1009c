using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>
/// Hooks (runtime-spec config.md "POSIX-platform Hooks"). prestart, createRuntime, poststart and poststop run in the runtime's namespaces, started by psrun;
/// createContainer and startContainer run in the container's, started by the child.
/// </summary>
static unsafe class HookRunner
{
    public static bool NeedParent(Hooks? hooks) => hooks?.Prestart is { Count: > 0 } || hooks?.CreateRuntime is { Count: > 0 };

    public static void Check(string kind, List<Hook>? hooks)
    {
        foreach (Hook hook in hooks ?? [])
        {
            if (hook.Path is not { Length: > 0 } path || path[0] != '/')
                throw new PsrunException($"hooks.{kind}: path \"{hook.Path}\" is not absolute");
            if (hook.Timeout is <= 0)
                throw new PsrunException($"hooks.{kind}: timeout {hook.Timeout} is not above zero");
        }
    }

    public static void AddInContainer(Plan plan, string kind, List<Hook>? hooks, int state)
    {
        foreach (Hook hook in hooks ?? [])
            plan.Do($"hooks.{kind}: {hook.Path}", StepKind.RunProgram, plan.Text(hook.Path!), plan.Texts(Arguments(hook)), plan.Texts(hook.Env ?? []),
                state, hook.Timeout is int seconds ? (int)Math.Min(seconds * 1000L, int.MaxValue) : 0);
    }

    /// <summary>Runs hooks beside the container, in order; the first failure ends them.</summary>
    public static void Run(string kind, List<Hook>? hooks, byte[] state)
    {
        foreach (Hook hook in hooks ?? [])
        {
            int input = StateFile(state);
            var plan = new Plan();
            AddInContainer(plan, kind, [hook], input);
            Step step = plan.Steps[0];
            int detail;
            int errno = Child.RunProgram((byte*)step.A0, (byte**)step.A1, (byte**)step.A2, input, (int)step.A4, plan.Scratch, &detail);
            Libc.close(input);
            if (errno != 0)
                throw new PsrunException(Explain($"hooks.{kind}: {hook.Path}", errno, detail));
        }
    }

    /// <summary>poststart and poststop: what happened cannot be undone, so a failure is told and the next hook runs.</summary>
    public static void RunAfter(string kind, List<Hook>? hooks, byte[] state)
    {
        foreach (Hook hook in hooks ?? [])
            try
            {
                Run(kind, [hook], state);
            }
            catch (PsrunException e)
            {
                Log.Warning(e.Message);
            }
    }

    public static string Explain(string words, int errno, int status) => errno switch
    {
        Libc.ETIMEDOUT => $"{words}: timed out and was killed",
        Libc.ECHILD when (status & 0x7f) != 0 => $"{words}: killed by signal {status & 0x7f}",
        Libc.ECHILD when status >> 8 == 127 => $"{words}: no such file or directory (exit status 127)",
        Libc.ECHILD => $"{words}: exit status {status >> 8}",
        _ => $"{words}: {Errnos.Text(errno)}",
    };

    /// <summary>The state as a file in memory, read by each hook from its beginning.</summary>
    public static int StateFile(byte[] state)
    {
        int fd;
        fixed (byte* name = "state"u8)
            fd = (int)Libc.syscall(Libc.SYS_memfd_create, (nint)name, Libc.MFD_CLOEXEC, 0, 0, 0, 0);
        if (fd < 0)
            throw new PsrunException("memfd_create: " + Errnos.Text(*Libc.__errno_location()));
        Fill(fd, state);
        return fd;
    }

    public static void Fill(int fd, byte[] state)
    {
        fixed (byte* data = state)
            Libc.syscall(Libc.SYS_write, fd, (nint)data, state.Length, 0, 0, 0);
        Libc.syscall(Libc.SYS_lseek, fd, 0, 0, 0, 0, 0);
    }

    static List<string> Arguments(Hook hook) => hook.Args is { Count: > 0 } args ? args : [hook.Path!];
}
