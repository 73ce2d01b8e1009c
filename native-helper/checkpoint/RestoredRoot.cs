using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.Rootfs;

namespace Psrun.Checkpoint;

/// <summary>
/// The root that CRIU restores into, in a mount namespace of CRIU's own, which goes with it whatever ends it. CRIU asks for a mount whose place is covered by nothing else: the
/// container's root is shown once more, on an empty folder.
/// </summary>
static unsafe class RestoredRoot
{
    /// <summary>
    /// Works in the new mount namespace, by a thread that ends there. CRIU is to be born in it, and the folders that CRIU works in have to be opened in it: in a folder of another
    /// mount namespace nothing can be mounted.
    /// </summary>
    public static void Visit(Action work)
    {
        Exception? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                if (Libc.unshare(Libc.CLONE_NEWNS) < 0 || Libc.mount(null, "/", null, Libc.MS_SLAVE | Libc.MS_REC, null) < 0)
                    throw new PsrunException($"a mount namespace for CRIU: {Errnos.Text(Libc.errno)}");
                work();
            }
            catch (Exception e) when (e is PsrunException or LinuxException or IOException)
            {
                failure = e;
            }
        });
        thread.Start();
        thread.Join();
        if (failure != null)
            throw failure;
    }

    public static void Add(Plan plan, Spec spec, string bundle, string rootfs, string at)
    {
        string words = $"root: {rootfs}";
        nint* root = plan.Open(words, Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text(rootfs), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_RECURSIVE);
        plan.Call(words, Libc.SYS_move_mount, root, plan.Text(""), Libc.AT_FDCWD, plan.Text(at), Libc.MOVE_MOUNT_F_EMPTY_PATH | Libc.MOVE_MOUNT_T_SYMLINKS);
        AddTargets(plan, spec, bundle, root);
        plan.Close(root);
    }

    /// <summary>
    /// The places for the bundle's mounts, which a root that is not the one of the dump may lack. What lies in another file system of the container CRIU brings itself.
    /// </summary>
    static void AddTargets(Plan plan, Spec spec, string bundle, nint* root)
    {
        foreach (Mount mount in spec.Mounts ?? [])
        {
            string inside = Mounts.Destination(mount.Destination!);
            bool bind = ExternalMounts.IsBind(mount, out _);
            int how = bind && !Directory.Exists(Path.GetFullPath(mount.Source!, bundle)) ? Child.TargetFile : 0;
            string words = $"make the mount target {mount.Destination}";
            Mount? below = Innermost(spec, inside);
            nint* from = root;
            if (below != null)
            {
                string folder = Path.GetFullPath(below.Source ?? "", bundle);
                if (!ExternalMounts.IsBind(below, out _) || !Directory.Exists(folder))
                    continue;
                from = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text(folder), Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
                inside = inside[(Mounts.Destination(below.Destination!).Length + 1)..];
            }
            nint* target = plan.Cell();
            plan.Do(words, StepKind.OpenTarget, from, plan.Text(inside), how)->Result = target;
            plan.Close(target);
            if (below != null)
                plan.Close(from);
        }
    }

    /// <summary>The bundle's mount in which a place lies; null for the root itself.</summary>
    static Mount? Innermost(Spec spec, string inside)
    {
        Mount? found = null;
        int longest = 0;
        foreach (Mount mount in spec.Mounts!)
        {
            string outer = Mounts.Destination(mount.Destination!);
            if (outer.Length > longest && inside.StartsWith(outer + "/", StringComparison.Ordinal))
                (found, longest) = (mount, outer.Length);
        }
        return found;
    }
}
