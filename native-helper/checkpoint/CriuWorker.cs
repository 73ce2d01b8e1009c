using Containers.Linux;
using Psrun.Dance;
using Psrun.Kept;
using Psrun.State;

namespace Psrun.Checkpoint;

/// <summary>How one run of CRIU begins.</summary>
sealed class CriuStart
{
    public required string Program;
    /// <summary>Where its standard output and error go, with nothing to read; -1: it has psrun's own three streams.</summary>
    public int Output = -1;
    /// <summary>The locked state folder: a clone shares the lock, and would hold it when its parent is killed.</summary>
    public int Lock = -1;
    /// <summary>The group that it enters, and with it all that it restores.</summary>
    public CgroupEntry? Group;
    /// <summary>Files of further groups that it enters by a write.</summary>
    public List<int> GroupFiles = [];
    /// <summary>Steps in the mount namespace of the caller's thread.</summary>
    public Action<Plan>? Mounts;
    /// <summary>Apart from psrun's terminal, whose Ctrl+C would end it in the middle of a process.</summary>
    public bool OwnSession;
    /// <summary>What it makes nobody else may read, where this is set; else the caller's.</summary>
    public int? Umask;
    /// <summary>Descriptors that it is given under their own numbers.</summary>
    public List<int> Inherited = [];
}

/// <summary>
/// <c>criu swrk</c>: CRIU as a program that is told by protobuf messages over a socket of packets (criu.org/RPC, images/rpc.proto) what to do, and that tells on the way how far it is.
/// It is never killed: at the end of the connection it takes back what it has begun, while a dump that dies leaves its own code in the container's processes.
/// </summary>
sealed unsafe class CriuWorker : IDisposable
{
    const int LongestAnswer = 256 * 1024;

    readonly Launch _launch;
    int _socket;
    bool _ended;

    CriuWorker(Launch launch, int socket)
    {
        _launch = launch;
        _socket = socket;
    }

    public int Pid => _launch.Pid;

    public static CriuWorker Start(CriuStart start)
    {
        int* pair = stackalloc int[2];
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, pair) < 0)
            throw new PsrunException($"criu: {Errnos.Text(Libc.errno)}");
        int near = pair[0], far = pair[1];
        Launch? launch = null;
        try
        {
            launch = new Launch(Steps(start, far), 0, start.Group?.Unified ?? -1, clonesAgain: false);
            launch.AwaitExecute(filtered: false);
            return new CriuWorker(launch, near);
        }
        catch
        {
            launch?.Abort();
            launch?.Dispose();
            Libc.close(near);
            throw;
        }
        finally
        {
            Libc.close(far);
        }
    }

    static Plan Steps(CriuStart start, int socket)
    {
        var plan = new Plan();
        if (start.Lock >= 0)
            plan.Call("let go of the lock", Libc.SYS_close, start.Lock);
        start.Group?.AddSteps(plan);
        CgroupEntry.AddWrites(plan, start.GroupFiles, "linux.intelRdt: enter the group");
        start.Mounts?.Invoke(plan);
        if (start.OwnSession)
            plan.Call("start a session", Libc.SYS_setsid);
        if (start.Output >= 0)
        {
            nint* nothing = plan.Open("criu: /dev/null", Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/dev/null"), Libc.O_RDONLY | Libc.O_CLOEXEC);
            plan.Call("criu: standard streams", Libc.SYS_dup3, nothing, 0, 0);
            plan.Call(null, Libc.SYS_dup3, start.Output, 1, 0);
            plan.Call(null, Libc.SYS_dup3, start.Output, 2, 0);
        }
        if (start.Umask is int umask)
            plan.Call("criu: umask", Libc.SYS_umask, umask);
        int[] handed = [socket, .. start.Inherited];
        plan.CloseOthers(0, handed);
        foreach (int fd in handed)
            plan.Call("criu: descriptors", Libc.SYS_fcntl, fd, Libc.F_SETFD, 0);
        plan.Do("reset signals", StepKind.ResetSignals);
        plan.Do("tell that the program comes next", StepKind.Sync, InitPlan.PointExecute, 0);
        plan.Do($"exec: \"{start.Program}\"", StepKind.Execute, plan.Text(start.Program), plan.Texts([start.Program, "swrk", socket.ToString()]), plan.Texts(NamespaceProgram.OwnEnvironment()));
        return plan;
    }

    /// <summary>One request to its last answer.</summary>
    /// <param name="noticed">Gets each notification and the descriptor that came with it, or -1. What it throws makes CRIU give up, and is thrown here then.</param>
    /// <exception cref="PsrunException">CRIU ended without an answer, or with one that is not understood.</exception>
    public CriuAnswer Ask(ProtobufWriter request, Action<CriuAnswer, int>? noticed = null)
    {
        Send(request);
        PsrunException? failure = null;
        while (true)
        {
            CriuAnswer answer = Receive(out int descriptor);
            try
            {
                if (answer.Type != CriuRequestType.Notify)
                    return failure == null ? answer : throw failure;
                if (failure == null)
                    noticed?.Invoke(answer, descriptor);
            }
            catch (PsrunException e) when (failure == null)
            {
                failure = e;
            }
            catch (Exception e) when (failure == null && e is LinuxException or IOException)
            {
                failure = new PsrunException(e.Message);
            }
            finally
            {
                if (descriptor >= 0)
                    Libc.close(descriptor);
            }
            Send(CriuRequest.Noticed(failure == null));
        }
    }

    void Send(ProtobufWriter message)
    {
        fixed (byte* data = message.Bytes)
            if (Libc.send(_socket, data, (nuint)message.Bytes.Length, Libc.MSG_NOSIGNAL) < 0)
                throw new PsrunException($"criu: it ended before it was asked: {Errnos.Text(Libc.errno)}");
    }

    CriuAnswer Receive(out int descriptor)
    {
        byte[] buffer = new byte[LongestAnswer];
        Span<int> descriptors = stackalloc int[1];
        nint length;
        int count;
        do
            length = DescriptorMessage.Receive(_socket, buffer, descriptors, out count);
        while (length < 0 && Libc.errno == Libc.EINTR);
        descriptor = count > 0 ? descriptors[0] : -1;
        if (length <= 0)
            throw new PsrunException("criu: it ended without an answer");
        return CriuAnswer.Read(buffer.AsSpan(0, (int)length));
    }

    /// <summary>Closes the connection and waits: what CRIU still has to take back is done then.</summary>
    public void End()
    {
        if (_ended)
            return;
        _ended = true;
        Libc.close(_socket);
        _socket = -1;
        int status;
        while (Libc.waitpid(Pid, &status, 0) < 0 && Libc.errno == Libc.EINTR)
        {
        }
    }

    public void RestoreSignals() => _launch.RestoreSignals();

    public void Dispose()
    {
        End();
        _launch.Dispose();
    }
}
