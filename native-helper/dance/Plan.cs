using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Dance;

/// <summary>
/// The steps that the child will walk, with all their arguments, in unmanaged memory; and, for the parent alone, words for each step. The clone gets
/// a copy of the memory at the same addresses.
/// </summary>
sealed unsafe class Plan : IDisposable
{
    const int BlockSize = 64 * 1024;
    const int MaxSteps = 4096;

    readonly List<string?> _words = [];
    readonly List<nint> _memory = [];
    readonly List<int> _descriptors = [];
    byte* _block;
    int _used = BlockSize;

    public Step* Steps { get; private set; } = (Step*)NativeMemory.Alloc(MaxSteps, (nuint)sizeof(Step));
    public int Count { get; private set; }
    public byte* Scratch { get; }

    public Plan() => Scratch = Allocate(2 * 4096 + 512);

    /// <summary>What step <paramref name="index"/> is about, for the message when it fails.</summary>
    public string Words(int index)
    {
        while (index > 0 && _words[index] == null)
            index--;
        return _words[index] ?? "start";
    }

    /// <summary>Zeroed memory that lives as long as the plan.</summary>
    public byte* Allocate(int size)
    {
        size = (size + 15) & ~15;
        if (size > BlockSize)
            return New(size);
        if (_used + size > BlockSize)
        {
            _block = New(BlockSize);
            _used = 0;
        }
        byte* p = _block + _used;
        _used += size;
        return p;
    }

    byte* New(int size)
    {
        byte* memory = (byte*)NativeMemory.AllocZeroed((nuint)size);
        _memory.Add((nint)memory);
        return memory;
    }

    /// <summary>A descriptor that the child is to inherit, and the parent needs no longer than the plan.</summary>
    public int Keep(int fd)
    {
        _descriptors.Add(fd);
        return fd;
    }

    /// <summary>The child has copies of everything.</summary>
    public void Dispose()
    {
        foreach (nint memory in _memory)
            NativeMemory.Free((void*)memory);
        foreach (int fd in _descriptors)
            Libc.close(fd);
        _memory.Clear();
        _descriptors.Clear();
        NativeMemory.Free(Steps);
        Steps = null;
    }

    public nint* Cell() => (nint*)Allocate(sizeof(nint));

    /// <summary>A C string. Text with a NUL in it never gets here: what reads the configuration refuses it.</summary>
    public nint Text(string text)
    {
        int size = Encoding.UTF8.GetByteCount(text);
        byte* p = Allocate(size + 1);
        Encoding.UTF8.GetBytes(text, new Span<byte>(p, size));
        return (nint)p;
    }

    /// <summary>A NULL-terminated array of C strings.</summary>
    public nint Texts(IReadOnlyList<string> texts)
    {
        nint* p = (nint*)Allocate((texts.Count + 1) * sizeof(nint));
        for (int i = 0; i < texts.Count; i++)
            p[i] = Text(texts[i]);
        return (nint)p;
    }

    public Step* Add(StepKind kind, string? words)
    {
        if (Count == MaxSteps)
            throw new PsrunException("the container needs more than 4096 steps to start");
        Step* s = Steps + Count++;
        *s = default;
        s->Kind = kind;
        _words.Add(words);
        return s;
    }

    /// <summary>Adds a system call. <paramref name="words"/> is null when the step before says what this is about.</summary>
    public Step* Call(string? words, nint number, Arg a0 = default, Arg a1 = default, Arg a2 = default, Arg a3 = default, Arg a4 = default, Arg a5 = default)
    {
        Step* s = Add(StepKind.Call, words);
        s->Number = number;
        Set(s, a0, a1, a2, a3, a4, a5);
        return s;
    }

    public Step* Do(string? words, StepKind kind, Arg a0 = default, Arg a1 = default, Arg a2 = default, Arg a3 = default, Arg a4 = default)
    {
        Step* s = Add(kind, words);
        Set(s, a0, a1, a2, a3, a4, default);
        return s;
    }

    /// <summary>A call whose result later steps use, by the cell that comes back.</summary>
    public nint* Open(string? words, nint number, Arg a0 = default, Arg a1 = default, Arg a2 = default, Arg a3 = default, Arg a4 = default, Arg a5 = default)
    {
        Step* s = Call(words, number, a0, a1, a2, a3, a4, a5);
        return s->Result = Cell();
    }

    public void Close(nint* fd) => Call(null, Libc.SYS_close, fd);

    /// <param name="path">Below /proc, without a slash at its beginning.</param>
    public void WriteProc(string words, string path, string data)
    {
        int size = Encoding.UTF8.GetByteCount(data);
        Do(words, StepKind.WriteProc, Text(path), Text(data), size);
    }

    /// <summary>From here on the child has no descriptors but its standard streams, those that the caller preserves, and the ones that later steps need.</summary>
    public void CloseOthers(int preserved, params ReadOnlySpan<int> needed)
    {
        int* keep = (int*)Allocate(needed.Length * sizeof(int) + 4);
        needed.CopyTo(new Span<int>(keep, needed.Length));
        Do("close descriptors", StepKind.CloseOthers, 3 + preserved, (nint)keep, needed.Length);
    }

    static void Set(Step* s, Arg a0, Arg a1, Arg a2, Arg a3, Arg a4, Arg a5)
    {
        s->A0 = a0.Value;
        s->A1 = a1.Value;
        s->A2 = a2.Value;
        s->A3 = a3.Value;
        s->A4 = a4.Value;
        s->A5 = a5.Value;
        s->Indirect = (a0.IsCell ? 1 : 0) | (a1.IsCell ? 2 : 0) | (a2.IsCell ? 4 : 0) | (a3.IsCell ? 8 : 0) | (a4.IsCell ? 16 : 0) | (a5.IsCell ? 32 : 0);
    }
}

/// <summary>An argument: a value, or the cell in which an earlier step leaves it.</summary>
readonly unsafe struct Arg
{
    public readonly nint Value;
    public readonly bool IsCell;

    Arg(nint value, bool isCell)
    {
        Value = value;
        IsCell = isCell;
    }

    public static implicit operator Arg(nint value) => new(value, false);
    public static implicit operator Arg(int value) => new(value, false);
    public static implicit operator Arg(uint value) => new((nint)value, false);
    public static implicit operator Arg(ulong value) => new((nint)value, false);
    public static implicit operator Arg(nint* cell) => new((nint)cell, true);
}
