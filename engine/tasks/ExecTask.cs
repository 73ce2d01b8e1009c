using System.Text.Json;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>A further process in a running task; null means "as the container's program has it".</summary>
public sealed class ContainerExecOptions
{
    /// <summary>Made up where null.</summary>
    public string? ExecId { get; set; }

    /// <summary>Program and arguments.</summary>
    public required IReadOnlyList<string> ArgumentList { get; set; }

    /// <summary>Beside the container's variables; the same name wins over them.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; set; }

    public IReadOnlyList<string>? EnvironmentFile { get; set; }
    public string? WorkingDirectory { get; set; }

    /// <summary><c>uid</c>, <c>uid:gid</c>, <c>name</c> or <c>name:group</c>, looked up inside the running container.</summary>
    public string? User { get; set; }

    public IReadOnlyList<string>? GroupAdd { get; set; }
    public bool Tty { get; set; }
    public bool Interactive { get; set; }

    /// <summary>Every capability that this process may hand on.</summary>
    public bool Privileged { get; set; }

    public IReadOnlyList<string>? AddCapability { get; set; }
    public IReadOnlyList<string>? DropCapability { get; set; }

    /// <summary>Absolute files in place of the pipes.</summary>
    public string? RedirectStandardInput { get; set; }

    public string? RedirectStandardOutput { get; set; }
    public string? RedirectStandardError { get; set; }
}

public sealed partial class ContainerTasks
{
    /// <summary>Runs a program in a running task and attaches to it: its output comes by the attachment, its end closes it.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>, <c>TaskPaused</c>, <c>ExecutableNotFound</c>,
    /// <c>ExecutableNotPermitted</c>, <c>ExecExists</c>, <c>UserNotFound</c>, <c>RuntimeFailed</c>.</exception>
    public async Task<ContainerAttachment> ExecAsync(string id, ContainerExecOptions options, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var exec = options.ExecId is null ? Names.Random() : Names.ExecId(options.ExecId);
        var shim = await AskExecAsync(ns, id, exec, options, attach: true, cancel).ConfigureAwait(false);
        return new ContainerAttachment(this, shim, ns, id, exec, null, null);
    }

    /// <summary>Runs a program in a running task and leaves it there.</summary>
    /// <returns>Its exec id.</returns>
    /// <exception cref="ContainerException">See <see cref="ExecAsync"/>.</exception>
    public async Task<string> ExecDetachedAsync(string id, ContainerExecOptions options, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var exec = options.ExecId is null ? Names.Random() : Names.ExecId(options.ExecId);
        using var shim = await AskExecAsync(ns, id, exec, options, attach: false, cancel).ConfigureAwait(false);
        return exec;
    }

    /// <summary>Waits for an exec process.</summary>
    /// <exception cref="ContainerException"><c>TaskNotFound</c>, <c>ExecNotFound</c>.</exception>
    public async Task<ContainerRunResult> WaitExecAsync(string id, string execId, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        Names.Id(id);
        Names.ExecId(execId);
        while (true)
        {
            if (files.ReadExecExit(ns, id, execId) is { } exit) { return Result(ns, id, exit); }
            var truth = files.Read(ns, id) ?? throw Missing(ns, id);
            if (truth.Record?.Execs?.Find(e => e.Id == execId) is not { } process) { throw ShimErrors.ToException("ExecNotFound", execId, id); }
            if (!truth.ShimLives && !ProcessTruth.IsAlive(process.Pid, process.PidStartTime)) { return Result(ns, id, files.ReadExecExit(ns, id, execId)); }
            try
            {
                using var answer = await AskAsync(ns, id, "wait", w => w.WriteString("exec", execId), cancel).ConfigureAwait(false);
                return Result(ns, id, Exit(answer.RootElement));
            }
            catch (ContainerException e) when (e.Id is ErrorIds.ShimLost or ErrorIds.TaskNotRunning)
            {
                await Waiting.ForProcessAsync(process.Pid, process.PidStartTime, ShimAnswers, cancel).ConfigureAwait(false);
            }
        }
    }

    async Task<ShimConnection> AskExecAsync(string ns, string id, string exec, ContainerExecOptions o, bool attach, CancellationToken cancel)
    {
        var members = ExecMembers(ns, id, exec, o, attach);
        var shim = await ConnectAsync(ns, id, cancel).ConfigureAwait(false);
        try
        {
            using var answer = await shim.RequestAsync("exec", members, cancel).ConfigureAwait(false);
            return shim;
        }
        catch
        {
            shim.Dispose();
            throw;
        }
    }

