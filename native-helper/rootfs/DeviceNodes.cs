using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Rootfs;

/// <summary>/dev: the default devices of runtime-spec config-linux.md, the bundle's own, and the links.</summary>
static unsafe class DeviceNodes
{
    static readonly (string Name, uint Major, uint Minor)[] s_defaults =
        [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

    static readonly (string Name, string Target)[] s_links =
        [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2"), ("ptmx", "pts/ptmx")];

    public static void Add(Plan plan, nint* root, Spec spec, bool bindNodes)
    {
        // A /dev that was bound from elsewhere is its owner's to fill.
        if (spec.Mounts?.Exists(m => m.Destination != null && Mounts.Destination(m.Destination) == "dev" && (m.Type == "bind" || m.Options?.Exists(o => o is "bind" or "rbind") == true)) == true)
            return;
        plan.Call("set the umask", Libc.SYS_umask, 0);
        foreach ((string name, uint major, uint minor) in s_defaults)
        {
            if (spec.Linux?.Devices?.Exists(d => d.Path == "/dev/" + name) == true)
                continue;
            Node(plan, root, "/dev/" + name, Libc.S_IFCHR, major, minor, 0x1B6, 0, 0, bindNodes);
        }
        foreach (LinuxDevice device in spec.Linux?.Devices ?? [])
        {
            string path = device.Path ?? throw new PsrunException("linux.devices: path is missing");
            nint type = device.Type switch
            {
                "c" or "u" => Libc.S_IFCHR,
                "b" => Libc.S_IFBLK,
                "p" => Libc.S_IFIFO,
                _ => throw new PsrunException($"linux.devices: {path}: type \"{device.Type}\" is none of c, u, b, p"),
            };
            if (type != Libc.S_IFIFO && (device.Major is null || device.Minor is null))
                throw new PsrunException($"linux.devices: {path}: major and minor are needed");
            Node(plan, root, path, type, (uint)(device.Major ?? 0), (uint)(device.Minor ?? 0), device.FileMode & 0xFFF ?? 0x1B6, device.Uid ?? 0, device.Gid ?? 0, bindNodes);
        }
        nint* dev = plan.Cell();
        plan.Do("open /dev", StepKind.OpenTarget, root, plan.Text("dev"), 0)->Result = dev;
        foreach ((string name, string target) in s_links)
            Link(plan, dev, name, target);
        if (File.Exists("/proc/kcore"))
            Link(plan, dev, "core", "/proc/kcore");
        plan.Close(dev);
        plan.Call("set the umask", Libc.SYS_umask, 0x12);
    }

    static void Link(Plan plan, nint* dev, string name, string target) =>
        plan.Call($"link /dev/{name}", Libc.SYS_symlinkat, plan.Text(target), dev, plan.Text(name))->Tolerated0 = Libc.EEXIST;

    static void Node(Plan plan, nint* root, string path, nint type, uint major, uint minor, uint mode, uint uid, uint gid, bool bind)
    {
        string inside = Mounts.Destination(path);
        string words = $"make the device {path}";
        int slash = inside.LastIndexOf('/');
        if (bind)
        {
            // mknod(2) is not allowed in a user namespace: the host's own node is shown instead.
            nint* tree = plan.Open(words, Libc.SYS_open_tree, Libc.AT_FDCWD, plan.Text(path), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC);
            Mounts.Attach(plan, root, tree, path, Child.TargetFile);
            plan.Close(tree);
            return;
        }
        nint* folder = plan.Cell();
        plan.Do(words, StepKind.OpenTarget, root, plan.Text(slash < 0 ? "." : inside[..slash]), 0)->Result = folder;
        nint name = plan.Text(inside[(slash + 1)..]);
        nint device = (nint)(((ulong)(minor & 0xff)) | ((ulong)(major & 0xfff) << 8) | ((ulong)(minor & ~0xffu) << 12) | ((ulong)(major & ~0xfffu) << 32));
        Step* made = plan.Call(words, Libc.SYS_mknodat, folder, name, type | (nint)mode, device);
        // One that the image brings stays: what may be opened is the device cgroup's to say.
        made->Tolerated0 = Libc.EEXIST;
        if (uid != 0 || gid != 0)
        {
            made->SkipWhenTolerated = 1;
            plan.Call(words, Libc.SYS_fchownat, folder, name, uid, gid, Libc.AT_SYMLINK_NOFOLLOW);
        }
        plan.Close(folder);
    }
}
