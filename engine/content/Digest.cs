using System.Security.Cryptography;

namespace Containers;

/// <summary>The name of content: <c>sha256:</c> or <c>sha512:</c> and lower-case digits (image-spec, descriptor.md). It becomes part of paths, so nothing else gets through.</summary>
public readonly record struct Digest
{
    Digest(string text) => Text = text;

    string Text { get; }

    public string Algorithm => Text[..Text.IndexOf(':')];
    public string Hex => Text[(Text.IndexOf(':') + 1)..];

    public override string ToString() => Text ?? "";

    public static bool TryParse(string? text, out Digest digest)
    {
        digest = default;
        var length = text is null ? 0 : text.StartsWith("sha256:", StringComparison.Ordinal) ? 64 : text.StartsWith("sha512:", StringComparison.Ordinal) ? 128 : 0;
        if (length == 0 || text!.Length != 7 + length) { return false; }
        foreach (var c in text.AsSpan(7))
        {
            if (!char.IsAsciiHexDigitLower(c)) { return false; }
        }
        digest = new Digest(text);
        return true;
    }

    /// <exception cref="ContainerException"><c>ImageInvalid</c>.</exception>
    public static Digest Parse(string? text) => TryParse(text, out var digest) ? digest : throw new ContainerException(ErrorIds.ImageInvalid,
        $"'{text}' is no digest: sha256 or sha512, a colon, and lower-case hexadecimal digits.", text, ContainerErrorCategory.InvalidData);

    public static Digest Of(ReadOnlySpan<byte> content) => From("sha256", SHA256.HashData(content));

    internal static Digest Of(string algorithm, ReadOnlySpan<byte> content) => From(algorithm, algorithm == "sha512" ? SHA512.HashData(content) : SHA256.HashData(content));

    internal static Digest From(string algorithm, byte[] hash) => new(algorithm + ":" + Convert.ToHexString(hash).ToLowerInvariant());

    internal static IncrementalHash NewHash(string algorithm) => IncrementalHash.CreateHash(algorithm == "sha512" ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256);
}
