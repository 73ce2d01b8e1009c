using System.Text;

namespace Containers.Linux.Cgroups;

/// <summary>Mounts hierarchies by hand: v1's with controllers or with a name, and the v2 tree. A v1 hierarchy is the kernel's, whatever mount namespace
/// it is mounted in.</summary>
public static unsafe class CgroupHierarchyMount
{
    const string Mark = "user.pscontainers.mount";
    const ulong Flags = Libc.MS_NOSUID | Libc.MS_NODEV | Libc.MS_NOEXEC;

    /// <summary>What mount(2) is asked for: <c>cpu,cpuacct</c>, <c>none,name=systemd</c>, <c>all</c>; null for the v2 tree.</summary>
    /// <exception cref="CgroupException"><c>InvalidLimit</c>: no name, or one that no hierarchy can have.</exception>
    /// <exception cref="CgroupNotSupportedException">This kernel does not have the controller, or has it switched off.</exception>
    public static string Options(IReadOnlyList<string> controllers, string? name, List<CgroupController> known)
    {
        if (name is not null && (name.Length is 0 or > 63 || !IsName(name))) { throw new CgroupException("InvalidLimit", $"Name is {CgroupPath.Printable(name)}: a hierarchy's name is made of up to 63 letters, digits and _ . -"); }
        if (controllers.Count == 0) { return name is null ? throw new CgroupException("InvalidLimit", "a hierarchy has controllers, or a name, or both") : "none,name=" + name; }
        foreach (var controller in controllers)
        {
            if (controller == "all" && controllers.Count == 1) { continue; }
            var one = known.Find(k => k.Name == controller);
            if (one is null) { throw new CgroupNotSupportedException(CgroupPath.Printable(controller), "this kernel has no such v1 controller; Get-CgroupController lists those there are"); }
            if (!one.Enabled) { throw new CgroupNotSupportedException(controller, "it is switched off on the kernel's command line (cgroup_disable=)"); }
        }
        return string.Join(',', controllers) + (name is null ? "" : ",name=" + name);
    }

    static bool IsName(string name)
    {
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-')) { return false; }
        }
        return true;
    }

    /// <summary>Mounts a hierarchy on an existing folder.</summary>
    /// <param name="options">From <see cref="Options"/>; null for the v2 tree.</param>
    /// <exception cref="CgroupException"><c>CgroupBusy</c>: a controller is mounted otherwise, or used in the v2 tree: the message says where;
    /// <c>CgroupNotPermitted</c>; <c>CgroupUnavailable</c> with the errno.</exception>
    public static void Mount(string folder, string? options)
    {
        if (Libc.mount("cgroup", folder, options is null ? "cgroup2" : "cgroup", Flags, options) != 0)
        {
            var errno = Libc.errno;
            throw errno switch
            {
                Libc.EBUSY when options is not null => new CgroupException("CgroupBusy", $"{options} cannot be mounted together: {Explain(options)}"),
                Libc.EPERM or Libc.EACCES => new CgroupException("CgroupNotPermitted", "mounting a hierarchy needs CAP_SYS_ADMIN in the first user namespace: be root"),
                Libc.ENOENT or Libc.ENOTDIR => new CgroupException("CgroupUnavailable", $"{CgroupPath.Printable(folder)} is not a folder; make it first"),
                _ => new CgroupException("CgroupUnavailable", $"mount of {options ?? "cgroup2"} at {CgroupPath.Printable(folder)}: {Errnos.Text(errno)} ({Errnos.Name(errno)})"),
            };
        }
        var bytes = Encoding.UTF8.GetBytes(folder);
        fixed (byte* p = bytes) { _ = Libc.lsetxattr(folder, Mark, p, (nuint)bytes.Length, 0); }
    }

    // EBUSY alone does not say which controller, nor where it is.
    static string Explain(string options)
    {
        var reasons = new List<string>();
        var known = ReadControllers();
        List<(string Folder, string[] Words)> mounts = [];
        foreach (var line in (CgroupFiles.ReadText("/proc/self", "mountinfo") ?? "").Split('\n'))
        {
            var separator = line.IndexOf(" - cgroup ", StringComparison.Ordinal);
            var fields = line.Split(' ');
            if (separator >= 0 && fields.Length > 5) { mounts.Add((fields[4], line[(line.LastIndexOf(' ') + 1)..].Split(','))); }
        }
        var enabled = (CgroupHost.Detect().Unified is { } unified ? CgroupFiles.ReadText(unified.MountPoint, "cgroup.subtree_control") : null)?.Split(' ') ?? [];
        var asked = options.Split(',');
        foreach (var word in asked[0] == "all" ? known.ConvertAll(k => k.Name).ToArray() : asked)
        {
            if (mounts.Find(m => Array.IndexOf(m.Words, word) >= 0) is { Folder: { } folder, Words: { } words })
            {
                var set = string.Join(',', Array.FindAll(words, w => w.StartsWith("name=", StringComparison.Ordinal) || known.Exists(k => k.Name == w)));
                if (set != options) { reasons.Add($"{word} is mounted as \"{set}\" at {folder}"); }
            }
            else if (Array.IndexOf(enabled, word) >= 0) { reasons.Add($"{word} is enabled in the v2 tree"); }
            else if (known.Find(k => k.Name == word) is { HierarchyId: > 0 } bound)
            {
                reasons.Add($"{word} is bound to hierarchy {bound.HierarchyId} with {bound.GroupCount} groups, which is mounted in another mount namespace, or was unmounted while it had groups");
            }
        }
        return reasons.Count > 0 ? string.Join("; ", reasons) : "the kernel holds a hierarchy that has some of these in another set, or was just unmounted and still has groups";
    }

    static List<CgroupController> ReadControllers()
    {
        try { return CgroupHost.Detect().ReadControllers(); }
        catch (CgroupException) { return []; }
    }

    /// <summary>Whether the hierarchy at this mount point was mounted there by <see cref="Mount"/>.</summary>
    public static bool IsOurs(string folder)
    {
        var buffer = stackalloc byte[4096];
        var length = Libc.lgetxattr(folder, Mark, buffer, 4096);
        return length > 0 && Encoding.UTF8.GetString(buffer, (int)length) == folder;
    }

    /// <summary>Unmounts. The kernel keeps a v1 hierarchy bound for as long as there are groups in it, so that they are to be removed first.</summary>
    /// <exception cref="CgroupException"><c>CgroupBusy</c>: something works in it; <c>CgroupNotPermitted</c>; <c>CgroupUnavailable</c>.</exception>
    public static void Dismount(string folder)
    {
        _ = Libc.lremovexattr(folder, Mark);
        if (Libc.umount2(folder, 0) == 0) { return; }
        var errno = Libc.errno;
        throw errno switch
        {
            Libc.EBUSY => new CgroupException("CgroupBusy", $"{CgroupPath.Printable(folder)} is in use: a process has its folder or a file of it open"),
            Libc.EPERM => new CgroupException("CgroupNotPermitted", "unmounting needs CAP_SYS_ADMIN: be root"),
            _ => new CgroupException("CgroupUnavailable", $"umount of {CgroupPath.Printable(folder)}: {Errnos.Text(errno)} ({Errnos.Name(errno)})"),
        };
    }
}
