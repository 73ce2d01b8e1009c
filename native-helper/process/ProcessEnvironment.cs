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
        how.flags = (ulong)(Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK);
        how.resolve = (ulong)Libc.RESOLVE_IN_ROOT;
        int fd;
        fixed (byte* path = "etc/passwd"u8)
            fd = (int)Libc.syscall(Libc.SYS_openat2, root, (nint)path, (nint)(&how), sizeof(open_how), 0, 0);
        Libc.close(root);
        if (fd < 0)
            return "/";
        // An image may bring anything under this name: only the first mebibyte counts, and only lines that are whole.
        byte[] buffer = new byte[64 * 1024];
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
