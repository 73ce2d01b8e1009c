namespace Psrun.Unpack;

/// <summary>Why a layer was not unpacked. <see cref="Id"/> is one word that the caller acts upon: see docs/unpack.md.</summary>
sealed class UnpackException(string id, string message) : Exception(message)
{
    /// <summary>The archive is malformed, or means harm.</summary>
    public const string LayerInvalid = nameof(LayerInvalid);

    /// <summary>More bytes or entries than allowed.</summary>
    public const string LayerTooLarge = nameof(LayerTooLarge);

    /// <summary>The uncompressed bytes are not those that were asked for.</summary>
    public const string DigestMismatch = nameof(DigestMismatch);

    /// <summary>The layer builds on what lies in lower ones, and they were not given.</summary>
    public const string NeedsLower = nameof(NeedsLower);

    /// <summary>The host refused: no space, no permission, no library.</summary>
    public const string UnpackFailed = nameof(UnpackFailed);

    public string Id { get; } = id;
}
