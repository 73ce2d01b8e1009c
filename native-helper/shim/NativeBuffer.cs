using System.Runtime.InteropServices;

namespace Psrun.Shim;

/// <summary>A queue of bytes outside the managed heap, so that a burst leaves no grown heap behind: nothing is held while it is empty.</summary>
unsafe struct NativeBuffer
{
    byte* memory;
    int start, end, capacity;

    public readonly int Length => end - start;
    public readonly byte* First => memory + start;
    public readonly ReadOnlySpan<byte> Bytes => new(memory + start, Length);

    /// <summary>Room for <paramref name="count"/> more bytes behind the last one; call <see cref="Added"/> with what was put there.</summary>
    public byte* Reserve(int count)
    {
        if (capacity - end < count)
        {
            int length = Length;
            if (start > 0 && capacity - length >= count && start >= length)
            {
                Buffer.MemoryCopy(memory + start, memory, capacity, length);
            }
            else
            {
                int wanted = Math.Max(length + count, capacity + Math.Min(capacity, 1 << 20));
                byte* larger = (byte*)NativeMemory.Alloc((nuint)wanted);
                Buffer.MemoryCopy(memory + start, larger, wanted, length);
                NativeMemory.Free(memory);
                memory = larger;
                capacity = wanted;
            }
            start = 0;
            end = length;
        }
        return memory + end;
    }

    public void Added(int count) => end += count;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(new Span<byte>(Reserve(bytes.Length), bytes.Length));
        end += bytes.Length;
    }

    public void Take(int count)
    {
        start += count;
        if (start == end) Clear();
    }

    public void Clear()
    {
        NativeMemory.Free(memory);
        this = default;
    }
}
