using Containers.Linux;

namespace Containers.Tests.Units.Seccomp;

/// <summary>A classic BPF program as the kernel takes and runs it, for the instructions that seccomp(2) allows.</summary>
static class FilterMachine
{
    const int DataSize = 64;

    /// <summary>What the kernel's checker asks for: known instructions, loads inside the data and aligned, jumps inside, a return at the end.</summary>
    public static void Check(ReadOnlySpan<sock_filter> program)
    {
        Assert(program.Length is > 0 and <= Libc.BPF_MAXINSNS, "length");
        for (var at = 0; at < program.Length; at++)
        {
            var insn = program[at];
            switch (insn.code)
            {
                case Libc.BPF_LD | Libc.BPF_W | Libc.BPF_ABS:
                    Assert(insn.k < DataSize && insn.k % 4 == 0, $"load at {at}");
                    break;
                case Libc.BPF_ALU | Libc.BPF_AND | Libc.BPF_K:
                case Libc.BPF_RET | Libc.BPF_K:
                    break;
                case Libc.BPF_JMP | Libc.BPF_JA:
                    Assert(at + 1L + insn.k < program.Length, $"jump at {at}");
                    break;
                case Libc.BPF_JMP | Libc.BPF_JEQ | Libc.BPF_K:
                case Libc.BPF_JMP | Libc.BPF_JGT | Libc.BPF_K:
                case Libc.BPF_JMP | Libc.BPF_JGE | Libc.BPF_K:
                case Libc.BPF_JMP | Libc.BPF_JSET | Libc.BPF_K:
                    Assert(at + 1 + insn.jt < program.Length && at + 1 + insn.jf < program.Length, $"jump at {at}");
                    break;
                default:
                    throw new InvalidOperationException($"instruction {insn.code:x} at {at}");
            }
        }
        Assert(program[^1].code == (Libc.BPF_RET | Libc.BPF_K), "end");
    }

    /// <summary>The action with its data, and how many instructions it took.</summary>
    public static (uint Action, int Steps) Run(ReadOnlySpan<sock_filter> program, Call call)
    {
        uint a = 0;
        for (int at = 0, steps = 1; ; steps++)
        {
            var insn = program[at++];
            switch (insn.code & 0x7)
            {
                case Libc.BPF_LD:
                    a = call.Word((int)insn.k);
                    break;
                case Libc.BPF_ALU:
                    a &= insn.k;
                    break;
                case Libc.BPF_RET:
                    return (insn.k, steps);
                default:
                    at += (insn.code & 0xf0) switch
                    {
                        Libc.BPF_JA => (int)insn.k,
                        Libc.BPF_JEQ => a == insn.k ? insn.jt : insn.jf,
                        Libc.BPF_JGT => a > insn.k ? insn.jt : insn.jf,
                        Libc.BPF_JGE => a >= insn.k ? insn.jt : insn.jf,
                        _ => (a & insn.k) != 0 ? insn.jt : insn.jf,
                    };
                    break;
            }
        }
    }

    static void Assert(bool holds, string what)
    {
        if (!holds)
            throw new InvalidOperationException("the kernel would refuse this: " + what);
    }
}

/// <summary>A system call as a filter sees it: struct seccomp_data.</summary>
readonly record struct Call(uint Architecture, uint Number, ulong[] Arguments)
{
    public uint Word(int offset) => offset switch
    {
        0 => Number,
        4 => Architecture,
        < 16 => 0,
        _ => (uint)(Arguments[(offset - 16) / 8] >> (offset % 8 * 8)),
    };
}
