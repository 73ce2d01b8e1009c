using System.Text.Json;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

public sealed partial class ContainerTasks
{
    const int LongestAnswer = 1 << 20;

    /// <summary>Makes the task of a container: shim, namespaces, cgroup, mounts; the program itself waits for <see cref="StartAsync"/>.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskExists</c>, <c>RuntimeNotFound</c>, <c>RuntimeFailed</c>, <c>ExecutableNotFound</c>,
    /// <c>ExecutableNotPermitted</c>, <c>RootfsNotFound</c>, <c>TaskNotRunning</c> (of a container whose namespaces are joined), <c>ShimFailed</c> …</exception>
    public async Task<ContainerTask> CreateAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        using var held = await engine.Containers.LockAsync(ns, id, cancel).ConfigureAwait(false);
        await CreateLockedAsync(ns, id, cancel).ConfigureAwait(false);
        return Get(id, ns);
    }

    async Task CreateLockedAsync(string ns, string id, CancellationToken cancel, RestoreOrder? restore = null)
    {
        var record = engine.Containers.Load(ns, id);
        if (files.Exists(ns, id)) { throw ShimErrors.ToException("TaskExists", "", id); }
        var runtime = engine.Host.FindRuntime(record.Runtime);
        var helper = engine.Host.FindHelper();
        foreach (var (layer, image) in (record.Layers ?? []).Select(layer => (layer, record.Image)).Concat((record.ImageUses ?? []).SelectMany(use => use.Layers.Select(layer => (layer, (string?)use.Name)))))
        {
            if (engine.Snapshots.Load(layer) is null)
            {
                throw new ContainerException(ErrorIds.RootfsNotFound, $"The snapshot '{layer}' of image '{image}' is not there any more, and container '{id}' needs it. Remove the container and make it again.",
                    layer, ContainerErrorCategory.ObjectNotFound);
            }
        }
        if (record.Layers is null && !Directory.Exists(record.RootfsPath))
        {
            throw new ContainerException(ErrorIds.RootfsNotFound, $"The root filesystem '{record.RootfsPath}' of container '{id}' is not there any more. Put it back, or remove the container.",
                record.RootfsPath, ContainerErrorCategory.ObjectNotFound);
        }
        // Where a joined namespace is known only by now.
        var spec = record.Spec;
        foreach (var (type, other) in record.Joins) { Join(spec, type, ns, other); }
        NamespaceSpec.Recheck(spec, record.PathIds);
        if (record.NetworkId is { } networkId)
        {
            foreach (var one in spec.Linux?.Namespaces?.Where(one => one.Type == "network") ?? []) { one.Path = KeptNetwork.Place(networkId); }
        }
        ContainerCgroups.RefuseShared(record);
        ContainerCgroups.RefuseForRestarts(record);
        ImageVolumes.Place(record, paths.ContainerFolder(ns, id));
        // The shim mounts the root there, in its own mount namespace.
        (spec.Root ??= new Root()).Path = "rootfs";

        var folder = paths.RunFolder(ns, id);
        PlaceImages(record, folder);
        Folders.MakeRoot(paths.RunRoot);
        using (FileLock.TakeFolder(paths.RunRoot))
        {
            Folders.Make(paths.RunNamespaceFolder(ns));
            Folders.Make(folder);
        }
        var attached = false;
        try
        {
            attached = await engine.Networks.AttachAsync(record, cancel).ConfigureAwait(false);
            // Not synced: who starts a container is not to wait for a disk, so a power cut within the kernel's time of writing back (about 30 s) forgets the task.
            Write(paths.TaskMark(ns, id), "{}"u8.ToArray());
            if (spec.Linux?.Namespaces?.Any(one => one.Type == "user") == true) { LetPass(paths.RunRoot, paths.RunNamespaceFolder(ns), folder); }
            Folders.Make(Path.Combine(folder, "rootfs"));
            for (var i = 0; i < (record.ImageUses?.Count ?? 0); i++) { Folders.Make(ContainerMount.ImageFolder(folder, i)); }
            Write(Path.Combine(folder, "config.json"), OciJson.WriteSpec(spec));
            Write(Path.Combine(folder, "shim.json"), JsonSerializer.SerializeToUtf8Bytes(Orders(record, folder, runtime, restore), TaskJson.Default.ShimOrders));
            await LaunchAsync(helper, folder, id, cancel).ConfigureAwait(false);
            engine.Cgroups.ApplyRecorded(record);
        }
        catch
        {
            // Also after a cancellation in the middle: whatever was begun is ended, and nothing of it stays.
            await DestroyAsync(record, runtime).ConfigureAwait(false);
            if (attached) { await engine.Networks.DetachAsync(record, force: true, CancellationToken.None).ConfigureAwait(false); }
            throw;
        }
    }

    // A container's root that is not the host's has to get to where the shim mounts its root. What else is there has modes of its own (0600, 0700).
    static void LetPass(params string[] folders)
    {
        foreach (var folder in folders) { File.SetUnixFileMode(folder, Folders.PrivateFolder | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute); }
    }

    // The running state lives in memory (tmpfs): nothing is gained by waiting for a disk.
    internal static void Write(string path, byte[] content)
    {
        try
        {
            using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = Folders.PrivateFile, BufferSize = 0 });
            file.Write(content);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
    }

    void Join(Spec spec, string type, string ns, string other)
    {
        var pid = files.Read(ns, other)?.Task is { State: ContainerTaskState.Created or ContainerTaskState.Running or ContainerTaskState.Paused, ProcessId: { } alive }
            ? alive : throw ShimErrors.NotRunning(other);
        var file = type switch { "network" => "net", "mount" => "mnt", _ => type };
        foreach (var one in spec.Linux?.Namespaces ?? [])
        {
            if (one.Type == type) { one.Path = $"/proc/{pid}/ns/{file}"; }
        }
    }

    /// <summary>How the container's root is mounted.</summary>
    /// <param name="writable">Otherwise it may be mounted elsewhere at the same time.</param>
    /// <param name="mapped">With the container's own ids, where it has such.</param>
    internal static ShimMount RootMount(ContainerEngine engine, ContainerRecord record, string target, bool writable = true, bool mapped = true)
    {
        var mount = new ShimMount { Type = "bind", Source = record.RootfsPath ?? "", Target = target, Options = ["rbind"] };
        if (record.Overlay)
        {
            var (folder, below) = (engine.Paths.OverlayFolder(record.Namespace, record.Id), ContainerTree.Below(engine, record));
            var own = SnapshotDriver.Of(record.Snapshotter).Mount(folder, writable ? below : [SnapshotDriver.Upper(folder), .. below], writable);
            mount = new ShimMount { Type = own.Type, Source = own.Source, Target = target, Options = [.. own.Options] };
        }
        if (record.IdMapped && mapped) { mount.Options.Add(NamespaceSpec.MountOption(record.Spec)); }
        return mount;
    }

    // The folder has the container's id in its path, and that may have changed.
    static void PlaceImages(ContainerRecord record, string folder)
    {
        for (var i = 0; i < (record.ImageUses?.Count ?? 0); i++)
        {
            if (record.Spec.Mounts?.Find(mount => mount.Destination == record.ImageUses![i].Target && mount.Type == "bind") is { } mount) { mount.Source = ContainerMount.ImageFolder(folder, i); }
        }
    }

    /// <summary>The images that are mounted in the container, read-only, each where its bind mount has its source.</summary>
    internal static IEnumerable<ShimMount> ImageMounts(ContainerEngine engine, ContainerRecord record, string folder) => (record.ImageUses ?? []).Select((use, i) =>
    {
        var mount = SnapshotDriver.Of(null).Mount(folder, [.. use.Layers.AsEnumerable().Reverse().Select(engine.Snapshots.LayerFolder)], writable: false);
        return new ShimMount { Type = mount.Type, Source = mount.Source, Target = ContainerMount.ImageFolder(folder, i), Options = [.. mount.Options] };
    });

    ShimOrders Orders(ContainerRecord record, string folder, string runtime, RestoreOrder? restore)
    {
        return new ShimOrders
        {
            Id = record.Id,
            Namespace = record.Namespace,
            Runtime = runtime,
            RuntimeRoot = paths.RuntimeRoot(record.Namespace),
            Bundle = folder,
            Mounts = [RootMount(engine, record, Path.Combine(folder, "rootfs")), .. ImageMounts(engine, record, folder)],
            Cgroup = HostPaths.ShimCgroupPath(record.Namespace, record.Id),
            Journal = engine.Events.Journal(record.Namespace).Current,
            Log = paths.Log(record),
            LogUri = record.LogUri is { } uri ? new LogUri(uri).Sink : null,
            LogMaxSize = record.LogMaxSize,
            LogMaxFiles = record.LogMaxFiles,
            Terminal = record.Terminal,
            Stdin = record.Stdin,
            Stdout = record.Stdout,
            Stderr = record.Stderr,
            StdinPath = record.StdinPath,
            Plain = record.Spec.Hooks is null && string.IsNullOrEmpty(record.Spec.Linux?.Seccomp?.ListenerPath),
            RestartPolicy = Containers.RestartPolicy.Parse(record.RestartPolicy).Kind,
            RestartLimit = Containers.RestartPolicy.Parse(record.RestartPolicy).Limit,
            Health = HealthOrder(record),
            Restore = restore,
            EndRecord = paths.TaskMark(record.Namespace, record.Id),
        };
    }

    static HealthOrder? HealthOrder(ContainerRecord record)
    {
        if (record.Health is not { } health) { return null; }
        var program = Program(record.Spec.Process!, new ContainerExecOptions { ArgumentList = health.Command }, pid: 0);
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer)) { OciJson.Write(writer, program); }
        using var process = JsonDocument.Parse(buffer.ToArray());
        return new HealthOrder
        {
            Process = process.RootElement.Clone(),
            Interval = health.Interval,
            Timeout = health.Timeout,
            StartPeriod = health.StartPeriod,
            Retries = health.Retries,
            OnFailure = health.OnFailure,
            StopSignal = ContainerSignal.Parse(record.StopSignal),
            StopTimeout = (int)Math.Min(record.StopTimeoutSec * 1000, int.MaxValue),
        };
    }

    static async Task LaunchAsync(string helper, string folder, string id, CancellationToken cancel)
    {
        using var launcher = new System.Diagnostics.Process { StartInfo = ClosedProgram.Of(helper, "shim", "--run-dir", folder) };
        try { launcher.Start(); }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new ContainerException(ErrorIds.ShimFailed, $"'{helper}' could not be started: {e.Message}. Check that it is a program for this machine.",
                id, ContainerErrorCategory.ResourceUnavailable, e);
        }
        launcher.StandardInput.Close();
        // A process that is disposed of leaves streams that were asked for open.
        using var standardOutput = launcher.StandardOutput;
        using var standardError = launcher.StandardError;
        string output, words;
        try
        {
            var reading = ReadAsync(standardOutput, cancel);
            var complaining = ReadAsync(standardError, cancel);
            output = await reading.ConfigureAwait(false);
            words = await complaining.ConfigureAwait(false);
            await launcher.WaitForExitAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            launcher.Kill();
            throw;
        }

        ShimAnswer? answer = null;
        try { answer = JsonSerializer.Deserialize(output, TaskJson.Default.ShimAnswer); }
        catch (JsonException) { }
        if (answer?.Error is { } error) { throw ShimErrors.ToException(error.Id ?? "", error.Message ?? "", id); }
        if (answer is not { Pid: > 0, TaskPid: > 0 } || launcher.ExitCode != 0)
        {
            throw ShimErrors.ToException("ShimFailed", $"exit status {launcher.ExitCode}, and no answer {words}", id);
        }
    }

    static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancel)
    {
        var buffer = new char[4096];
        var text = new System.Text.StringBuilder();
        int n;
        while ((n = await reader.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
        {
            if (text.Length < LongestAnswer) { text.Append(buffer, 0, n); }
        }
        return text.ToString();
    }
}
