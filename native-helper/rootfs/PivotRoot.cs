using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>The change of root: after these steps nothing of the host's tree can be reached by a path.</summary>
static unsafe class PivotRoot
{
    /// <summary>pivot_root(2) of "." onto ".": the old root lands on top of the new one and is taken off again, so no folder for it is needed.</summary>
    public static void Add(Plan plan, nint* root)
    {
        nint here = plan.Text(".");
        nint* old = plan.Open("open the host's root", Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/"), Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        plan.Call("enter the root", Libc.SYS_fchdir, root);
        plan.Call("pivot_root", Libc.SYS_pivot_root, here, here);
        plan.Call("enter the old root", Libc.SYS_fchdir, old);
        plan.Call("detach the old root", Libc.SYS_umount2, here, Libc.MNT_DETACH);
        plan.Call("enter the root", Libc.SYS_chdir, plan.Text("/"));
        plan.Close(old);
    }

    /// <summary>In a mount namespace that others are in too: the change is this process's alone.</summary>
    public static void AddChange(Plan plan, nint* root)
    {
        plan.Call("enter the root", Libc.SYS_fchdir, root);
        plan.Call("chroot", Libc.SYS_chroot, plan.Text("."));
    }

    /// <summary>--no-pivot, for roots on a ramfs, where pivot_root(2) is refused: the root is moved over "/" instead.</summary>
    public static void AddMove(Plan plan, nint* root)
    {
        nint here = plan.Text(".");
        plan.Call("enter the root", Libc.SYS_fchdir, root);
        plan.Call("move the root over /", Libc.SYS_mount, here, plan.Text("/"), 0, Libc.MS_MOVE);
        plan.Call("chroot", Libc.SYS_chroot, here);
        plan.Call("enter the root", Libc.SYS_chdir, plan.Text("/"));
    }
}
