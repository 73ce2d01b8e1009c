namespace Containers.Tests.Units;

/// <summary>A set of headers that can stand in one C file. Some of libc's and the kernel's cannot stand together.</summary>
sealed record CHeaders(string Name, string Text)
{
    public static readonly CHeaders Libc = new("libc and kernel", """
        #include <dirent.h>
        #include <elf.h>
        #include <errno.h>
        #include <fcntl.h>
        #include <net/if.h>
        #include <poll.h>
        #include <sched.h>
        #include <signal.h>
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/auxv.h>
        #include <link.h>
        #include <sys/epoll.h>
        #include <sys/eventfd.h>
        #include <sys/file.h>
        #include <sys/inotify.h>
        #include <sys/ioctl.h>
        #include <sys/mman.h>
        #include <sys/prctl.h>
        #include <sys/resource.h>
        #include <sys/signalfd.h>
        #include <sys/socket.h>
        #include <sys/stat.h>
        #include <sys/syscall.h>
        #include <sys/timerfd.h>
        #include <sys/uio.h>
        #include <sys/un.h>
        #include <sys/vfs.h>
        #include <sys/wait.h>
        #include <sys/xattr.h>
        #include <termios.h>
        #include <unistd.h>
        #include <linux/audit.h>
        #include <linux/bpf.h>
        #include <linux/capability.h>
        #include <linux/close_range.h>
        #include <linux/filter.h>
        #include <linux/ioprio.h>
        #include <linux/kcmp.h>
        #include <linux/keyctl.h>
        #include <linux/if_addr.h>
        #include <linux/magic.h>
        #include <linux/netlink.h>
        #include <linux/nsfs.h>
        #include <linux/openat2.h>
        #include <linux/rtnetlink.h>
        #include <linux/sched.h>
        #include <linux/seccomp.h>
        #include <linux/securebits.h>
        #include <linux/sockios.h>
        """);

    public static readonly CHeaders Kernel = new("kernel", """
        #include <stddef.h>
        #include <stdio.h>
        #include <linux/btrfs.h>
        #include <linux/btrfs_tree.h>
        #include <linux/fcntl.h>
        #include <linux/fs.h>
        #include <linux/memfd.h>
        #include <linux/mount.h>
        #include <linux/pidfd.h>
        #include <linux/sched/types.h>
        """);

    public static readonly CHeaders LibcMounts = new("libc mounts", """
        #include <stddef.h>
        #include <stdio.h>
        #include <sys/mount.h>
        """);

    public static readonly CHeaders KernelSignals = new("kernel signals", """
        #include <stddef.h>
        #include <stdio.h>
        #include <asm/signal.h>
        """);

    public static readonly CHeaders KernelTerminals = new("kernel terminals", """
        #include <stddef.h>
        #include <stdio.h>
        #include <asm/termbits.h>
        #include <asm/termios.h>
        """);

    public static readonly CHeaders[] All = [Libc, Kernel, LibcMounts, KernelSignals, KernelTerminals];
}
