using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Selinux;
using Psrun.Dance;
using Psrun.Processes;

namespace Psrun.Rootfs;

/// <summary>
/// Steps for the bundle's mounts. Each one is made detached (fsmount or open_tree) and then moved onto a descriptor of its target that was opened
/// inside the root, so that no path of the image is ever resolved against the host's root.
/// </summary>
static unsafe class Mounts
{
    /// <param name="mapped">The tree that was made for this mount (<see cref="IdMappedTrees"/>); -1 for all others.</param>
    /// <param name="label">linux.mountLabel.</param>
    public static void Add(Plan plan, nint* root, Mount mount, CgroupMountSource cgroups, int mapped, string? label)
    {
        string destination = Required(mount.Destination, "mounts: destination is missing");
        MountOptions options = MountOptions.Parse(destination, mount.Options);
        options.Label = label;
        if (options.CopyUp && (mount.Type != "tmpfs" || options.Bind || options.Remount))
            throw new PsrunException($"mounts: {destination}: option \"tmpcopyup\" means nothing but for a tmpfs");
        bool bind = options.Bind || mount.Type == "bind";
        if (options.SubFolder != null && (!bind || options.Remount))
            throw new PsrunException($"mounts: {destination}: option \"X-mount.subdir\" means nothing but for a bind mount");
        if (options.Remount)
        {
            AddRemount(plan, root, destination, options, bind);
            return;
        }
        int inProc = ProcTargets.Check(destination, mount.Type ?? "", bind ? Required(mount.Source, $"mounts: {destination}: source is missing") : null, bind);
        if (bind)
        {
            // A read-only /sys with the host's control groups writable below it is no read-only /sys (CVE-2023-25809).
            if (options.Recursive && options.ReadOnly && Destination(destination) == "sys")
                options.RecursiveSet |= (ulong)Libc.MOUNT_ATTR_RDONLY;
            AddBind(plan, root, destination, mount.Source!, options, mapped, inProc);
            return;
        }
        string type = Required(mount.Type, $"mounts: {destination}: type is missing");
        if (type is "cgroup" or "cgroup2")
        {
            CgroupMounts.Add(plan, root, destination, type, options, cgroups);
            return;
        }
        if (options.CopyUp || type == "tmpfs" && Destination(destination) != "dev" && !HasMode(options))
        {
            AddTmpfs(plan, root, destination, mount.Source ?? type, options, inProc);
            return;
        }
        // A read-only /dev is closed when its nodes are in it.
        bool later = Destination(destination) == "dev" && options.ReadOnly;
        if (later)
        {
            options.Set &= ~(ulong)Libc.MOUNT_ATTR_RDONLY;
            options.SuperblockFlags.Remove("ro");
        }
        nint* made = NewFileSystem(plan, $"mount {destination} ({type})", type, mount.Source ?? type, options);
        // A link where proc or sysfs belongs would let the image choose what later writes to /proc/self reach.
        Attach(plan, root, made, destination, inProc | (type is "proc" or "sysfs" ? Child.TargetWithoutLinks : 0));
        FinishAndClose(plan, made, options, $"mount {destination} ({type})");
    }

