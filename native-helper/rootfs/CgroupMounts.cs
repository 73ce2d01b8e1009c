using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>A v1 hierarchy on the host and the container's own folder in it.</summary>
readonly record struct CgroupMount(string Options, string Name, string HostFolder);

/// <summary>What the container may see of control groups.</summary>
sealed class CgroupMountSource
{
    public bool OwnNamespace;
    public bool UnifiedOnly;
    /// <summary>The container has no group: it sees the host's tree, read-only.</summary>
    public bool HostTree;
    /// <summary>The container's folder in the v2 tree; null without one.</summary>
    public string? UnifiedFolder;
    public readonly List<CgroupMount> V1 = [];
}

/// <summary>
/// The mount of type "cgroup": on a v2 host the tree itself, on v1 and hybrid hosts a tmpfs with one folder for each hierarchy, as container
/// programs have come to expect.
/// </summary>
static unsafe class CgroupMounts
{
    public static void Add(Plan plan, nint* root, string destination, string type, MountOptions options, CgroupMountSource source)
    {
        string words = $"mount {destination} ({type})";
        if (source.HostTree)
        {
            nint* tree = plan.Open(words, Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text("/sys/fs/cgroup"), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_RECURSIVE);
            Mounts.SetAttributes(plan, words, tree, options.Set | (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: true);
            Mounts.Attach(plan, root, tree, destination);
            plan.Close(tree);
            return;
        }
        if (type == "cgroup2" || source.UnifiedOnly)
        {
            AddUnified(plan, root, destination, options, source, words);
            return;
        }
        bool readOnly = options.ReadOnly;
        var holder = new MountOptions { Set = options.Set & ~(ulong)Libc.MOUNT_ATTR_RDONLY, Label = options.Label };
        holder.Data.Add("mode=755");
        nint* tmpfs = Mounts.NewFileSystem(plan, words, "tmpfs", "tmpfs", holder);
        Mounts.Attach(plan, root, tmpfs, destination);
        foreach (CgroupMount hierarchy in source.V1)
        {
            string target = $"{destination}/{hierarchy.Name}";
            nint* mount;
            if (source.OwnNamespace)
            {
                var own = new MountOptions { Set = options.Set };
                own.Data.AddRange(hierarchy.Options.Split(','));
                mount = Mounts.NewFileSystem(plan, $"mount {target}", "cgroup", "cgroup", own);
            }
            else
            {
                mount = BindFolder(plan, hierarchy.HostFolder, options, target);
            }
            Mounts.Attach(plan, root, mount, target);
            plan.Close(mount);
            // "cpu,cpuacct" is also found as "cpu" and as "cpuacct"
            if (hierarchy.Name.Contains(','))
                foreach (string part in hierarchy.Name.Split(','))
                    plan.Call($"link {target}", Libc.SYS_symlinkat, plan.Text(hierarchy.Name), tmpfs, plan.Text(part))->Tolerated0 = Libc.EEXIST;
        }
        if (readOnly)
            Mounts.SetAttributes(plan, words, tmpfs, (ulong)Libc.MOUNT_ATTR_RDONLY, 0, recursive: false);
        plan.Close(tmpfs);
    }

    static void AddUnified(Plan plan, nint* root, string destination, MountOptions options, CgroupMountSource source, string words)
    {
        nint* mount;
        if (source.OwnNamespace)
            mount = Mounts.NewFileSystem(plan, words, "cgroup2", "cgroup", options);
        else
            mount = BindFolder(plan, source.UnifiedFolder ?? throw new PsrunException($"mounts: {destination}: this host has no cgroup2 tree"), options, destination);
        Mounts.Attach(plan, root, mount, destination);
        plan.Close(mount);
    }

    static nint* BindFolder(Plan plan, string folder, MountOptions options, string target)
    {
        nint* tree = plan.Open($"bind {folder} to {target}", Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text(folder), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC);
        Mounts.SetAttributes(plan, $"bind {folder} to {target}", tree, options.Set, options.Clear, recursive: false);
        return tree;
    }
}
