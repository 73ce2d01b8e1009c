namespace Containers.Linux;

/// <summary>The part that asks sockets for their network namespaces.</summary>
public sealed unsafe partial class NamespaceScan
{
    /// <summary>Sockets of one namespace beyond these say nothing new.</summary>
    const int MostSockets = 16;

    /// <summary>Inode numbers of sockets: one that many processes have open is asked once.</summary>
    readonly HashSet<ulong> seen = [];
    readonly Dictionary<ulong, List<NamespaceDescriptor>> sockets = [];

    /// <param name="process">A pidfd, -1 before the first socket.</param>
    /// <param name="network">The process's own: nearly every socket is of that.</param>
    void AddSocket(NamespaceDescriptor descriptor, ref int process, ulong network)
    {
        if (process < 0 && (process = Libc.pidfd_open(descriptor.Pid, 0)) < 0)
            return;
        int space = NamespaceSocket.Open(process, descriptor.Number);
        if (space < 0)
            return;
        if (Libc.statx(space, Libc.STATX_INO, out statx stat) == 0 && stat.stx_ino != network)
        {
            if (!sockets.TryGetValue(stat.stx_ino, out List<NamespaceDescriptor>? list))
                sockets.Add(stat.stx_ino, list = []);
            if (list.Count < MostSockets)
                list.Add(descriptor);
        }
        Libc.close(space);
    }

    /// <summary>Where processes live, sockets keep nothing.</summary>
    void AddSockets()
    {
        foreach ((ulong id, List<NamespaceDescriptor> list) in sockets)
        {
            NamespaceFound one = Of(id, Net);
            if (one is { Processes: 0, Thread: null })
                one.Descriptors.AddRange(list);
        }
    }
}
