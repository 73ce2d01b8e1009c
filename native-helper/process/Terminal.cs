using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>
/// process.terminal: a pseudo-terminal of the container's own devpts. The master goes to whoever listens on the console socket; the slave becomes standard
/// input, output and error and the controlling terminal.
/// </summary>
static unsafe class Terminal
{
    /// <param name="console">A connected socket, an open descriptor of the parent's.</param>
    /// <param name="root">Where the container's root is; null when it is "/" already.</param>
    public static void Add(Plan plan, nint* root, int console, Process process, bool bindConsole)
    {
        const string words = "process.terminal";
        open_how* how = (open_how*)plan.Allocate(sizeof(open_how));
        how->flags = (ulong)(Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
        how->resolve = (ulong)Libc.RESOLVE_IN_ROOT;
        nint* top = root;
        if (top == null)
            top = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/"), Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        nint* master = plan.Open($"{words}: open /dev/pts/ptmx", Libc.SYS_openat2, top, plan.Text("dev/pts/ptmx"), (nint)how, sizeof(open_how));
        // Whatever the image put there in its place gets no ioctl of ours, and does not go to the caller as a terminal.
        plan.Do($"{words}: /dev/pts/ptmx is not the terminal multiplexer", StepKind.RequireDevice, master, 5, 2);
        int* unlocked = (int*)plan.Allocate(4);
        plan.Call($"{words}: unlock", Libc.SYS_ioctl, master, Libc.TIOCSPTLCK, (nint)unlocked);
        // By descriptor, not by a path that the image could have prepared.
        nint* slave = plan.Open($"{words}: open the slave", Libc.SYS_ioctl, master, Libc.TIOCGPTPEER, Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
        if (process.ConsoleSize is { } size)
        {
            winsize* window = (winsize*)plan.Allocate(sizeof(winsize));
            window->ws_row = (ushort)(size.Height ?? 0);
            window->ws_col = (ushort)(size.Width ?? 0);
            plan.Call("process.consoleSize", Libc.SYS_ioctl, master, Libc.TIOCSWINSZ, (nint)window);
        }
        plan.Call($"{words}: owner", Libc.SYS_fchown, slave, process.User?.Uid ?? 0, unchecked((nint)uint.MaxValue));
        if (bindConsole)
        {
            nint* tree = plan.Open($"{words}: /dev/console", Libc.SYS_open_tree, slave, plan.Text(""), (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | Libc.AT_EMPTY_PATH);
            Rootfs.Mounts.Attach(plan, top, tree, "/dev/console", Child.TargetFile | Child.TargetWithoutLinks);
            plan.Close(tree);
        }
        SendDescriptor(plan, console, master);
        plan.Close(master);
        for (int fd = 0; fd < 3; fd++)
            plan.Call(words, Libc.SYS_dup3, slave, fd, 0);
        plan.Close(slave);
        plan.Call($"{words}: make it the controlling terminal", Libc.SYS_ioctl, 0, Libc.TIOCSCTTY, 0);
        if (root == null)
            plan.Close(top);
    }

    /// <summary>sendmsg(2) with one descriptor; the cell is inside the control message, so the step that opens it fills it in.</summary>
    static void SendDescriptor(Plan plan, int socket, nint* fd)
    {
        byte[] name = Encoding.UTF8.GetBytes("/dev/pts/ptmx");
        byte* text = plan.Allocate(name.Length);
        name.CopyTo(new Span<byte>(text, name.Length));
        iovec* part = (iovec*)plan.Allocate(sizeof(iovec));
        part->iov_base = (void*)text;
        part->iov_len = (nuint)name.Length;
        byte* control = plan.Allocate(24);
        *(nint*)control = 20;
        *(int*)(control + 8) = Libc.SOL_SOCKET;
        *(int*)(control + 12) = Libc.SCM_RIGHTS;
        msghdr* message = (msghdr*)plan.Allocate(sizeof(msghdr));
        message->msg_iov = part;
        message->msg_iovlen = 1;
        message->msg_control = control;
        message->msg_controllen = 24;
        // A step's result can be put anywhere: here into the message itself (little endian, so the low half is the int the kernel reads).
        Step* copy = plan.Call("process.terminal", Libc.SYS_fcntl, fd, Libc.F_DUPFD_CLOEXEC, 0);
        copy->Result = (nint*)(control + 16);
        plan.Call("process.terminal: send to the console socket", Libc.SYS_sendmsg, socket, (nint)message, 0);
        plan.Call(null, Libc.SYS_close, (nint*)(control + 16));
    }
}
