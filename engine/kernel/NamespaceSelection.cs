using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>Namespaces held open, so that they are what they were when they were chosen, whatever becomes of paths and pids.</summary>
sealed class NamespaceSelection : IDisposable
{
    readonly ContainerEngine engine;
    readonly List<(string Type, ulong Id, SafeFileHandle Handle)> open = [];

    NamespaceSelection(ContainerEngine engine) => this.engine = engine;

    internal IReadOnlyList<(string Type, ulong Id, SafeFileHandle Handle)> All => open;

    /// <summary>The process that the targets mean, where they mean one: its root folder and its users can be looked at.</summary>
    internal int? ProcessId { get; private set; }

    internal bool Has(LinuxNamespaceType type) => open.Exists(one => one.Type == LinuxNamespaces.File(type));

    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>, <c>InvalidArgument</c>, <c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>.</exception>
    internal static NamespaceSelection Open(ContainerEngine engine, IReadOnlyList<NamespaceTarget> targets, IReadOnlyList<LinuxNamespaceType>? types)
    {
        var selection = new NamespaceSelection(engine);
        try
        {
            foreach (var target in targets) { selection.Add(target, types); }
            return selection.open.Count > 0 ? selection
                : throw new ContainerException(ErrorIds.NamespaceNotFound, $"There is nothing to join: '{string.Join("', '", targets)}' has no namespace{(types is null ? " other than this process's own" : $" of type {string.Join(", ", types)}")}.",
                    targets.Count > 0 ? targets[0].ToString() : null, ContainerErrorCategory.ObjectNotFound);
        }
        catch
        {
            selection.Dispose();
            throw;
        }
    }

    void Add(NamespaceTarget target, IReadOnlyList<LinuxNamespaceType>? types)
    {
        switch (target)
        {
            case { Namespace: { } ns }:
                if (types?.Contains(ns.Type) != false) { AddNamespace(ns); }
                break;
            case { Path: { } path }:
                AddPath(path, types, null);
                break;
            case { ContainerId: { } id }:
                AddProcess(engine.Tasks.Get(id, target.ContainerNamespace).ProcessId ?? throw ShimErrors.NotRunning(id), types);
                break;
            case { Name: { } name }:
                AddName(name, target.ContainerNamespace, types);
                break;
            case { ProcessId: { } pid }:
                AddProcess(pid, types);
                break;
        }
    }

    void AddNamespace(LinuxNamespace ns)
    {
        if (ns.HolderPath is null)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, $"No path leads to {ns}: it is {LinuxNamespaces.Holders(ns)}.{(ns.BindMounts.Count > 0 ? " It can be entered from the mount namespace that it is mounted in." : "")}", ns, ContainerErrorCategory.InvalidArgument);
        }
        // The holder that was seen first may be gone while another still holds it.
        foreach (var path in new[] { ns.HolderPath }.Concat(ns.BindMounts.Where(path => path.StartsWith('/'))).Concat(ns.Descriptors))
        {
            if (!TryOpen(path, out var file, out var handle)) { continue; }
            if (file.Id == ns.Id)
            {
                if (ns.ProcessId is { } pid && ns.Holder == LinuxNamespaceHolder.Process && ns.ProcessCount > 0) { ProcessId ??= pid; }
                Keep(file, handle, ns);
                return;
            }
            handle.Dispose();
        }
        throw new ContainerException(ErrorIds.NamespaceNotFound, $"The {LinuxNamespaces.File(ns.Type)} namespace {ns.Id} is gone: nothing that held it does so any more. Get-Namespace lists those that are there.",
            ns, ContainerErrorCategory.ObjectNotFound);
    }

    void AddPath(string path, IReadOnlyList<LinuxNamespaceType>? types, ulong? own)
    {
        if (!TryOpen(path, out var file, out var handle)) { throw LinuxNamespaces.NoNamespace(path, Libc.errno); }
        if (types?.Contains(LinuxNamespaces.Type(file.Type!)) == false || file.Id == own) { handle.Dispose(); }
        else { Keep(file, handle, path); }
    }

    void AddProcess(int pid, IReadOnlyList<LinuxNamespaceType>? types)
    {
        if (pid <= 0 || !ProcessStat.TryReadStart(pid, out _, out var start) || !LinuxNamespaces.TryLinks(pid, out var links)) { throw LinuxNamespaces.NoProcess(pid); }
        _ = LinuxNamespaces.TryLinks(Environment.ProcessId, out var own);
        foreach (var link in links)
        {
            if (link.File == link.Type) { AddPath($"/proc/{pid}/ns/{link.File}", types, own.Find(one => one.File == link.File).Id); }
        }
        // The number may have become another process's in between.
        if (!ProcessTruth.IsAlive(pid, start)) { throw LinuxNamespaces.NoProcess(pid); }
        ProcessId ??= pid;
    }

    void AddName(string name, string? containerNamespace, IReadOnlyList<LinuxNamespaceType>? types)
    {
        if (Names.IsValid(name) && engine.Containers.ListIds(containerNamespace).Contains(name))
        {
            AddProcess(engine.Tasks.Get(name, containerNamespace).ProcessId ?? throw ShimErrors.NotRunning(name), types);
            return;
        }
        var found = false;
        foreach (var type in Enum.GetValues<LinuxNamespaceType>())
        {
            if (!NamespaceStore.NamesOf(engine.Paths, type).Contains(name)) { continue; }
            found = true;
            AddPath(Path.Combine(NamespaceStore.Folder(engine.Paths, type), name), types, null);
        }
        if (!found)
        {
            throw new ContainerException(ErrorIds.NamespaceNotFound, $"'{name}' is neither a container nor the name of a kept namespace. Get-Container and Get-Namespace list what is there; a path begins with '/' or '.'.",
                name, ContainerErrorCategory.ObjectNotFound);
        }
    }

    static bool TryOpen(string path, out NamespaceFile file, out SafeFileHandle handle)
    {
        var fd = NamespaceFile.Open(path, out file);
        handle = new SafeFileHandle(fd, ownsHandle: true);
        return fd >= 0;
    }

    void Keep(NamespaceFile file, SafeFileHandle handle, object target)
    {
        var there = open.FindIndex(one => one.Type == file.Type);
        if (there < 0)
        {
            open.Add((file.Type!, file.Id, handle));
            return;
        }
        handle.Dispose();
        if (open[there].Id != file.Id)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, $"A program can be in one {file.Type} namespace only, and two are named. Give them one after another, or on the pipeline.", target, ContainerErrorCategory.InvalidArgument);
        }
    }

    public void Dispose()
    {
        foreach (var (_, _, handle) in open) { handle.Dispose(); }
        open.Clear();
    }
}
