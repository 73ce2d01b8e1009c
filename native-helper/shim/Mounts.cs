using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Processes;
using System.Globalization;
using System.Text;

namespace Psrun.Shim;

/// <summary>The mounts of <c>shim.json</c>, made in the shim's own mount namespace.</summary>
static class Mounts
{
    const int DataPage = 4096;
    const string IdMap = "idmap=";

    public static void Make(MountOrder order)
    {
        ulong flags = 0;
        bool recursive = false;
        string? maps = null;
        var data = new List<string>();
        foreach (string option in order.Options)
        {
            switch (option)
            {
                case "" or "defaults" or "rw" or "suid" or "dev" or "exec" or "async" or "bind": break;
                case "rbind": recursive = true; break;
                case "ro": flags |= Libc.MS_RDONLY; break;
                case "nosuid": flags |= Libc.MS_NOSUID; break;
                case "nodev": flags |= Libc.MS_NODEV; break;
                case "noexec": flags |= Libc.MS_NOEXEC; break;
                case "sync": flags |= Libc.MS_SYNCHRONOUS; break;
                case "dirsync": flags |= Libc.MS_DIRSYNC; break;
                case "nosymfollow": flags |= Libc.MS_NOSYMFOLLOW; break;
                case "noatime": flags |= Libc.MS_NOATIME; break;
                case "nodiratime": flags |= Libc.MS_NODIRATIME; break;
                case "relatime": flags |= Libc.MS_RELATIME; break;
                case "strictatime": flags |= Libc.MS_STRICTATIME; break;
                case string when option.StartsWith(IdMap) && order.Type == "bind": maps = option[IdMap.Length..]; break;
                default:
                    if (order.Type == "bind") throw new ShimException("MountFailed", $"{order.Target}: unknown option '{option}' of a bind mount");
                    data.Add(Escape(order.Type, option));
                    break;
            }
        }

        if (order.Type != "bind")
        {
            Call(order, order.Source.Length == 0 ? order.Type : order.Source, order.Type, flags, string.Join(',', data));
            return;
        }
        if (maps is not null) BindMapped(order, recursive, maps);
        else Call(order, order.Source, null, (ulong)(Libc.MS_BIND | (recursive ? Libc.MS_REC : 0)), "");
        // A bind mount takes its own flags only when it is mounted again.
        if (flags != 0) Call(order, null, null, flags | Libc.MS_BIND | Libc.MS_REMOUNT, "");
    }

    // What belongs to root on disk belongs to the container's root there, and what that one makes belongs to root on disk.
    static void BindMapped(MountOrder order, bool recursive, string maps)
    {
        int below = recursive ? Libc.AT_RECURSIVE : 0, user = -1;
        int tree = Libc.open_tree(Libc.AT_FDCWD, order.Source, Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | below);
        if (tree < 0) throw ShimException.Of("MountFailed", $"bind {order.Source}", -Libc.errno);
        try
        {
            string[] kinds = maps.Split(';');
            user = IdMaps.OpenNamespace(Ranges(order, kinds[0]), Ranges(order, kinds[^1]), order.Target);
            var attr = new mount_attr { attr_set = (ulong)Libc.MOUNT_ATTR_IDMAP, userns_fd = (ulong)user };
            if (Libc.mount_setattr(tree, "", Libc.AT_EMPTY_PATH | below, attr) != 0)
                throw new ShimException("MountFailed", $"the file system of {order.Source}, or of what is mounted in it, cannot map ids: {Sys.Words(Libc.errno)}");
            if (Libc.move_mount(tree, "", Libc.AT_FDCWD, order.Target, Libc.MOVE_MOUNT_F_EMPTY_PATH) != 0)
                throw ShimException.Of("MountFailed", $"bind {order.Source} on {order.Target}", -Libc.errno);
        }
        catch (PsrunException e)
        {
            throw new ShimException("MountFailed", $"{order.Target}: the maps of ids: {e.Message}");
        }
        finally
        {
            Libc.close(tree);
            if (user >= 0) Libc.close(user);
        }
    }

    static List<LinuxIdMapping> Ranges(MountOrder order, string text)
    {
        var ranges = new List<LinuxIdMapping>();
        foreach (string range in text.Split(','))
        {
            string[] parts = range.Split(':');
            if (parts.Length != 3 || !Number(parts[0], out uint inside) || !Number(parts[1], out uint outside) || !Number(parts[2], out uint count))
                throw new ShimException("MountFailed", $"{order.Target}: '{range}' is no map of ids");
            ranges.Add(new LinuxIdMapping { ContainerId = inside, HostId = outside, Size = count });
        }
        return ranges;

        static bool Number(string text, out uint number) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>
    /// mount(2) takes one text with commas between the options. Overlayfs knows <c>\,</c> and <c>\\</c> in paths; tmpfs has no escape, and no
    /// value with a comma that is not a list of nodes.
    /// </summary>
    static string Escape(string type, string option)
    {
        int equals = option.IndexOf('=');
        string key = equals < 0 ? option : option[..equals];
        if (key.Contains(',')) throw new ShimException("MountFailed", $"option '{option}' has a comma in its name");
        if (type == "tmpfs")
        {
            if (option.Contains(',')) throw new ShimException("MountFailed", $"option '{option}': a comma cannot be given to tmpfs");
            return option;
        }
        if (equals < 0) return option;
        var value = new StringBuilder(option, 0, equals + 1, option.Length + 16);
        for (int i = equals + 1; i < option.Length; i++)
        {
            char c = option[i];
            // In lowerdir a backslash already is overlayfs's own.
            if (c == '\\' && key == "lowerdir")
            {
                value.Append(c);
                if (++i < option.Length) value.Append(option[i]);
                continue;
            }
            if (c is ',' or '\\') value.Append('\\');
            value.Append(c);
        }
        return value.ToString();
    }

    static void Call(MountOrder order, string? source, string? type, ulong flags, string data)
    {
        // The kernel copies one page and cuts off what is longer.
        if (Encoding.UTF8.GetByteCount(data) >= DataPage) throw new ShimException("MountFailed", $"{order.Target}: options of {data.Length} characters; the kernel takes {DataPage}");
        int r = Sys.Mount(source, order.Target, type, flags, data.Length > 0 ? data : null);
        if (r < 0) throw ShimException.Of("MountFailed", $"{order.Type} on {order.Target}", r);
    }
}
