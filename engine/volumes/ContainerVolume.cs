using System.Text.Json.Serialization;

namespace Containers;

/// <summary>Files that outlive containers: a folder of the store, or what the options of the volume name.</summary>
public sealed class ContainerVolume
{
    public required string Name { get; init; }

    public required string ContainerNamespace { get; init; }

    /// <summary><c>local</c>.</summary>
    public required string Driver { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    /// <summary><c>type</c>, <c>device</c> and <c>o</c>, as mount(8) has them; none for a folder of the store.</summary>
    public required IReadOnlyDictionary<string, string> Options { get; init; }

    /// <summary>The host's folder with the files; null for a file system that each container mounts for itself.</summary>
    public string? Path { get; init; }

    /// <summary>Ids of the containers that use it, running or not.</summary>
    public required IReadOnlyList<string> Containers { get; init; }

    public override string ToString() => Name;
}

/// <summary>What a volume is made of.</summary>
public sealed class ContainerVolumeOptions
{
    /// <summary>Made up where null.</summary>
    public string? Name { get; set; }

    public string? ContainerNamespace { get; set; }

    /// <summary><c>local</c>, the one that there is.</summary>
    public string Driver { get; set; } = "local";

    public IReadOnlyDictionary<string, string>? Labels { get; set; }

    /// <summary>
    /// Docker's words for the local driver: <c>type</c> (<c>none</c> with <c>o=bind</c>, <c>tmpfs</c>, <c>nfs</c>, <c>nfs4</c>), <c>device</c> and <c>o</c>, options with
    /// commas between them. None for a folder of the store.
    /// </summary>
    public IReadOnlyDictionary<string, string>? Options { get; set; }
}

/// <summary><c>volume.json</c>.</summary>
sealed class VolumeRecord
{
    public int Version { get; set; } = 1;
    public required string Name { get; set; }
    public required string Namespace { get; set; }
    public string Driver { get; set; } = "local";
    public required DateTimeOffset CreatedAt { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
    public Dictionary<string, string> Options { get; set; } = [];

    /// <summary>A folder, of the store or of the host. Otherwise a file system.</summary>
    [JsonIgnore]
    public bool IsFolder => Type is null or "none";

    [JsonIgnore]
    public string? Type => Options.GetValueOrDefault("type");

    [JsonIgnore]
    public string? Device => Options.GetValueOrDefault("device");

    /// <summary>The words of <c>o</c>.</summary>
    [JsonIgnore]
    public string[] Words => Options.TryGetValue("o", out var words) ? words.Split(',', StringSplitOptions.RemoveEmptyEntries) : [];
}

/// <summary>A volume in the record of a container.</summary>
sealed class VolumeUse
{
    public required string Name { get; set; }
    public required string Target { get; set; }
}

/// <summary>An image that is mounted in a container, in its record.</summary>
sealed class ImageUse
{
    public required string Name { get; set; }
    public required string Target { get; set; }
    public required string ManifestDigest { get; set; }

    /// <summary>Keys of its snapshots, the lowest first.</summary>
    public required List<string> Layers { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(VolumeRecord))]
sealed partial class VolumeJson : JsonSerializerContext;
