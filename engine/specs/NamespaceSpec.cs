using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// The namespaces of a container. What joins another container's is written down as its id (<c>Joins</c> of the record) and
/// becomes a path when the task is made: only then is there a process to point at.
/// </summary>
static class NamespaceSpec
{
    internal static List<OciNamespace> Build(ContainerCreateOptions o, Dictionary<string, string> joins, Dictionary<string, ulong> pathIds)
    {
        var namespaces = new List<OciNamespace> { new() { Type = "mount" } };
        Add("network", o.Network, Libc.CLONE_NEWNET);
        Add("pid", o.ProcessNamespace, Libc.CLONE_NEWPID);
        Add("ipc", o.IpcNamespace, Libc.CLONE_NEWIPC);
        Add("uts", o.UtsNamespace, Libc.CLONE_NEWUTS);
        Add("cgroup", o.CgroupNamespace, Libc.CLONE_NEWCGROUP);
        if (o.UserNamespace is { Kind: NamespaceChoiceKind.Private })
        {
            throw new ContainerException(ErrorIds.NotSupported, "A private user namespace needs id maps, which cannot be given yet. Leave UserNamespace out, or name one that exists.",
                "UserNamespace", ContainerErrorCategory.NotImplemented);
        }
        if (o.UserNamespace is not null) { Add("user", o.UserNamespace, Libc.CLONE_NEWUSER); }
        return namespaces;

        void Add(string type, NamespaceChoice? choice, int kind)
        {
            switch (choice?.Kind ?? NamespaceChoiceKind.Private)
            {
                case NamespaceChoiceKind.Host:
                    return;
                case NamespaceChoiceKind.Container:
                    joins[type] = choice!.Value!;
                    namespaces.Add(new OciNamespace { Type = type });
                    return;
                case NamespaceChoiceKind.Path:
                    pathIds[type] = Check(choice!.Value!, type, kind);
                    namespaces.Add(new OciNamespace { Type = type, Path = choice.Value });
                    return;
                default:
                    namespaces.Add(new OciNamespace { Type = type });
                    return;
            }
        }
    }

    /// <summary>Whether what a path names now is still the namespace that was chosen: a pid in it may be another process's by now.</summary>
    internal static void Recheck(Spec spec, Dictionary<string, ulong> pathIds)
    {
        foreach (var one in spec.Linux?.Namespaces ?? [])
        {
            if (one is not { Type: { } type, Path: { } path } || !pathIds.TryGetValue(type, out var id)) { continue; }
            if (Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_INO, out var stat) != 0 || stat.stx_ino != id)
            {
                throw new ContainerException(ErrorIds.NamespaceNotFound,
                    $"'{path}' is not the {type} namespace any more that was chosen when the container was made: its process has ended. Make the container again, with a namespace that is held by a mount.",
                    path, ContainerErrorCategory.ObjectNotFound);
            }
        }
    }

    // Said now, by name, rather than later by a runtime.
    static unsafe ulong Check(string path, string type, int kind)
    {
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        var opened = fd >= 0;
        var found = opened ? Libc.ioctl(fd, Libc.NS_GET_NSTYPE, null) : -1;
        ulong id = opened && Libc.statx(fd, Libc.STATX_INO, out var stat) == 0 ? stat.stx_ino : 0;
        if (opened) { _ = Libc.close(fd); }
        if (found == kind) { return id; }
        throw new ContainerException(ErrorIds.NamespaceNotFound,
            $"'{path}' is not a {type} namespace{(opened ? "" : ": it cannot be opened")}. Get-Namespace lists those that are there.",
            path, ContainerErrorCategory.ObjectNotFound);
    }
}
