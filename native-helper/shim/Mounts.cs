using Containers.Linux;
using System.Text;

namespace Psrun.Shim;

/// <summary>The mounts of <c>shim.json</c>, made in the shim's own mount namespace.</summary>
static class Mounts
{
    const int DataPage = 4096;

    public static void Make(MountOrder order)
    {
        ulong flags = 0;
        bool recursive = false;
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
        Call(order, order.Source, null, (ulong)(Libc.MS_BIND | (recursive ? Libc.MS_REC : 0)), "");
        // A bind mount takes its own flags only when it is mounted again.
        if (flags != 0) Call(order, null, null, flags | Libc.MS_BIND | Libc.MS_REMOUNT, "");
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
