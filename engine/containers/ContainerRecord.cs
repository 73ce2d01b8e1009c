using System.Text.Json;
using System.Text.Json.Serialization;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>What <c>container.json</c> holds. Members may be added; a change of meaning raises the store's format.</summary>
sealed class ContainerRecord
{
    public int Version { get; set; } = 1;
    public required string Id { get; set; }
    public required string Namespace { get; set; }

    /// <summary>Where a rename is under way: the record of a folder of that name is this one.</summary>
    public string? RenamedTo { get; set; }

    public required DateTimeOffset CreatedAt { get; set; }
    public string? Image { get; set; }
    public string? Bundle { get; set; }

    /// <summary>Of what the image's name stood for, and of the manifest that was chosen.</summary>
    public string? ImageDigest { get; set; }

    public string? ManifestDigest { get; set; }

    /// <summary>Keys of the image's snapshots, the lowest first; null for a container over a root filesystem.</summary>
    public List<string>? Layers { get; set; }

    /// <summary>Null for a container from an image.</summary>
    public string? RootfsPath { get; set; }

    public bool Overlay { get; set; }

    /// <summary>The driver of the writable layer; null is overlayfs.</summary>
    public string? Snapshotter { get; set; }

    /// <summary>The root is mounted with the maps of the spec's user namespace.</summary>
    public bool IdMapped { get; set; }

    /// <summary>Folders of the image that the container has of its own, <c>volumes/0</c> and on; null for none.</summary>
    public List<string>? Volumes { get; set; }

    /// <summary>Volumes of the store that it uses; null for none.</summary>
    public List<VolumeUse>? VolumeUses { get; set; }

    /// <summary>Images that are mounted in it; null for none.</summary>
    public List<ImageUse>? ImageUses { get; set; }

    public required string Runtime { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
    public string RestartPolicy { get; set; } = "no";
    /// <summary>Null for none.</summary>
    public HealthRecord? Health { get; set; }

    public string StopSignal { get; set; } = "SIGTERM";
    public double StopTimeoutSec { get; set; } = 10;
    public bool Stdin { get; set; }

    /// <summary>The log is a file that can be read here: the store's, or that of <see cref="LogUri"/>.</summary>
    public bool KeepLog { get; set; } = true;

    /// <summary>Null: the log in the store.</summary>
    public string? LogUri { get; set; }

    /// <summary>Bytes; null: one file without limit.</summary>
    public long? LogMaxSize { get; set; }

    public int? LogMaxFiles { get; set; }

    /// <summary>Files in place of the pipes.</summary>
    public string? StdinPath { get; set; }

    public string? Stdout { get; set; }
    public string? Stderr { get; set; }

    /// <summary>Namespaces of other containers that the task joins: OCI type → container id.</summary>
    public Dictionary<string, string> Joins { get; set; } = [];

    /// <summary>By which network plugins know it; null for a container without networks of names.</summary>
    public string? NetworkId { get; set; }

    /// <summary>The networks that it is attached to before its task is made, in this order.</summary>
    public List<NetworkRequest> Networks { get; set; } = [];

    /// <summary>Inodes of namespaces that paths of the spec named when the container was made: OCI type → inode.</summary>
    public Dictionary<string, ulong> PathIds { get; set; } = [];

    /// <summary>Files of its control group, set by name, that the spec has no place for: on hosts with v1 controllers.</summary>
    public Dictionary<string, string> CgroupValues { get; set; } = [];

    /// <summary>Of a record that was read, only when somebody asks for it: it is nine tenths of the file.</summary>
    /// <exception cref="SpecException">It is none.</exception>
    [System.Diagnostics.CodeAnalysis.AllowNull]
    public Spec Spec
    {
        get => spec ??= OciJson.ReadSpec(unread.Span);
        set => spec = value;
    }

    Spec? spec;
    ReadOnlyMemory<byte> unread;

    /// <exception cref="JsonException">The file is no record.</exception>
    internal static ContainerRecord Read(byte[] content)
    {
        var reader = new Utf8JsonReader(content);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) { throw new JsonException("it is no object"); }
        var found = Range.All;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isSpec = reader.ValueTextEquals("spec"u8);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (isSpec) { found = start..(int)reader.BytesConsumed; }
        }
        if (found.Equals(Range.All) || content[found.Start.Value] != '{') { throw new JsonException("it has no spec"); }
        byte[] rest = [.. content.AsSpan(0, found.Start.Value), .. "null"u8, .. content.AsSpan(found.End.Value)];
        var record = JsonSerializer.Deserialize(rest, StoreJson.Default.ContainerRecord)!;
        record.unread = content.AsMemory(found);
        return record;
    }

    /// <summary>The shim may make a further run of it by itself.</summary>
    [JsonIgnore]
    public bool MayRestart => RestartPolicy != "no" || Health?.OnFailure == "restart";

    [JsonIgnore]
    public bool Terminal => Spec.Process?.Terminal == true;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ContainerRecord))]
sealed partial class StoreJson : JsonSerializerContext;
