namespace Containers.Linux;

/// <summary>Folders by descriptors and names as bytes: what came out of an archive need not be UTF-8, and .NET cannot name it.</summary>
public static unsafe class FolderTree
{
    /// <summary>The names in an open folder, without <c>.</c> and <c>..</c>, each ended by a zero.</summary>
    /// <exception cref="LinuxException"></exception>
    public static List<byte[]> Names(int fd)
    {
        const int size = 32 << 10;
        var names = new List<byte[]>();
        byte[] buffer = new byte[size];
        fixed (byte* start = buffer)
        {
            nint length;
            while ((length = Libc.getdents64(fd, start, size)) > 0)
            {
                for (byte* record = start; record < start + length; record += ((linux_dirent64*)record)->d_reclen)
                {
                    ReadOnlySpan<byte> name = System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(record + linux_dirent64.NameOffset);
                    if (name is not ([(byte)'.'] or [(byte)'.', (byte)'.']))
                        names.Add([.. name, 0]);
                }
            }
            // A folder that was removed while it is open has nothing in it (getdents(2)).
            if (length < 0 && Libc.errno != Libc.ENOENT)
                throw new LinuxException("getdents64", null, Libc.errno);
        }
        return names;
    }

    /// <summary>Removes what stands there, a folder with everything in it, without following links. What is gone already is no error.</summary>
    /// <param name="name">One name, ended by a zero.</param>
    /// <returns>0, or -1 and errno.</returns>
    public static int Remove(int parent, byte[] name)
    {
        fixed (byte* p = name)
        {
            if (Libc.unlinkat(parent, p, 0) == 0 || Libc.errno == Libc.ENOENT)
                return 0;
            if (Libc.errno is not (Libc.EISDIR or Libc.EPERM))
                return -1;
            int fd = Libc.openat(parent, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
            if (fd < 0)
                return Libc.errno == Libc.ENOENT ? 0 : -1;
            bool subvolume = false;
            try
            {
                if (Subvolume.Is(fd))
                {
                    if (Subvolume.Destroy(parent, name) == 0 || Libc.errno == Libc.ENOENT)
                        return 0;
                    // There are others in it, or this user may not: by hand then, and a read-only one lets nothing go.
                    subvolume = true;
                    _ = Subvolume.SetReadOnly(fd, readOnly: false);
                }
                foreach (byte[] child in Names(fd))
                    if (Remove(fd, child) < 0)
                        return -1;
            }
            finally
            {
                Libc.close(fd);
            }
            // rmdir(2) takes an empty subvolume since Linux 4.18 alone.
            return (subvolume && Subvolume.Destroy(parent, name) == 0) || Libc.unlinkat(parent, p, Libc.AT_REMOVEDIR) == 0 || Libc.errno == Libc.ENOENT ? 0 : -1;
        }
    }

    /// <summary>What a tree takes on disk: bytes in blocks, and inodes, each counted once however many names it has. What vanishes meanwhile is not counted.</summary>
    /// <param name="fd">An open folder; it is counted too.</param>
    /// <exception cref="LinuxException"></exception>
    public static (long Bytes, long Entries) Measure(int fd)
    {
        LinuxException.Check(Libc.statx(fd, Libc.STATX_BASIC_STATS, out statx stat), "statx");
        var linked = new HashSet<(uint, uint, ulong)>();
        (long bytes, long entries) = Below(fd, linked);
        return (bytes + (long)stat.stx_blocks * 512, entries + 1);
    }

    /// <summary>The bytes of <see cref="Measure"/> for a path; 0 when there is no such folder (any more).</summary>
    /// <exception cref="LinuxException"></exception>
    public static long MeasureAt(string path)
    {
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
        if (fd < 0)
            return 0;
        try { return Measure(fd).Bytes; }
        finally { Libc.close(fd); }
    }

    /// <summary>Gives a folder with everything in it to somebody. Links are not followed; what vanishes meanwhile is left out.</summary>
    /// <param name="fd">An open folder.</param>
    /// <exception cref="LinuxException"></exception>
    public static void Own(int fd, uint owner, uint group)
    {
        LinuxException.Check(Libc.fchown(fd, owner, group), "fchown");
        foreach (byte[] name in Names(fd))
        {
            fixed (byte* p = name)
            {
                int into = Libc.openat(fd, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
                if (into < 0)
                {
                    if (Libc.fchownat(fd, p, owner, group, Libc.AT_SYMLINK_NOFOLLOW) != 0 && Libc.errno != Libc.ENOENT)
                        throw new LinuxException("fchownat", null, Libc.errno);
                    continue;
                }
                try
                {
                    Own(into, owner, group);
                }
                finally
                {
                    Libc.close(into);
                }
            }
        }
    }

    static (long Bytes, long Entries) Below(int fd, HashSet<(uint, uint, ulong)> linked)
    {
        long bytes = 0, entries = 0;
        foreach (byte[] name in Names(fd))
        {
            fixed (byte* p = name)
            {
                if (Libc.statx(fd, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx stat) != 0)
                    continue;
                bool folder = (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR;
                if (!folder && stat.stx_nlink > 1 && !linked.Add((stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino)))
                    continue;
                bytes += (long)stat.stx_blocks * 512;
                entries++;
                int into = folder ? Libc.openat(fd, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC) : -1;
                if (into < 0)
                    continue;
                try
                {
                    (long more, long others) = Below(into, linked);
                    bytes += more;
                    entries += others;
                }
                finally
                {
                    Libc.close(into);
                }
            }
        }
        return (bytes, entries);
    }
}
