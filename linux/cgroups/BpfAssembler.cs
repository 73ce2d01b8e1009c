namespace Containers.Linux.Cgroups;

/// <summary>Writes eBPF instructions (kernel: bpf/standardization/instruction-set). All arithmetic and comparison is of 32 bits: in 64 bits an
/// immediate is sign-extended, and numbers from 2³¹ on would never be equal.</summary>
sealed class BpfAssembler
{
    readonly List<bpf_insn> program = [];
    readonly List<int> toSkip = [];

    /// <summary>destination = *(u32 *)(source + offset)</summary>
    internal void Load(int destination, int source, short offset) => Add(Libc.BPF_LDX | Libc.BPF_MEM | Libc.BPF_W, destination, source, offset, 0);

    internal void Move(int destination, int value) => Add(Libc.BPF_ALU | Libc.BPF_MOV | Libc.BPF_K, destination, 0, 0, value);

    internal void Copy(int destination, int source) => Add(Libc.BPF_ALU | Libc.BPF_MOV | Libc.BPF_X, destination, source, 0, 0);

    internal void And(int register, int mask) => Add(Libc.BPF_ALU | Libc.BPF_AND | Libc.BPF_K, register, 0, 0, mask);

    internal void ShiftRight(int register, int bits) => Add(Libc.BPF_ALU | Libc.BPF_RSH | Libc.BPF_K, register, 0, 0, bits);

    /// <summary>Goes on at <see cref="EndOfSkips"/> unless equal.</summary>
    internal void SkipUnless(int register, uint value) => Skip(Libc.BPF_JNE, register, value);

    /// <summary>Goes on at <see cref="EndOfSkips"/> if equal.</summary>
    internal void SkipIf(int register, uint value) => Skip(Libc.BPF_JEQ, register, value);

    void Skip(int comparison, int register, uint value)
    {
        toSkip.Add(program.Count);
        Add(Libc.BPF_JMP32 | comparison | Libc.BPF_K, register, 0, 0, (int)value);
    }

    internal void EndOfSkips()
    {
        foreach (var i in toSkip) { program[i] = program[i] with { off = (short)(program.Count - i - 1) }; }
        toSkip.Clear();
    }

    internal void Return(int value)
    {
        Move(Libc.BPF_REG_0, value);
        Add(Libc.BPF_JMP | Libc.BPF_EXIT, 0, 0, 0, 0);
    }

    internal bpf_insn[] ToArray() => [.. program];

    void Add(int code, int destination, int source, short offset, int immediate) =>
        program.Add(new() { code = (byte)code, regs = Registers(destination, source), off = offset, imm = immediate });

    // Two bit-fields in C, whose order follows the machine's; .NET runs on big-endian ones too.
    static byte Registers(int destination, int source) =>
        (byte)(BitConverter.IsLittleEndian ? (source << 4) | destination : (destination << 4) | source);
}
