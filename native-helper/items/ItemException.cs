namespace Psrun.Items;

/// <summary>Why something was not copied. <see cref="Id"/> is one word that the caller acts upon: see docs/item.md.</summary>
sealed class ItemException(string id, string message) : Exception(message)
{
    /// <summary>There is no such thing, or no such folder.</summary>
    public const string NotFound = "ItemNotFound";

    /// <summary>A folder is to be where something else is, or the other way round.</summary>
    public const string Conflict = "ItemConflict";

    public string Id { get; } = id;
}
