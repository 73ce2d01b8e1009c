namespace Psrun.Pack;

/// <summary>Why a tree was not packed: docs/pack.md.</summary>
sealed class PackException(string message) : Exception(message)
{
    /// <summary>The one word that the caller is told.</summary>
    public const string Id = "PackFailed";
}
