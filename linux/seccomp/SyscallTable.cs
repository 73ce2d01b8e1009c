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

    /// <summary>The numbers of a call; -1 where an ABI does not have it. False for a name that none has.</summary>
    public static bool TryFind(string name, out SyscallNumbers numbers)
    {
        numbers = default;
        // Beyond the blank of a line are numbers.
        if (name.Contains(' '))
            return false;
        ReadOnlySpan<byte> lines = Lines;
        int low = 0, high = lines.Length;
        while (low < high)
        {
            int start = low + (high - low) / 2;
            while (start > low && lines[start - 1] != '\n')
                start--;
            int end = start + lines[start..].IndexOf((byte)'\n') + 1;
            int order = Compare(name, lines[start..end]);
            if (order == 0)
            {
                numbers = Read(lines[(start + name.Length + 1)..end]);
                return true;
            }
            if (order < 0)
                high = start;
            else
                low = end;
        }
        return false;
    }

    /// <summary>Every name, in the order of their bytes.</summary>
    public static List<string> Names()
    {
        var names = new List<string>();
        for (ReadOnlySpan<byte> rest = Lines; !rest.IsEmpty; rest = rest[(rest.IndexOf((byte)'\n') + 1)..])
            names.Add(System.Text.Encoding.ASCII.GetString(rest[..rest.IndexOf((byte)' ')]));
        return names;
    }

    static int Compare(string name, ReadOnlySpan<byte> line)
    {
        for (int i = 0; i < name.Length; i++)
            if (name[i] != line[i])
                // A blank ends the line's name, and may not be part of the other.
                return line[i] == ' ' || name[i] > line[i] ? 1 : -1;
        return line[name.Length] == ' ' ? 0 : -1;
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
