namespace Containers.Tests.Runtime;

/// <summary>docs/runtime-differences.md: which tests another runtime cannot pass, and why. Under that runtime they are left out for the reason that stands there.</summary>
static class Differences
{
    static readonly Dictionary<string, (string Runc, string Crun)> Rows = Read();

    /// <param name="file">The test's source file, which is named as its class.</param>
    public static string? Reason(string file, string test)
    {
        if (!UnderTest.IsRunc && !UnderTest.IsCrun || !Rows.TryGetValue($"{Path.GetFileNameWithoutExtension(file)}.{test}", out var row))
            return null;
        var reason = UnderTest.IsRunc ? row.Runc : row.Crun;
        return reason.Length == 0 ? null : $"{(UnderTest.IsRunc ? "runc" : "crun")}: {reason}";
    }

    public static IReadOnlyCollection<string> Tests => Rows.Keys;

    static Dictionary<string, (string, string)> Read()
    {
        var rows = new Dictionary<string, (string, string)>();
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "runtime-differences.md")))
        {
            if (line.StartsWith("| `", StringComparison.Ordinal) && line.Split('|') is [_, var test, var runc, var crun, _])
                rows.Add(test.Trim(' ', '`'), (runc.Trim(), crun.Trim()));
        }
        return rows;
    }
}
