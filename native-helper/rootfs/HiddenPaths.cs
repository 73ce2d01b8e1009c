using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>linux.maskedPaths and linux.readonlyPaths. A path that is not there needs no hiding.</summary>
static unsafe class HiddenPaths
{
    public static void MakeReadOnly(Plan plan, nint* root, string path)
    {
        string words = $"make {path} read-only";
        nint* target = OptionalTarget(plan, root, path, words, skip: 5);
        nint* tree = plan.Open(words, Libc.SYS_open_tree, target, plan.Text(""), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_EMPTY_PATH | Libc.AT_RECURSIVE);
        Mounts.SetAttributes(plan, words, tree, (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: true);
        Mounts.Move(plan, words, tree, target);
        plan.Close(tree);
    }

    /// <summary>A folder is covered by an empty read-only tmpfs, anything else by the container's null device, which must be that device.</summary>
    public static void Mask(Plan plan, nint* root, string path, string? label)
    {
        string words = $"mask {path}";
        int before = plan.Count;
        nint* target = Mounts.Target(plan, root, path, words);
        Step* open = plan.Steps + before;
        open->Tolerated0 = Libc.ENOENT;
        open->Tolerated1 = Libc.ENOTDIR;

        Step* branch = plan.Do(words, StepKind.SkipUnlessFolder, target, 0);
        int folderFirst = plan.Count;
        var options = new MountOptions { Set = (ulong)Libc.MOUNT_ATTR_RDONLY, Label = label };
        options.SuperblockFlags.Add("ro");
        nint* cover = Mounts.NewFileSystem(plan, words, "tmpfs", "tmpfs", options);
        Mounts.Move(plan, words, cover, target, close: false);
        plan.Close(cover);
        branch->A1 = plan.Count - folderFirst;

        Step* over = plan.Do(words, StepKind.SkipUnlessFolder, target, 0, 1);
        int fileFirst = plan.Count;
        nint* device = Mounts.Target(plan, root, "/dev/null", $"{words}: /dev/null");
        plan.Do($"{words}: /dev/null is not the null device", StepKind.RequireDevice, device, 1, 3);
        nint* tree = plan.Open(words, Libc.SYS_open_tree, device, plan.Text(""), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_EMPTY_PATH);
        Mounts.Move(plan, words, tree, target, close: false);
        plan.Close(tree);
        plan.Close(device);
        over->A1 = plan.Count - fileFirst;
        plan.Close(target);
        open->SkipWhenTolerated = plan.Count - before - 1;
    }

    static nint* OptionalTarget(Plan plan, nint* root, string path, string words, int skip)
    {
        int at = plan.Count;
        nint* target = Mounts.Target(plan, root, path, words);
        Step* open = plan.Steps + at;
        open->Tolerated0 = Libc.ENOENT;
        open->Tolerated1 = Libc.ENOTDIR;
        open->SkipWhenTolerated = skip;
        return target;
    }
}
