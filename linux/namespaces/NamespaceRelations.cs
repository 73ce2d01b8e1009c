namespace Containers.Linux;

/// <summary>Who owns a namespace and what it is below: ioctl_nsfs(2). Namespaces that only their children hold are found this way.</summary>
public static unsafe class NamespaceRelations
{
    /// <summary>Fills in what only the kernel knows, and adds namespaces that come up thereby.</summary>
    public static void Resolve(Dictionary<ulong, NamespaceFound> found)
    {
        foreach (NamespaceFound one in new List<NamespaceFound>(found.Values))
        {
            int fd = Open(one);
            if (fd < 0)
                continue;
            Ask(fd, one, found);
            Libc.close(fd);
        }
    }

    /// <summary>Opens it by the first of its holders that still is this namespace.</summary>
    internal static int Open(NamespaceFound one)
    {
        foreach (string path in Paths(one))
        {
            int fd = NamespaceFile.Open(path, out NamespaceFile file);
            if (fd < 0)
                continue;
            if (file.Id == one.Id)
            {
                one.Path = path;
                return fd;
            }
            Libc.close(fd);
        }
        return -1;
    }

    static IEnumerable<string> Paths(NamespaceFound one)
    {
        if (one.LowestPid is { } pid)
            yield return $"/proc/{pid}/ns/{one.Type}";
        if (one.Thread is { } thread)
            yield return $"/proc/{thread.Pid}/task/{thread.Thread}/ns/{one.Type}";
        foreach (NamespaceMount mount in one.Mounts)
            if (mount.IsReachable)
                yield return mount.Path;
        foreach (NamespaceDescriptor descriptor in one.Descriptors)
            yield return descriptor.ToString();
        if (one.ChildrenOf is { } parent)
            yield return $"/proc/{parent}/ns/{one.Type}_for_children";
    }

    static void Ask(int fd, NamespaceFound one, Dictionary<ulong, NamespaceFound> found)
    {
        one.Owner = Related(fd, Libc.NS_GET_USERNS, "user", found);
        if (one.Type is "pid" or "user")
            one.Parent = Related(fd, Libc.NS_GET_PARENT, one.Type, found);
        uint user;
        if (one.Type == "user" && Libc.ioctl(fd, Libc.NS_GET_OWNER_UID, &user) == 0)
            one.OwnerUser = user;
    }

    /// <summary>EPERM: the related one is outside of what the caller may see.</summary>
    static ulong? Related(int fd, int question, string type, Dictionary<ulong, NamespaceFound> found)
    {
        int other = Libc.ioctl(fd, (nuint)question, null);
        if (other < 0)
            return null;
        ulong? id = Libc.statx(other, Libc.STATX_INO, out statx stat) == 0 ? stat.stx_ino : null;
        if (id is { } number && !found.ContainsKey(number))
        {
            var held = new NamespaceFound(type, number);
            found.Add(number, held);
            Ask(other, held, found);
        }
        Libc.close(other);
        return id;
    }
}
