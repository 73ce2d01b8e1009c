using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Processes;

namespace Psrun.Dance;

/// <summary>The way of an exec process from clone to execve.</summary>
static unsafe class ExecPlan
{
    /// <param name="init">A pidfd of the container's init: all its namespaces are joined by it in one call, so none can be another process's.</param>
    /// <param name="root">The container's root where it shares its mount namespace with others; else -1, and the namespace's own is right.</param>
    /// <param name="attached">Somebody puts the process into its control group while it waits.</param>
    /// <param name="clonesAgain">Only inside the user namespace is the right to enter the pid namespace, and a process enters that by birth: the joining child makes the real one.</param>
    public static Plan Build(State.StateFile state, Process process, List<string> environment, State.CgroupEntry? cgroup, List<int> resctrlFiles, int init, nint namespaces,
        int root, int console, SystemCallFilter? filter, int preservedDescriptors, bool clonesAgain, bool attached, bool setGroupsAllowed)
    {
        var plan = new Plan();
        OwnProgram.AddSteps(plan);
        cgroup?.AddSteps(plan);
        State.CgroupEntry.AddWrites(plan, resctrlFiles, "linux.intelRdt: enter the group");
        Affinity.AddFinal(plan, process.ExecCpuAffinity);
        if (!clonesAgain)
            AddBeginning(plan, filter, attached);
        // Once inside, the container's processes must not be able to look into this one, which still is psrun (CVE-2016-9962).
        plan.Call("hide from the container", Libc.SYS_prctl, Libc.PR_SET_DUMPABLE, 0);
        Limits.Add(plan, process);
        MemoryPolicy.Add(plan, state.MemoryPolicy);
        AppArmor.Add(plan, process);
        if (!state.SharesKeyring)
            Selinux.AddKeyLabel(plan, process);
        Selinux.AddExec(plan, process);
        if (namespaces != 0)
            plan.Call("join the container's namespaces", Libc.SYS_setns, init, namespaces);
        if (clonesAgain)
        {
            clone_args* args = (clone_args*)plan.Allocate(sizeof(clone_args));
            args->flags = (ulong)Libc.CLONE_PARENT;
            plan.Do("enter the pid namespace", StepKind.CloneSibling, (nint)args, sizeof(clone_args));
            AddBeginning(plan, filter, attached);
        }
        if (root >= 0)
        {
            plan.Call("enter the container's root", Libc.SYS_fchdir, root);
            plan.Call("enter the container's root", Libc.SYS_chroot, plan.Text("."));
        }
        if ((namespaces & Libc.CLONE_NEWUSER) != 0)
        {
            plan.Call("become the container's root", Libc.SYS_setresgid, 0, 0, 0);
            plan.Call("become the container's root", Libc.SYS_setresuid, 0, 0, 0);
        }
        if (!state.SharesKeyring)
            plan.Call("join a session keyring", Libc.SYS_keyctl, Libc.KEYCTL_JOIN_SESSION_KEYRING, plan.Text("_ses." + state.Id))->Tolerated0 = Libc.ENOSYS;
        if (console >= 0)
            Terminal.Add(plan, null, console, process, bindConsole: false);
        plan.CloseOthers(preservedDescriptors, filter?.Listener ?? -1);
        Limits.AddPersonality(plan, state.Personality);
        ProgramSteps.AddWorkingDirectory(plan, process.Cwd!, make: false);
        if (console < 0)
            StandardStreams.AddOwner(plan, process.User?.Uid ?? 0);
        Identity.Add(plan, process, setGroupsAllowed, filter != null);
        nint* program = ProgramSteps.AddFind(plan, process.Args!, environment);
        ProgramSteps.AddExecute(plan, program, process.Args!, environment, preservedDescriptors, filter, parentWaits: true);
        return plan;
    }

    static void AddBeginning(Plan plan, SystemCallFilter? filter, bool attached)
    {
        plan.Call("start a session", Libc.SYS_setsid);
        if (filter is { Notifies: true } || attached)
            plan.Do("wait for the parent", StepKind.Sync, InitPlan.PointJoin, 1);
    }
}
