namespace Containers.Linux.Seccomp;

/// <summary>The ways into the kernel whose calls a filter can name: one column of the table each.</summary>
public enum SyscallAbi
{
    X64,
    X32,
    I386,
    Arm64,
    Arm,
}

/// <summary>Names of system calls and their numbers.</summary>
public static partial class SyscallTable
{
    const int Columns = 5;

    // Slots for twice as many names as there are, by hash and then by the next free one: where a line begins, and 0 for nothing, so the first line is at 1.
    const int Slots = 1024;
    static ushort[]? s_slots;

    /// <summary>The numbers of a call; -1 where an ABI does not have it. False for a name that none has.</summary>
    public static bool TryFind(string name, out SyscallNumbers numbers)
    {
        ReadOnlySpan<byte> lines = Lines;
        ushort[] slots = s_slots ??= Index(lines);
        uint hash = Start;
        foreach (char c in name)
            hash = Hash(hash, c);
        for (uint slot = hash % Slots; slots[slot] != 0; slot = (slot + 1) % Slots)
        {
            ReadOnlySpan<byte> line = lines[(slots[slot] - 1)..];
            if (IsFor(name, line))
            {
                numbers = Read(line[(name.Length + 1)..]);
                return true;
            }
        }
        numbers = default;
        return false;
    }

    static ushort[] Index(ReadOnlySpan<byte> lines)
    {
        var slots = new ushort[Slots];
        for (int start = 0; start < lines.Length;)
        {
            uint hash = Start;
            int at = start;
            for (; lines[at] != ' '; at++)
                hash = Hash(hash, lines[at]);
            uint slot = hash % Slots;
            while (slots[slot] != 0)
                slot = (slot + 1) % Slots;
            slots[slot] = (ushort)(start + 1);
            start = at + lines[at..].IndexOf((byte)'\n') + 1;
        }
        return slots;
    }

    // FNV-1a
    const uint Start = 2166136261;

    static uint Hash(uint hash, uint c) => (hash ^ c) * 16777619;

    /// <summary>Every name, in the order of their bytes.</summary>
    public static List<string> Names()
    {
        var names = new List<string>();
        for (ReadOnlySpan<byte> rest = Lines; !rest.IsEmpty; rest = rest[(rest.IndexOf((byte)'\n') + 1)..])
            names.Add(System.Text.Encoding.ASCII.GetString(rest[..rest.IndexOf((byte)' ')]));
        return names;
    }

    static bool IsFor(string name, ReadOnlySpan<byte> line)
    {
        int i = 0;
        while (i < name.Length && line[i] != ' ' && line[i] == name[i])
            i++;
        return i == name.Length && line[i] == ' ';
    }

    static SyscallNumbers Read(ReadOnlySpan<byte> columns)
    {
        var numbers = new SyscallNumbers();
        int at = 0;
        for (int column = 0; column < Columns; column++, at++)
        {
            int number = -1;
            for (; columns[at] is not ((byte)' ' or (byte)'\n'); at++)
                if (columns[at] != '-')
                    number = Math.Max(number, 0) * 10 + columns[at] - '0';
            numbers[(SyscallAbi)column] = number;
        }
        return numbers;
    }
}

/// <summary>One call's number on each ABI.</summary>
public struct SyscallNumbers
{
    int _x64, _x32, _i386, _arm64, _arm;

    /// <summary>-1 where the ABI does not have the call. x32's numbers come without their bit.</summary>
    public int this[SyscallAbi abi]
    {
        readonly get => abi switch { SyscallAbi.X64 => _x64, SyscallAbi.X32 => _x32, SyscallAbi.I386 => _i386, SyscallAbi.Arm64 => _arm64, _ => _arm };
        internal set
        {
            switch (abi)
            {
                case SyscallAbi.X64: _x64 = value; break;
                case SyscallAbi.X32: _x32 = value; break;
                case SyscallAbi.I386: _i386 = value; break;
                case SyscallAbi.Arm64: _arm64 = value; break;
                default: _arm = value; break;
            }
        }
    }
}
