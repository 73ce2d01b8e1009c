namespace Containers.Linux;

/// <summary>A line of /proc/PID/uid_map or gid_map, user_namespaces(7).</summary>
/// <param name="Inside">First id in the process's user namespace.</param>
/// <param name="Outside">First id in the reader's user namespace, or in the parent's when the reader is in the same one; 4294967295 for none.</param>
/// <param name="Count">How many ids follow one another.</param>
public readonly record struct IdMap(uint Inside, uint Outside, uint Count)
{
    /// <param name="maps">None before a new user namespace has got its map.</param>
    /// <returns>False when there is no such process (any more).</returns>
    /// <exception cref="InvalidDataException">Not the file that the manual describes.</exception>
    public static bool TryReadUids(int pid, out List<IdMap> maps) => TryRead(pid, "uid_map", out maps);

    /// <inheritdoc cref="TryReadUids"/>
    public static bool TryReadGids(int pid, out List<IdMap> maps) => TryRead(pid, "gid_map", out maps);

    static bool TryRead(int pid, string name, out List<IdMap> maps)
    {
        maps = [];
        if (!ProcFile.TryRead(pid, name, out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, maps) ? true : throw ProcFile.NotUnderstood(pid, name);
    }

    /// <summary>Adds a map for each line.</summary>
    /// <returns>False at the first line that is none.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, List<IdMap> maps)
    {
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> line = ProcText.Next(ref text, (byte)'\n');
            if (!ProcText.TryNumber(ProcText.NextWord(ref line), out uint inside) || !ProcText.TryNumber(ProcText.NextWord(ref line), out uint outside)
                || !ProcText.TryNumber(ProcText.NextWord(ref line), out uint count) || !line.Trim((byte)' ').IsEmpty)
                return false;
            maps.Add(new(inside, outside, count));
        }
        return true;
    }
}
