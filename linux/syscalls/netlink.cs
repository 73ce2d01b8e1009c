using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/netlink.h&gt;, &lt;linux/rtnetlink.h&gt;, &lt;linux/if_addr.h&gt;: netlink(7), rtnetlink(7).</summary>
public static unsafe partial class Libc
{
    public const int NETLINK_ROUTE = 0;
    public const int NLM_F_REQUEST = 1;
    public const int NLM_F_ACK = 4;
    public const int NLM_F_EXCL = 0x200;
    public const int NLM_F_CREATE = 0x400;
    public const int NLM_F_DUMP = 0x300;
    public const int NLMSG_ERROR = 2;
    public const int NLMSG_DONE = 3;
    public const int RTM_NEWLINK = 16;
    public const int RTM_GETLINK = 18;
    public const int RTM_NEWADDR = 20;
    public const int RTM_GETADDR = 22;
    public const int RT_SCOPE_UNIVERSE = 0;
    public const int IFLA_IFNAME = 3;
    public const int IFLA_NET_NS_FD = 28;
    public const int IFA_ADDRESS = 1;
    public const int IFA_LOCAL = 2;
    public const int IFA_BROADCAST = 4;
    public const int IFA_FLAGS = 8;
    public const int IFA_F_PERMANENT = 0x80;
    public const int IFNAMSIZ = 16;
}

/// <summary>Head of a netlink message; what follows is padded to 4 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct nlmsghdr
{
    public uint nlmsg_len;
    public ushort nlmsg_type;
    public ushort nlmsg_flags;
    public uint nlmsg_seq;
    public uint nlmsg_pid;
}

/// <summary>A network interface, rtnetlink(7).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ifinfomsg
{
    public byte ifi_family;
    byte ifi_pad;
    public ushort ifi_type;
    public int ifi_index;
    public uint ifi_flags;
    public uint ifi_change;
}

/// <summary>An address of a network interface, rtnetlink(7).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct ifaddrmsg
{
    public byte ifa_family;
    public byte ifa_prefixlen;
    public byte ifa_flags;
    public byte ifa_scope;
    public uint ifa_index;
}

/// <summary>Head of an attribute; its value follows, padded to 4 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct rtattr
{
    public ushort rta_len;
    public ushort rta_type;
}
