using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// The namespaces of a container. What joins another container's is written down as its id (<c>Joins</c> of the record) and
/// becomes a path when the task is made: only then is there a process to point at.
/// </summary>
static class NamespaceSpec
{
    const int MostRanges = 340; // user_namespaces(7)

    internal static List<OciNamespace> Build(ContainerCreateOptions o, Dictionary<string, string> joins, Dictionary<string, ulong> pathIds)
    {
        var namespaces = new List<OciNamespace> { new() { Type = "mount" } };
        Add("network", o.Network, Libc.CLONE_NEWNET);
        Add("pid", o.ProcessNamespace, Libc.CLONE_NEWPID);
        Add("ipc", o.IpcNamespace, Libc.CLONE_NEWIPC);
        Add("uts", o.UtsNamespace, Libc.CLONE_NEWUTS);
        Add("cgroup", o.CgroupNamespace, Libc.CLONE_NEWCGROUP);
        if (o.UserNamespace is { Kind: NamespaceChoiceKind.Private } && !Maps(o)) { throw ResourceSpec.Bad("UserNamespace", "private", "it needs UidMap, GidMap or both, such as 0:100000:65536"); }
        if (o.UserNamespace is not null and not { Kind: NamespaceChoiceKind.Private } && Maps(o)) { throw ResourceSpec.Bad("UidMap", string.Join(',', o.UidMap ?? o.GidMap!), "a user namespace that exists has maps of its own"); }
        if (o.UserNamespace is not null || Maps(o)) { Add("user", o.UserNamespace, Libc.CLONE_NEWUSER); }
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
                // Networks too: where theirs is kept is known when the task is made.
                default:
                    namespaces.Add(new OciNamespace { Type = type });
                    return;
            }
        }
    }

    /// <summary>Whether the container is to have a user namespace of its own.</summary>
    internal static bool Maps(ContainerCreateOptions o) => o.UidMap is { Count: > 0 } || o.GidMap is { Count: > 0 };

    /// <summary>The maps of one kind.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>: root is not in it, ranges meet, or ids end above the highest.</exception>
    internal static List<LinuxIdMapping>? Mappings(string name, IReadOnlyList<NamespaceIdMap>? maps, IReadOnlyList<NamespaceIdMap>? others)
    {
        var own = maps is { Count: > 0 } ? maps : others;
        if (own is not { Count: > 0 }) { return null; }
        var text = string.Join(',', own);
        if (own.Count > MostRanges) { throw ResourceSpec.Bad(name, text, $"the kernel takes {MostRanges} ranges"); }
        if (!own.Any(map => map.Inside == 0)) { throw ResourceSpec.Bad(name, text, "the container's root (0) is in none of the ranges"); }
        foreach (var map in own)
        {
            if ((ulong)map.Inside + map.Count > uint.MaxValue || (ulong)map.Outside + map.Count > uint.MaxValue) { throw ResourceSpec.Bad(name, text, "a range ends above the highest id"); }
            if (own.Any(other => !ReferenceEquals(other, map) && (Meet(other.Inside, map.Inside, other.Count, map.Count) || Meet(other.Outside, map.Outside, other.Count, map.Count)))) { throw ResourceSpec.Bad(name, text, "two ranges have an id in common"); }
        }
        return [.. own.Select(map => new LinuxIdMapping { ContainerId = map.Inside, HostId = map.Outside, Size = map.Count })];

        static bool Meet(ulong one, ulong other, ulong oneCount, ulong otherCount) => one < other + otherCount && other < one + oneCount;
    }

    /// <summary>The option of a mount that maps ids as the spec's user namespace does.</summary>
    internal static string MountOption(Spec spec)
    {
        return $"idmap={Text(spec.Linux!.UidMappings!)};{Text(spec.Linux.GidMappings!)}";

        static string Text(List<LinuxIdMapping> maps) => string.Join(',', maps.Select(map => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{map.ContainerId}:{map.HostId}:{map.Size}")));
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
