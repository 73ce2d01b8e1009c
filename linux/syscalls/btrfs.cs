using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/btrfs.h&gt;, &lt;linux/btrfs_tree.h&gt;: subvolumes, by ioctl(2) on an open folder.</summary>
public static unsafe partial class Libc
{
    /// <summary>Removes the subvolume of a name with what is in it, but for subvolumes in it (ENOTEMPTY). With <see cref="btrfs_ioctl_vol_args"/>.</summary>
    public const int BTRFS_IOC_SNAP_DESTROY = 0x5000940f;
    /// <summary>With <see cref="btrfs_ioctl_vol_args_v2"/>.</summary>
    public const int BTRFS_IOC_SNAP_CREATE_V2 = 0x50009417;
    /// <summary>With <see cref="btrfs_ioctl_vol_args_v2"/>.</summary>
    public const int BTRFS_IOC_SUBVOL_CREATE_V2 = 0x50009418;
    /// <summary>Writes 64 bits of BTRFS_SUBVOL_*.</summary>
    public const uint BTRFS_IOC_SUBVOL_GETFLAGS = 0x80089419;
    /// <summary>Points to 64 bits of BTRFS_SUBVOL_*.</summary>
    public const int BTRFS_IOC_SUBVOL_SETFLAGS = 0x4008941a;
    public const int BTRFS_SUBVOL_RDONLY = 0x2;
    /// <summary>The inode number of the root folder of every subvolume.</summary>
    public const int BTRFS_FIRST_FREE_OBJECTID = 256;
}

[StructLayout(LayoutKind.Sequential)]
public unsafe struct btrfs_ioctl_vol_args
{
    public long fd;
    /// <summary>Ended by a zero.</summary>
    public fixed byte name[4088];
}

[StructLayout(LayoutKind.Explicit, Size = 4096)]
public unsafe struct btrfs_ioctl_vol_args_v2
{
    /// <summary>Of a snapshot: the subvolume that it is of.</summary>
    [FieldOffset(0)] public long fd;
    [FieldOffset(8)] public ulong transid;
    [FieldOffset(16)] public ulong flags;
    /// <summary>Ended by a zero.</summary>
    [FieldOffset(56)] public fixed byte name[4040];
}
