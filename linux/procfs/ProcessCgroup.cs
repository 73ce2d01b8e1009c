namespace Containers.Linux;

/// <summary>A line of /proc/PID/cgroup, cgroups(7).</summary>
/// <param name="Hierarchy">0 for the version 2 tree.</param>
/// <param name="Controllers">"cpu,cpuacct", "name=systemd", or "" for the version 2 tree.</param>
/// <param name="Path">From the root of the reader's cgroup namespace, with "/.." in front for what lies outside of it; the kernel adds " (deleted)" to a group of version 2 that is gone.</param>
public readonly record struct ProcessCgroup(int Hierarchy, string Controllers, string Path)
{
    /// <summary>Whether this is the version 2 tree.</summary>
    public bool IsVersion2 => Hierarchy == 0 && Controllers.Length == 0;

    /// <returns>False when there is no such process (any more).</returns>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, out List<ProcessCgroup> groups)
    {
        groups = [];
        if (!ProcFile.TryRead(pid, "cgroup", out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, groups) ? true : throw ProcFile.NotUnderstood(pid, "cgroup");
    }

    /// <summary>Adds a group for each line.</summary>
    /// <returns>False at the first line that is none.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, List<ProcessCgroup> groups)
    {
        while (!text.IsEmpty)
        {
            // Neither number nor controllers hold a colon; the path may.
            ReadOnlySpan<byte> path = ProcText.Next(ref text, (byte)'\n');
            bool isNumber = ProcText.TryNumber(ProcText.Next(ref path, (byte)':'), out int hierarchy);
            ReadOnlySpan<byte> controllers = ProcText.Next(ref path, (byte)':');
            if (!isNumber || path.IsEmpty || path[0] != '/')
                return false;
            groups.Add(new(hierarchy, ProcText.String(controllers), ProcText.String(path)));
        }
        return true;
    }
}
