namespace Containers;

/// <summary>An image of the store: a name for an index or a manifest, and what it means on one platform.</summary>
public sealed class ContainerImage
{
    /// <summary>The full name, such as <c>docker.io/library/busybox:latest</c>; null for one that was imported without a name.</summary>
    public string? Reference { get; init; }

    public required string ContainerNamespace { get; init; }

    /// <summary>Of what the name stands for: an index, or a manifest.</summary>
    public required string Digest { get; init; }

    /// <summary>Of the manifest for <see cref="Platform"/>; null when none is there.</summary>
    public string? ManifestDigest { get; init; }

    /// <summary>What the rest of this object is about: the platform that was asked for, else this host's, else the first that is there.</summary>
    public string? Platform { get; init; }

    /// <summary>The platforms whose content is in the store.</summary>
    public required IReadOnlyList<string> Platforms { get; init; }

    /// <summary>Bytes of manifest, configuration and layers as they are stored.</summary>
    public required long Size { get; init; }

    /// <summary>When it was built, as its configuration says.</summary>
    public DateTimeOffset? CreatedAt { get; init; }

    /// <summary>When this name got this content.</summary>
    public DateTimeOffset? UpdatedAt { get; init; }

    /// <summary>The lowest first.</summary>
    public required IReadOnlyList<ContainerImageLayer> Layers { get; init; }

    /// <summary>How it wants to be run; null for an artifact that is no image, or when its content is not there.</summary>
    public ContainerImageConfig? Config { get; init; }

    /// <summary>Labels of the image's configuration.</summary>
    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    public override string ToString() => Reference ?? Digest;
}

/// <summary>One layer of an image.</summary>
public sealed class ContainerImageLayer
{
    public required string Digest { get; init; }
    public required string MediaType { get; init; }

    /// <summary>Bytes as stored.</summary>
    public required long Size { get; init; }

    /// <summary>The digest of the uncompressed layer.</summary>
    public string? DiffId { get; init; }

    public override string ToString() => Digest;
}

/// <summary>How an image wants to be run (image-spec, config.md).</summary>
public sealed class ContainerImageConfig
{
    public IReadOnlyList<string> Entrypoint { get; init; } = [];
    public IReadOnlyList<string> Command { get; init; } = [];

    /// <summary><c>NAME=value</c>, one element each.</summary>
    public IReadOnlyList<string> Environment { get; init; } = [];

    public string? User { get; init; }
    public string? WorkingDirectory { get; init; }
    public string? StopSignal { get; init; }
    public IReadOnlyList<string> ExposedPorts { get; init; } = [];
    public IReadOnlyList<string> Volumes { get; init; } = [];
}

/// <summary>One step of how an image was made, the latest first.</summary>
public sealed class ContainerImageHistory
{
    public string? Reference { get; init; }
    public DateTimeOffset? CreatedAt { get; init; }
    public string? CreatedBy { get; init; }
    public string? Author { get; init; }
    public string? Comment { get; init; }

    /// <summary>Bytes of the layer as stored; 0 for a step that made none.</summary>
    public required long Size { get; init; }

    /// <summary>The layer's digest; null for a step that made none.</summary>
    public string? Layer { get; init; }
}

/// <summary>What a check of an image found.</summary>
public sealed class ContainerImageCheck
{
    public string? Reference { get; init; }
    public required string Digest { get; init; }

    /// <summary>Everything for at least one platform is there, and what was read again is what it should be.</summary>
    public required bool IsComplete { get; init; }

    /// <summary>The platforms that are whole.</summary>
    public required IReadOnlyList<string> Platforms { get; init; }

    /// <summary>Content that belongs to the image and is not in the store.</summary>
    public required IReadOnlyList<string> Missing { get; init; }

    /// <summary>Content whose bytes are not what its name says.</summary>
    public required IReadOnlyList<string> Damaged { get; init; }
}

/// <summary>How far a long piece of work has come. <see cref="Total"/> is null where nobody knows.</summary>
public sealed record ImageProgress(string Activity, string Item, long Done, long? Total, bool Finished);
