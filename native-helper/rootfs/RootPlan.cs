using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>The container's file system, in the order in which it comes to be; from the new mount namespace to the change of root.</summary>
static unsafe class RootPlan
{
    /// <summary>Adds the steps up to just before the change of root; gives the root's descriptor.</summary>
    /// <param name="ownNamespace">False: see <see cref="SharedMounts"/>.</param>
    public static nint* AddTree(Plan plan, Spec spec, string rootfs, bool ownNamespace, bool bindNodes, CgroupMountSource cgroups, Dictionary<int, int> mapped)
    {
        // Nothing done here may travel to the host; what the host mounts later may travel here where the bundle says so.
        ulong outside = Propagation(spec) is ulong asked && (asked == (ulong)Libc.MS_PRIVATE || asked == (ulong)Libc.MS_UNBINDABLE)
            ? (ulong)Libc.MS_PRIVATE
            : (ulong)Libc.MS_SLAVE;
        if (ownNamespace)
            plan.Call("part from the host's mounts", Libc.SYS_mount, 0, plan.Text("/"), 0, (nint)outside | Libc.MS_REC);

        string words = $"root: {rootfs}";
        nint* root = plan.Open(words, Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text(rootfs), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_RECURSIVE);
        // A copy of a shared tree is a peer of the first: what is mounted into one appears in the other. A shared parent makes it shared again.
        if (!ownNamespace)
            Mounts.SetAttributes(plan, words, root, 0, 0, recursive: true, (ulong)Libc.MS_PRIVATE);
        nint empty = plan.Text("");
        plan.Call(words, Libc.SYS_move_mount, root, empty, Libc.AT_FDCWD, plan.Text(rootfs), Libc.MOVE_MOUNT_F_EMPTY_PATH | Libc.MOVE_MOUNT_T_SYMLINKS);
        if (!ownNamespace)
            Mounts.SetAttributes(plan, words, root, 0, 0, recursive: true, (ulong)Libc.MS_PRIVATE);

        for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
            Mounts.Add(plan, root, spec.Mounts![i], cgroups, mapped.GetValueOrDefault(i, -1), spec.Linux?.MountLabel);
        DeviceNodes.Add(plan, root, spec, bindNodes);
        Mounts.CloseDev(plan, root, spec.Mounts ?? []);
        return root;
    }

    public static void AddHiding(Plan plan, nint* root, Spec spec)
    {
        foreach (string path in spec.Linux?.ReadonlyPaths ?? [])
            HiddenPaths.MakeReadOnly(plan, root, path);
        foreach (string path in spec.Linux?.MaskedPaths ?? [])
            HiddenPaths.Mask(plan, root, path, spec.Linux?.MountLabel);
        if (spec.Root?.Readonly == true)
            Mounts.SetAttributes(plan, "make the root read-only", root, (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: false);
    }

    /// <summary>After the change of root: pivot_root(2) refuses a shared one.</summary>
    public static void AddPropagation(Plan plan, nint* root, Spec spec)
    {
        if (Propagation(spec) is ulong asked)
            Mounts.SetAttributes(plan, "linux.rootfsPropagation", root, 0, 0, spec.Linux!.RootfsPropagation![0] == 'r', asked);
    }

    static ulong? Propagation(Spec spec) => spec.Linux?.RootfsPropagation switch
    {
        null or "" => null,
        "private" or "rprivate" => (ulong)Libc.MS_PRIVATE,
        "slave" or "rslave" => (ulong)Libc.MS_SLAVE,
        "shared" or "rshared" => (ulong)Libc.MS_SHARED,
        "unbindable" or "runbindable" => (ulong)Libc.MS_UNBINDABLE,
        string other => throw new PsrunException($"linux.rootfsPropagation: \"{other}\" is none of private, slave, shared, unbindable and their recursive forms"),
    };
}
