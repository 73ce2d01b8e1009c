using System.Buffers.Binary;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>Values on D-Bus' wire, little endian: as much of the specification's marshalling as systemd's calls need. A struct, an array and a variant's value are object[].</summary>
sealed class BusReader(byte[] data)
{
    public int Position { get; private set; }

    public object[] ReadAll(string signature)
    {
        List<object> values = [];
        for (var at = 0; at < signature.Length;)
            values.Add(Read(signature, ref at));
        return [.. values];
    }

    object Read(string signature, ref int at)
    {
        switch (signature[at++])
        {
            case 'y': return data[Position++];
            case 'b': return U32() != 0;
            case 'u': return U32();
            case 't': return U64();
            case 's' or 'o': return Text((int)U32());
            case 'g': return Text(data[Position++]);
            case 'v':
                var inner = Text(data[Position++]);
                return ReadAll(inner)[0];
            case '(':
                Align(8);
                List<object> members = [];
                while (signature[at] != ')')
                    members.Add(Read(signature, ref at));
                at++;
                return members.ToArray();
            case 'a':
                var length = (int)U32();
                Align(signature[at] is '(' or 't' ? 8 : signature[at] is 'y' or 'g' or 'v' ? 1 : 4);
                var (end, element) = (Position + length, at);
                List<object> elements = [];
                while (Position < end)
                {
                    at = element;
                    elements.Add(Read(signature, ref at));
                }
                at = element;
                Skip(signature, ref at);
                return elements.ToArray();
            default:
                throw new FormatException(signature);
        }
    }

    static void Skip(string signature, ref int at)
    {
        var depth = 0;
        do
        {
            var c = signature[at++];
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            if (c == 'a' && depth == 0)
                continue;
            if (depth == 0)
                return;
        }
        while (true);
    }

    public void Align(int size) => Position = (Position + size - 1) / size * size;

    uint U32()
    {
        Align(4);
        Position += 4;
        return BinaryPrimitives.ReadUInt32LittleEndian(data.AsSpan(Position - 4));
    }

    ulong U64()
    {
        Align(8);
        Position += 8;
        return BinaryPrimitives.ReadUInt64LittleEndian(data.AsSpan(Position - 8));
    }

    string Text(int length)
    {
        Position += length + 1;
        return Encoding.UTF8.GetString(data, Position - length - 1, length);
    }
}

/// <summary>The other way round, for texts and numbers.</summary>
sealed class BusWriter
{
    readonly List<byte> data = [];

    public int Length => data.Count;

    public byte[] ToArray() => [.. data];

    public BusWriter Byte(byte value)
    {
        data.Add(value);
        return this;
    }

    public BusWriter U32(uint value)
    {
        Align(4);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        data.AddRange(bytes);
        return this;
    }

    public BusWriter Text(string value)
    {
        U32((uint)Encoding.UTF8.GetByteCount(value));
        data.AddRange(Encoding.UTF8.GetBytes(value));
        return Byte(0);
    }

    public BusWriter Signature(string value)
    {
        Byte((byte)value.Length);
        data.AddRange(Encoding.UTF8.GetBytes(value));
        return Byte(0);
    }

    public BusWriter Add(byte[] bytes)
    {
        data.AddRange(bytes);
        return this;
    }

    public BusWriter Align(int size)
    {
        while (data.Count % size != 0)
            data.Add(0);
        return this;
    }
}
