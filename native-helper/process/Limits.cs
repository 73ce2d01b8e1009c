using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>What bounds the program as a process: resource limits, scheduling, I/O priority, personality.</summary>
static unsafe class Limits
{
    public static void Add(Plan plan, Process process)
    {
        ulong seen = 0;
        foreach (PosixRlimit limit in process.Rlimits ?? [])
        {
            if (!ResourceLimits.TryNumber(limit.Type ?? "", out int number))
                throw new PsrunException($"process.rlimits: type \"{limit.Type}\" is unknown");
            if ((seen & 1ul << number) != 0)
                throw new PsrunException($"process.rlimits: {limit.Type} is given twice");
            seen |= 1ul << number;
            ulong* values = (ulong*)plan.Allocate(16);
            values[0] = limit.Soft ?? 0;
            values[1] = limit.Hard ?? 0;
            plan.Call($"process.rlimits: {limit.Type}", Libc.SYS_prlimit64, 0, number, (nint)values, 0);
        }
        if (process.OomScoreAdj is int score)
            plan.WriteProc($"process.oomScoreAdj: {score}", "self/oom_score_adj", score.ToString());
        if (process.IoPriority is { } io)
            plan.Call("process.ioPriority", Libc.SYS_ioprio_set, 1, 0, IoPriority(io));
        if (process.Scheduler is { } scheduler)
            plan.Call($"process.scheduler: {scheduler.Policy}", Libc.SYS_sched_setattr, 0, (nint)SchedAttr(plan, scheduler), 0);
    }

    static int IoPriority(LinuxIoPriority io)
    {
        int klass = io.Class switch
        {
            "IOPRIO_CLASS_RT" => 1,
            "IOPRIO_CLASS_BE" => 2,
            "IOPRIO_CLASS_IDLE" => 3,
            _ => throw new PsrunException($"process.ioPriority.class: \"{io.Class}\" is none of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE"),
        };
        int priority = io.Priority ?? 0;
        if (priority is < 0 or > 7)
            throw new PsrunException($"process.ioPriority.priority: {priority} is not in 0…7");
        return klass << 13 | priority;
    }

    /// <summary>sched_setattr(2); without the utilisation clamps, for which the specification has no members.</summary>
    static sched_attr* SchedAttr(Plan plan, Scheduler scheduler)
    {
        uint policy = scheduler.Policy switch
        {
            "SCHED_OTHER" => 0,
            "SCHED_FIFO" => 1,
            "SCHED_RR" => 2,
            "SCHED_BATCH" => 3,
            "SCHED_ISO" => 4,
            "SCHED_IDLE" => 5,
            "SCHED_DEADLINE" => 6,
            _ => throw new PsrunException($"process.scheduler.policy: \"{scheduler.Policy}\" is unknown"),
        };
        ulong flags = 0;
        foreach (string flag in scheduler.Flags ?? [])
            flags |= flag switch
            {
                "SCHED_FLAG_RESET_ON_FORK" => 0x01,
                "SCHED_FLAG_RECLAIM" => 0x02,
                "SCHED_FLAG_DL_OVERRUN" => 0x04,
                "SCHED_FLAG_KEEP_POLICY" => 0x08,
                "SCHED_FLAG_KEEP_PARAMS" => 0x10,
                "SCHED_FLAG_UTIL_CLAMP_MIN" => 0x20,
                "SCHED_FLAG_UTIL_CLAMP_MAX" => 0x40,
                _ => throw new PsrunException($"process.scheduler.flags: \"{flag}\" is unknown"),
            };
        var attr = (sched_attr*)plan.Allocate(sizeof(sched_attr));
        attr->size = 48;
        attr->sched_policy = policy;
        attr->sched_flags = flags;
        attr->sched_nice = scheduler.Nice ?? 0;
        attr->sched_priority = (uint)(scheduler.Priority ?? 0);
        attr->sched_runtime = scheduler.Runtime ?? 0;
        attr->sched_deadline = scheduler.Deadline ?? 0;
        attr->sched_period = scheduler.Period ?? 0;
        return attr;
    }

    public static void AddPersonality(Plan plan, LinuxPersonality? personality)
    {
        if (personality == null)
            return;
        if (personality.Flags is { Count: > 0 })
            throw new PsrunException("linux.personality.flags: none is defined by the specification");
        nint domain = personality.Domain switch
        {
            "LINUX" => 0,
            "LINUX32" => 8,
            _ => throw new PsrunException($"linux.personality.domain: \"{personality.Domain}\" is none of LINUX, LINUX32"),
        };
        plan.Call("linux.personality", Libc.SYS_personality, domain);
    }
}
