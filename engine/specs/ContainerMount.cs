namespace Containers;

public enum ContainerMountType
{
    Bind,
    Tmpfs,
    Volume,
    Image,
}

/// <summary>A bind mount, a tmpfs, a volume or an image for a container.</summary>
public sealed partial class ContainerMount
{
    public ContainerMountType Type { get; init; }

    /// <summary>The absolute host path of a bind mount; the name of a volume, null for one of the container's own; the name of an image; null for a tmpfs.</summary>
    public string? Source { get; init; }

    /// <summary>The absolute path inside the container.</summary>
    public required string Target { get; init; }

    public bool ReadOnly { get; init; }

    /// <summary>Further options as <c>mount(8)</c> spells them, such as <c>nosuid</c> or <c>size=64m</c>.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>Of a bind mount, volume or image: the part of it that is mounted, a relative path. It is looked up at each start, and no link leads out of the source.</summary>
    public string? SubPath { get; init; }

    /// <summary>A folder that the task alone has: an image's files.</summary>
    internal static string ImageFolder(string runFolder, int number) => Path.Combine(runFolder, $"image-{number}");

    internal bool IsNamedVolume => Type == ContainerMountType.Volume && Source is not null;

    /// <summary>The type of a file system that a volume's options name.</summary>
    internal string? FileSystem { get; private init; }

    /// <summary>The mount of a volume, with what it is made of.</summary>
    internal ContainerMount Placed(ContainerMountType type, string? source, IReadOnlyList<string> options, bool readOnly, string? fileSystem = null) =>
        new() { Type = type, Source = source, Target = Target, SubPath = SubPath, ReadOnly = ReadOnly || readOnly, Options = options, FileSystem = fileSystem };

    public override string ToString() => Type == ContainerMountType.Tmpfs ? $"tmpfs:{Target}" : Source is null ? Target : $"{Source}:{Target}";
}
