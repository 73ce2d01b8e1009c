using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// The namespaces of a container. What joins another container's is written down as its id (<c>Joins</c> of the record) and
/// becomes a path when the task is made: only then is there a process to point at.
/// </summary>
static class NamespaceSpec
{
    internal static List<OciNamespace> Build(ContainerCreateOptions o, Dictionary<string, string> joins)
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
                    Check(choice!.Value!, type, kind);
                    namespaces.Add(new OciNamespace { Type = type, Path = choice.Value });
                    return;
                default:
                    namespaces.Add(new OciNamespace { Type = type });
                    return;
            }
        }
    }

    // Said now, by name, rather than later by a runtime.
    static unsafe void Check(string path, string type, int kind)
    {
        var fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        var found = fd < 0 ? -1 : Libc.ioctl(fd, Libc.NS_GET_NSTYPE, null);
        if (fd >= 0) { _ = Libc.close(fd); }
        if (found == kind) { return; }
        throw new ContainerException(ErrorIds.NamespaceNotFound,
            $"'{path}' is not a {type} namespace{(fd < 0 ? ": it cannot be opened" : "")}. Get-Namespace lists those that are there.",
            path, ContainerErrorCategory.ObjectNotFound);
    }
}
