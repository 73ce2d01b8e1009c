namespace Containers.Linux;

/// <summary>/proc/PID/stat, proc_pid_stat(5).</summary>
/// <param name="Comm">The thread's name: up to 15 bytes of anything, newlines and parentheses too; kernel threads have longer ones. What is no UTF-8 reads as U+FFFD.</param>
/// <param name="State">R, S, D, Z, T, t, X, I.</param>
/// <param name="ParentPid">0: the parent is outside of the pid namespace.</param>
/// <param name="TerminalDevice">The controlling terminal, 0 for none.</param>
/// <param name="UserTicks">Time in user mode, in clock ticks, sysconf(_SC_CLK_TCK) to a second.</param>
/// <param name="SystemTicks">Time in the kernel, in clock ticks.</param>
/// <param name="StartTime">In clock ticks after boot, as the reader's time namespace counts.</param>
/// <param name="VirtualSize">Bytes.</param>
/// <param name="ResidentPages">Pages of sysconf(_SC_PAGESIZE) bytes.</param>
public readonly record struct ProcessStat(
    int Pid, string Comm, char State, int ParentPid, int ProcessGroup, int Session, int TerminalDevice, uint Flags,
    ulong UserTicks, ulong SystemTicks, long Threads, ulong StartTime, ulong VirtualSize, long ResidentPages)
{
    /// <summary>Ended: nothing but the exit status is left.</summary>
    public bool IsDead => State is 'Z' or 'X' or 'x';

    /// <returns>False when there is no such process (any more).</returns>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, out ProcessStat stat)
    {
        stat = default;
        if (!ProcFile.TryRead(pid, "stat", out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, out stat) ? true : throw ProcFile.NotUnderstood(pid, "stat");
    }

    /// <summary>State and start time alone, without allocating.</summary>
    /// <inheritdoc cref="TryRead"/>
    public static bool TryReadStart(int pid, out char state, out ulong startTime)
    {
        state = default;
        startTime = 0;
        if (!ProcFile.TryRead(pid, "stat", out ProcFile file))
            return false;
        using (file)
        {
            if (!TrySplit(file.Bytes, out _, out _, out ReadOnlySpan<byte> rest) || rest.IsEmpty)
                throw ProcFile.NotUnderstood(pid, "stat");
            state = (char)rest[0];
            for (int field = 3; field < 22; field++)
                ProcText.Next(ref rest, (byte)' ');
            return ProcText.TryNumber(ProcText.Next(ref rest, (byte)' '), out startTime) ? true : throw ProcFile.NotUnderstood(pid, "stat");
        }
    }

    public static bool TryParse(ReadOnlySpan<byte> text, out ProcessStat stat)
    {
        stat = default;
        if (!TrySplit(text, out int pid, out ReadOnlySpan<byte> comm, out ReadOnlySpan<byte> rest))
            return false;
        ReadOnlySpan<byte> state = ProcText.Next(ref rest, (byte)' ');
        Span<long> fields = stackalloc long[25];
        // Fields 4 to 24; the ones above long's range, from 25 on, are not wanted.
        for (int field = 4; field <= 24; field++)
            if (!TryField(ProcText.Next(ref rest, (byte)' '), out fields[field]))
                return false;
        if (state.Length != 1)
            return false;
        stat = new(pid, ProcText.String(comm), (char)state[0], (int)fields[4], (int)fields[5], (int)fields[6], (int)fields[7], (uint)fields[9],
            (ulong)fields[14], (ulong)fields[15], fields[20], (ulong)fields[22], (ulong)fields[23], fields[24]);
        return true;
    }

    static bool TryField(ReadOnlySpan<byte> text, out long value)
    {
        if (ProcText.TryNumber(text, out value))
            return true;
        bool isNumber = ProcText.TryNumber(text, out ulong unsigned);
        value = unchecked((long)unsigned);
        return isNumber;
    }

    // The name stands in parentheses and may hold any byte; nothing after it has a parenthesis: the last one ends it.
    static bool TrySplit(ReadOnlySpan<byte> text, out int pid, out ReadOnlySpan<byte> comm, out ReadOnlySpan<byte> rest)
    {
        pid = 0;
        comm = rest = default;
        int open = text.IndexOf(" ("u8);
        int close = text.LastIndexOf(") "u8);
        if (open < 0 || close < open + 2 || !ProcText.TryNumber(text[..open], out pid))
            return false;
        comm = text[(open + 2)..close];
        rest = text[(close + 2)..].TrimEnd((byte)'\n');
        return true;
    }
}
