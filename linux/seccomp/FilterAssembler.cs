namespace Containers.Linux.Seccomp;

/// <summary>
/// Writes a classic BPF program (kernel: networking/filter.rst) from its end to its beginning: jumps lead forwards only, so whatever one leads to stands already, and
/// its distance is known. A conditional jump reaches 255 instructions; where that is too short it goes through a long one beside it.
/// </summary>
ref struct FilterAssembler
{
    const int Reach = 255;

    readonly Span<sock_filter> _buffer;
    // The returns written last, for others near them to share.
    readonly Span<int> _returns;
    int _nextReturn;

    /// <param name="buffer">Room for the longest program.</param>
    /// <param name="returns">Room to remember returns, zeroed.</param>
    public FilterAssembler(Span<sock_filter> buffer, Span<int> returns)
    {
        _buffer = buffer;
        _returns = returns;
        Start = buffer.Length;
    }

    /// <summary>Where the program written so far begins.</summary>
    public int Start { get; private set; }

    public readonly ReadOnlySpan<sock_filter> Program => _buffer[Start..];

    /// <summary>The place of a return of this value that a jump from here reaches.</summary>
    public int Return(uint value)
    {
        foreach (int place in _returns)
            if (place != 0 && _buffer[place].k == value && place - Start < Reach - 1)
                return place;
        Add(Libc.BPF_RET | Libc.BPF_K, value);
        _returns[_nextReturn] = Start;
        _nextReturn = (_nextReturn + 1) % _returns.Length;
        return Start;
    }

    /// <summary>Loads 32 bits of seccomp_data.</summary>
    public void Load(int offset) => Add(Libc.BPF_LD | Libc.BPF_W | Libc.BPF_ABS, (uint)offset);

    public void And(uint mask) => Add(Libc.BPF_ALU | Libc.BPF_AND | Libc.BPF_K, mask);

    /// <summary>Compares (BPF_JEQ, BPF_JGE, BPF_JGT) and goes on at one of two places.</summary>
    public int Jump(int comparison, uint value, int ifTrue, int ifFalse)
    {
        ifTrue = Near(ifTrue);
        ifFalse = Near(ifFalse);
        Add(Libc.BPF_JMP | comparison | Libc.BPF_K, value, (byte)(ifTrue - Start), (byte)(ifFalse - Start));
        return Start;
    }

    /// <summary>Goes on at the place, which is the next instruction or not.</summary>
    public int Continue(int place)
    {
        if (place != Start)
            Add(Libc.BPF_JMP | Libc.BPF_JA, (uint)(place - Start));
        return Start;
    }

    // One less than the reach: the other way's long jump may come between.
    int Near(int place) => place - Start < Reach ? place : Continue(place);

    void Add(int code, uint k, byte jt = 0, byte jf = 0)
    {
        if (Start == 0)
            throw new SeccompException($"linux.seccomp: the filter needs more than {_buffer.Length} instructions");
        _buffer[--Start] = new sock_filter { code = (ushort)code, jt = jt, jf = jf, k = k };
    }
}
