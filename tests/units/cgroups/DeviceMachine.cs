using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Runs a device program as the kernel would, for the few instructions that such programs have. Jumps lead forwards and inside, every path
/// ends in an exit, and no register is read before it was set: what the verifier asks for.</summary>
static class DeviceMachine
{
    public static bool Run(bpf_insn[] program, int type, uint major, uint minor, int access)
    {
        uint[] context = [(uint)(access << 16 | type), major, minor];
        var registers = new ulong?[11];
        registers[1] = 0;
        for (var at = 0; ;)
        {
            var insn = program[at++];
            int to = insn.regs & 0xf, from = insn.regs >> 4;
            var operand = (insn.code & Libc.BPF_X) != 0 ? (uint)registers[from]!.Value : (uint)insn.imm;
            switch (insn.code)
            {
                case Libc.BPF_LDX | Libc.BPF_MEM | Libc.BPF_W:
                    Assert(registers[from] == 0 && insn.off % 4 == 0);
                    registers[to] = context[insn.off / 4];
                    break;
                case Libc.BPF_ALU | Libc.BPF_MOV | Libc.BPF_K or Libc.BPF_ALU | Libc.BPF_MOV | Libc.BPF_X:
                    registers[to] = operand;
                    break;
                case Libc.BPF_ALU | Libc.BPF_AND | Libc.BPF_K:
                    registers[to] = (uint)registers[to]!.Value & operand;
                    break;
                case Libc.BPF_ALU | Libc.BPF_RSH | Libc.BPF_K:
                    registers[to] = (uint)registers[to]!.Value >> (int)operand;
                    break;
                case Libc.BPF_JMP32 | Libc.BPF_JEQ | Libc.BPF_K or Libc.BPF_JMP32 | Libc.BPF_JNE | Libc.BPF_K:
                    Assert(insn.off > 0 && at + insn.off < program.Length);
                    var equal = (uint)registers[to]!.Value == operand;
                    if (equal == (insn.code == (Libc.BPF_JMP32 | Libc.BPF_JEQ | Libc.BPF_K))) { at += insn.off; }
                    break;
                case Libc.BPF_JMP | Libc.BPF_EXIT:
                    Assert(registers[0] is 0 or 1);
                    return registers[0] == 1;
                default:
                    throw new InvalidOperationException($"instruction {insn.code:x2} at {at - 1}");
            }
        }
    }

    static void Assert(bool holds)
    {
        if (!holds) { throw new InvalidOperationException("the verifier would refuse this"); }
    }

    /// <summary>What the rules mean, said as plainly as possible: for each access apart, the last rule about it.</summary>
    public static bool Reference(IEnumerable<LinuxDeviceCgroup> spec, int type, uint major, uint minor, string access)
    {
        List<LinuxDeviceCgroup> rules = [new() { Allow = false, Type = "a", Access = "rwm" }, .. spec];
        if (rules.Last(IsWhole).Allow != true)
        {
            rules.AddRange([new() { Allow = true, Type = "c", Access = "m" }, new() { Allow = true, Type = "b", Access = "m" }]);
            foreach (var (a, b) in ((int, int?)[])[(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2), (136, null)])
            {
                rules.Add(new() { Allow = true, Type = "c", Major = a, Minor = b, Access = "rwm" });
            }
        }
        return access.All(letter => rules.Last(rule => Matches(rule, letter)).Allow == true);

        bool Matches(LinuxDeviceCgroup rule, char letter) =>
            (rule.Type is null or "" or "a" || rule.Type == (type == Libc.BPF_DEVCG_DEV_BLOCK ? "b" : "c")) && (rule.Major is null or -1 || rule.Major == major)
            && (rule.Minor is null or -1 || rule.Minor == minor) && (string.IsNullOrEmpty(rule.Access) || rule.Access.Contains(letter));

        static bool IsWhole(LinuxDeviceCgroup rule) =>
            rule.Type is null or "" or "a" && rule.Major is null or -1 && rule.Minor is null or -1 && (string.IsNullOrEmpty(rule.Access) || "rwm".All(rule.Access.Contains));
    }

    public static int Bits(string access) =>
        access.Sum(letter => letter switch { 'r' => Libc.BPF_DEVCG_ACC_READ, 'w' => Libc.BPF_DEVCG_ACC_WRITE, _ => Libc.BPF_DEVCG_ACC_MKNOD });
}
