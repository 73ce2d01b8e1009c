namespace Containers;

public enum LinuxNamespaceType
{
    Cgroup,
    Ipc,
    Mnt,
    Net,
    Pid,
    Time,
    User,
    Uts,
}

/// <summary>What keeps a namespace alive; of several, the first that is said here.</summary>
public enum LinuxNamespaceHolder
{
    /// <summary>A process is in it, with its first thread or another, or will give it to its children.</summary>
    Process,

    /// <summary>A mount of it, in any mount namespace.</summary>
    BindMount,

    /// <summary>An open descriptor of it.</summary>
    Descriptor,

    /// <summary>A namespace below it, or one that it owns: nothing leads to it by a path.</summary>
    Namespace,
}

/// <summary>One Linux namespace and what holds it.</summary>
public sealed class LinuxNamespace
{
    public required LinuxNamespaceType Type { get; init; }

    /// <summary>The inode number, unique among the namespaces that exist.</summary>
    public required ulong Id { get; init; }

    public required LinuxNamespaceHolder Holder { get; init; }

    /// <summary>A path that <c>setns(2)</c> takes: <c>/proc/PID/ns/TYPE</c>, a bind mount, <c>/proc/PID/fd/N</c>; null with <see cref="LinuxNamespaceHolder.Namespace"/>,
    /// and when all bind mounts are in a mount namespace that no process is in.</summary>
    public required string? HolderPath { get; init; }

    /// <summary>The name that <c>ip netns</c> or <c>New-Namespace</c> gave it.</summary>
    public string? Name { get; init; }

    /// <summary>The lowest pid of its members; of a holder by another thread, for children or by descriptor where it has none; null without any.</summary>
    public int? ProcessId { get; init; }

    /// <summary>Processes whose first thread is in it.</summary>
    public int ProcessCount { get; init; }

    /// <summary>The command name of <see cref="ProcessId"/>.</summary>
    public string? Command { get; init; }

    /// <summary>The user namespace that owns it; null where the kernel does not tell.</summary>
    public ulong? OwnerId { get; init; }

    /// <summary>Its parent (pid and user namespaces).</summary>
    public ulong? ParentId { get; init; }

    /// <summary>Who made it (user namespaces).</summary>
    public uint? OwnerUserId { get; init; }

    /// <summary>The id of the container that it belongs to.</summary>
    public string? Container { get; init; }

    /// <summary>Every bind mount of it; copies that come and go with another one are left out. Those of other mount namespaces as <c>/proc/PID/root/…</c>,
    /// or as <c>mnt:[ID]/…</c> where no process is in it.</summary>
    public IReadOnlyList<string> BindMounts { get; init; } = [];

    /// <summary>Every open descriptor of it, as <c>/proc/PID/fd/N</c>, or <c>/proc/PID/task/TID/fd/N</c> where a thread has a table of its own.</summary>
    public IReadOnlyList<string> Descriptors { get; init; } = [];

    public override string ToString() => HolderPath ?? $"{LinuxNamespaces.File(Type)}:[{Id}]";
}
