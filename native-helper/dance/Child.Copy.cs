using Containers.Linux;

namespace Psrun.Dance;

/// <summary>tmpcopyup: the content of a folder goes into the file system that will cover it. The rule of Child.cs holds here too.</summary>
static unsafe partial class Child
{
    const int CopyDepth = 128;
    const int EntriesSize = 2048;

    /// <summary>Copies everything below folder <paramref name="from"/> into folder <paramref name="to"/>, and with <paramref name="own"/> its mode and owner.</summary>
    static int CopyFolder(nint from, nint to, bool own, int depth, byte* scratch)
    {
        if (depth == CopyDepth)
            return Libc.ELOOP;
        byte* entries = scratch;
        statx* stat = (statx*)(scratch + EntriesSize);
        byte* text = scratch + EntriesSize + 256;
        int errno = 0;
        while (errno == 0)
        {
            nint n = Libc.syscall(Libc.SYS_getdents64, from, (nint)entries, EntriesSize, 0, 0, 0);
            if (n == -1)
                return *Libc.__errno_location();
            if (n == 0)
                break;
            for (nint at = 0; at < n && errno == 0;)
            {
                linux_dirent64* entry = (linux_dirent64*)(entries + at);
                byte* name = entries + at + linux_dirent64.NameOffset;
                long next = entry->d_off;
                at += entry->d_reclen;
                if (name[0] == '.' && (name[1] == 0 || name[1] == '.' && name[2] == 0))
                    continue;
                if (Libc.syscall(Libc.SYS_statx, from, (nint)name, Libc.AT_SYMLINK_NOFOLLOW, (nint)Libc.STATX_BASIC_STATS, (nint)stat, 0) == -1)
                    return *Libc.__errno_location();
                int kind = stat->stx_mode & Libc.S_IFMT;
                if (kind != Libc.S_IFDIR)
                {
                    errno = CopyEntry(from, to, name, kind, stat, text);
                    continue;
                }
                if (Libc.syscall(Libc.SYS_mkdirat, to, (nint)name, 0x1C0, 0, 0, 0) == -1)
                    return *Libc.__errno_location();
                nint inner = Libc.syscall(Libc.SYS_openat, from, (nint)name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0, 0, 0);
                if (inner == -1)
                    return *Libc.__errno_location();
                nint made = Libc.syscall(Libc.SYS_openat, to, (nint)name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0, 0, 0);
                if (made == -1)
                    return *Libc.__errno_location();
                errno = CopyFolder(inner, made, true, depth + 1, scratch);
                Libc.syscall(Libc.SYS_close, inner, 0, 0, 0, 0, 0);
                Libc.syscall(Libc.SYS_close, made, 0, 0, 0, 0, 0);
                // The one buffer was used inside: this folder is read again from the next entry on.
                if (errno == 0 && Libc.syscall(Libc.SYS_lseek, from, (nint)next, Libc.SEEK_SET, 0, 0, 0) == -1)
                    return *Libc.__errno_location();
                break;
            }
        }
        return errno == 0 && own ? CopyOwner(from, to, stat, text) : errno;
    }

    /// <summary>Owner, then mode (a change of owner takes set-user-id away), then the time of the last change.</summary>
    static int CopyOwner(nint from, nint to, statx* stat, byte* text)
    {
        text[0] = 0;
        if (Libc.syscall(Libc.SYS_statx, from, (nint)text, Libc.AT_EMPTY_PATH, (nint)Libc.STATX_BASIC_STATS, (nint)stat, 0) == -1
            || Libc.syscall(Libc.SYS_fchown, to, (nint)stat->stx_uid, (nint)stat->stx_gid, 0, 0, 0) == -1
            || Libc.syscall(Libc.SYS_fchmod, to, stat->stx_mode & 0xFFF, 0, 0, 0, 0) == -1)
            return *Libc.__errno_location();
        timespec* times = (timespec*)text;
        times[0].tv_sec = stat->stx_atime.tv_sec;
        times[0].tv_nsec = stat->stx_atime.tv_nsec;
        times[1].tv_sec = stat->stx_mtime.tv_sec;
        times[1].tv_nsec = stat->stx_mtime.tv_nsec;
        return Libc.syscall(Libc.SYS_utimensat, to, 0, (nint)times, 0, 0, 0) == -1 ? *Libc.__errno_location() : 0;
    }

    static int CopyMode(nint from, nint to, stat_scratch* scratch)
    {
        int errno = StatDescriptor(from, scratch);
        return errno == 0 && Libc.syscall(Libc.SYS_fchmod, to, scratch->Stat.stx_mode & 0xFFF, 0, 0, 0, 0) == -1 ? *Libc.__errno_location() : errno;
    }

    static int CopyEntry(nint from, nint to, byte* name, int kind, statx* stat, byte* text)
    {
        if (kind == Libc.S_IFREG)
            return CopyFile(from, to, name, stat, text);
        if (kind == Libc.S_IFLNK)
        {
            nint length = Libc.syscall(Libc.SYS_readlinkat, from, (nint)name, (nint)text, PathMax - 1, 0, 0);
            if (length == -1)
                return *Libc.__errno_location();
            text[length] = 0;
            if (Libc.syscall(Libc.SYS_symlinkat, (nint)text, to, (nint)name, 0, 0, 0) == -1)
                return *Libc.__errno_location();
        }
        else
        {
            nint device = (nint)((stat->stx_rdev_minor & 0xffu) | (ulong)(stat->stx_rdev_major & 0xfffu) << 8 | (ulong)(stat->stx_rdev_minor & ~0xffu) << 12
                | (ulong)(stat->stx_rdev_major & ~0xfffu) << 32);
            if (Libc.syscall(Libc.SYS_mknodat, to, (nint)name, stat->stx_mode, device, 0, 0) == -1)
                return *Libc.__errno_location();
        }
        return Libc.syscall(Libc.SYS_fchownat, to, (nint)name, (nint)stat->stx_uid, (nint)stat->stx_gid, Libc.AT_SYMLINK_NOFOLLOW, 0) == -1 ? *Libc.__errno_location() : 0;
    }

    static int CopyFile(nint from, nint to, byte* name, statx* stat, byte* text)
    {
        // Not blocking: a pipe may have taken the file's place meanwhile.
        nint source = Libc.syscall(Libc.SYS_openat, from, (nint)name, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_CLOEXEC, 0, 0, 0);
        if (source == -1)
            return *Libc.__errno_location();
        int errno = 0;
        nint target = Libc.syscall(Libc.SYS_openat, to, (nint)name, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0x180, 0, 0);
        if (target == -1)
        {
            errno = *Libc.__errno_location();
        }
        else
        {
            nint n;
            do
                n = Libc.syscall(Libc.SYS_sendfile, target, source, 0, 1 << 30, 0, 0);
            while (n > 0);
            errno = n == -1 ? *Libc.__errno_location() : CopyOwner(source, target, stat, text);
            Libc.syscall(Libc.SYS_close, target, 0, 0, 0, 0, 0);
        }
        Libc.syscall(Libc.SYS_close, source, 0, 0, 0, 0, 0);
        return errno;
    }
}
