using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/inotify.h&gt;.</summary>
public static unsafe partial class Libc
{
    public const int IN_CLOEXEC = 0x80000;
    public const int IN_NONBLOCK = 0x800;
    public const int IN_ACCESS = 0x1;
    public const int IN_MODIFY = 0x2;
    public const int IN_ATTRIB = 0x4;
    public const int IN_CLOSE_WRITE = 0x8;
    public const int IN_CLOSE_NOWRITE = 0x10;
    public const int IN_OPEN = 0x20;
    public const int IN_MOVED_FROM = 0x40;
    public const int IN_MOVED_TO = 0x80;
    public const int IN_CREATE = 0x100;
    public const int IN_DELETE = 0x200;
    public const int IN_DELETE_SELF = 0x400;
    public const int IN_MOVE_SELF = 0x800;
    public const int IN_UNMOUNT = 0x2000;
    public const int IN_Q_OVERFLOW = 0x4000;
    public const int IN_IGNORED = 0x8000;
    public const int IN_ONLYDIR = 0x1000000;
    public const int IN_DONT_FOLLOW = 0x2000000;
    public const int IN_EXCL_UNLINK = 0x4000000;
    public const int IN_MASK_CREATE = 0x10000000;
    public const int IN_MASK_ADD = 0x20000000;
    public const int IN_ISDIR = 0x40000000;
    public const uint IN_ONESHOT = 0x80000000;

    [LibraryImport(C, SetLastError = true)]
    public static partial int inotify_init1(int flags);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int inotify_add_watch(int fd, string pathname, uint mask);

    [LibraryImport(C, SetLastError = true)]
    public static partial int inotify_rm_watch(int fd, int wd);
}

/// <summary>The head of an event; <c>len</c> bytes of name follow, padded with zeros.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct inotify_event
{
    public int wd;
    public uint mask;
    public uint cookie;
    public uint len;
}
