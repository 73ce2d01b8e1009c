namespace Containers.Linux;

/// <summary>/proc/PID/limits, proc_pid_limits(5).</summary>
public static class ProcessLimits
{
    const int NameWidth = 25;

    /// <param name="limits"><see cref="ResourceLimits.Count"/> of them, RLIMIT_* is the index, RLIM_INFINITY for no limit.</param>
    /// <returns>False when there is no such process (any more).</returns>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, out rlimit64[] limits)
    {
        limits = [];
        if (!ProcFile.TryRead(pid, "limits", out ProcFile file))
            return false;
        using (file)
        {
            // Reaped between open and read.
            if (file.Bytes.IsEmpty)
                return false;
            return TryParse(file.Bytes, out limits) ? true : throw ProcFile.NotUnderstood(pid, "limits");
        }
    }

    public static bool TryParse(ReadOnlySpan<byte> text, out rlimit64[] limits)
    {
        limits = new rlimit64[ResourceLimits.Count];
        int seen = 0;
        ProcText.Next(ref text, (byte)'\n');
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> line = ProcText.Next(ref text, (byte)'\n');
            if (line.Length <= NameWidth)
                return false;
            int resource = Resource(line[..NameWidth].TrimEnd((byte)' '));
            line = line[NameWidth..];
            if (!TryLimit(ProcText.NextWord(ref line), out ulong soft) || !TryLimit(ProcText.NextWord(ref line), out ulong hard))
                return false;
            // One that we do not know is a later kernel's.
            if (resource < 0)
                continue;
            limits[resource] = new() { rlim_cur = soft, rlim_max = hard };
            seen |= 1 << resource;
        }
        return seen == (1 << ResourceLimits.Count) - 1;
    }

    static bool TryLimit(ReadOnlySpan<byte> text, out ulong limit)
    {
        limit = Libc.RLIM_INFINITY;
        return text.SequenceEqual("unlimited"u8) || ProcText.TryNumber(text, out limit);
    }

    static int Resource(ReadOnlySpan<byte> name) => name switch
    {
        _ when name.SequenceEqual("Max cpu time"u8) => Libc.RLIMIT_CPU,
        _ when name.SequenceEqual("Max file size"u8) => Libc.RLIMIT_FSIZE,
        _ when name.SequenceEqual("Max data size"u8) => Libc.RLIMIT_DATA,
        _ when name.SequenceEqual("Max stack size"u8) => Libc.RLIMIT_STACK,
        _ when name.SequenceEqual("Max core file size"u8) => Libc.RLIMIT_CORE,
        _ when name.SequenceEqual("Max resident set"u8) => Libc.RLIMIT_RSS,
        _ when name.SequenceEqual("Max processes"u8) => Libc.RLIMIT_NPROC,
        _ when name.SequenceEqual("Max open files"u8) => Libc.RLIMIT_NOFILE,
        _ when name.SequenceEqual("Max locked memory"u8) => Libc.RLIMIT_MEMLOCK,
        _ when name.SequenceEqual("Max address space"u8) => Libc.RLIMIT_AS,
        _ when name.SequenceEqual("Max file locks"u8) => Libc.RLIMIT_LOCKS,
        _ when name.SequenceEqual("Max pending signals"u8) => Libc.RLIMIT_SIGPENDING,
        _ when name.SequenceEqual("Max msgqueue size"u8) => Libc.RLIMIT_MSGQUEUE,
        _ when name.SequenceEqual("Max nice priority"u8) => Libc.RLIMIT_NICE,
        _ when name.SequenceEqual("Max realtime priority"u8) => Libc.RLIMIT_RTPRIO,
        _ when name.SequenceEqual("Max realtime timeout"u8) => Libc.RLIMIT_RTTIME,
        _ => -1,
    };
}
