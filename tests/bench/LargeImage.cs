using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Containers.Bench;

/// <summary>
/// An image of 100,000 files and 1 GB, or of fewer, in four layers or in one, as an OCI layout, an archive of it, and the layers alone. The same every
/// time. Busybox is in it where this host has one, so that something can run.
/// </summary>
sealed class LargeImage
{
    const int FilesOfFolder = 50;
    const int MostOfFile = 21_000;

    readonly byte[] pool = new byte[1 << 20];
    readonly Random random = new(20260101);
    readonly bool zstd;

    public string Layout { get; }
    public string Archive { get; }
    public IReadOnlyList<string> LayerFiles { get; }
    public const string Tag = "large";

    /// <param name="files">In all layers together; each has 10 kB on the average.</param>
    /// <param name="zstd">Layers by zstd(1) in place of gzip.</param>
    /// <exception cref="RuntimeRefused">There is no zstd.</exception>
    public LargeImage(string folder, int files, int layers = 4, bool zstd = false)
    {
        this.zstd = zstd;
        Layout = Path.Combine(folder, "layout");
        Archive = Path.Combine(folder, "large.tar");
        FillPool();
        string blobs = Directory.CreateDirectory(Path.Combine(Layout, "blobs/sha256")).FullName;
        var written = new List<string>();
        var diffIds = new List<string>();
        for (int layer = 0; layer < layers; layer++)
        {
            string temporary = Path.Combine(folder, "layer");
            diffIds.Add(Write(temporary, layer, files / layers));
            string digest = Hash(temporary);
            written.Add(Path.Combine(blobs, digest));
            File.Move(temporary, written[^1]);
        }
        LayerFiles = written;
        object config = Blob(blobs, new { architecture = Bundle.Platform == "linux-arm64" ? "arm64" : "amd64", os = "linux", config = new { Cmd = new[] { "true" } }, rootfs = new { type = "layers", diff_ids = diffIds } }, "config.v1+json");
        var descriptors = written.Select(file => new { mediaType = Media(zstd ? "layer.v1.tar+zstd" : "layer.v1.tar+gzip"), digest = "sha256:" + Path.GetFileName(file), size = new FileInfo(file).Length });
        dynamic manifest = Blob(blobs, new { schemaVersion = 2, mediaType = Media("manifest.v1+json"), config, layers = descriptors }, "manifest.v1+json", Tag);
        File.WriteAllBytes(Path.Combine(Layout, "index.json"), JsonSerializer.SerializeToUtf8Bytes(new { schemaVersion = 2, manifests = new[] { (object)manifest } }));
        File.WriteAllText(Path.Combine(Layout, "oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
        TarFile.CreateFromDirectory(Layout, Archive, includeBaseDirectory: false);
    }

    static string Media(string kind) => "application/vnd.oci.image." + kind;

    static Dictionary<string, object> Blob(string blobs, object value, string kind, string? tag = null)
    {
        byte[] content = JsonSerializer.SerializeToUtf8Bytes(value);
        string digest = Convert.ToHexStringLower(SHA256.HashData(content));
        File.WriteAllBytes(Path.Combine(blobs, digest), content);
        var descriptor = new Dictionary<string, object> { ["mediaType"] = Media(kind), ["digest"] = "sha256:" + digest, ["size"] = content.Length };
        if (tag is not null)
            descriptor["annotations"] = new Dictionary<string, string> { ["org.opencontainers.image.ref.name"] = tag };
        return descriptor;
    }

    static string Hash(string file)
    {
        using FileStream stream = File.OpenRead(file);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    // A third of noise among words: it becomes two fifths by compression, as programs and their data do.
    void FillPool()
    {
        byte[] words = Encoding.ASCII.GetBytes(string.Join(' ', Enumerable.Range(0, 2000).Select(i => $"word{i * 7919 % 104729}")));
        for (int at = 0; at < pool.Length;)
        {
            int n = Math.Min(pool.Length - at, 64 + random.Next(192));
            if (random.Next(3) == 0)
                random.NextBytes(pool.AsSpan(at, n));
            else
                words.AsSpan(random.Next(words.Length - n), n).CopyTo(pool.AsSpan(at));
            at += n;
        }
    }

    string Write(string path, int layer, int files)
    {
        using var hash = SHA256.Create();
        string plain = path + ".tar";
        using (var file = File.Create(zstd ? plain : path))
        using (Stream packed = zstd ? file : new GZipStream(file, CompressionLevel.Optimal))
        using (var hashed = new CryptoStream(packed, hash, CryptoStreamMode.Write))
        using (var tar = new TarWriter(hashed, TarEntryFormat.Pax))
        {
            var time = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000 + layer);
            void Folder(string name) => tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, name + "/") { ModificationTime = time, Mode = (UnixFileMode)0x1ed });
            if (layer == 0 && Runtime.Find("busybox") is { } busybox)
            {
                Folder("bin");
                using FileStream program = File.OpenRead(busybox);
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, "bin/busybox") { ModificationTime = time, Mode = (UnixFileMode)0x1ed, DataStream = program });
                foreach (string name in new[] { "sh", "rm" })
                    tar.WriteEntry(new PaxTarEntry(TarEntryType.SymbolicLink, "bin/" + name) { ModificationTime = time, LinkName = "busybox" });
            }
            Folder("opt");
            Folder($"opt/l{layer}");
            byte[] content = new byte[MostOfFile];
            for (int i = 0; i < files; i++)
            {
                string folder = $"opt/l{layer}/d{i / FilesOfFolder:0000}";
                if (i % FilesOfFolder == 0)
                    Folder(folder);
                int length = random.Next(MostOfFile);
                for (int at = 0; at < length;)
                {
                    int n = Math.Min(length - at, 1024 + random.Next(3072));
                    pool.AsSpan(random.Next(pool.Length - n), n).CopyTo(content.AsSpan(at));
                    at += n;
                }
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, $"{folder}/file-{i:00000}.dat") { ModificationTime = time, Mode = (UnixFileMode)0x1a4, DataStream = new MemoryStream(content, 0, length) });
            }
        }
        if (zstd)
        {
            Programs.Run("zstd", "-q", "--rm", plain, "-o", path);
        }
        return "sha256:" + Convert.ToHexStringLower(hash.Hash!);
    }
}
