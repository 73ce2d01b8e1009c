using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers;

/// <summary>What names content (image-spec, descriptor.md).</summary>
sealed class Descriptor
{
    public string? MediaType { get; set; }
    public string? Digest { get; set; }
    public long Size { get; set; }
    public List<string>? Urls { get; set; }
    public Dictionary<string, string>? Annotations { get; set; }
    public string? Data { get; set; }
    public PlatformRecord? Platform { get; set; }
    public string? ArtifactType { get; set; }

    internal Descriptor Bare() => new() { MediaType = MediaType, Digest = Digest, Size = Size, Platform = Platform, ArtifactType = ArtifactType };
}

sealed class PlatformRecord
{
    public string? Architecture { get; set; }
    public string? Os { get; set; }
    [JsonPropertyName("os.version")]
    public string? OsVersion { get; set; }
    [JsonPropertyName("os.features")]
    public List<string>? OsFeatures { get; set; }
    public string? Variant { get; set; }
}

/// <summary>An index and a manifest in one: a document that is both is refused (CVE-2021-41190).</summary>
sealed class ManifestRecord
{
    public int SchemaVersion { get; set; }
    public string? MediaType { get; set; }
    public string? ArtifactType { get; set; }
    public Descriptor? Config { get; set; }
    public List<Descriptor>? Layers { get; set; }
    public List<Descriptor>? Manifests { get; set; }
    public Descriptor? Subject { get; set; }
    public Dictionary<string, string>? Annotations { get; set; }

    /// <summary>Of schema 1, which is refused by its name.</summary>
    public JsonElement? FsLayers { get; set; }
}

/// <summary>An image's configuration (image-spec, config.md).</summary>
sealed class ImageConfigRecord
{
    public DateTimeOffset? Created { get; set; }
    public string? Author { get; set; }
    public string? Architecture { get; set; }
    public string? Os { get; set; }
    [JsonPropertyName("os.version")]
    public string? OsVersion { get; set; }
    public string? Variant { get; set; }
    public ImageRunRecord? Config { get; set; }
    public RootfsRecord? Rootfs { get; set; }
    public List<HistoryRecord>? History { get; set; }
}

sealed class ImageRunRecord
{
    [JsonPropertyName("User")] public string? User { get; set; }
    [JsonPropertyName("ExposedPorts")] public Dictionary<string, JsonElement>? ExposedPorts { get; set; }
    [JsonPropertyName("Env")] public List<string>? Env { get; set; }
    [JsonPropertyName("Entrypoint")] public List<string>? Entrypoint { get; set; }
    [JsonPropertyName("Cmd")] public List<string>? Cmd { get; set; }
    [JsonPropertyName("Volumes")] public Dictionary<string, JsonElement>? Volumes { get; set; }
    [JsonPropertyName("WorkingDir")] public string? WorkingDir { get; set; }
    [JsonPropertyName("Labels")] public Dictionary<string, string>? Labels { get; set; }
    [JsonPropertyName("StopSignal")] public string? StopSignal { get; set; }
    [JsonPropertyName("Healthcheck")] public ImageHealthRecord? Healthcheck { get; set; }
}

/// <summary>Docker's health check; times in nanoseconds, 0 for the default.</summary>
sealed class ImageHealthRecord
{
    [JsonPropertyName("Test")] public List<string>? Test { get; set; }
    [JsonPropertyName("Interval")] public long? Interval { get; set; }
    [JsonPropertyName("Timeout")] public long? Timeout { get; set; }
    [JsonPropertyName("StartPeriod")] public long? StartPeriod { get; set; }
    [JsonPropertyName("Retries")] public int? Retries { get; set; }
}

sealed class RootfsRecord
{
    public string? Type { get; set; }
    [JsonPropertyName("diff_ids")] public List<string>? DiffIds { get; set; }
}

sealed class HistoryRecord
{
    public DateTimeOffset? Created { get; set; }
    [JsonPropertyName("created_by")] public string? CreatedBy { get; set; }
    public string? Author { get; set; }
    public string? Comment { get; set; }
    [JsonPropertyName("empty_layer")] public bool? EmptyLayer { get; set; }
}

/// <summary>One image of a docker-archive's <c>manifest.json</c>.</summary>
sealed class DockerArchiveRecord
{
    [JsonPropertyName("Config")] public string? Config { get; set; }
    [JsonPropertyName("RepoTags")] public List<string>? RepoTags { get; set; }
    [JsonPropertyName("Layers")] public List<string>? Layers { get; set; }
}

sealed class LayoutRecord
{
    public string? ImageLayoutVersion { get; set; }
}

/// <summary>What <c>snapshot.json</c> holds.</summary>
sealed class SnapshotRecord
{
    public int Version { get; set; } = 1;
    public required string ChainId { get; set; }
    public string? Parent { get; set; }
    public required string DiffId { get; set; }

    /// <summary>Bytes of data.</summary>
    public long Bytes { get; set; }

    public long Entries { get; set; }
    public DateTimeOffset CreatedAt { get; set; }
}

/// <summary>What the <c>snapshot.json</c> of one that somebody has named holds.</summary>
sealed class NamedSnapshotRecord
{
    public int Version { get; set; } = 1;
    public required string Key { get; set; }
    public required string Namespace { get; set; }
    public required ContainerSnapshotKind Kind { get; set; }
    public string? Parent { get; set; }
    public required string Snapshotter { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
    public DateTimeOffset CreatedAt { get; set; }

    /// <summary>Of one that is committed.</summary>
    public long Bytes { get; set; }

    public long Entries { get; set; }
}

/// <summary>What psrun unpack answers: docs/unpack.md.</summary>
sealed class UnpackAnswer
{
    public string? DiffId { get; set; }
    public long Size { get; set; }
    public long Entries { get; set; }
    public long Bytes { get; set; }
    public bool Root { get; set; }
    public long? Read { get; set; }
    public UnpackError? Error { get; set; }
}

/// <summary>What psrun pack answers: docs/pack.md. With --list a line for each change, and the number of them at the end.</summary>
sealed class PackAnswer
{
    public string? DiffId { get; set; }
    public string? Digest { get; set; }
    public long Size { get; set; }
    public long Stored { get; set; }
    public long? Entries { get; set; }
    public string? Kind { get; set; }
    public string? Path { get; set; }
    public string? Type { get; set; }
    public UnpackError? Error { get; set; }
}

/// <summary>What psrun copy answers: docs/pack.md.</summary>
sealed class CopyAnswer
{
    public long? Entries { get; set; }
    public long Bytes { get; set; }
    public UnpackError? Error { get; set; }
}

sealed class UnpackError
{
    public string? Id { get; set; }
    public string? Message { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, MaxDepth = 32, UseStringEnumConverter = true)]
[JsonSerializable(typeof(ManifestRecord))]
[JsonSerializable(typeof(ImageConfigRecord))]
[JsonSerializable(typeof(List<DockerArchiveRecord>))]
[JsonSerializable(typeof(LayoutRecord))]
[JsonSerializable(typeof(SnapshotRecord))]
[JsonSerializable(typeof(UnpackAnswer))]
[JsonSerializable(typeof(PackAnswer))]
[JsonSerializable(typeof(CopyAnswer))]
[JsonSerializable(typeof(NamedSnapshotRecord))]
[JsonSerializable(typeof(MountRecord))]
[JsonSerializable(typeof(System.Text.Json.Nodes.JsonObject))]
sealed partial class ImageJson : JsonSerializerContext;
