using Containers.Linux;
using Psrun.Processes;

namespace Psrun.Shim;

/// <summary>Both ends of a new process's standard streams: pipes, files that replace them, or a socket for a terminal.</summary>
sealed class Stdio : IDisposable
{
    static int lastConsole;

    int shimInput = -1, shimOutput = -1, shimError = -1, console = -1;
    readonly List<int> containerEnds = new();
    string? consoleFile;
    int folder = -1;

    /// <summary>The three descriptors that the runtime is started with; null for a terminal, which the container gets otherwise.</summary>
    public (int In, int Out, int Error)? Container { get; private set; }
    public string? ConsolePath { get; private set; }

    /// <param name="empty">Files that take output are emptied first.</param>
    /// <exception cref="ShimException">FileFailed: a redirection cannot be opened.</exception>
    public static Stdio Open(Server server, bool terminal, bool input, string? inputPath, string? outputPath, string? errorPath, int nothing, bool empty = true)
    {
        var s = new Stdio();
        // A program that is started again goes on in the same file.
        int write = Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND | (empty ? Libc.O_TRUNC : 0);
        try
        {
            if (terminal)
            {
                s.OpenConsole(server.RunDirectory);
                return s;
            }
            int stdin, stdout, stderr;
            if (inputPath is not null) stdin = s.File(inputPath, Libc.O_RDONLY);
            else if (input) (stdin, s.shimInput) = s.Keep(Sys.Pipe(), true);
            else stdin = OwnProgram.IsCovered ? nothing : s.Ended();

            if (outputPath is not null) stdout = s.File(outputPath, write);
            else (stdout, s.shimOutput) = s.Keep(Sys.Pipe(), false);

            if (errorPath is not null && errorPath == outputPath) stderr = stdout;
            else if (errorPath is not null) stderr = s.File(errorPath, write);
            else (stderr, s.shimError) = s.Keep(Sys.Pipe(), false);
            s.Container = (stdin, stdout, stderr);
            return s;
        }
        catch
        {
            s.Dispose();
            throw;
        }
    }

    (int Container, int Shim) Keep((int Read, int Write) pipe, bool input)
    {
        int container = input ? pipe.Read : pipe.Write;
        containerEnds.Add(container);
        return (container, input ? pipe.Write : pipe.Read);
    }

    /// <summary>Input that has ended. crun gives a program's standard streams to its user, whatever they are: were it /dev/null, that would be the host's.</summary>
    int Ended()
    {
        var pipe = Sys.Pipe();
        Sys.Close(pipe.Write);
        containerEnds.Add(pipe.Read);
        return pipe.Read;
    }

    int File(string path, int flags)
    {
        // Without O_NONBLOCK a FIFO that nobody has open at its other end would hold up the whole shim.
        int fd = Sys.Above(Sys.Open(path, flags | Libc.O_NOCTTY | Libc.O_NONBLOCK, 0x180));
        if (fd < 0) throw ShimException.Of("FileFailed", path, fd);
        Sys.SetNonBlocking(fd, false);
        containerEnds.Add(fd);
        return fd;
    }

    void OpenConsole(string runDir)
    {
        consoleFile = $"console-{++lastConsole}.sock";
        Sys.Unlink(consoleFile);
        console = Sys.Above(Sys.Listen(consoleFile, 1));
        if (console < 0) throw ShimException.Of("ShimFailed", consoleFile, console);
        ConsolePath = $"{runDir}/{consoleFile}";
        if (System.Text.Encoding.UTF8.GetByteCount(ConsolePath) <= 107) return;
        // Longer than a socket's address: the runtime gets there through our own descriptor of the folder.
        folder = Sys.Above(Sys.Open(runDir, Libc.O_RDONLY | Libc.O_DIRECTORY));
        if (folder < 0) throw ShimException.Of("ShimFailed", runDir, folder);
        ConsolePath = $"/proc/{Environment.ProcessId}/fd/{folder}/{consoleFile}";
    }

    public void CloseContainerEnds()
    {
        foreach (int fd in containerEnds) Sys.Close(fd);
        containerEnds.Clear();
    }

    /// <summary>Hands the shim's ends to the process, whose output then is read. A terminal has come by now: runtimes send it before they end.</summary>
    public void GiveTo(ContainerProcess process)
    {
        if (console >= 0)
        {
            int sender = Sys.Accept(console);
            int terminal = sender < 0 ? sender : Sys.ReceiveDescriptor(sender);
            Sys.Close(sender);
            if (terminal < 0) throw ShimException.Of("RuntimeFailed", "the runtime sent no terminal", terminal);
            terminal = Sys.Above(terminal);
            process.OpenInput(Sys.Duplicate(terminal, Spawn.FirstFreeDescriptor));
            process.OpenOutput(terminal, false);
        }
        if (shimInput >= 0) process.OpenInput(shimInput);
        if (shimOutput >= 0) process.OpenOutput(shimOutput, false);
        if (shimError >= 0) process.OpenOutput(shimError, true);
        shimInput = shimOutput = shimError = -1;
        Dispose();
    }

    /// <summary>What a runtime that failed wrote to the process's standard error.</summary>
    public string? WordsOfFailure()
    {
        if (shimError < 0) return null;
        Sys.SetNonBlocking(shimError, true);
        unsafe
        {
            byte* words = stackalloc byte[4096];
            long n = Sys.Read(shimError, words, 4096);
            return n <= 0 ? null : RuntimeCall.LastLine(new ReadOnlySpan<byte>(words, (int)n));
        }
    }

    public void Dispose()
    {
        CloseContainerEnds();
        Sys.Close(shimInput);
        Sys.Close(shimOutput);
        Sys.Close(shimError);
        Sys.Close(console);
        Sys.Close(folder);
        if (consoleFile is not null) Sys.Unlink(consoleFile);
        shimInput = shimOutput = shimError = console = folder = -1;
        consoleFile = null;
    }
}
