using Containers.Linux;

namespace Containers;

public sealed partial class LinuxNamespaces
{
    static readonly TimeSpan InitPatience = TimeSpan.FromSeconds(10);

    const string InitName = "psrun-ns-init";

    /// <summary>The bind mounts that <see cref="Remove"/> takes away; with <paramref name="force"/> also those that somebody else made in this mount namespace.</summary>
    /// <exception cref="ContainerException"><c>NamespaceInUse</c>: nothing of it is ours, or processes live in a pid namespace.</exception>
    public IReadOnlyList<string> PlanRemove(LinuxNamespace ns, bool force = false)
    {
        var mounts = ns.BindMounts.Where(path => path.StartsWith('/') && !path.StartsWith("/proc/", StringComparison.Ordinal) && (force || NamespaceStore.IsOurs(engine.Paths, ns.Id, path))).ToList();
        if (mounts.Count == 0)
        {
            throw new ContainerException(ErrorIds.NamespaceInUse, $"The {File(ns.Type)} namespace {ns.Id} was not kept by New-Namespace or ip netns: {Holders(ns)}."
                + (ns.BindMounts.Count > 0 && !force ? " With -Force the bind mounts of others in this mount namespace are removed too." : " It goes when they go."), ns, ContainerErrorCategory.ResourceBusy);
        }
        var init = Init(ns) is not null;
        if (ns.Type == LinuxNamespaceType.Pid && !force && ns.ProcessCount > (init ? 1 : 0))
        {
            throw new ContainerException(ErrorIds.NamespaceInUse, $"Processes live in the pid namespace {ns.Id} ({Holders(ns)}), and would be killed with its first one. End them, or say -Force.", ns, ContainerErrorCategory.ResourceBusy);
        }
        return mounts;
    }

    /// <summary>Unmounts what keeps a namespace, and ends the first process that <c>KeepInit</c> left in a pid namespace.</summary>
    /// <returns>To be disposed of; until then the number is no other namespace's.</returns>
    /// <exception cref="ContainerException"><c>NamespaceInUse</c>; <c>HostRefused</c>.</exception>
    public RemovedNamespace Remove(LinuxNamespace ns, bool force = false)
    {
        var mounts = PlanRemove(ns, force);
        var removed = new RemovedNamespace(ns);
        try
        {
            Remove(ns, mounts, removed);
            return removed;
        }
        catch
        {
            removed.Dispose();
            throw;
        }
    }

    void Remove(LinuxNamespace ns, IReadOnlyList<string> mounts, RemovedNamespace removed)
    {
        LinuxException? left = null;
        foreach (var path in mounts)
        {
            // Something else may be there by now.
            var fd = NamespaceFile.Open(path, out var file);
            if (fd < 0) { continue; }
            if (file.Id != ns.Id)
            {
                _ = Libc.close(fd);
                continue;
            }
            removed.Hold(fd);
            if (Libc.umount2(path, Libc.MNT_DETACH | Libc.UMOUNT_NOFOLLOW) != 0)
            {
                throw NamespaceRefusal.Make(new LinuxException("umount", path, Libc.errno), "The namespace is still kept", ns);
            }
            if (Libc.unlink(path) != 0 && Libc.errno != Libc.ENOENT) { left ??= new LinuxException("unlink", path, Libc.errno); }
        }
        NamespaceStore.Forget(engine.Paths, ns.Id);
        if (Init(ns) is { } init)
        {
            Waiting.Signal(init.Pid, init.StartTime, Libc.SIGKILL);
            Waiting.ForProcessAsync(init.Pid, init.StartTime, InitPatience, CancellationToken.None).GetAwaiter().GetResult();
        }
        if (Directory.Exists(engine.Paths.RunRoot))
        {
            using (FileLock.TakeFolder(engine.Paths.RunRoot)) { NamespaceStore.RemoveEmpty(engine.Paths, mounts.Select(path => Path.GetDirectoryName(path)!).Distinct()); }
        }
        if (left is not null) { throw NamespaceRefusal.Make(left, "The namespace is not kept any more, but the file that it was mounted on is still there", ns); }
    }

