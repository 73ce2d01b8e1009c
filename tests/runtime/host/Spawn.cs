using System.Collections;
using System.Runtime.InteropServices;

namespace Containers.Tests.Runtime;

/// <summary>What a program said and how it ended. <see cref="ExitCode"/> is 128+N after signal N.</summary>
sealed record Result(string Command, int ExitCode, int Signal, string Stdout, string Stderr)
{
    public string[] Lines => Stdout.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Fails the test, with everything the program said, unless it ended with <paramref name="exitCode"/>.</summary>
    public Result Ends(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"expected exit status {exitCode}: {this}");
        return this;
    }

    public override string ToString() =>
        $"{Command}\nexit status {ExitCode} (signal {Signal})\nstdout: {Stdout}\nstderr: {Stderr}";
}

sealed record SpawnOptions
{
    public string? WorkingDirectory { get; init; }

    /// <summary>Added to the test's own environment.</summary>
    public Dictionary<string, string> Environment { get; init; } = [];

    /// <summary>What standard input holds; null is /dev/null.</summary>
    public string? Input { get; init; }

    /// <summary>Open descriptors handed over: number in the child, number here.</summary>
    public Dictionary<int, int> Descriptors { get; init; } = [];

    /// <summary>Starts the program with every signal blocked, as a careless parent might.</summary>
    public bool BlockSignals { get; init; }

    public TimeSpan Timeout { get; init; } = Limit(20);

    /// <summary>Six times as long on a machine that says of itself that it is slow, such as the one of tests/runtime/vm.</summary>
    public static TimeSpan Limit(int seconds) => TimeSpan.FromSeconds(System.Environment.GetEnvironmentVariable("CONTAINERS_TEST_SLOW") is null ? seconds : 6 * seconds);
}

/// <summary>
/// A started program. Its output goes to files and not to pipes: a container outlives the <c>create</c> that made it and keeps
/// its standard output, and whoever read a pipe to its end would wait for the container.
/// </summary>
sealed class Spawn : IDisposable
{
    const short SetSigDefault = 0x04, SetSigMask = 0x08;

    readonly string folder;
    readonly string command;
    readonly TimeSpan timeout;
    int status;
    bool reaped;

    public int Pid { get; }

    Spawn(string folder, string command, TimeSpan timeout, int pid)
    {
        (this.folder, this.command, this.timeout, Pid) = (folder, command, timeout, pid);
    }

    public string Stdout => Said("stdout");

    public string Stderr => Said("stderr");

    /// <summary>Nothing of a stream that was given another descriptor.</summary>
    string Said(string stream) => File.Exists(Path.Combine(folder, stream)) ? File.ReadAllText(Path.Combine(folder, stream)) : "";

    public static Spawn Start(string scratch, string program, IReadOnlyList<string> arguments, SpawnOptions? options = null)
    {
        options ??= new SpawnOptions();
        var folder = Directory.CreateDirectory(Path.Combine(scratch, "spawn-" + Guid.NewGuid().ToString("N")[..12])).FullName;
        var input = "/dev/null";
        if (options.Input is not null)
            File.WriteAllText(input = Path.Combine(folder, "stdin"), options.Input);

        var actions = Marshal.AllocHGlobal(1024);
        var attributes = Marshal.AllocHGlobal(1024);
        List<int> opened = [];
        try
        {
            Native.posix_spawn_file_actions_init(actions);
            Native.posix_spawnattr_init(attributes);

            Span<byte> all = stackalloc byte[128], none = stackalloc byte[128];
            all.Fill(0xff);
            none.Clear();
            Native.posix_spawnattr_setflags(attributes, SetSigDefault | SetSigMask);
            Native.posix_spawnattr_setsigdefault(attributes, all);
            Native.posix_spawnattr_setsigmask(attributes, options.BlockSignals ? all : none);

            Dictionary<int, int> descriptors = new(options.Descriptors);
            Add(0, input, Native.O_RDONLY);
            Add(1, Path.Combine(folder, "stdout"), Native.O_RDWR | Native.O_CREAT | Native.O_APPEND);
            Add(2, Path.Combine(folder, "stderr"), Native.O_RDWR | Native.O_CREAT | Native.O_APPEND);
            foreach (var (target, source) in descriptors)
                Native.posix_spawn_file_actions_adddup2(actions, source, target);
            if (options.WorkingDirectory is not null)
                Native.posix_spawn_file_actions_addchdir_np(actions, options.WorkingDirectory);

            string?[] argv = [program, .. arguments, null];
            var error = Native.posix_spawn(out var pid, program, actions, attributes, argv, EnvironmentBlock(options));
            if (error != 0)
                throw new InvalidOperationException($"{program}: {Marshal.GetPInvokeErrorMessage(error)}");
            return new Spawn(folder, $"{program} {string.Join(' ', arguments)}", options.Timeout, pid);

            void Add(int target, string path, int flags)
            {
                if (descriptors.ContainsKey(target))
                    return;
                var fd = Native.open(path, flags | Native.O_CLOEXEC, 0x1b6);
                if (fd < 0)
                    throw Native.Failure($"open {path}");
                opened.Add(fd);
                descriptors[target] = fd;
            }
        }
        finally
        {
            foreach (var fd in opened)
                Native.close(fd);
            Native.posix_spawn_file_actions_destroy(actions);
            Native.posix_spawnattr_destroy(attributes);
            Marshal.FreeHGlobal(actions);
            Marshal.FreeHGlobal(attributes);
        }
    }

    public static Result Run(string scratch, string program, IReadOnlyList<string> arguments, SpawnOptions? options = null)
    {
        using var spawn = Start(scratch, program, arguments, options);
        return spawn.Wait();
    }

    /// <summary>Waits for the end; past the time allowed the program is killed and the test fails with what it had said.</summary>
    public Result Wait()
    {
        if (!reaped && !Native.WaitForEnd(Pid, timeout))
        {
            Kill();
            throw new TimeoutException($"{command}\nstill ran after {timeout.TotalSeconds} s\nstdout: {Stdout}\nstderr: {Stderr}");
        }
        Reap();
        var signal = status & 0x7f;
        return new Result(command, signal != 0 ? 128 + signal : (status >> 8) & 0xff, signal, Stdout, Stderr);
    }

    public void Kill()
    {
        if (reaped)
            return;
        Native.kill(Pid, Native.SIGKILL);
        Reap();
    }

    public void Dispose() => Kill();

    void Reap()
    {
        while (!reaped)
        {
            if (Native.waitpid(Pid, out status, 0) == Pid)
                reaped = true;
            else if (Marshal.GetLastPInvokeError() != Native.EINTR)
                throw Native.Failure("waitpid");
        }
    }

    static string?[] EnvironmentBlock(SpawnOptions options)
    {
        Dictionary<string, string> variables = [];
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
            variables[(string)entry.Key] = (string?)entry.Value ?? "";
        foreach (var (name, value) in options.Environment)
            variables[name] = value;
        List<string?> block = [];
        foreach (var (name, value) in variables)
            block.Add($"{name}={value}");
        block.Add(null);
        return [.. block];
    }
}
