using System.Text;

namespace Containers.Linux.Cgroups;

/// <summary>What the files of a group held before limits were written, so that they can be put back when a later one is refused.</summary>
sealed class LimitJournal : IDisposable
{
    // The writers of limits are many small functions that know files and values alone.
    [ThreadStatic]
    static LimitJournal? current;

    readonly List<(string Folder, string File, string Written, string Before)> entries = [];

    internal LimitJournal() => current = this;

    internal static void Note(string folder, string file, string value)
    {
        if (current is { } journal) { journal.entries.Add((folder, file, value, CgroupFiles.ReadText(folder, file) ?? "")); }
    }

    /// <summary>The last write first: limits that bound each other pass through the same states as on the way there. What cannot be put back stays.</summary>
    internal void Restore()
    {
        current = null;
        for (var i = entries.Count - 1; i >= 0; i--)
        {
            var (folder, file, written, before) = entries[i];
            var space = written.IndexOf(' ');
            // A file of lines "device value" takes one at a time, and does not list a device without a limit.
            var key = space > 0 && file is not "cpu.max" ? written[..(space + 1)] : null;
            if (key is null) { CgroupFiles.TryWrite(folder, file, before); }
            else { CgroupFiles.TryWrite(folder, file, Line(before, key) ?? key + None(file, written[(space + 1)..])); }
        }
    }

    static string? Line(string text, string key)
    {
        foreach (var line in text.Split('\n'))
        {
            if (line.StartsWith(key, StringComparison.Ordinal)) { return line; }
        }
        return null;
    }

    // "rbps=1 wbps=2" becomes "rbps=max wbps=max"; v1 has 0 for no limit, and weights "default".
    static string None(string file, string values)
    {
        if (!values.Contains('=')) { return file.StartsWith("io.", StringComparison.Ordinal) ? "default" : "0"; }
        var none = new StringBuilder();
        foreach (var word in values.Split(' ')) { none.Append(none.Length > 0 ? " " : "").Append(word.AsSpan(0, word.IndexOf('=') + 1)).Append("max"); }
        return none.ToString();
    }

    public void Dispose() => current = null;
}
