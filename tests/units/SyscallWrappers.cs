using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>What linux/syscalls does beyond passing a call on.</summary>
public unsafe class SyscallWrappers
{
    [Fact]
    public void A_failed_call_becomes_an_exception_that_names_call_thing_and_cause()
    {
        var e = Assert.Throws<LinuxException>(() => LinuxException.Check(Libc.open("/no/such/file", Libc.O_RDONLY), "open", "/no/such/file"));
        Assert.Equal(("open", "/no/such/file", Libc.ENOENT, "ENOENT"), (e.Call, e.What, e.Errno, e.ErrnoName));
        Assert.Equal("open /no/such/file: no such file or directory (ENOENT)", e.Message);
        Assert.Equal("setsid: operation not permitted (EPERM)", new LinuxException("setsid", null, Libc.EPERM).Message);
    }

    [Fact]
    public void Check_passes_results_on() => Assert.Equal((0, 7, (nint)9), (LinuxException.Check(0, "x"), LinuxException.Check(7, "x"), LinuxException.Check((nint)9, "x")));

    [Fact]
    public void A_string_with_a_NUL_inside_never_reaches_the_kernel()
    {
        Assert.Throws<ArgumentException>(() => Libc.open("/etc/passwd\0.txt", Libc.O_RDONLY));
        Assert.Throws<ArgumentException>(() => Libc.mount("a", "/tm\0p", "tmpfs", 0, null));
        Assert.Throws<ArgumentException>(() => Libc.unlink("\0"));
    }

