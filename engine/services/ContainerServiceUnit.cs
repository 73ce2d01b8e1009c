namespace Containers;

/// <summary>A unit file for systemd (systemd.service(5)) that starts containers, written or to be written.</summary>
public sealed class ContainerServiceUnit
{
    /// <summary>With <c>.service</c>: what systemctl takes.</summary>
    public required string Name { get; init; }

    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>Null for the unit that starts containers by their restart policies.</summary>
    public string? ContainerId { get; init; }

    public string? ContainerNamespace { get; init; }

    /// <summary>The machine starts it at its own start: a link in <c>multi-user.target.wants</c> says so.</summary>
    public bool Enabled { get; init; }

    /// <summary>The text of the file.</summary>
    public required string Content { get; init; }

    /// <summary>Beside systemd's own units, so that systemd is told to read them again.</summary>
    internal bool OfSystem { get; init; }

    public override string ToString() => Name;
}

/// <summary>How a unit is made.</summary>
public sealed class ContainerServiceOptions
{
    /// <summary>The folder of the file; null for <c>/etc/systemd/system</c>, which needs a systemd that runs.</summary>
    public string? Folder { get; init; }

    /// <summary>The machine starts it at its own start.</summary>
    public bool Enable { get; init; }

    /// <summary>Program (absolute) and arguments, as they are: nothing of them is for systemd to expand.</summary>
    public required IReadOnlyList<string> Start { get; init; }

    public IReadOnlyList<string>? Stop { get; init; }

    /// <summary>Files that these programs read as their own. Nobody but root and the caller may write them.</summary>
    public IReadOnlyList<string> Reads { get; init; } = [];
}
