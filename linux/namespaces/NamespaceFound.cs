namespace Containers.Linux;

/// <summary>A bind mount of a namespace.</summary>
/// <param name="Path">As this process reaches it: through /proc/PID/root for another mount namespace's. Of a mount namespace that no process is in, from where no
/// path leads here, "mnt:[ID]" and the path inside.</param>
/// <param name="MountNamespace">The mount namespace that it is in.</param>
/// <param name="PeerGroup">Mounts of one peer group come and go together; null for a private one.</param>
public readonly record struct NamespaceMount(string Path, ulong MountNamespace, int? PeerGroup)
{
    public bool IsReachable => Path.StartsWith('/');
}

/// <summary>A descriptor of a namespace.</summary>
/// <param name="Thread">Whose table it is in, when that is not the process's.</param>
public readonly record struct NamespaceDescriptor(int Pid, int? Thread, int Number)
{
    public override string ToString() => Thread is { } thread ? $"/proc/{Pid}/task/{thread}/fd/{Number}" : $"/proc/{Pid}/fd/{Number}";
}

/// <summary>A thread of a process.</summary>
public readonly record struct NamespaceThread(int Pid, int Thread);

/// <summary>A namespace with everything that holds it.</summary>
/// <param name="type">cgroup, ipc, mnt, net, pid, time, user, uts.</param>
/// <param name="id">The inode number on nsfs.</param>
public sealed class NamespaceFound(string type, ulong id)
{
    public string Type { get; } = type;

    public ulong Id { get; } = id;

    /// <summary>Processes whose first thread is in it.</summary>
    public int Processes { get; private set; }

    public int? LowestPid { get; private set; }

    public int? HighestPid { get; private set; }

    /// <summary>A process that is not in it, and whose children will be.</summary>
    public int? ChildrenOf { get; set; }

    /// <summary>A thread that is in it while its process's first one is not.</summary>
    public NamespaceThread? Thread { get; set; }

    public List<NamespaceMount> Mounts { get; } = [];

    public List<NamespaceDescriptor> Descriptors { get; } = [];

    /// <summary>A path that setns(2) takes and that was seen to be this namespace; null when only another namespace holds it.</summary>
    public string? Path { get; set; }

    /// <summary>The user namespace that owns it; null when that is outside of the caller's.</summary>
    public ulong? Owner { get; set; }

    /// <summary>Of user and pid namespaces; null for the first, or when it is outside of the caller's.</summary>
    public ulong? Parent { get; set; }

    /// <summary>Who made a user namespace, as the caller's user namespace counts.</summary>
    public uint? OwnerUser { get; set; }

    /// <summary>Adds a process that is in it; in rising order.</summary>
    public void AddMember(int pid)
    {
        Processes++;
        LowestPid ??= pid;
        HighestPid = pid;
    }
}