    Action<Utf8JsonWriter> ExecMembers(string ns, string id, string exec, ContainerExecOptions o, bool attach, ConsoleSize? size = null)
    {
        var record = engine.Containers.Load(ns, id);
        var task = (files.Read(ns, id) ?? throw Missing(ns, id)).Task;
        if (task is not { State: ContainerTaskState.Running or ContainerTaskState.Paused, ProcessId: { } pid }) { throw ShimErrors.NotRunning(id); }
        if (o.Tty && (o.RedirectStandardInput ?? o.RedirectStandardOutput ?? o.RedirectStandardError) is not null)
        {
            throw ResourceSpec.Bad("Tty", true, "a terminal takes the place of redirections, so both cannot be");
        }
        var process = Program(record.Spec.Process!, o, pid);
        process.ConsoleSize = size;
        return w =>
        {
            w.WriteString("exec", exec);
            w.WritePropertyName("process");
            OciJson.Write(w, process);
            if (o.Interactive && o.RedirectStandardInput is null) { w.WriteBoolean("stdin", true); }
            if (attach) { w.WriteBoolean("attach", true); }
            if (o.RedirectStandardOutput is { } stdout) { w.WriteString("stdout", stdout); }
            if (o.RedirectStandardError is { } stderr) { w.WriteString("stderr", stderr); }
            if (o.RedirectStandardInput is { } stdin) { w.WriteString("stdinPath", stdin); }
        };
    }

    static Process Program(Process own, ContainerExecOptions o, int pid)
    {
        if (o.ArgumentList.Count == 0 || o.ArgumentList[0].Length == 0)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, "There is no program to run. Give ArgumentList, such as sh or ls,-l.", o.ArgumentList, ContainerErrorCategory.InvalidArgument);
        }
        foreach (var argument in o.ArgumentList) { SpecBuilder.RefuseNul("ArgumentList", argument); }

        var user = own.User ?? new User { Uid = 0, Gid = 0 };
        string? home = null;
        if (o.User is not null || o.GroupAdd is not null)
        {
            var text = o.User ?? $"{own.User?.Uid ?? 0}:{own.User?.Gid ?? 0}";
            var found = new UserLookup($"/proc/{pid}/root").Find(text, o.GroupAdd);
            user = found.User;
            home = found.Home;
        }
        var capabilities = own.Capabilities;
        if (o.Privileged || o.AddCapability is not null || o.DropCapability is not null || o.User is not null)
        {
            capabilities = o.Privileged || o.AddCapability is not null || o.DropCapability is not null
                ? CapabilitySet.Build(o.Privileged, o.AddCapability, o.DropCapability, user.Uid ?? 0, own.Capabilities?.Bounding ?? [])
                : CapabilitySet.Sets(own.Capabilities?.Bounding ?? [], user.Uid ?? 0);
        }
        return new Process
        {
            Terminal = o.Tty,
            User = user,
            Args = [.. o.ArgumentList],
            Env = Variables(own.Env, o, home),
            Cwd = o.WorkingDirectory is null ? own.Cwd ?? "/" : SpecBuilder.WorkingDirectory(o.WorkingDirectory),
            Capabilities = capabilities,
            Rlimits = own.Rlimits,
            NoNewPrivileges = own.NoNewPrivileges,
            ApparmorProfile = own.ApparmorProfile,
            SelinuxLabel = own.SelinuxLabel,
            OomScoreAdj = own.OomScoreAdj,
        };
    }

    static List<string> Variables(List<string>? own, ContainerExecOptions o, string? home)
    {
        var all = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var variable in own ?? [])
        {
            var equals = variable.IndexOf('=');
            if (equals > 0) { all[variable[..equals]] = variable[(equals + 1)..]; }
        }
        if (home is not null) { all["HOME"] = home; }
        if (o.Tty) { all.TryAdd("TERM", "xterm"); }
        foreach (var file in o.EnvironmentFile ?? [])
        {
            foreach (var (name, value) in EnvironmentFile.Read(file)) { all[name] = value; }
        }
        foreach (var (name, value) in o.Environment ?? new Dictionary<string, string>()) { all[name] = value; }
        return [.. all.Select(SpecBuilder.Assignment)];
    }
}
