using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/capability.h&gt;: capset(2), capget(2), capabilities(7).</summary>
public static unsafe partial class Libc
{
    public const int _LINUX_CAPABILITY_VERSION_3 = 0x20080522;
    public const int CAP_CHOWN = 0;
    public const int CAP_DAC_OVERRIDE = 1;
    public const int CAP_DAC_READ_SEARCH = 2;
    public const int CAP_FOWNER = 3;
    public const int CAP_FSETID = 4;
    public const int CAP_KILL = 5;
    public const int CAP_SETGID = 6;
    public const int CAP_SETUID = 7;
    public const int CAP_SETPCAP = 8;
    public const int CAP_LINUX_IMMUTABLE = 9;
    public const int CAP_NET_BIND_SERVICE = 10;
    public const int CAP_NET_BROADCAST = 11;
    public const int CAP_NET_ADMIN = 12;
    public const int CAP_NET_RAW = 13;
    public const int CAP_IPC_LOCK = 14;
    public const int CAP_IPC_OWNER = 15;
    public const int CAP_SYS_MODULE = 16;
    public const int CAP_SYS_RAWIO = 17;
    public const int CAP_SYS_CHROOT = 18;
    public const int CAP_SYS_PTRACE = 19;
    public const int CAP_SYS_PACCT = 20;
    public const int CAP_SYS_ADMIN = 21;
    public const int CAP_SYS_BOOT = 22;
    public const int CAP_SYS_NICE = 23;
    public const int CAP_SYS_RESOURCE = 24;
    public const int CAP_SYS_TIME = 25;
    public const int CAP_SYS_TTY_CONFIG = 26;
    public const int CAP_MKNOD = 27;
    public const int CAP_LEASE = 28;
    public const int CAP_AUDIT_WRITE = 29;
    public const int CAP_AUDIT_CONTROL = 30;
    public const int CAP_SETFCAP = 31;
    public const int CAP_MAC_OVERRIDE = 32;
    public const int CAP_MAC_ADMIN = 33;
    public const int CAP_SYSLOG = 34;
    public const int CAP_WAKE_ALARM = 35;
    public const int CAP_BLOCK_SUSPEND = 36;
    public const int CAP_AUDIT_READ = 37;
    public const int CAP_PERFMON = 38;
    public const int CAP_BPF = 39;
    public const int CAP_CHECKPOINT_RESTORE = 40;
    public const int CAP_LAST_CAP = 40;

    /// <param name="datap">Two of them: capabilities 0 to 31, then 32 to 63.</param>
    [LibraryImport(C, SetLastError = true)]
    public static partial int capset(cap_user_header* hdrp, cap_user_data* datap);

    /// <inheritdoc cref="capset"/>
    [LibraryImport(C, SetLastError = true)]
    public static partial int capget(cap_user_header* hdrp, cap_user_data* datap);
}

/// <summary>struct __user_cap_header_struct.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cap_user_header
{
    public uint version;
    public int pid;
}

/// <summary>struct __user_cap_data_struct.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct cap_user_data
{
    public uint effective;
    public uint permitted;
    public uint inheritable;
}

/// <summary>Names and numbers of capabilities.</summary>
public static class Capabilities
{
    /// <summary>The highest known here. A newer kernel may have more: /proc/sys/kernel/cap_last_cap.</summary>
    public const int Last = Libc.CAP_LAST_CAP;

    /// <summary>CAP_CHOWN and so on; null above <see cref="Last"/>.</summary>
    public static string? Name(int capability) => capability switch
    {
        Libc.CAP_CHOWN => "CAP_CHOWN",
        Libc.CAP_DAC_OVERRIDE => "CAP_DAC_OVERRIDE",
        Libc.CAP_DAC_READ_SEARCH => "CAP_DAC_READ_SEARCH",
        Libc.CAP_FOWNER => "CAP_FOWNER",
        Libc.CAP_FSETID => "CAP_FSETID",
        Libc.CAP_KILL => "CAP_KILL",
        Libc.CAP_SETGID => "CAP_SETGID",
        Libc.CAP_SETUID => "CAP_SETUID",
        Libc.CAP_SETPCAP => "CAP_SETPCAP",
        Libc.CAP_LINUX_IMMUTABLE => "CAP_LINUX_IMMUTABLE",
        Libc.CAP_NET_BIND_SERVICE => "CAP_NET_BIND_SERVICE",
        Libc.CAP_NET_BROADCAST => "CAP_NET_BROADCAST",
        Libc.CAP_NET_ADMIN => "CAP_NET_ADMIN",
        Libc.CAP_NET_RAW => "CAP_NET_RAW",
        Libc.CAP_IPC_LOCK => "CAP_IPC_LOCK",
        Libc.CAP_IPC_OWNER => "CAP_IPC_OWNER",
        Libc.CAP_SYS_MODULE => "CAP_SYS_MODULE",
        Libc.CAP_SYS_RAWIO => "CAP_SYS_RAWIO",
        Libc.CAP_SYS_CHROOT => "CAP_SYS_CHROOT",
        Libc.CAP_SYS_PTRACE => "CAP_SYS_PTRACE",
        Libc.CAP_SYS_PACCT => "CAP_SYS_PACCT",
        Libc.CAP_SYS_ADMIN => "CAP_SYS_ADMIN",
        Libc.CAP_SYS_BOOT => "CAP_SYS_BOOT",
        Libc.CAP_SYS_NICE => "CAP_SYS_NICE",
        Libc.CAP_SYS_RESOURCE => "CAP_SYS_RESOURCE",
        Libc.CAP_SYS_TIME => "CAP_SYS_TIME",
        Libc.CAP_SYS_TTY_CONFIG => "CAP_SYS_TTY_CONFIG",
        Libc.CAP_MKNOD => "CAP_MKNOD",
        Libc.CAP_LEASE => "CAP_LEASE",
        Libc.CAP_AUDIT_WRITE => "CAP_AUDIT_WRITE",
        Libc.CAP_AUDIT_CONTROL => "CAP_AUDIT_CONTROL",
        Libc.CAP_SETFCAP => "CAP_SETFCAP",
        Libc.CAP_MAC_OVERRIDE => "CAP_MAC_OVERRIDE",
        Libc.CAP_MAC_ADMIN => "CAP_MAC_ADMIN",
        Libc.CAP_SYSLOG => "CAP_SYSLOG",
        Libc.CAP_WAKE_ALARM => "CAP_WAKE_ALARM",
        Libc.CAP_BLOCK_SUSPEND => "CAP_BLOCK_SUSPEND",
        Libc.CAP_AUDIT_READ => "CAP_AUDIT_READ",
        Libc.CAP_PERFMON => "CAP_PERFMON",
        Libc.CAP_BPF => "CAP_BPF",
        Libc.CAP_CHECKPOINT_RESTORE => "CAP_CHECKPOINT_RESTORE",
        _ => null,
    };

    /// <param name="name">In capitals, with CAP_ in front, as the OCI runtime-spec writes it.</param>
    public static bool TryNumber(string name, out int capability)
    {
        for (capability = 0; capability <= Last; capability++)
            if (Name(capability) == name)
                return true;
        capability = -1;
        return false;
    }
}
