namespace Containers;

/// <summary>The versions of the CNI specification that networks may be written in.</summary>
static class CniVersion
{
    /// <summary>Ascending. Before 0.3.1 results had another shape.</summary>
    internal static readonly string[] Known = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];

    /// <summary>The first with CHECK, and with the result in DEL.</summary>
    internal const string WithCheck = "0.4.0";

    /// <summary>The first with GC and STATUS.</summary>
    internal const string WithGc = "1.1.0";

    internal static bool IsKnown(string version) => Array.IndexOf(Known, version) >= 0;

    /// <summary>Of two known versions.</summary>
    internal static bool AtLeast(string version, string least) => Array.IndexOf(Known, version) >= Array.IndexOf(Known, least);

    /// <summary>The highest known one among those that a file offers; null when none is.</summary>
    internal static string? Highest(IEnumerable<string> offered)
    {
        var best = -1;
        foreach (var version in offered) { best = Math.Max(best, Array.IndexOf(Known, version)); }
        return best < 0 ? null : Known[best];
    }
}
