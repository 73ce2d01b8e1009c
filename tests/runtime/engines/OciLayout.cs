using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>An image of one uncompressed layer, written as an OCI layout and packed as a tar archive.</summary>
static class OciLayout
{
    /// <returns>The archive's path.</returns>
    public static string Pack(string folder, string layer, string reference)
    {
        Directory.CreateDirectory(Path.Combine(folder, "blobs/sha256"));
        var bytes = File.ReadAllBytes(layer);
        var layerDigest = Blob(folder, bytes);
        var configuration = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["architecture"] = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "arm64" : "amd64",
            ["os"] = "linux",
            ["config"] = new JsonObject { ["Env"] = new JsonArray("PATH=/bin") },
            ["rootfs"] = new JsonObject { ["type"] = "layers", ["diff_ids"] = new JsonArray(layerDigest) },
        }.ToJsonString());
        var manifest = Encoding.UTF8.GetBytes(new JsonObject
        {
            ["schemaVersion"] = 2,
            ["mediaType"] = "application/vnd.oci.image.manifest.v1+json",
            ["config"] = Descriptor("application/vnd.oci.image.config.v1+json", Blob(folder, configuration), configuration.Length),
            ["layers"] = new JsonArray(Descriptor("application/vnd.oci.image.layer.v1.tar", layerDigest, bytes.Length)),
        }.ToJsonString());
        var entry = Descriptor("application/vnd.oci.image.manifest.v1+json", Blob(folder, manifest), manifest.Length);
        entry["annotations"] = new JsonObject { ["io.containerd.image.name"] = reference, ["org.opencontainers.image.ref.name"] = "latest" };
        File.WriteAllText(Path.Combine(folder, "index.json"), new JsonObject { ["schemaVersion"] = 2, ["manifests"] = new JsonArray(entry) }.ToJsonString());
        File.WriteAllText(Path.Combine(folder, "oci-layout"), """{"imageLayoutVersion":"1.0.0"}""");
        System.Formats.Tar.TarFile.CreateFromDirectory(folder, folder + ".tar", includeBaseDirectory: false);
        return folder + ".tar";
    }

    static string Blob(string folder, byte[] bytes)
    {
        var hex = Convert.ToHexStringLower(SHA256.HashData(bytes));
        File.WriteAllBytes(Path.Combine(folder, "blobs/sha256", hex), bytes);
        return "sha256:" + hex;
    }

    static JsonObject Descriptor(string mediaType, string digest, long size) => new() { ["mediaType"] = mediaType, ["digest"] = digest, ["size"] = size };
}