    /// <summary>The last word on a read-only /dev; see <see cref="Add"/>.</summary>
    public static void CloseDev(Plan plan, nint* root, IReadOnlyList<Mount> mounts)
    {
        foreach (Mount mount in mounts)
        {
            if (Destination(mount.Destination!) != "dev" || mount.Type == "bind" || mount.Options?.Contains("ro") != true)
                continue;
            nint* dev = Target(plan, root, mount.Destination!, "make /dev read-only");
            SetAttributes(plan, "make /dev read-only", dev, (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: false);
            plan.Close(dev);
        }
    }

    static void AddBind(Plan plan, nint* root, string destination, string source, MountOptions options, int mapped, int inProc)
    {
        string words = $"bind {source} to {destination}";
        nint* tree;
        if (mapped >= 0)
        {
            tree = plan.Cell();
            *tree = mapped;
        }
        else
        {
            nint how = (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | (options.Recursive ? Libc.AT_RECURSIVE : 0);
            if (options.SubFolder == null)
            {
                tree = plan.Open(words, Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text(source), how);
            }
            else
            {
                // Others who have the source may change what is in it at any moment (CVE-2021-25741): what was found is what is mounted, by its descriptor.
                words = $"bind {options.SubFolder} of {source} to {destination}";
                nint* whole = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text(source), Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
                nint* part = plan.Open(words, Libc.SYS_openat2, whole, plan.Text(options.SubFolder), (nint)Inside(plan), sizeof(open_how));
                tree = plan.Open(words, Libc.SYS_open_tree, part, plan.Text(""), how | Libc.AT_EMPTY_PATH);
                plan.Close(part);
                plan.Close(whole);
            }
        }
        foreach (string option in options.Data)
        {
            // The kernel ignores a file system's own words for what is there already; a word that nobody knows is a slip.
            if (!option.Contains('='))
                throw new PsrunException($"mounts: {destination}: option \"{option}\" means nothing for a bind mount");
            Log.Warning($"mounts: {destination}: option \"{option}\" means nothing for a bind mount and is left out");
        }
        SetAttributes(plan, words, tree, options.Set, options.Clear, recursive: false);
        nint* target = plan.Cell();
        string toMake = $"make the mount target {destination}";
        plan.Do(toMake, StepKind.SkipUnlessFolder, tree, 1);
        plan.Do(toMake, StepKind.OpenTarget, root, plan.Text(Destination(destination)), inProc)->Result = target;
        plan.Do(toMake, StepKind.SkipUnlessFolder, tree, 1, 1);
        plan.Do(toMake, StepKind.OpenTarget, root, plan.Text(Destination(destination)), inProc | Child.TargetFile)->Result = target;
        Move(plan, words, tree, target);
        FinishAndClose(plan, tree, options, words);
    }

    /// <summary>
    /// Changes what is mounted at the target: the mount's own attributes and, unless it is a bind mount, the file system's options, which all of its mounts share. What
    /// the options do not name stays as it is.
    /// </summary>
    static void AddRemount(Plan plan, nint* root, string destination, MountOptions options, bool bind)
    {
        string words = $"remount {destination}";
        nint* target = Target(plan, root, destination, words);
        if (!bind)
        {
            nint* fs = plan.Open(words, Libc.SYS_fspick, target, plan.Text(""), Libc.FSPICK_CLOEXEC | Libc.FSPICK_EMPTY_PATH);
            if ((options.Clear & (ulong)Libc.MOUNT_ATTR_RDONLY) != 0)
                options.SuperblockFlags.Add("rw");
            AddOptions(plan, fs, words, options);
            plan.Call(words, Libc.SYS_fsconfig, fs, Libc.FSCONFIG_CMD_RECONFIGURE);
            plan.Close(fs);
        }
        SetAttributes(plan, words, target, options.Set, options.Clear, recursive: false);
        FinishAndClose(plan, target, options, words);
    }

    static bool HasMode(MountOptions options) => options.Data.Exists(o => o.StartsWith("mode=", StringComparison.Ordinal));

    /// <summary>A tmpfs without a mode has that of the folder which it covers, as with runc; with tmpcopyup it is filled before. It becomes read-only after that.</summary>
    static void AddTmpfs(Plan plan, nint* root, string destination, string source, MountOptions options, int inProc)
    {
        string words = $"mount {destination} ({(options.CopyUp ? "tmpfs, tmpcopyup" : "tmpfs")})";
        bool readOnly = options.ReadOnly;
        options.Set &= ~(ulong)Libc.MOUNT_ATTR_RDONLY;
        options.SuperblockFlags.Remove("ro");
        nint* made = NewFileSystem(plan, words, "tmpfs", source, options);
        nint here = plan.Text(".");
        if (!options.CopyUp)
        {
            // One that is missing has no mode to take: the kernel's own then stays, which lets everybody write.
            int first = plan.Count;
            nint* covered = plan.Cell();
            Step* open = plan.Do(words, StepKind.OpenTarget, root, plan.Text(Destination(destination)), inProc | Child.TargetIsThere);
            open->Result = covered;
            nint* top = plan.Open(words, Libc.SYS_openat, made, here, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
            plan.Do(words, StepKind.CopyMode, covered, top);
            plan.Close(top);
            plan.Close(covered);
            open->Tolerated0 = Libc.ENOENT;
            open->SkipWhenTolerated = plan.Count - first - 1;
        }
        nint* target = plan.Cell();
        plan.Do($"make the mount target {destination}", StepKind.OpenTarget, root, plan.Text(Destination(destination)), inProc)->Result = target;
        if (options.CopyUp)
        {
            nint* from = plan.Open(words, Libc.SYS_openat, target, here, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
            nint* to = plan.Open(words, Libc.SYS_openat, made, here, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
            plan.Do(words, StepKind.CopyFolder, from, to, HasMode(options) ? 0 : 1);
            plan.Close(from);
            plan.Close(to);
        }
        if (readOnly)
            SetAttributes(plan, words, made, (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: false);
        Move(plan, words, made, target);
        FinishAndClose(plan, made, options, words);
    }

    /// <summary>fsopen, its options one by one (so that the failing one is named), fsmount.</summary>
    public static nint* NewFileSystem(Plan plan, string words, string type, string source, MountOptions options)
    {
        nint* fs = plan.Open(words, Libc.SYS_fsopen, plan.Text(type), Libc.FSOPEN_CLOEXEC);
        plan.Call(words, Libc.SYS_fsconfig, fs, Libc.FSCONFIG_SET_STRING, plan.Text("source"), plan.Text(source));
        AddOptions(plan, fs, words, options);
        MountLabelWay way = options.Label == null ? MountLabelWay.None : SelinuxLabel.WayOf(type);
        if (way == MountLabelWay.Context && !SelinuxLabel.IsNamedBy(options.Data))
            plan.Call($"{words}: linux.mountLabel: {options.Label}", Libc.SYS_fsconfig, fs, Libc.FSCONFIG_SET_STRING, plan.Text("context"), plan.Text(options.Label!));
        plan.Call(words, Libc.SYS_fsconfig, fs, Libc.FSCONFIG_CMD_CREATE);
        nint* made = plan.Open(words, Libc.SYS_fsmount, fs, Libc.FSMOUNT_CLOEXEC, options.Set);
        plan.Close(fs);
        if (way == MountLabelWay.Attribute)
            Selinux.AddAttribute(plan, made, words, options.Label!);
        return made;
    }

    static void AddOptions(Plan plan, nint* fs, string words, MountOptions options)
    {
        foreach (string flag in options.SuperblockFlags)
            plan.Call($"{words}: option {flag}", Libc.SYS_fsconfig, fs, Libc.FSCONFIG_SET_FLAG, plan.Text(flag));
        foreach (string option in options.Data)
        {
            int equals = option.IndexOf('=');
            if (equals < 0)
                plan.Call($"{words}: option {option}", Libc.SYS_fsconfig, fs, Libc.FSCONFIG_SET_FLAG, plan.Text(option));
            else
                plan.Call($"{words}: option {option}", Libc.SYS_fsconfig, fs, Libc.FSCONFIG_SET_STRING, plan.Text(option[..equals]), plan.Text(option[(equals + 1)..]));
        }
    }

    /// <summary>Makes the target inside the root and moves the detached mount onto it.</summary>
    public static void Attach(Plan plan, nint* root, nint* mount, string destination, int howMade = 0)
    {
        nint* target = plan.Cell();
        plan.Do($"make the mount target {destination}", StepKind.OpenTarget, root, plan.Text(Destination(destination)), howMade)->Result = target;
        Move(plan, $"mount onto {destination}", mount, target);
    }

    public static void Move(Plan plan, string words, nint* mount, nint* target, bool close = true)
    {
        nint empty = plan.Text("");
        plan.Call(words, Libc.SYS_move_mount, mount, empty, target, empty, Libc.MOVE_MOUNT_F_EMPTY_PATH | Libc.MOVE_MOUNT_T_EMPTY_PATH);
        if (close)
            plan.Close(target);
    }

    /// <summary>An O_PATH descriptor of something that is there, inside the root.</summary>
    public static nint* Target(Plan plan, nint* root, string destination, string words)
    {
        return plan.Open(words, Libc.SYS_openat2, root, plan.Text(Destination(destination)), (nint)Inside(plan), sizeof(open_how));
    }

    static open_how* Inside(Plan plan)
    {
        open_how* how = (open_how*)plan.Allocate(sizeof(open_how));
        how->flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC);
        how->resolve = (ulong)Libc.RESOLVE_IN_ROOT;
        return how;
    }

    public static void SetAttributes(Plan plan, string words, nint* mount, ulong set, ulong clear, bool recursive, ulong propagation = 0)
    {
        if ((set | clear | propagation) == 0)
            return;
        mount_attr* attr = (mount_attr*)plan.Allocate(sizeof(mount_attr));
        attr->attr_set = set;
        attr->attr_clr = MountOptions.ClearFor(set, clear);
        attr->propagation = propagation;
        plan.Call(words, Libc.SYS_mount_setattr, mount, plan.Text(""), Libc.AT_EMPTY_PATH | (recursive ? Libc.AT_RECURSIVE : 0), (nint)attr, sizeof(mount_attr));
    }

    static void FinishAndClose(Plan plan, nint* mount, MountOptions options, string words)
    {
        SetAttributes(plan, words, mount, options.RecursiveSet, options.RecursiveClear, recursive: true);
        SetAttributes(plan, words, mount, 0, 0, options.RecursivePropagation, options.Propagation);
        plan.Close(mount);
    }

    /// <summary>The path inside the root, relative to it; `..` is taken as the root's own would be.</summary>
    public static string Destination(string destination)
    {
        var parts = new List<string>();
        foreach (string part in destination.Split('/'))
        {
            if (part is "" or ".")
                continue;
            if (part != "..")
                parts.Add(part);
            else if (parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
        }
        return parts.Count == 0 ? "." : string.Join('/', parts);
    }

    static string Required(string? value, string message) => string.IsNullOrEmpty(value) ? throw new PsrunException(message) : value;
}
