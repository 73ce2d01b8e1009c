using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>A program that runs in joined namespaces. It ends when this is disposed of.</summary>
public sealed class NamespaceProgram : IRunningProgram
{
    const int PieceSize = 64 * 1024, MostReport = 64 * 1024;

    readonly NamespaceSelection selection;
    readonly Process process;
    readonly SafeFileHandle report, reportEnd;
    readonly IReadOnlyList<NamespaceTarget> targets;
    readonly Channel<ContainerOutput> output = Channel.CreateBounded<ContainerOutput>(64);
    readonly long started = Stopwatch.GetTimestamp();

    NamespaceProgram(NamespaceSelection selection, Process process, SafeFileHandle report, SafeFileHandle reportEnd, IReadOnlyList<NamespaceTarget> targets)
    {
        this.selection = selection;
        this.process = process;
        this.report = report;
        this.reportEnd = reportEnd;
        this.targets = targets;
    }

    public ContainerRunResult? Result { get; private set; }

    /// <param name="terminal">The program gets a terminal that the caller's stands in front of; else its streams are read here.</param>
    internal static NamespaceProgram Start(ContainerEngine engine, NamespaceCommandOptions o, bool terminal)
    {
        if (o.ArgumentList.Count == 0 ? !terminal : o.ArgumentList[0].Length == 0)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, "There is no program to run. Give ArgumentList, such as sh or ls,-l.", o.ArgumentList, ContainerErrorCategory.InvalidArgument);
        }
        foreach (var argument in o.ArgumentList) { SpecBuilder.RefuseNul("ArgumentList", argument); }
        var helper = engine.Host.FindHelper();
        var selection = NamespaceSelection.Open(engine, o.Targets, o.Types);
        var (report, reportEnd) = Pipe();
        try
        {
            var info = new ProcessStartInfo
            {
                FileName = helper, UseShellExecute = false, WorkingDirectory = selection.Has(LinuxNamespaceType.Mnt) || o.Root ? "/" : o.HostFolder,
                RedirectStandardInput = !terminal, RedirectStandardOutput = !terminal, RedirectStandardError = !terminal,
            };
            foreach (var argument in Arguments(o, selection, reportEnd, terminal, info.Environment)) { info.ArgumentList.Add(argument); }
            var program = new NamespaceProgram(selection, Process.Start(info)!, report, reportEnd, o.Targets);
            if (!terminal) { program.ReadStreams(); }
            if (!terminal && !o.Interactive) { program.process.StandardInput.Close(); }
            return program;
        }
        catch (Exception e)
        {
            selection.Dispose();
            report.Dispose();
            reportEnd.Dispose();
            throw e is System.ComponentModel.Win32Exception
                ? new ContainerException(ErrorIds.ShimFailed, $"'{helper}' could not be started: {e.Message}. Check that it is a program for this machine.", helper, ContainerErrorCategory.ResourceUnavailable, e)
                : e;
        }
    }

    // Descriptors of this process, which psrun opens by their paths: nothing is inherited that another program started meanwhile could have too.
    static List<string> Arguments(NamespaceCommandOptions o, NamespaceSelection selection, SafeFileHandle report, bool terminal, IDictionary<string, string?> environment)
    {
        var arguments = new List<string> { "namespace", "exec", "--report", Own(report) };
        foreach (var (type, _, handle) in selection.All) { arguments.AddRange(["--join", $"{type}={Own(handle)}"]); }
        if (o.Root)
        {
            arguments.AddRange(["--root", selection.ProcessId is { } pid ? $"/proc/{pid}/root"
                : throw new ContainerException(ErrorIds.InvalidArgument, "-Root takes the root folder of a process, and none is in what is named: give a container or a process.", o.Targets[0].ToString(), ContainerErrorCategory.InvalidArgument)]);
        }
        if (o.WorkingDirectory is { } folder)
        {
            if (!folder.StartsWith('/') || folder.Contains('\0')) { throw new ContainerException(ErrorIds.InvalidArgument, $"The working directory '{folder}' is no absolute path.", folder, ContainerErrorCategory.InvalidArgument); }
            arguments.AddRange(["--cwd", folder]);
        }
        if (o.User is { } user)
        {
            var (ids, home) = FindUser(user, o, selection);
            arguments.AddRange(["--user", string.Join(':', ids)]);
            if (home is not null) { environment["HOME"] = home; }
        }
        foreach (var (name, value) in o.Environment ?? new Dictionary<string, string>())
        {
            if (name.Length == 0 || name.Contains('=') || name.Contains('\0') || value.Contains('\0'))
            {
                throw new ContainerException(ErrorIds.InvalidArgument, $"'{name}' is no name for a variable.", name, ContainerErrorCategory.InvalidArgument);
            }
            environment[name] = value;
        }
        if (terminal) { arguments.Add("--terminal"); }
        arguments.Add("--");
        arguments.AddRange(o.ArgumentList.Count > 0 ? o.ArgumentList : [Shell(o, selection)]);
        return arguments;
    }

    // Names are those of the files that the program will see; of a mount namespace without a process they cannot be read.
    static (uint[] Ids, string? Home) FindUser(string user, NamespaceCommandOptions o, NamespaceSelection selection)
    {
        var root = !selection.Has(LinuxNamespaceType.Mnt) && !o.Root ? "/" : selection.ProcessId is { } pid ? $"/proc/{pid}/root" : null;
        if (root is not null)
        {
            var found = new UserLookup(root).Find(user, null);
            return ([found.User.Uid ?? 0, found.User.Gid ?? 0, .. found.User.AdditionalGids ?? []], found.Home);
        }
        var parts = user.Split(':');
        var ids = new uint[2];
        for (var i = 0; i < parts.Length; i++)
        {
            if (i == 2 || !uint.TryParse(parts[i], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out ids[i]))
            {
                throw new ContainerException(ErrorIds.InvalidArgument, $"'{user}' is not uid or uid:gid, and names cannot be looked up in a mount namespace that no process is in.", user, ContainerErrorCategory.InvalidArgument);
            }
        }
        return (ids, null);
    }

    // What a user of the host finds there, or what every Linux has.
    static string Shell(NamespaceCommandOptions o, NamespaceSelection selection) =>
        !selection.Has(LinuxNamespaceType.Mnt) && !o.Root && Environment.GetEnvironmentVariable("SHELL") is { Length: > 0 } own ? own : "/bin/sh";

    static string Own(SafeFileHandle handle) => $"/proc/{Environment.ProcessId}/fd/{handle.DangerousGetHandle()}";

    static unsafe (SafeFileHandle Read, SafeFileHandle Write) Pipe()
    {
        var pipe = stackalloc int[2];
        LinuxException.Check(Libc.pipe2(pipe, Libc.O_CLOEXEC | Libc.O_NONBLOCK), "pipe");
        return (new SafeFileHandle(pipe[0], ownsHandle: true), new SafeFileHandle(pipe[1], ownsHandle: true));
    }

    void ReadStreams()
    {
        var both = Task.WhenAll(CopyAsync(process.StandardOutput.BaseStream, ContainerLogStream.Stdout), CopyAsync(process.StandardError.BaseStream, ContainerLogStream.Stderr));
        both.ContinueWith(_ => output.Writer.TryComplete(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    async Task CopyAsync(Stream from, ContainerLogStream stream)
    {
        var buffer = new byte[PieceSize];
        try
        {
            int n;
            while ((n = await from.ReadAsync(buffer).ConfigureAwait(false)) > 0) { await output.Writer.WriteAsync(new ContainerOutput(stream, buffer[..n])).ConfigureAwait(false); }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or ChannelClosedException)
        {
            // Nobody reads any more.
        }
    }

    /// <exception cref="ContainerException"><c>ExecutableNotFound</c>, <c>ExecutableNotPermitted</c>, <c>HostRefused</c>, <c>InvalidArgument</c>: it did not run.</exception>
    public async ValueTask<ContainerOutput?> ReadAsync(CancellationToken cancel = default)
    {
        if (Result is not null) { return null; }
        while (await output.Reader.WaitToReadAsync(cancel).ConfigureAwait(false))
        {
            if (output.Reader.TryRead(out var part)) { return part; }
        }
        await process.WaitForExitAsync(cancel).ConfigureAwait(false);
        Finish();
        return null;
    }

    /// <summary>Waits for a program with a terminal.</summary>
    /// <exception cref="ContainerException">See <see cref="ReadAsync"/>.</exception>
    internal ContainerRunResult Wait()
    {
        process.WaitForExit();
        Finish();
        return Result!;
    }

    void Finish()
    {
        reportEnd.Dispose();
        var buffer = new byte[MostReport];
        var read = 0;
        int n;
        // What psrun wrote is all there: it has ended, and the program never had this pipe.
        while (read < buffer.Length && (n = Read(report, buffer.AsSpan(read))) > 0) { read += n; }
        Result = HelperCall.Read(System.Text.Encoding.UTF8.GetString(buffer, 0, read), $"psrun ended with status {process.ExitCode}", answer => new ContainerRunResult
        {
            ContainerId = targets.Count == 1 ? targets[0].ContainerId : null,
            ContainerNamespace = targets.Count == 1 ? targets[0].ContainerNamespace : null,
            ExitCode = answer.GetProperty("exitCode").GetInt32(),
            Signal = answer.GetProperty("signal") is { ValueKind: JsonValueKind.Number } signal ? signal.GetInt32() : null,
            StoppedReason = "Exited",
            Duration = Stopwatch.GetElapsedTime(started),
        }, Failed);
    }

    static unsafe int Read(SafeFileHandle handle, Span<byte> buffer)
    {
        fixed (byte* b = buffer) { return (int)Libc.read((int)handle.DangerousGetHandle(), b, (nuint)buffer.Length); }
    }

    ContainerException Failed(string id, string words)
    {
        var target = targets[0].ToString();
        return id switch
        {
            "ExecutableNotFound" => new ContainerException(ErrorIds.ExecutableNotFound, $"The program was not found there: {words}. Check ArgumentList and PATH; with a mount namespace joined, files are those of that namespace.", target, ContainerErrorCategory.ObjectNotFound),
            "ExecutableNotPermitted" => new ContainerException(ErrorIds.ExecutableNotPermitted, $"The program may not be executed: {words}. Check its mode and the user.", target, ContainerErrorCategory.PermissionDenied),
            "BadRequest" => new ContainerException(ErrorIds.InvalidArgument, words + ".", target, ContainerErrorCategory.InvalidArgument),
            "HostRefused" or "NotPermitted" or "ReadOnly" or "LimitReached" => NamespaceRefusal.Make(id, $"The program could not be started in '{string.Join("', '", targets)}': {words}", target),
            _ => new ContainerException(ErrorIds.ShimFailed, $"The program could not be started in '{string.Join("', '", targets)}': {words}.", target, ContainerErrorCategory.InvalidOperation),
        };
    }

    public async Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancel = default)
    {
        await process.StandardInput.BaseStream.WriteAsync(data, cancel).ConfigureAwait(false);
        await process.StandardInput.BaseStream.FlushAsync(cancel).ConfigureAwait(false);
    }

    public Task CloseInputAsync(CancellationToken cancel = default)
    {
        process.StandardInput.Close();
        return Task.CompletedTask;
    }

    /// <summary>Kills the program when it still runs.</summary>
    public void Dispose()
    {
        output.Writer.TryComplete();
        try
        {
            // The program is told to end with psrun.
            if (!process.HasExited) { process.Kill(); }
        }
        catch (InvalidOperationException) { }
        process.Dispose();
        report.Dispose();
        reportEnd.Dispose();
        selection.Dispose();
    }
}
