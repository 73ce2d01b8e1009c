using System.Text;
using System.Text.Json;
using Containers.Linux;
using Psrun.Shim;

namespace Psrun.Items;

/// <summary>
/// The root folder that paths are looked up in, and nothing outside of it: each lookup is one openat2(2) with RESOLVE_IN_ROOT, so that no link, and no
/// link that somebody puts there meanwhile, leads out (CVE-2018-15664). Nothing in it is ever executed or loaded: this program has no libraries to be
/// found there, and never makes it its own root (CVE-2019-14271).
/// </summary>
static unsafe class ItemRoot
{
    /// <summary>What a process sees as its root, with all that is mounted there in its mount namespace.</summary>
    /// <exception cref="ItemException">It has ended.</exception>
    public static int OfProcess(int pid, ulong startTime)
    {
        int root = Libc.open($"/proc/{pid}/root", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        // Opened first, looked at then: what lives under this number now is what was opened.
        if (root < 0 || !new ProcessIdentity(pid, startTime).IsAlive)
            throw new ItemException(ItemException.NotFound, $"process {pid} has ended");
        return root;
    }

    /// <summary>A folder, with mounts made for it in a mount namespace of this thread, which nobody else sees and which ends with the process.</summary>
    /// <param name="mounts">JSON as in shim.json: the root first. Their targets are the host's.</param>
    /// <param name="binds">The same, of binds into the root: their targets are looked up inside it. Those without a place there are left out.</param>
    public static int OfFolder(string folder, string? mounts, string? binds)
    {
        MountOrder[] outer = Read(mounts, "mounts"), inner = Read(binds, "binds");
        if (outer.Length > 0 || inner.Length > 0)
        {
            LinuxException.Check(Libc.unshare(Libc.CLONE_NEWNS), "unshare");
            LinuxException.Check(Libc.mount(null, "/", null, (ulong)(Libc.MS_REC | Libc.MS_PRIVATE), null), "mount", "/");
        }
        foreach (MountOrder order in outer)
            Mounts.Make(order);
        int root = LinuxException.Check(Libc.open(folder, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", folder);
        foreach (MountOrder order in inner)
            Bind(root, order);
        return root;
    }

    static MountOrder[] Read(string? json, string name)
    {
        if (json is null)
            return [];
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        try
        {
            reader.Read();
            return Orders.ReadMounts(ref reader, name);
        }
        catch (JsonException e)
        {
            throw new PsrunException($"--{name}: {e.Message}");
        }
    }

    static void Bind(int root, MountOrder order)
    {
        int target = Open(root, Encoding.UTF8.GetBytes(order.Target), Libc.O_PATH);
        if (target < 0)
            return;
        Rootfs.MountOptions options = Rootfs.MountOptions.Parse(order.Target, order.Options);
        int tree = LinuxException.Check(Rootfs.IdMappedTrees.OpenTree(order.Source, options.SubFolder, options.Recursive), "open_tree", order.Source);
        if (options.ReadOnly)
            LinuxException.Check(Libc.mount_setattr(tree, "", Libc.AT_EMPTY_PATH, new mount_attr { attr_set = Libc.MOUNT_ATTR_RDONLY }), "mount_setattr", order.Source);
        // A file on a folder, or the other way round: the runtime would refuse it too.
        LinuxException.Check(Libc.move_mount(tree, "", target, "", Libc.MOVE_MOUNT_F_EMPTY_PATH | Libc.MOVE_MOUNT_T_EMPTY_PATH), "move_mount", order.Target);
        Libc.close(tree);
        Libc.close(target);
    }

    /// <summary>openat2(2) inside the root.</summary>
    /// <param name="path">Without a zero.</param>
    /// <returns>-1 and errno.</returns>
    public static int Open(int root, ReadOnlySpan<byte> path, int flags)
    {
        byte[] name = path.IsEmpty ? Pack.Names.Here : [.. path, 0];
        var how = new open_how { flags = (ulong)(flags | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_IN_ROOT | Libc.RESOLVE_NO_MAGICLINKS };
        int fd;
        fixed (byte* p = name)
            do fd = Libc.openat2(root, p, how); while (fd < 0 && Libc.errno == Libc.EAGAIN);
        return fd;
    }
}
