using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>linux.memoryPolicy: set_mempolicy(2), for the init and every exec process; children inherit it.</summary>
static unsafe class MemoryPolicy
{
    static readonly (string Name, int Value)[] s_modes =
    [
        ("MPOL_DEFAULT", 0), ("MPOL_PREFERRED", 1), ("MPOL_BIND", 2), ("MPOL_INTERLEAVE", 3), ("MPOL_LOCAL", 4), ("MPOL_PREFERRED_MANY", 5), ("MPOL_WEIGHTED_INTERLEAVE", 6),
    ];

    static readonly (string Name, int Value)[] s_flags = [("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)];

    public static List<string> Modes => Names(s_modes);

    public static List<string> Flags => Names(s_flags);

    public static void Check(LinuxMemoryPolicy? policy)
    {
        if (policy != null)
            Read(policy, out _);
    }

    public static void Add(Plan plan, LinuxMemoryPolicy? policy)
    {
        if (policy == null)
            return;
        int mode = Read(policy, out ulong[] nodes);
        ulong* mask = (ulong*)plan.Allocate(nodes.Length * 8 + 8);
        for (int i = 0; i < nodes.Length; i++)
            mask[i] = nodes[i];
        // The kernel reads one bit less than it is told.
        plan.Call("linux.memoryPolicy", Libc.SYS_set_mempolicy, mode, nodes.Length == 0 ? 0 : (nint)mask, nodes.Length == 0 ? 0 : nodes.Length * 64 + 1);
    }

    static int Read(LinuxMemoryPolicy policy, out ulong[] nodes)
    {
        int mode = Find(s_modes, policy.Mode) ?? throw new PsrunException($"linux.memoryPolicy.mode: \"{policy.Mode}\" is unknown");
        foreach (string flag in policy.Flags ?? [])
            mode |= Find(s_flags, flag) ?? throw new PsrunException($"linux.memoryPolicy.flags: \"{flag}\" is unknown");
        nodes = string.IsNullOrEmpty(policy.Nodes) ? [] : BitList.Parse(policy.Nodes, "linux.memoryPolicy.nodes");
        return mode;
    }

    static int? Find((string Name, int Value)[] all, string? name)
    {
        foreach ((string known, int value) in all)
            if (known == name)
                return value;
        return null;
    }

    static List<string> Names((string Name, int Value)[] all)
    {
        var names = new List<string>();
        foreach ((string name, _) in all)
            names.Add(name);
        return names;
    }
}
