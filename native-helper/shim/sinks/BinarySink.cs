using Containers.Linux;

namespace Psrun.Shim;

/// <summary>
/// containerd's contract for logging programs: standard output comes on descriptor 3, standard error on 4, and the program closes 5 when it is ready; its
/// environment is CONTAINER_ID and CONTAINER_NAMESPACE, its arguments the names and values of the query, in their order.
/// </summary>
sealed unsafe class BinarySink : LogSink
{
    const int ReadyMilliseconds = 10_000, MostWaiting = 1 << 20;

    sealed class Pipe
    {
        public required Watch Watch;
        public NativeBuffer Waiting;
        public bool Ending, Closed;
    }

    readonly Server server;
    readonly string program;
    readonly Pipe[] pipes = new Pipe[2];
    int pid;
    bool told;

    /// <summary>Also while the program, whose input has ended, still writes down what it got.</summary>
    public override bool Busy => pid > 0;

    public BinarySink(Server server, string location, string id, string containerNamespace)
    {
        this.server = server;
        int query = location.IndexOf('?');
        program = Uri.UnescapeDataString(query < 0 ? location : location[..query]);
        var arguments = new List<string> { program };
        foreach (string pair in query < 0 ? [] : location[(query + 1)..].Split('&', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = pair.IndexOf('=');
            arguments.Add(Decode(equals < 0 ? pair : pair[..equals]));
            if (equals >= 0) arguments.Add(Decode(pair[(equals + 1)..]));
        }
        var output = Sys.Pipe();
        var error = Sys.Pipe();
        var ready = Sys.Pipe();
        int nothing = Sys.Above(Sys.Open("/dev/null", Libc.O_RDWR));
        pid = new Spawn
        {
            Program = program, Arguments = arguments.ToArray(), Environment = ["CONTAINER_ID=" + id, "CONTAINER_NAMESPACE=" + containerNamespace],
            Stdin = nothing, Stdout = nothing, Stderr = nothing, Extra = [output.Read, error.Read, ready.Write],
        }.Start();
        foreach (int fd in new[] { output.Read, error.Read, ready.Write, nothing }) Sys.Close(fd);
        pipes[0] = Open(output.Write);
        pipes[1] = Open(error.Write);
        int words = pid < 0 ? pid : WaitReady(ready.Read);
        Sys.Close(ready.Read);
        if (pid > 0) server.AddHelper(pid, Ended);
        if (words >= 0) return;
        Close();
        throw ShimException.Of("FileFailed", $"log binary://{program}", words);
    }

    static string Decode(string text) => Uri.UnescapeDataString(text.Replace('+', ' '));

    Pipe Open(int fd)
    {
        Sys.SetNonBlocking(fd, true);
        var pipe = new Pipe { Watch = null! };
        pipe.Watch = new Watch(fd, _ => Push(pipe)).Opened();
        return pipe;
    }

    /// <summary>Nobody but the launcher waits for the shim now.</summary>
    static int WaitReady(int fd)
    {
        pollfd poll;
        poll.fd = fd;
        poll.events = Libc.POLLIN;
        poll.revents = 0;
        int r;
        do r = Libc.poll(&poll, 1, ReadyMilliseconds); while (r < 0 && Libc.errno == Libc.EINTR);
        return r > 0 ? 0 : r == 0 ? -Libc.ETIMEDOUT : -Libc.errno;
    }

    public override void Write(bool error, ReadOnlySpan<byte> output)
    {
        Pipe pipe = pipes[error ? 1 : 0];
        int room = pipe.Closed ? 0 : Math.Min(output.Length, MostWaiting - pipe.Waiting.Length);
        if (room > 0)
        {
            pipe.Waiting.Append(output[..room]);
            Push(pipe);
        }
        if (room < output.Length) Drop(output.Length - room);
    }

    void Drop(int count)
    {
        Dropped += count;
        if (!told) Server.Complain($"log binary://{program}: output that is not taken is dropped");
        told = true;
    }

    void Push(Pipe pipe)
    {
        while (pipe.Waiting.Length > 0)
        {
            long n = Sys.Write(pipe.Watch.Fd, pipe.Waiting.First, pipe.Waiting.Length);
            if (n == -Libc.EINTR) continue;
            if (n == -Libc.EAGAIN)
            {
                if (pipe.Watch.Key == 0) server.Loop.Add(pipe.Watch, Libc.EPOLLOUT);
                return;
            }
            if (n < 0)
            {
                ClosePipe(pipe);
                return;
            }
            pipe.Waiting.Take((int)n);
        }
        server.Loop.Remove(pipe.Watch);
        if (pipe.Ending) ClosePipe(pipe);
    }

    void ClosePipe(Pipe pipe)
    {
        if (pipe.Closed) return;
        pipe.Closed = true;
        if (pipe.Waiting.Length > 0) Drop(pipe.Waiting.Length);
        pipe.Waiting.Clear();
        server.Loop.Remove(pipe.Watch);
        Sys.Close(pipe.Watch.Fd);
    }

    public override void End()
    {
        foreach (Pipe pipe in pipes)
        {
            pipe.Ending = true;
            if (!pipe.Closed) Push(pipe);
        }
    }

    void Ended(int status)
    {
        pid = 0;
        foreach (Pipe pipe in pipes) ClosePipe(pipe);
        server.SinkRested();
    }

    public override void Close()
    {
        foreach (Pipe pipe in pipes) ClosePipe(pipe);
        if (pid > 0) server.EndHelper(pid);
        pid = 0;
    }
}
