namespace Containers.Linux;

/// <summary>A line of /proc/PID/mountinfo, proc_pid_mountinfo(5), with all paths as they are, without the kernel's escapes.</summary>
/// <param name="Root">The folder of the file system that is mounted; ends in "//deleted" when that is gone.</param>
/// <param name="MountPoint">Below the reader's root.</param>
/// <param name="Options">Of this mount: "rw,nosuid,relatime".</param>
/// <param name="Shared">The peer group it sends to and gets from, null when it has none.</param>
/// <param name="Master">The peer group it only gets from.</param>
/// <param name="PropagateFrom">The nearest peer group it gets from below the reader's root, where that is another than <paramref name="Master"/>.</param>
/// <param name="Type">"ext4", "fuse.sshfs".</param>
/// <param name="Source">May be empty.</param>
/// <param name="SuperOptions">Of the file system, commas inside of a value still escaped.</param>
public sealed record MountInfo(
    int Id, int ParentId, uint Major, uint Minor, string Root, string MountPoint, string Options,
    int? Shared, int? Master, int? PropagateFrom, bool Unbindable, string Type, string Source, string SuperOptions)
{
    /// <summary>The mounts that a process sees, in the order in which they were made; a later one may cover an earlier one.</summary>
    /// <returns>False when there is no such process (any more), or it is a zombie.</returns>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, out List<MountInfo> mounts)
    {
        mounts = [];
        if (!ProcFile.TryRead(pid, "mountinfo", out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, mounts) ? true : throw ProcFile.NotUnderstood(pid, "mountinfo");
    }

    /// <summary>Those of the calling process.</summary>
    /// <exception cref="LinuxException">ENOENT: /proc is not mounted.</exception>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static List<MountInfo> ReadSelf()
    {
        if (!ProcFile.TryReadSelf("mountinfo", out ProcFile file))
            throw new LinuxException("open", "/proc/self/mountinfo", Libc.ENOENT);
        List<MountInfo> mounts = [];
        using (file)
            return TryParse(file.Bytes, mounts) ? mounts : throw new InvalidDataException("/proc/self/mountinfo: not understood");
    }

    /// <summary>Adds a mount for each line.</summary>
    /// <returns>False at the first line that is none.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, List<MountInfo> mounts)
    {
        while (!text.IsEmpty)
        {
            if (!TryParseLine(ProcText.Next(ref text, (byte)'\n'), out MountInfo? mount))
                return false;
            mounts.Add(mount);
        }
        return true;
    }

    static bool TryParseLine(ReadOnlySpan<byte> line, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out MountInfo? mount)
    {
        mount = null;
        // Single blanks divide fields, all others are escaped: two in a row have an empty field between them.
        bool numbers = ProcText.TryNumber(ProcText.Next(ref line, (byte)' '), out int id) & ProcText.TryNumber(ProcText.Next(ref line, (byte)' '), out int parent);
        ReadOnlySpan<byte> device = ProcText.Next(ref line, (byte)' ');
        numbers &= ProcText.TryNumber(ProcText.Next(ref device, (byte)':'), out uint major) & ProcText.TryNumber(device, out uint minor);
        ReadOnlySpan<byte> root = ProcText.Next(ref line, (byte)' ');
        ReadOnlySpan<byte> mountPoint = ProcText.Next(ref line, (byte)' ');
        ReadOnlySpan<byte> options = ProcText.Next(ref line, (byte)' ');

        int? shared = null, master = null, propagateFrom = null;
        bool unbindable = false;
        while (true)
        {
            if (line.IsEmpty)
                return false;
            ReadOnlySpan<byte> field = ProcText.Next(ref line, (byte)' ');
            if (field.SequenceEqual("-"u8))
                break;
            // Optional ones; a kernel may add more, and we must pass over those.
            if (field.StartsWith("shared:"u8))
                numbers &= TryGroup(field[7..], out shared);
            else if (field.StartsWith("master:"u8))
                numbers &= TryGroup(field[7..], out master);
            else if (field.StartsWith("propagate_from:"u8))
                numbers &= TryGroup(field[15..], out propagateFrom);
            else if (field.SequenceEqual("unbindable"u8))
                unbindable = true;
        }
        ReadOnlySpan<byte> type = ProcText.Next(ref line, (byte)' ');
        ReadOnlySpan<byte> source = ProcText.Next(ref line, (byte)' ');
        if (!numbers || root.IsEmpty || mountPoint.IsEmpty || type.IsEmpty)
            return false;
        mount = new(id, parent, major, minor, ProcText.Unescape(root), ProcText.Unescape(mountPoint), ProcText.String(options),
            shared, master, propagateFrom, unbindable, ProcText.Unescape(type), ProcText.Unescape(source), ProcText.Unescape(line));
        return true;
    }

    static bool TryGroup(ReadOnlySpan<byte> text, out int? group)
    {
        bool isNumber = ProcText.TryNumber(text, out int number);
        group = number;
        return isNumber;
    }
}
