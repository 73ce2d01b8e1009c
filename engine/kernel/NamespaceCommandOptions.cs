namespace Containers;

/// <summary>A program that is to run in namespaces that are there.</summary>
public sealed class NamespaceCommandOptions
{
    /// <summary>All of these together: at most one of each type.</summary>
    public required IReadOnlyList<NamespaceTarget> Targets { get; set; }

    /// <summary>Only the targets' namespaces of these types; null for all.</summary>
    public IReadOnlyList<LinuxNamespaceType>? Types { get; set; }

    /// <summary>Program and arguments; none for a shell on a terminal.</summary>
    public required IReadOnlyList<string> ArgumentList { get; set; }

    /// <summary>Takes the root folder of the targets' process, as chroot(2) does.</summary>
    public bool Root { get; set; }

    /// <summary>Absolute, as the program sees it. Null: <see cref="HostFolder"/>, or the root folder where mount namespace or root are others.</summary>
    public string? WorkingDirectory { get; set; }

    /// <summary>An absolute folder of the host.</summary>
    public string HostFolder { get; set; } = "/";

    /// <summary><c>uid</c>, <c>uid:gid</c>, <c>name</c> or <c>name:group</c>, as the program's own files name them. Null: the caller, or a user namespace's root.</summary>
    public string? User { get; set; }

    /// <summary>Beside the caller's variables; the same name wins over them.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; set; }

    /// <summary>The program is given input.</summary>
    public bool Interactive { get; set; }
}