    /// <summary>What still holds a namespace that was removed, in words; null when nothing does.</summary>
    /// <param name="now">Made after the removal, before <paramref name="removed"/> was disposed of.</param>
    public static string? LivesOn(LinuxNamespaceSnapshot now, RemovedNamespace removed)
    {
        if (removed.Descriptor is not { } own || now.Find(removed.Namespace.Id) is not { } left) { return null; }
        var descriptors = left.Descriptors.Where(path => path != own).ToList();
        var held = descriptors.Count > 0 || left.BindMounts.Count > 0 || left.ProcessCount > 1 || left.Holder == LinuxNamespaceHolder.Process
            // An ended process counts until its parent has looked at how it ended.
            && !(left.ProcessCount == 1 && (!ProcessStat.TryReadStart(left.ProcessId!.Value, out var state, out _) || state is 'Z' or 'X'));
        return held ? Holders(left, descriptors) : null;
    }

    /// <summary>What holds a namespace, in words.</summary>
    public static string Holders(LinuxNamespace ns) => Holders(ns, ns.Descriptors);

    static string Holders(LinuxNamespace ns, IReadOnlyList<string> descriptors)
    {
        var parts = new List<string>();
        if (ns.ProcessCount > 0) { parts.Add($"{ns.ProcessCount} process{(ns.ProcessCount == 1 ? "" : "es")}, the first {ns.ProcessId} ({ns.Command})"); }
        else if (ns.Holder == LinuxNamespaceHolder.Process) { parts.Add($"process {ns.ProcessId} ({ns.Command}), by a thread or for its children"); }
        if (ns.BindMounts.Count > 0) { parts.Add("bind mounts " + string.Join(", ", ns.BindMounts.Take(5)) + (ns.BindMounts.Count > 5 ? ", …" : "")); }
        if (descriptors.Count > 0) { parts.Add("descriptors " + string.Join(", ", descriptors.Take(5)) + (descriptors.Count > 5 ? ", …" : "")); }
        if (parts.Count == 0) { parts.Add("a namespace below it or one that it owns"); }
        return "held by " + string.Join("; ", parts);
    }

    // The first process of the namespace, if it is one that KeepInit left: killing any other would not be ours to do.
    static (int Pid, ulong StartTime)? Init(LinuxNamespace ns) => ns.Type == LinuxNamespaceType.Pid && ns.ProcessId is { } pid && ns.ProcessCount > 0
        && ProcessStat.TryReadStart(pid, out _, out var start) && ProcessStrings.TryReadComm(pid, out var comm) && comm == InitName
        && NamespaceLink.TryRead(pid, "pid", out var link) && link.Id == ns.Id && ProcessStatus.TryRead(pid, out var status) && status.NamespacePids is [.., 1] ? (pid, start) : null;
}

/// <summary>A namespace that is not kept any more, held open so that it can be told from one that gets its number next.</summary>
public sealed class RemovedNamespace : IDisposable
{
    Microsoft.Win32.SafeHandles.SafeFileHandle? handle;

    internal RemovedNamespace(LinuxNamespace ns) => Namespace = ns;

    /// <summary>As it was before.</summary>
    public LinuxNamespace Namespace { get; }

    /// <summary>Null when there was nothing left to remove.</summary>
    internal string? Descriptor => handle is null ? null : $"/proc/{Environment.ProcessId}/fd/{handle.DangerousGetHandle()}";

    internal void Hold(int fd)
    {
        handle?.Dispose();
        handle = new Microsoft.Win32.SafeHandles.SafeFileHandle(fd, ownsHandle: true);
    }

    public void Dispose() => handle?.Dispose();
}
