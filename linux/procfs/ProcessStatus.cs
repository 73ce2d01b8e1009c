using System.Text;

namespace Containers.Linux;

/// <summary>/proc/PID/status, proc_pid_status(5). What an older kernel or a kernel thread does not tell is null.</summary>
public sealed class ProcessStatus
{
    /// <summary>As <see cref="ProcessStat.Comm"/>.</summary>
    public string Name { get; private set; } = "";
    /// <summary>Linux 4.7.</summary>
    public uint? Umask { get; private set; }
    public char State { get; private set; }
    public int ThreadGroupId { get; private set; }
    public int Pid { get; private set; }
    public int ParentPid { get; private set; }
    public int TracerPid { get; private set; }
    /// <summary>Real, effective, saved, for the file system; as the reader's user namespace sees them, 65534 for what it has no number for.</summary>
    public uint[] Uids { get; private set; } = [];
    /// <inheritdoc cref="Uids"/>
    public uint[] Gids { get; private set; } = [];
    public uint[] Groups { get; private set; } = [];
    /// <summary>The pid in each pid namespace, from that of the mounted /proc to the innermost. Linux 4.1.</summary>
    public int[] NamespacePids { get; private set; } = [];
    /// <summary>Bytes of memory that are resident; null for kernel threads and zombies.</summary>
    public long? ResidentSize { get; private set; }
    /// <summary>The most bytes that ever were resident.</summary>
    public long? ResidentPeak { get; private set; }
    public int Threads { get; private set; }
    /// <summary>Sets of signals: bit N-1 is signal N.</summary>
    public ulong SignalsBlocked { get; private set; }
    public ulong SignalsIgnored { get; private set; }
    public ulong SignalsCaught { get; private set; }
    /// <summary>Sets of capabilities: bit N is capability N.</summary>
    public ulong Inheritable { get; private set; }
    public ulong Permitted { get; private set; }
    public ulong Effective { get; private set; }
    public ulong Bounding { get; private set; }
    public ulong Ambient { get; private set; }
    /// <summary>Linux 4.10.</summary>
    public bool? NoNewPrivs { get; private set; }
    /// <summary>SECCOMP_MODE_*.</summary>
    public int? Seccomp { get; private set; }
    /// <summary>Linux 5.9.</summary>
    public int? SeccompFilters { get; private set; }
    /// <summary>"0-3,7".</summary>
    public string? CpusAllowed { get; private set; }
    /// <summary>Memory nodes, "0".</summary>
    public string? MemoriesAllowed { get; private set; }

    /// <returns>False when there is no such process (any more).</returns>
    /// <exception cref="InvalidDataException">Not the file that proc(5) describes.</exception>
    public static bool TryRead(int pid, out ProcessStatus status)
    {
        status = null!;
        if (!ProcFile.TryRead(pid, "status", out ProcFile file))
            return false;
        using (file)
            return TryParse(file.Bytes, out status) ? true : throw ProcFile.NotUnderstood(pid, "status");
    }

