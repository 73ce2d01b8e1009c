namespace Containers;

/// <summary>How much of a registry's time and bytes is too much: docs/registries.md has the same numbers.</summary>
sealed class RegistryLimits
{
    /// <summary>Bytes of a manifest or an index.</summary>
    internal const int Manifest = ImageGraph.LargestManifest;

    /// <summary>Bytes of all manifests and indexes of one pull together.</summary>
    internal const long Manifests = 64L << 20;

    /// <summary>Bytes of any other document: a token, a page of a list, an error.</summary>
    internal const int Document = 4 << 20;

    /// <summary>Bytes of the words of an error that are looked at.</summary>
    internal const int Error = 64 << 10;

    /// <summary>Kibibytes of the headers of one answer.</summary>
    internal const int Headers = 64;

    /// <summary>Redirects of one request.</summary>
    internal const int Redirects = 5;

    /// <summary>Pages of a list, and entries of all of them.</summary>
    internal const int Pages = 1000, Entries = 100_000;

    /// <summary>Attempts of one request; of a download, attempts in a row that bring less than <see cref="Progress"/>.</summary>
    internal int Attempts { get; init; } = 4;

    /// <summary>Bytes after which a download that broke counts as one that gets on.</summary>
    internal long Progress { get; init; } = 1 << 20;

    /// <summary>The wait before the second attempt; it doubles with each, and up to half of it is added at random.</summary>
    internal TimeSpan Backoff { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The longest wait that a registry may ask for by Retry-After.</summary>
    internal TimeSpan RetryAfter { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>For the connection, TLS included.</summary>
    internal TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Until the headers of an answer are there; for the whole of a document; until anything more of a body comes.</summary>
    internal TimeSpan Answer { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>A body that brings less than <see cref="SlowBytes"/> in this time is given up.</summary>
    internal TimeSpan Slow { get; init; } = TimeSpan.FromSeconds(60);

    internal long SlowBytes { get; init; } = 64 << 10;

    /// <summary>Layers larger than this are sent in parts of this size, so that a broken connection costs one part.</summary>
    internal long UploadPart { get; init; } = 64L << 20;

    /// <summary>For a helper that keeps credentials.</summary>
    internal TimeSpan Helper { get; init; } = TimeSpan.FromSeconds(30);
}
