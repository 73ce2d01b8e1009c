using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/mount.h&gt;, &lt;linux/mount.h&gt;: mount(2), umount2(2) and the calls that took their place since Linux 5.2.</summary>
public static unsafe partial class Libc
{
    public const int MS_RDONLY = 0x1;
    public const int MS_NOSUID = 0x2;
    public const int MS_NODEV = 0x4;
    public const int MS_NOEXEC = 0x8;
    public const int MS_SYNCHRONOUS = 0x10;
    public const int MS_REMOUNT = 0x20;
    public const int MS_MANDLOCK = 0x40;
    public const int MS_DIRSYNC = 0x80;
    public const int MS_NOSYMFOLLOW = 0x100;
    public const int MS_NOATIME = 0x400;
    public const int MS_NODIRATIME = 0x800;
    public const int MS_BIND = 0x1000;
    public const int MS_MOVE = 0x2000;
    public const int MS_REC = 0x4000;
    public const int MS_SILENT = 0x8000;
    public const int MS_POSIXACL = 0x10000;
    public const int MS_UNBINDABLE = 0x20000;
    public const int MS_PRIVATE = 0x40000;
    public const int MS_SLAVE = 0x80000;
    public const int MS_SHARED = 0x100000;
    public const int MS_RELATIME = 0x200000;
    public const int MS_I_VERSION = 0x800000;
    public const int MS_STRICTATIME = 0x1000000;
    public const int MS_LAZYTIME = 0x2000000;

    public const int MNT_FORCE = 0x1;
    public const int MNT_DETACH = 0x2;
    public const int MNT_EXPIRE = 0x4;
    public const int UMOUNT_NOFOLLOW = 0x8;

    public const int OPEN_TREE_CLONE = 0x1;
    public const int OPEN_TREE_CLOEXEC = 0x80000;

    public const int MOVE_MOUNT_F_SYMLINKS = 0x1;
    public const int MOVE_MOUNT_F_AUTOMOUNTS = 0x2;
    public const int MOVE_MOUNT_F_EMPTY_PATH = 0x4;
    public const int MOVE_MOUNT_T_SYMLINKS = 0x10;
    public const int MOVE_MOUNT_T_AUTOMOUNTS = 0x20;
    public const int MOVE_MOUNT_T_EMPTY_PATH = 0x40;
    public const int MOVE_MOUNT_SET_GROUP = 0x100;
    /// <summary>Linux 6.5.</summary>
    public const int MOVE_MOUNT_BENEATH = 0x200;

    public const int FSOPEN_CLOEXEC = 0x1;

    public const int FSPICK_CLOEXEC = 0x1;
    public const int FSPICK_SYMLINK_NOFOLLOW = 0x2;
    public const int FSPICK_NO_AUTOMOUNT = 0x4;
    public const int FSPICK_EMPTY_PATH = 0x8;

    public const int FSCONFIG_SET_FLAG = 0;
    public const int FSCONFIG_SET_STRING = 1;
    public const int FSCONFIG_SET_BINARY = 2;
    public const int FSCONFIG_SET_PATH = 3;
    public const int FSCONFIG_SET_PATH_EMPTY = 4;
    public const int FSCONFIG_SET_FD = 5;
    public const int FSCONFIG_CMD_CREATE = 6;
    public const int FSCONFIG_CMD_RECONFIGURE = 7;
    /// <summary>Linux 6.6.</summary>
    public const int FSCONFIG_CMD_CREATE_EXCL = 8;

    public const int FSMOUNT_CLOEXEC = 0x1;

    public const int MOUNT_ATTR_RDONLY = 0x1;
    public const int MOUNT_ATTR_NOSUID = 0x2;
    public const int MOUNT_ATTR_NODEV = 0x4;
    public const int MOUNT_ATTR_NOEXEC = 0x8;
    public const int MOUNT_ATTR__ATIME = 0x70;
    public const int MOUNT_ATTR_RELATIME = 0x0;
    public const int MOUNT_ATTR_NOATIME = 0x10;
    public const int MOUNT_ATTR_STRICTATIME = 0x20;
    public const int MOUNT_ATTR_NODIRATIME = 0x80;
    public const int MOUNT_ATTR_IDMAP = 0x100000;
    public const int MOUNT_ATTR_NOSYMFOLLOW = 0x200000;

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int mount(string? source, string target, string? filesystemtype, ulong mountflags, string? data);

    [LibraryImport(C, SetLastError = true)]
    public static partial int mount(byte* source, byte* target, byte* filesystemtype, ulong mountflags, void* data);

    [LibraryImport(C, SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    public static partial int umount2(string target, int flags);

    public static int open_tree(int dirfd, string path, int flags) => path_call(SYS_open_tree, dirfd, path, flags);

    public static int move_mount(int from_dirfd, string from_path, int to_dirfd, string to_path, int flags) =>
        (int)syscall_move_mount(SYS_move_mount, from_dirfd, from_path, to_dirfd, to_path, flags);

    public static int fsopen(string fsname, int flags) => (int)syscall_path_flags(SYS_fsopen, fsname, flags);

    public static int fsconfig(int fd, uint cmd, string? key, string? value, int aux) =>
        (int)syscall_fsconfig(SYS_fsconfig, fd, (nint)cmd, key, value, aux);

    public static int fsmount(int fsfd, int flags, int attr_flags) =>
        (int)syscall_errno(SYS_fsmount, fsfd, flags, attr_flags, 0, 0, 0);

    public static int fspick(int dirfd, string path, int flags) => path_call(SYS_fspick, dirfd, path, flags);

    public static int mount_setattr(int dirfd, string path, int flags, in mount_attr attr)
    {
        fixed (mount_attr* a = &attr)
            return (int)syscall_mount_setattr(SYS_mount_setattr, dirfd, path, flags, a, (nuint)sizeof(mount_attr));
    }

    static int path_call(int number, int dirfd, string path, int flags) => (int)syscall_dirfd_path_flags(number, dirfd, path, flags);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_dirfd_path_flags(nint number, nint dirfd, string path, nint flags);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_path_flags(nint number, string path, nint flags);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_move_mount(nint number, nint from_dirfd, string from, nint to_dirfd, string to, nint flags);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_fsconfig(nint number, nint fd, nint cmd, string? key, string? value, nint aux);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_mount_setattr(nint number, nint dirfd, string path, nint flags, mount_attr* attr, nuint size);
}

/// <summary>mount_setattr(2).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct mount_attr
{
    public ulong attr_set;
    public ulong attr_clr;
    /// <summary>MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or 0 to leave it.</summary>
    public ulong propagation;
    public ulong userns_fd;
}