    /// <returns>False for a field that is not as it should be, or without the fields that every kernel gives. Unknown ones are passed over.</returns>
    public static bool TryParse(ReadOnlySpan<byte> text, out ProcessStatus status)
    {
        status = new();
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> value = ProcText.Next(ref text, (byte)'\n');
            ReadOnlySpan<byte> key = ProcText.Next(ref value, (byte)':');
            if (!status.TrySet(key, key.SequenceEqual("Name"u8) ? value : value.Trim(" \t"u8)))
                return false;
        }
        return status is { Pid: > 0, ThreadGroupId: > 0, Uids.Length: 4, Gids.Length: 4, Threads: > 0 };
    }

    bool TrySet(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        bool understood = true;
        switch (key)
        {
            case var k when k.SequenceEqual("Name"u8): Name = UnescapeName(value.IsEmpty ? value : value[1..]); break;
            case var k when k.SequenceEqual("Umask"u8): Umask = Octal(value, out understood); break;
            case var k when k.SequenceEqual("State"u8): State = value.IsEmpty ? '\0' : (char)value[0]; break;
            case var k when k.SequenceEqual("Tgid"u8): ThreadGroupId = Number(value, out understood); break;
            case var k when k.SequenceEqual("Pid"u8): Pid = Number(value, out understood); break;
            case var k when k.SequenceEqual("PPid"u8): ParentPid = Number(value, out understood); break;
            case var k when k.SequenceEqual("TracerPid"u8): TracerPid = Number(value, out understood); break;
            case var k when k.SequenceEqual("Uid"u8): Uids = Ids(value, out understood); break;
            case var k when k.SequenceEqual("Gid"u8): Gids = Ids(value, out understood); break;
            case var k when k.SequenceEqual("Groups"u8): Groups = Ids(value, out understood); break;
            case var k when k.SequenceEqual("NSpid"u8): NamespacePids = Array.ConvertAll(Ids(value, out understood), id => (int)id); break;
            case var k when k.SequenceEqual("VmRSS"u8): ResidentSize = Kilobytes(value, out understood); break;
            case var k when k.SequenceEqual("VmHWM"u8): ResidentPeak = Kilobytes(value, out understood); break;
            case var k when k.SequenceEqual("Threads"u8): Threads = Number(value, out understood); break;
            case var k when k.SequenceEqual("SigBlk"u8): SignalsBlocked = Set(value, out understood); break;
            case var k when k.SequenceEqual("SigIgn"u8): SignalsIgnored = Set(value, out understood); break;
            case var k when k.SequenceEqual("SigCgt"u8): SignalsCaught = Set(value, out understood); break;
            case var k when k.SequenceEqual("CapInh"u8): Inheritable = Set(value, out understood); break;
            case var k when k.SequenceEqual("CapPrm"u8): Permitted = Set(value, out understood); break;
            case var k when k.SequenceEqual("CapEff"u8): Effective = Set(value, out understood); break;
            case var k when k.SequenceEqual("CapBnd"u8): Bounding = Set(value, out understood); break;
            case var k when k.SequenceEqual("CapAmb"u8): Ambient = Set(value, out understood); break;
            case var k when k.SequenceEqual("NoNewPrivs"u8): NoNewPrivs = Number(value, out understood) != 0; break;
            case var k when k.SequenceEqual("Seccomp"u8): Seccomp = Number(value, out understood); break;
            case var k when k.SequenceEqual("Seccomp_filters"u8): SeccompFilters = Number(value, out understood); break;
            case var k when k.SequenceEqual("Cpus_allowed_list"u8): CpusAllowed = ProcText.String(value); break;
            case var k when k.SequenceEqual("Mems_allowed_list"u8): MemoriesAllowed = ProcText.String(value); break;
        }
        return understood;
    }

    static int Number(ReadOnlySpan<byte> text, out bool understood)
    {
        understood = ProcText.TryNumber(text, out int value);
        return value;
    }

    static ulong Set(ReadOnlySpan<byte> text, out bool understood)
    {
        understood = ProcText.TryHex(text, out ulong value);
        return value;
    }

    static uint Octal(ReadOnlySpan<byte> text, out bool understood)
    {
        uint value = 0;
        understood = text.Length is > 0 and <= 10 && text.IndexOfAnyExceptInRange((byte)'0', (byte)'7') < 0;
        foreach (byte digit in understood ? text : default)
            value = value << 3 | (uint)(digit - '0');
        return value;
    }

    static long Kilobytes(ReadOnlySpan<byte> text, out bool understood)
    {
        understood = ProcText.TryNumber(ProcText.NextWord(ref text), out uint value) && text.Trim((byte)' ').SequenceEqual("kB"u8);
        return (long)value * 1024;
    }

    static uint[] Ids(ReadOnlySpan<byte> text, out bool understood)
    {
        List<uint> ids = [];
        understood = true;
        while (understood && !text.IsEmpty)
        {
            understood = ProcText.TryNumber(ProcText.NextWord(ref text), out uint id);
            ids.Add(id);
        }
        return [.. ids];
    }

    // Unlike in "stat" and "comm", a newline is written as \n here and a backslash as two.
    static string UnescapeName(ReadOnlySpan<byte> text)
    {
        string name = ProcText.String(text);
        if (!name.Contains('\\'))
            return name;
        StringBuilder plain = new(name.Length);
        for (int i = 0; i < name.Length; i++)
            if (name[i] == '\\' && i + 1 < name.Length && name[i + 1] is 'n' or '\\')
                plain.Append(name[++i] == 'n' ? '\n' : '\\');
            else
                plain.Append(name[i]);
        return plain.ToString();
    }
}
