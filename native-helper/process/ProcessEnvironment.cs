using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.Processes;

/// <summary>process.env, with HOME added from the container's own /etc/passwd where it is missing, as every runtime does.</summary>
static unsafe class ProcessEnvironment
{
    public static List<string> Complete(Process process, string rootfs)
    {
        var environment = new List<string>(process.Env ?? []);
        foreach (string entry in environment)
            if (entry.StartsWith("HOME=", StringComparison.Ordinal) && entry.Length > 5)
                return environment;
        environment.RemoveAll(e => e == "HOME=");
        environment.Add("HOME=" + HomeOf(rootfs, process.User?.Uid ?? 0));
        return environment;
    }

    static string HomeOf(string rootfs, uint uid)
    {
        int root = Libc.open(rootfs, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        open_how how = default;
        how.flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC);
        how.resolve = (ulong)Libc.RESOLVE_IN_ROOT;
        int found;
        fixed (byte* path = "etc/passwd"u8)
            found = (int)Libc.syscall(Libc.SYS_openat2, root, (nint)path, (nint)(&how), sizeof(open_how), 0, 0);
        Libc.close(root);
        int fd = found < 0 ? -1 : OpenPlain(found);
        Libc.close(found);
        if (fd < 0)
            return "/";
        // An image may bring anything under this name: only the first mebibyte counts, and only lines that are whole.
        byte[] buffer = new byte[8192];
        string rest = "";
        string wanted = uid.ToString();
        string home = "/";
        for (int total = 0; total < 1 << 20;)
        {
            nint n;
            fixed (byte* p = buffer)
                n = Libc.read(fd, p, (nuint)buffer.Length);
            if (n <= 0)
                break;
            total += (int)n;
            string text = rest + Encoding.UTF8.GetString(buffer, 0, (int)n);
            string[] lines = text.Split('\n');
            rest = lines[^1];
            if (Find(lines.AsSpan(0, lines.Length - 1), wanted, ref home))
            {
                rest = "";
                break;
            }
        }
        Libc.close(fd);
        Find([rest], wanted, ref home);
        return home;
    }

    /// <summary>Only a plain file is opened: a device that an image brings does something by being opened, and psrun is in no device cgroup.</summary>
    static int OpenPlain(int found)
    {
        statx stat;
        byte nothing = 0;
        return Libc.syscall(Libc.SYS_statx, found, (nint)(&nothing), Libc.AT_EMPTY_PATH, (nint)Libc.STATX_TYPE, (nint)(&stat), 0) == 0 && (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFREG
            ? Libc.open($"/proc/self/fd/{found}", Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK)
            : -1;
    }

    static bool Find(ReadOnlySpan<string> lines, string uid, ref string home)
    {
        foreach (string line in lines)
        {
            string[] fields = line.Split(':');
            if (fields.Length >= 6 && fields[2] == uid && fields[5].StartsWith('/') && !fields[5].Contains('\0'))
            {
                home = fields[5];
                return true;
            }
        }
        return false;
    }
}
