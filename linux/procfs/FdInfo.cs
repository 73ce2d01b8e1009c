namespace Containers.Linux;

/// <summary>/proc/PID/fdinfo/FD, proc_pid_fdinfo(5).</summary>
/// <param name="Position">The file offset, bytes.</param>
/// <param name="Flags">O_*, with O_CLOEXEC when the descriptor is close-on-exec.</param>
/// <param name="MountId">The <see cref="MountInfo.Id"/> of the mount that the file lies on.</param>
/// <param name="Pid">Of a pidfd: its process; 0 when that is outside of /proc's pid namespace, -1 when it was reaped. Null for another file.</param>
public readonly record struct FdInfo(long Position, uint Flags, int MountId, int? Pid)
{
    /// <returns>False when there is no such process or descriptor (any more).</returns>
    /// <exception cref="LinuxException">EACCES for a process that the caller may not trace.</exception>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, int fd, out FdInfo info)
    {
        info = default;
        ArgumentOutOfRangeException.ThrowIfNegative(fd);
        string name = $"fdinfo/{fd}";
        if (!ProcFile.TryRead(pid, name, out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, out info) ? true : throw ProcFile.NotUnderstood(pid, name);
    }

    public static bool TryParse(ReadOnlySpan<byte> text, out FdInfo info)
    {
        long position = -1;
        uint flags = 0;
        int mount = 0;
        int? process = null;
        bool understood = true;
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> value = ProcText.Next(ref text, (byte)'\n');
            ReadOnlySpan<byte> key = ProcText.Next(ref value, (byte)':');
            value = value.Trim(" \t"u8);
            if (key.SequenceEqual("pos"u8))
                understood &= ProcText.TryNumber(value, out position);
            else if (key.SequenceEqual("flags"u8))
                foreach (byte digit in value)
                {
                    understood &= digit is >= (byte)'0' and <= (byte)'7';
                    flags = flags << 3 | (uint)(digit - '0') & 7;
                }
            else if (key.SequenceEqual("mnt_id"u8))
                understood &= ProcText.TryNumber(value, out mount);
            else if (key.SequenceEqual("Pid"u8))
            {
                understood &= ProcText.TryNumber(value, out int pid);
                process = pid;
            }
        }
        info = new(position, flags, mount, process);
        return understood && position >= 0;
    }
}
