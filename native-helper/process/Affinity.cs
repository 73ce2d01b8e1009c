using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>process.execCPUAffinity: where an exec process runs before and after it enters the container's control groups.</summary>
static unsafe class Affinity
{
    public static void Check(ExecCpuAffinity? affinity, string name)
    {
        if (!string.IsNullOrEmpty(affinity?.Initial))
            BitList.Parse(affinity.Initial, name + ".execCPUAffinity.initial");
        if (!string.IsNullOrEmpty(affinity?.Final))
            BitList.Parse(affinity.Final, name + ".execCPUAffinity.final");
    }

    /// <summary>On psrun itself: the child is born there, and on a v2 host already inside the control group.</summary>
    public static void EnterInitial(ExecCpuAffinity? affinity)
    {
        if (string.IsNullOrEmpty(affinity?.Initial))
            return;
        ulong[] mask = BitList.Parse(affinity.Initial, "process.execCPUAffinity.initial");
        fixed (ulong* p = mask)
            if (Libc.sched_setaffinity(0, (nuint)(mask.Length * 8), p) < 0)
                throw new PsrunException($"process.execCPUAffinity.initial: {Errnos.Text(Libc.errno)}");
    }

    /// <summary>
    /// After the control groups were entered. Without a final list the container's own processors count, all that its cpuset has, and not those to which whoever started psrun was bound.
    /// </summary>
    public static void AddFinal(Plan plan, ExecCpuAffinity? affinity)
    {
        ulong[] mask;
        if (!string.IsNullOrEmpty(affinity?.Final))
        {
            mask = BitList.Parse(affinity.Final, "process.execCPUAffinity.final");
        }
        else
        {
            mask = new ulong[128];
            Array.Fill(mask, ulong.MaxValue);
        }
        byte* copy = plan.Allocate(mask.Length * 8);
        for (int i = 0; i < mask.Length; i++)
            ((ulong*)copy)[i] = mask[i];
        plan.Call("process.execCPUAffinity.final", Libc.SYS_sched_setaffinity, 0, mask.Length * 8, (nint)copy);
    }
}