    [Fact]
    public void Strings_arrive_whole_whatever_their_length()
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("containers-units-");
        byte* target = stackalloc byte[4096];
        // On both sides of the marshaller's buffer, counted in characters and in bytes.
        foreach (string text in from length in new[] { 1, 84, 85, 86, 254, 255, 256, 257, 1300 }
                                from character in "xé€"
                                select new string(character, length))
        {
            string link = $"{folder.FullName}/{text.Length}-{(int)text[0]}";
            LinuxException.Check(Libc.symlinkat(text, Libc.AT_FDCWD, link), "symlinkat", link);
            nint length = LinuxException.Check(Libc.readlinkat(Libc.AT_FDCWD, link, target, 4096), "readlinkat", link);
            Assert.Equal(text, Encoding.UTF8.GetString(target, (int)length));
        }
        folder.Delete(recursive: true);
    }

    [Fact]
    public void Errno_of_the_raw_call_is_where_C_has_it()
    {
        Assert.Equal(-1, Libc.syscall(Libc.SYS_close, -1, 0, 0, 0, 0, 0));
        Assert.Equal(Libc.EBADF, *Libc.__errno_location());
        Assert.Equal(Libc.getpid(), Libc.syscall(Libc.SYS_getpid, 0, 0, 0, 0, 0, 0));
    }

    [Fact]
    public void Wait_statuses_read_as_in_C()
    {
        Assert.True(Libc.WIFEXITED(0x0300) && Libc.WEXITSTATUS(0x0300) == 3 && !Libc.WIFSIGNALED(0x0300) && !Libc.WIFSTOPPED(0x0300));
        Assert.True(Libc.WIFSIGNALED(9) && Libc.WTERMSIG(9) == 9 && !Libc.WCOREDUMP(9) && !Libc.WIFEXITED(9));
        Assert.True(Libc.WIFSIGNALED(0x8b) && Libc.WTERMSIG(0x8b) == 11 && Libc.WCOREDUMP(0x8b));
        Assert.True(Libc.WIFSTOPPED(0x137f) && Libc.WSTOPSIG(0x137f) == 19 && !Libc.WIFSIGNALED(0x137f));
        Assert.True(Libc.WIFCONTINUED(0xffff) && !Libc.WIFSIGNALED(0xffff) && !Libc.WIFEXITED(0xffff));
    }

    [Theory]
    [InlineData(0u, 0u)]
    [InlineData(1u, 3u)]
    [InlineData(136u, 70000u)]
    [InlineData(0xfffu, 0xfffffu)]
    [InlineData(0xffffffffu, 0xffffffffu)]
    public void Device_numbers_are_packed_as_libc_packs_them(uint major, uint minor)
    {
        ulong device = Libc.makedev(major, minor);
        Assert.Equal(gnu_dev_makedev(major, minor), device);
        Assert.Equal((major, minor), (Libc.major(device), Libc.minor(device)));
    }

    [DllImport("libc")]
    static extern ulong gnu_dev_makedev(uint major, uint minor);

    [Fact]
    public void Statx_tells_a_device_and_its_numbers()
    {
        Assert.Equal(0, Libc.statx(Libc.AT_FDCWD, "/dev/null", 0, Libc.STATX_BASIC_STATS, out statx s));
        Assert.Equal((Libc.S_IFCHR, 1u, 3u), (s.stx_mode & Libc.S_IFMT, s.stx_rdev_major, s.stx_rdev_minor));
    }

    [Fact]
    public void Openat2_stays_beneath_its_folder()
    {
        using SafeFileHandle folder = new(LinuxException.Check(Libc.open("/proc/self", Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open"), true);
        open_how how = new() { flags = Libc.O_RDONLY | Libc.O_CLOEXEC, resolve = Libc.RESOLVE_BENEATH };
        Assert.Equal(-1, Libc.openat2((int)folder.DangerousGetHandle(), "../../etc/passwd", how));
        Assert.Equal(Libc.EXDEV, Libc.errno);
        using SafeFileHandle status = new(LinuxException.Check(Libc.openat2((int)folder.DangerousGetHandle(), "status", how), "openat2"), true);
        Assert.False(status.IsInvalid);
    }

    [Fact]
    public void Events_keep_the_data_they_were_registered_with()
    {
        using SafeFileHandle epoll = new(LinuxException.Check(Libc.epoll_create1(Libc.EPOLL_CLOEXEC), "epoll_create1"), true);
        using SafeFileHandle first = new(LinuxException.Check(Libc.eventfd(1, Libc.EFD_CLOEXEC), "eventfd"), true);
        using SafeFileHandle second = new(LinuxException.Check(Libc.eventfd(1, Libc.EFD_CLOEXEC), "eventfd"), true);
        int fd = (int)epoll.DangerousGetHandle();
        LinuxException.Check(Libc.epoll_ctl(fd, Libc.EPOLL_CTL_ADD, (int)first.DangerousGetHandle(), Libc.EPOLLIN, ulong.MaxValue - 1), "epoll_ctl");
        LinuxException.Check(Libc.epoll_ctl(fd, Libc.EPOLL_CTL_ADD, (int)second.DangerousGetHandle(), Libc.EPOLLIN, 0x0123456789abcdef), "epoll_ctl");
        var events = new epoll_event[8];
        Assert.Equal(2, Libc.epoll_wait(fd, events, 1000));
        Assert.Equal([0x0123456789abcdef, ulong.MaxValue - 1], events.Take(2).Select(e => e.data).Order().ToArray());
        Assert.All(events.Take(2), e => Assert.Equal((uint)Libc.EPOLLIN, e.events));
    }

    [Fact]
    public void Sockets_have_paths_that_fit()
    {
        Assert.True(sockaddr_un.TryMake("/run/a.sock"u8, out sockaddr_un address));
        Assert.Equal("/run/a.sock", Marshal.PtrToStringUTF8((nint)address.sun_path));
        Assert.True(sockaddr_un.TryMake(new byte[107].Select(_ => (byte)'a').ToArray(), out _));
        Assert.False(sockaddr_un.TryMake(new byte[108].Select(_ => (byte)'a').ToArray(), out _));
        Assert.False(sockaddr_un.TryMake("\0abstract"u8, out _));
        Assert.False(sockaddr_un.TryMake(""u8, out _));
    }

    [Fact]
    public void Descriptors_travel_over_a_socket_and_come_out_close_on_exec()
    {
        int* pair = stackalloc int[2];
        LinuxException.Check(Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, pair), "socketpair");
        int memory = LinuxException.Check(Libc.memfd_create("traveller", 0), "memfd_create");
        fixed (byte* text = "hello"u8)
            Libc.write(memory, text, 5);
        Assert.Equal(3, DescriptorMessage.Send(pair[0], "abc"u8, [memory, memory, memory]));

        Span<byte> payload = stackalloc byte[16];
        Span<int> descriptors = stackalloc int[2];
        Assert.Equal(3, DescriptorMessage.Receive(pair[1], payload, descriptors, out int received));
        Assert.Equal("abc", Encoding.UTF8.GetString(payload[..3]));
        Assert.Equal(2, received);
        byte* content = stackalloc byte[5];
        Assert.Equal(5, Libc.pread(descriptors[1], content, 5, 0));
        Assert.Equal("hello", Encoding.UTF8.GetString(content, 5));
        Assert.Equal(Libc.FD_CLOEXEC, Libc.fcntl(descriptors[0], Libc.F_GETFD));
        foreach (int fd in (int[])[pair[0], pair[1], memory, descriptors[0], descriptors[1]])
            Libc.close(fd);
    }

    [Fact]
    public void A_descriptor_that_finds_no_room_is_closed()
    {
        int* pair = stackalloc int[2];
        int* pipe = stackalloc int[2];
        LinuxException.Check(Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, pair), "socketpair");
        LinuxException.Check(Libc.pipe2(pipe, Libc.O_CLOEXEC | Libc.O_NONBLOCK), "pipe2");
        Assert.Equal(1, DescriptorMessage.Send(pair[0], "x"u8, [pipe[1]]));
        Libc.close(pipe[1]);
        Span<byte> payload = stackalloc byte[1];
        Assert.Equal(1, DescriptorMessage.Receive(pair[1], payload, [], out int received));
        Assert.Equal(0, received);
        // With the last writing end gone the pipe is at its end; with one left open it would give EAGAIN.
        byte unused;
        Assert.Equal(0, Libc.read(pipe[0], &unused, 1));
        foreach (int fd in (int[])[pair[0], pair[1], pipe[0]])
            Libc.close(fd);
    }

    [Fact]
    public void A_pidfd_holds_one_process()
    {
        using SafeFileHandle self = PidFd.Open(Environment.ProcessId);
        Assert.True(PidFd.Send(self, 0));
        Assert.Equal(Libc.EINVAL, Assert.Throws<LinuxException>(() => PidFd.Send(self, 99)).Errno);
        Assert.Throws<LinuxException>(() => PidFd.Open(int.MaxValue));
    }

    [Fact]
    public void A_pseudo_terminal_opens_its_far_end_without_a_path_and_passes_bytes_raw()
    {
        int near = LinuxException.Check(Libc.openpt("/dev/ptmx"), "openpt");
        int far = LinuxException.Check(Libc.openpt_peer(near, Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC), "openpt_peer");
        termios mode;
        LinuxException.Check(Libc.tcgetattr(far, &mode), "tcgetattr");
        Libc.cfmakeraw(&mode);
        LinuxException.Check(Libc.tcsetattr(far, &mode), "tcsetattr");
        winsize size = new() { ws_row = 40, ws_col = 120 };
        LinuxException.Check(Libc.ioctl(near, Libc.TIOCSWINSZ, &size), "TIOCSWINSZ");
        size = default;
        LinuxException.Check(Libc.ioctl(far, Libc.TIOCGWINSZ, &size), "TIOCGWINSZ");
        Assert.Equal((40, 120), (size.ws_row, size.ws_col));
        byte* text = stackalloc byte[4];
        "\n\x03\x04z"u8.CopyTo(new Span<byte>(text, 4));
        Assert.Equal(4, Libc.write(far, text, 4));
        byte* echo = stackalloc byte[8];
        Assert.Equal(4, Libc.read(near, echo, 8));
        Assert.Equal("\n\x03\x04z", Encoding.ASCII.GetString(echo, 4));
        Libc.close(near);
        Libc.close(far);
    }
}
