using Containers.Linux;
using Containers.Linux.Oci;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Devices of the host that a container gets.</summary>
static class DeviceSpec
{
    /// <summary>Docker's <c>host[:container[:rwm]]</c>; adds the node and the rule that opens it.</summary>
    internal static void Add(string text, List<LinuxDevice> devices, List<LinuxDeviceCgroup> rules)
    {
        var fields = text.Split(':');
        var host = fields[0];
        var inside = fields.Length > 1 && fields[1].StartsWith('/') ? fields[1] : host;
        var access = fields.Length switch { 3 => fields[2], 2 when !fields[1].StartsWith('/') => fields[1], _ => "rwm" };
        if (fields.Length > 3 || !host.StartsWith('/') || access.Length is 0 or > 3 || access.Any(c => c is not ('r' or 'w' or 'm')))
        {
            throw ResourceSpec.Bad("Device", text, "say host path, or host path:container path:rwm");
        }
        var device = Of(host, inside) ?? throw ResourceSpec.Bad("Device", text, $"'{host}' is not a device of this host");
        devices.RemoveAll(d => d.Path == device.Path);
        devices.Add(device);
        rules.Add(Defaults.Rule(device.Type![0], device.Major, device.Minor, access));
    }

    /// <summary>Every device node below /dev, for a privileged container; those that the runtime makes itself are left to it.</summary>
    internal static List<LinuxDevice> All()
    {
        var devices = new List<LinuxDevice>();
        var own = new HashSet<string>(StringComparer.Ordinal)
        {
            "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx",
        };
        Walk("/dev", 0);
        return devices;

        void Walk(string folder, int depth)
        {
            foreach (var path in Directory.EnumerateFileSystemEntries(folder))
            {
                if (own.Contains(path) || Syscall.lstat(path, out var stat) != 0) { continue; }
                var type = stat.st_mode & FilePermissions.S_IFMT;
                if (type == FilePermissions.S_IFDIR)
                {
                    // Their content belongs to mounts that the container has of its own.
                    if (depth < 8 && path is not ("/dev/pts" or "/dev/shm" or "/dev/mqueue" or "/dev/fd")) { Walk(path, depth + 1); }
                }
                else if (type is FilePermissions.S_IFCHR or FilePermissions.S_IFBLK) { devices.Add(Of(stat, path)); }
            }
        }
    }

    static LinuxDevice? Of(string host, string inside)
    {
        if (Syscall.stat(host, out var stat) != 0) { return null; }
        return (stat.st_mode & FilePermissions.S_IFMT) is FilePermissions.S_IFCHR or FilePermissions.S_IFBLK ? Of(stat, Path.GetFullPath(inside)) : null;
    }

    static LinuxDevice Of(Stat stat, string inside) => new()
    {
        Path = inside,
        Type = (stat.st_mode & FilePermissions.S_IFMT) == FilePermissions.S_IFBLK ? "b" : "c",
        Major = Libc.major(stat.st_rdev),
        Minor = Libc.minor(stat.st_rdev),
        FileMode = (uint)(stat.st_mode & FilePermissions.ALLPERMS),
        Uid = stat.st_uid,
        Gid = stat.st_gid,
    };
}
