namespace Containers.Linux;

/// <summary>&lt;linux/nsfs.h&gt;: ioctl_ns(2), on a descriptor of /proc/PID/ns/*.</summary>
public static unsafe partial class Libc
{
    /// <summary>A descriptor of the owning user namespace; EPERM when it is outside of the caller's.</summary>
    public const int NS_GET_USERNS = 0xb701;
    /// <summary>A descriptor of the parent, for user and pid namespaces; EPERM when it is outside of the caller's.</summary>
    public const int NS_GET_PARENT = 0xb702;
    /// <summary>CLONE_NEW*.</summary>
    public const int NS_GET_NSTYPE = 0xb703;
    /// <summary>The user id, through a pointer, that made a user namespace.</summary>
    public const int NS_GET_OWNER_UID = 0xb704;
}
