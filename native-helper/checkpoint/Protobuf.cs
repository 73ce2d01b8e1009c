using System.Buffers;
using System.Text;

namespace Psrun.Checkpoint;

/// <summary>The fields of one message in protobuf's encoding: of its types only numbers (varint), texts and messages, which is all that CRIU's have.</summary>
sealed class ProtobufWriter
{
    readonly ArrayBufferWriter<byte> _bytes = new(256);

    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    /// <summary>int32, uint32, enum. A negative int32 takes ten bytes: it is sign-extended first.</summary>
    public void Number(int field, long value)
    {
        Varint((ulong)field << 3);
        Varint((ulong)value);
    }

    /// <summary>Nothing for false, which is what every reader takes for a field that is not there.</summary>
    public void Flag(int field, bool value)
    {
        if (value)
            Number(field, 1);
    }

    public void Text(int field, string? value)
    {
        if (value != null)
            Block(field, Encoding.UTF8.GetBytes(value));
    }

    public void Message(int field, ProtobufWriter message) => Block(field, message.Bytes);

    void Block(int field, ReadOnlySpan<byte> bytes)
    {
        Varint((ulong)field << 3 | 2);
        Varint((ulong)bytes.Length);
        _bytes.Write(bytes);
    }

    void Varint(ulong value)
    {
        Span<byte> bytes = stackalloc byte[10];
        int length = 0;
        for (; value >= 0x80; value >>= 7)
            bytes[length++] = (byte)(value | 0x80);
        bytes[length++] = (byte)value;
        _bytes.Write(bytes[..length]);
    }
}

/// <summary>Reads a message field by field; fields that nobody asks about are passed over.</summary>
ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    ReadOnlySpan<byte> _rest = message;

    public int Field { get; private set; }

    /// <summary>Of a field that is a number.</summary>
    public ulong Number { get; private set; }

    /// <summary>Of a field that is a text or a message.</summary>
    public ReadOnlySpan<byte> Block { get; private set; }

    /// <returns>False at the end.</returns>
    /// <exception cref="PsrunException">These bytes are no message.</exception>
    public bool Next()
    {
        if (_rest.IsEmpty)
            return false;
        ulong key = Varint();
        Field = (int)Math.Min(key >> 3, int.MaxValue);
        Number = 0;
        Block = default;
        switch (key & 7)
        {
            case 0:
                Number = Varint();
                break;
            case 1:
                Block = Take(8);
                break;
            case 2:
                Block = Take(Varint());
                break;
            case 5:
                Block = Take(4);
                break;
            default:
                throw Broken();
        }
        return true;
    }

    public readonly string Text => Encoding.UTF8.GetString(Block);

    ReadOnlySpan<byte> Take(ulong length)
    {
        if (length > (ulong)_rest.Length)
            throw Broken();
        ReadOnlySpan<byte> taken = _rest[..(int)length];
        _rest = _rest[(int)length..];
        return taken;
    }

    ulong Varint()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            byte one = Take(1)[0];
            value |= (ulong)(one & 0x7f) << shift;
            if (one < 0x80)
                return value;
        }
        throw Broken();
    }

    static PsrunException Broken() => new("criu: its answer is not understood");
}
