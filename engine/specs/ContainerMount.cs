namespace Containers;

public enum ContainerMountType
{
    Bind,
    Tmpfs,
}

/// <summary>A bind mount or a tmpfs for a container.</summary>
public sealed partial class ContainerMount
{
    public ContainerMountType Type { get; init; }

    /// <summary>The absolute host path of a bind mount; null for a tmpfs.</summary>
    public string? Source { get; init; }

    /// <summary>The absolute path inside the container.</summary>
    public required string Target { get; init; }

    public bool ReadOnly { get; init; }

    /// <summary>Further options as <c>mount(8)</c> spells them, such as <c>nosuid</c> or <c>size=64m</c>.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    public override string ToString() => Type == ContainerMountType.Bind ? $"{Source}:{Target}" : $"tmpfs:{Target}";
}
