namespace Containers;

/// <summary>A user's name and password, or a token in its place.</summary>
/// <param name="UserName">Empty with a token.</param>
/// <param name="Secret">The password.</param>
/// <param name="IdentityToken">A token that is given for others (OAuth2's refresh token).</param>
/// <param name="RegistryToken">A token that is shown to the registry as it is.</param>
public sealed record RegistryCredential(string UserName, string Secret, string? IdentityToken = null, string? RegistryToken = null)
{
    /// <summary>The name alone: a secret never becomes text by accident.</summary>
    public override string ToString() => UserName;

    internal IEnumerable<string> Secrets => new[] { Secret, IdentityToken, RegistryToken }.OfType<string>().Where(s => s.Length > 0);
}

/// <summary>How a registry is spoken to.</summary>
public class RegistryOptions
{
    /// <summary>In place of what is stored for the registry; its mirrors do not get it.</summary>
    public RegistryCredential? Credential { get; set; }

    /// <summary>Http instead of https: nothing is verified but digests, and passwords go in the clear.</summary>
    public bool PlainHttp { get; set; }

    /// <summary>Takes any certificate.</summary>
    public bool SkipCertificateCheck { get; set; }

    /// <summary>How many layers go at once: 3 of a pull and 5 of a push by default, as many as docker lets go.</summary>
    public int Parallel { get; set; } = 3;

    public IProgress<ImageProgress>? Progress { get; set; }

    /// <summary>Told of every request, without secrets; called from any thread.</summary>
    public Action<string>? Log { get; set; }
}

/// <summary>How an image is pulled.</summary>
public sealed class ImagePullOptions : RegistryOptions
{
    public string? ContainerNamespace { get; set; }

    /// <summary>What is fetched and unpacked; this host's by default.</summary>
    public string? Platform { get; set; }

    /// <summary>Fetches every platform.</summary>
    public bool AllPlatforms { get; set; }

    /// <summary>Leaves unpacking to the first container.</summary>
    public bool NoUnpack { get; set; }
}

/// <summary>How an image is pushed.</summary>
public sealed class ImagePushOptions : RegistryOptions
{
    public ImagePushOptions() => Parallel = 5;

    public string? ContainerNamespace { get; set; }

    /// <summary>The name to push under, in place of the image's own.</summary>
    public string? Target { get; set; }

    /// <summary>Pushes the manifest of that platform alone; all of the image by default.</summary>
    public string? Platform { get; set; }
}

/// <summary>When a container's image is pulled.</summary>
public enum ImagePullPolicy
{
    /// <summary>When it is not in the store.</summary>
    Missing,

    /// <summary>Always: what is in the store already is not fetched again.</summary>
    Always,

    /// <summary>Never.</summary>
    Never,
}

/// <summary>What was pushed.</summary>
public sealed class ContainerImagePush
{
    public required string Reference { get; init; }
    public required string Digest { get; init; }

    /// <summary>Blobs that were sent.</summary>
    public required int Sent { get; init; }

    /// <summary>Blobs that the registry had there, or took from another of its repositories.</summary>
    public required int Skipped { get; init; }

    /// <summary>Bytes of the blobs that were sent.</summary>
    public required long SentBytes { get; init; }

    public override string ToString() => Reference;
}

/// <summary>Something that a registry has: a repository, an image by its tag, or what refers to an image.</summary>
public sealed class ContainerRegistryItem
{
    public required string Registry { get; init; }
    public required string Repository { get; init; }

    /// <summary>Null for a repository, and for what refers to an image.</summary>
    public string? Tag { get; init; }

    /// <summary>A full name that can be pulled; of a repository its name.</summary>
    public required string Reference { get; init; }

    /// <summary>Of what refers to an image; null elsewhere.</summary>
    public string? Digest { get; init; }

    public string? ArtifactType { get; init; }

    /// <summary>Bytes of the manifest; null where the registry does not say.</summary>
    public long? Size { get; init; }

    public IReadOnlyDictionary<string, string> Annotations { get; init; } = new Dictionary<string, string>();

    public override string ToString() => Reference;
}

/// <summary>A registry whose credentials are stored.</summary>
public sealed class ContainerRegistry
{
    public required string Registry { get; init; }
    public string? UserName { get; init; }

    /// <summary>The file, or the helper program, that keeps the secret.</summary>
    public required string StoredIn { get; init; }

    public override string ToString() => Registry;
}
