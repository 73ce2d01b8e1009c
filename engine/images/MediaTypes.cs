namespace Containers;

/// <summary>The names of what an image is made of: OCI's, and docker's of its schema 2.</summary>
static class MediaTypes
{
    internal const string Index = "application/vnd.oci.image.index.v1+json";
    internal const string Manifest = "application/vnd.oci.image.manifest.v1+json";
    internal const string Config = "application/vnd.oci.image.config.v1+json";
    internal const string Layer = "application/vnd.oci.image.layer.v1.tar";
    internal const string DockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
    internal const string DockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
    internal const string DockerConfig = "application/vnd.docker.container.image.v1+json";
    internal const string DockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

    internal static bool IsIndex(string? type) => type is Index or DockerIndex;
    internal static bool IsManifest(string? type) => type is Manifest or DockerManifest;
    internal static bool IsConfig(string? type) => type is Config or DockerConfig;
    internal static bool IsSchema1(string? type) => type is "application/vnd.docker.distribution.manifest.v1+json" or "application/vnd.docker.distribution.manifest.v1+prettyjws";

    /// <summary>A layer whose bytes are elsewhere by licence; nothing here fetches such.</summary>
    internal static bool IsForeign(string? type) => type is not null && (type.Contains(".foreign.", StringComparison.Ordinal) || type.Contains(".nondistributable.", StringComparison.Ordinal));

    internal static bool IsLayer(string? type) => type is Layer or Layer + "+gzip" or Layer + "+zstd"
        or DockerLayer or DockerLayer + ".gzip" or DockerLayer + ".zstd" or DockerLayer + "+gzip" or DockerLayer + "+zstd";
}
