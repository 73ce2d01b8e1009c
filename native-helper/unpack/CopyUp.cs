using Containers.Linux;

namespace Psrun.Unpack;

/// <summary>Brings one thing of a lower layer into this one, with all it has, as overlayfs itself does when it is changed.</summary>
static unsafe class CopyUp
{
    const int Chunk = 1 << 20;

    /// <param name="path">Where it comes to lie in the layer: for a folder's times.</param>
    public static void To(LayeredEntry source, int parent, byte[] name, Tree tree, byte[] path)
    {
        statx stat = source.Stat;
        timespec* times = stackalloc timespec[2];
        times[0] = new timespec { tv_sec = stat.stx_atime.tv_sec, tv_nsec = stat.stx_atime.tv_nsec };
        times[1] = new timespec { tv_sec = stat.stx_mtime.tv_sec, tv_nsec = stat.stx_mtime.tv_nsec };
        uint mode = stat.stx_mode & 0xfffu;
        int type = stat.stx_mode & Libc.S_IFMT;
        fixed (byte* p = name)
        {
            if (type is not (Libc.S_IFREG or Libc.S_IFDIR))
            {
                if (type == Libc.S_IFLNK)
                {
                    byte[] target = Target(source);
                    fixed (byte* t = target)
                        LinuxException.Check(Libc.symlinkat(t, parent, p), "symlink");
                }
                else
                    LinuxException.Check(Libc.mknodat(parent, p, stat.stx_mode, Libc.makedev(stat.stx_rdev_major, stat.stx_rdev_minor)), "mknod");
                LinuxException.Check(Libc.fchownat(parent, p, stat.stx_uid, stat.stx_gid, Libc.AT_SYMLINK_NOFOLLOW), "chown");
                if (type != Libc.S_IFLNK)
                    LinuxException.Check(Libc.fchmodat(parent, p, mode, 0), "chmod");
                LinuxException.Check(Libc.utimensat(parent, p, times, Libc.AT_SYMLINK_NOFOLLOW), "utimensat");
                return;
            }

            int from = LinuxException.Check(source.Open(Libc.O_RDONLY), "open");
            int to = -1;
            try
            {
                if (type == Libc.S_IFDIR)
                {
                    LinuxException.Check(Libc.mkdirat(parent, p, 0x1c0), "mkdir");
                    to = LinuxException.Check(Libc.openat(parent, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open");
                }
                else
                {
                    to = LinuxException.Check(Libc.openat(parent, p, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180), "open");
                    CopyData(from, to);
                }
                LinuxException.Check(Libc.fchown(to, stat.stx_uid, stat.stx_gid), "chown");
                CopyAttributes(from, to);
                LinuxException.Check(Libc.fchmod(to, mode), "chmod");
                if (type == Libc.S_IFDIR)
                {
                    tree.Made(mode, stat.stx_gid, attributes: true);
                    tree.AtEnd(path, times[0], times[1]);
                }
                else
                    LinuxException.Check(Libc.futimens(to, times), "futimens");
            }
            finally
            {
                Libc.close(from);
                if (to >= 0)
                    Libc.close(to);
            }
        }
    }

    static void CopyData(int from, int to)
    {
        byte[] buffer = new byte[Chunk];
        fixed (byte* b = buffer)
        {
            nint n;
            while ((n = LinuxException.Check(Libc.read(from, b, Chunk), "read")) > 0)
                for (nint done = 0; done < n;)
                    done += LinuxException.Check(Libc.write(to, b + done, (nuint)(n - done)), "write");
        }
    }

    static void CopyAttributes(int from, int to)
    {
        byte[] names = new byte[64 << 10];
        byte[] value = new byte[64 << 10];
        fixed (byte* list = names)
        fixed (byte* v = value)
        {
            nint length = Libc.flistxattr(from, list, (nuint)names.Length);
            for (nint i = 0; i < length;)
            {
                byte* name = list + i;
                ReadOnlySpan<byte> text = System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name);
                i += text.Length + 1;
                // Marks of the layer that it comes from; an image's own stand behind the prefix twice and go along.
                if (text.StartsWith("trusted.overlay."u8) && !text.StartsWith("trusted.overlay.overlay."u8))
                    continue;
                nint size = Libc.fgetxattr(from, name, v, (nuint)value.Length);
                if (size >= 0)
                    LinuxException.Check(Libc.fsetxattr(to, name, v, (nuint)size, 0), "setxattr");
            }
        }
    }

    static byte[] Target(LayeredEntry link)
    {
        byte[] buffer = new byte[4097];
        nint length;
        fixed (byte* path = link.Path)
        fixed (byte* to = buffer)
            length = LinuxException.Check(Libc.readlinkat(link.LayerFd, path, to, 4096), "readlink");
        buffer[length] = 0;
        return buffer;
    }
}
