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

    public required string Runtime { get; set; }
    public Dictionary<string, string> Labels { get; set; } = [];
    public string RestartPolicy { get; set; } = "no";
    public string StopSignal { get; set; } = "SIGTERM";
    public double StopTimeoutSec { get; set; } = 10;
    public bool Stdin { get; set; }
    public bool KeepLog { get; set; } = true;

    /// <summary>Files in place of the pipes.</summary>
    public string? StdinPath { get; set; }

    public string? Stdout { get; set; }
    public string? Stderr { get; set; }

    /// <summary>Namespaces of other containers that the task joins: OCI type → container id.</summary>
    public Dictionary<string, string> Joins { get; set; } = [];

    /// <summary>Inodes of namespaces that paths of the spec named when the container was made: OCI type → inode.</summary>
    public Dictionary<string, ulong> PathIds { get; set; } = [];

    /// <summary>Files of its control group, set by name, that the spec has no place for: on hosts with v1 controllers.</summary>
    public Dictionary<string, string> CgroupValues { get; set; } = [];

    public required Spec Spec { get; set; }

    [JsonIgnore]
    public bool Terminal => Spec.Process?.Terminal == true;
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ContainerRecord))]
sealed partial class StoreJson : JsonSerializerContext;
