using System.Runtime.InteropServices;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;
using Psrun.Dance;
using Psrun.State;

namespace Psrun.Processes;

/// <summary>linux.seccomp (config-linux.md, Seccomp): compiled before anything is made, kept in the state folder for exec, installed by the child's last step but execve.</summary>
sealed unsafe class SystemCallFilter
{
    const int ProtectRead = 1, ProtectWrite = 2, MapShared = 1, MapAnonymous = 0x20;

    readonly sock_filter[] _program;
    readonly uint _flags;
    readonly string? _listenerPath, _metadata;
    readonly int _listener = -1;
    /// <summary>Memory that parent and child share: the message's length, which the parent knows only once the child has a pid, and its text.</summary>
    iovec* _message;
    int _room;

    SystemCallFilter(sock_filter[] program, uint flags, string? listenerPath, string? metadata)
    {
        _program = program;
        _flags = flags;
        _listenerPath = listenerPath;
        _metadata = metadata;
        if (listenerPath != null)
            _listener = ConsoleSocket.Connect(listenerPath, "linux.seccomp.listenerPath");
    }

    /// <summary>The connected socket, which the child needs up to its last step; -1 without SCMP_ACT_NOTIFY.</summary>
    public int Listener => _listener;

    /// <summary>A listener is to be told the process's pid before the process goes on.</summary>
    public bool Notifies => _listener >= 0;

    public static SystemCallFilter? Compile(LinuxSeccomp? profile)
    {
        if (!SeccompFilter.IsAskedFor(profile))
            return null;
        try
        {
            SeccompFilter filter = SeccompCompiler.Compile(profile!, RuntimeInformation.ProcessArchitecture);
            if (filter.UnknownNames.Count > 0)
                Log.Warning("linux.seccomp.syscalls: not known and left out: " + string.Join(", ", filter.UnknownNames));
            if (!filter.Notifies)
                return new SystemCallFilter(filter.Program, filter.Flags, null, null);
            if (profile!.ListenerPath is not { Length: > 0 } path || path.Contains('\0'))
                throw new PsrunException("linux.seccomp.listenerPath: SCMP_ACT_NOTIFY needs the path of a socket");
            return new SystemCallFilter(filter.Program, filter.Flags | Libc.SECCOMP_FILTER_FLAG_NEW_LISTENER, path, profile.ListenerMetadata);
        }
        catch (SeccompException e)
        {
            throw new PsrunException(e.Message);
        }
    }

    public void Keep(StateFolder folder, StateFile state)
    {
        folder.WriteFilter(MemoryMarshal.AsBytes(_program.AsSpan()));
        state.Seccomp = new KeptFilter(_flags, _listenerPath, _metadata);
    }

    /// <summary>The container's filter, for a further process; the bundle's file may have changed since.</summary>
    public static SystemCallFilter? Kept(StateFolder folder, StateFile state)
    {
        if (state.Seccomp is not { } kept)
            return null;
        byte[] bytes = folder.TryReadFilter() ?? [];
        if (bytes.Length == 0 || bytes.Length % sizeof(sock_filter) != 0 || bytes.Length / sizeof(sock_filter) > Libc.BPF_MAXINSNS)
            throw new PsrunException($"{folder.Path}: the container's seccomp filter is not readable");
        return new SystemCallFilter(MemoryMarshal.Cast<byte, sock_filter>(bytes).ToArray(), kept.Flags, kept.ListenerPath, kept.Metadata);
    }

    /// <summary>The step before execve. Nothing but execve comes behind it, so no profile can be too strict for the start (with SCMP_ACT_NOTIFY, sendmsg does too).</summary>
    public void Add(Plan plan)
    {
        int size = _program.Length * sizeof(sock_filter);
        sock_filter* copy = (sock_filter*)plan.Allocate(size);
        _program.CopyTo(new Span<sock_filter>(copy, _program.Length));
        sock_fprog* program = (sock_fprog*)plan.Allocate(sizeof(sock_fprog));
        program->len = (ushort)_program.Length;
        program->filter = copy;
        Step* install = plan.Call("linux.seccomp", Libc.SYS_seccomp, Libc.SECCOMP_SET_MODE_FILTER, _flags, (nint)program);
        if (_listener < 0)
            return;
        byte* control = plan.Allocate(24);
        *(nint*)control = 20;
        *(int*)(control + 8) = Libc.SOL_SOCKET;
        *(int*)(control + 12) = Libc.SCM_RIGHTS;
        // The result goes into the message itself: little endian, so the low half is the int that the kernel reads.
        install->Result = (nint*)(control + 16);
        msghdr* message = (msghdr*)plan.Allocate(sizeof(msghdr));
        message->msg_iov = _message;
        message->msg_iovlen = 1;
        message->msg_control = control;
        message->msg_controllen = 24;
        plan.Call("linux.seccomp.listenerPath: send the descriptor", Libc.SYS_sendmsg, _listener, (nint)message, Libc.MSG_NOSIGNAL);
    }

    /// <summary>Before <see cref="Add"/> and the clone: makes the memory for what <see cref="Tell"/> will say.</summary>
    public void Prepare(StateFile state)
    {
        if (_listener < 0)
            return;
        // The longest numbers and words that the message can have then.
        _room = Message(state, int.MaxValue, StateFile.Creating, int.MaxValue).Length;
        nint shared = Libc.syscall(Libc.SYS_mmap, 0, sizeof(iovec) + _room, ProtectRead | ProtectWrite, MapShared | MapAnonymous, -1, 0);
        if (shared == -1)
            throw new PsrunException("linux.seccomp.listenerPath: " + Errnos.Text(*Libc.__errno_location()));
        _message = (iovec*)shared;
        _message->iov_base = _message + 1;
    }

    /// <summary>The child has a pid, and waits: now the listener's message can be written.</summary>
    public void Tell(StateFile state, string status, int pid)
    {
        if (_listener < 0)
            return;
        byte[] text = Message(state, state.Pid, status, pid);
        text.CopyTo(new Span<byte>(_message->iov_base, _room));
        _message->iov_len = (nuint)text.Length;
    }

    byte[] Message(StateFile state, int init, string status, int pid) => OciJson.Write(new ContainerProcessState
    {
        OciVersion = state.OciVersion,
        Fds = ["seccompFd"],
        Pid = pid,
        Metadata = _metadata,
        State = new OciState { OciVersion = state.OciVersion, Id = state.Id, Status = status, Pid = init, Bundle = state.Bundle, Annotations = state.Annotations },
    });
}
