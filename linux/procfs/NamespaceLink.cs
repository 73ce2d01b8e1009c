namespace Containers.Linux;

/// <summary>A link of /proc/PID/ns, namespaces(7).</summary>
/// <param name="File">The link's name: "mnt", "pid_for_children".</param>
/// <param name="Type">cgroup, ipc, mnt, net, pid, time, user, uts.</param>
/// <param name="Id">The inode number on nsfs: two processes with the same one are in the same namespace.</param>
public readonly unsafe record struct NamespaceLink(string File, string Type, ulong Id)
{
    static readonly string[] Names = ["cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"];

    /// <summary>All that the kernel knows, in the order of their names.</summary>
    /// <returns>False when there is no such process (any more), or it is a zombie.</returns>
    /// <exception cref="LinuxException">EACCES for a process that the caller may not trace.</exception>
    public static bool TryReadAll(int pid, out List<NamespaceLink> links)
    {
        links = [];
        foreach (string name in Names)
            if (TryRead(pid, name, out NamespaceLink link))
                links.Add(link);
        // A process that vanished half-way has lost some; mnt is one that every kernel has and every living process is in.
        return links.Count > 0 && TryRead(pid, "mnt", out _);
    }

    /// <param name="name">The link's name.</param>
    /// <returns>False when there is no such process (any more), it is a zombie, or the kernel has no such namespaces.</returns>
    /// <exception cref="LinuxException">EACCES for a process that the caller may not trace.</exception>
    /// <exception cref="InvalidDataException">Not a link of namespaces.</exception>
    public static bool TryRead(int pid, string name, out NamespaceLink link)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pid);
        link = default;
        if (Array.IndexOf(Names, name) < 0)
            return false;
        Span<byte> target = stackalloc byte[64];
        nint length;
        fixed (byte* t = target)
            length = Libc.readlinkat(Libc.AT_FDCWD, $"/proc/{pid}/ns/{name}", t, (nuint)target.Length);
        if (length < 0)
            return Libc.errno is Libc.ENOENT or Libc.ESRCH ? false : throw new LinuxException("readlink", $"/proc/{pid}/ns/{name}", Libc.errno);
        return TryParse(name, target[..(int)length], out link) ? true : throw ProcFile.NotUnderstood(pid, "ns/" + name);
    }

    /// <param name="target">"mnt:[4026531841]".</param>
    public static bool TryParse(string file, ReadOnlySpan<byte> target, out NamespaceLink link)
    {
        link = default;
        ReadOnlySpan<byte> type = ProcText.Next(ref target, (byte)':');
        if (type.IsEmpty || target.Length < 3 || target[0] != '[' || target[^1] != ']' || !ProcText.TryNumber(target[1..^1], out ulong id))
            return false;
        link = new(file, ProcText.String(type), id);
        return true;
    }
}
