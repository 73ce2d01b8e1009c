using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>Who the program will be: user, groups, capabilities (capabilities(7)), no_new_privs. The last privileges go in these steps, in this order.</summary>
static unsafe class Identity
{
    /// <param name="filtered">A system call filter is installed later.</param>
    public static void Add(Plan plan, Process process, bool setGroupsAllowed, bool filtered)
    {
        ulong bounding = Set(process.Capabilities?.Bounding, "bounding");
        ulong effective = Set(process.Capabilities?.Effective, "effective");
        ulong permitted = Set(process.Capabilities?.Permitted, "permitted");
        ulong inheritable = Set(process.Capabilities?.Inheritable, "inheritable");
        ulong ambient = Set(process.Capabilities?.Ambient, "ambient");
        uint uid = process.User?.Uid ?? 0;
        uint gid = process.User?.Gid ?? 0;

        int last = LastCapability();
        for (int capability = 0; capability <= last; capability++)
            if ((bounding & 1ul << capability) == 0)
                plan.Call("process.capabilities.bounding", Libc.SYS_prctl, Libc.PR_CAPBSET_DROP, capability);

        // The change of user would take all capabilities away; they are set right after it.
        plan.Call("keep capabilities", Libc.SYS_prctl, Libc.PR_SET_KEEPCAPS, 1);
        List<uint> groups = process.User?.AdditionalGids ?? [];
        if (setGroupsAllowed)
        {
            uint* list = (uint*)plan.Allocate(groups.Count * sizeof(uint) + 4);
            for (int i = 0; i < groups.Count; i++)
                list[i] = groups[i];
            plan.Call("process.user.additionalGids", Libc.SYS_setgroups, groups.Count, (nint)list);
        }
        else if (groups.Count > 0)
        {
            throw new PsrunException("process.user.additionalGids: setgroups is denied in this user namespace");
        }
        plan.Call($"process.user.gid: {gid}", Libc.SYS_setresgid, gid, gid, gid);
        plan.Call($"process.user.uid: {uid}", Libc.SYS_setresuid, uid, uid, uid);
        plan.Call("process.user.umask", Libc.SYS_umask, process.User?.Umask ?? 0x12);
        plan.Call("drop kept capabilities", Libc.SYS_prctl, Libc.PR_SET_KEEPCAPS, 0);

        uint* header = (uint*)plan.Allocate(8);
        header[0] = (uint)Libc._LINUX_CAPABILITY_VERSION_3;
        uint* data = (uint*)plan.Allocate(24);
        // Without no_new_privs a filter takes CAP_SYS_ADMIN (seccomp(2)). It is kept until execve rather than installing the filter here, where every later step
        // of ours would have to pass it. execve makes these two sets anew from the others (capabilities(7)), so the program never has it.
        ulong kept = filtered && process.NoNewPrivileges != true ? 1ul << Libc.CAP_SYS_ADMIN : 0;
        for (int half = 0; half < 2; half++)
        {
            data[half * 3] = (uint)((effective | kept) >> 32 * half);
            data[half * 3 + 1] = (uint)((permitted | kept) >> 32 * half);
            data[half * 3 + 2] = (uint)(inheritable >> 32 * half);
        }
        plan.Call("process.capabilities", Libc.SYS_capset, (nint)header, (nint)data);
        plan.Call("process.capabilities.ambient", Libc.SYS_prctl, Libc.PR_CAP_AMBIENT, Libc.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        for (int capability = 0; capability <= last; capability++)
            if ((ambient & 1ul << capability) != 0)
                // Not permitted or not inheritable: it cannot be granted, and the specification does not let that fail the start.
                plan.Call("process.capabilities.ambient", Libc.SYS_prctl, Libc.PR_CAP_AMBIENT, Libc.PR_CAP_AMBIENT_RAISE, capability, 0, 0)->Tolerated0 = Libc.EPERM;
        if (process.NoNewPrivileges == true)
            plan.Call("process.noNewPrivileges", Libc.SYS_prctl, Libc.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }

    static ulong Set(List<string>? names, string which)
    {
        ulong set = 0;
        foreach (string name in names ?? [])
        {
            if (Capabilities.TryNumber(name, out int number) && number <= LastCapability())
                set |= 1ul << number;
            else
                Log.Warning($"process.capabilities.{which}: \"{name}\" is not known to this kernel and is left out");
        }
        return set;
    }

    static int s_last = -1;

    static int LastCapability()
    {
        if (s_last < 0)
        {
            int n = 40;
            while (Libc.syscall(Libc.SYS_prctl, Libc.PR_CAPBSET_READ, n + 1, 0, 0, 0, 0) >= 0)
                n++;
            while (n > 0 && Libc.syscall(Libc.SYS_prctl, Libc.PR_CAPBSET_READ, n, 0, 0, 0, 0) < 0)
                n--;
            s_last = n;
        }
        return s_last;
    }
}
