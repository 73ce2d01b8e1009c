namespace Psrun.Shim;

/// <summary>A failure that a client or the launcher is told: an id from docs/shim.md and a sentence for a person.</summary>
sealed class ShimException(string id, string message) : Exception(message)
{
    public string Id { get; } = id;

    public static ShimException Of(string id, string what, long negativeErrno) =>
        new(id, $"{what}: {Sys.Words((int)-negativeErrno)}");
}
