using System.Runtime.InteropServices;
using Containers.Linux;
using Psrun.Dance;
using Psrun.Processes;
using Psrun.Shim;

namespace Psrun.Kept;

/// <summary>
/// Runs a program in namespaces that are there. Its standard streams are psrun's own, or with --terminal a new pseudo-terminal that psrun's own one
/// stands in front of. How it ended goes to --report: {"exitCode":N,"signal":N|null} or {"error":{…}}.
/// </summary>
static unsafe class NamespaceProgram
{
    public static readonly string[] Known = ["join=", "root=", "cwd=", "user=", "report=", "terminal"];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 1, out int used);
        int report = -1;
        if (options.Value("report") is string path && (report = Libc.open(path, Libc.O_WRONLY | Libc.O_CLOEXEC)) < 0)
            throw new PsrunException($"--report: {path}: {Errnos.Text(Libc.errno)}");
        byte[] answer;
        int status;
        try
        {
            List<string> program = [.. options.Arguments, .. args[used..]];
            if (program.Count == 0)
                throw new PsrunException("namespace exec: a program is needed");
            status = Start(options, program);
            answer = Json.Object(w =>
            {
                Json.WriteNumber(w, "exitCode", status);
                Json.WriteNumber(w, "signal", Foreground.EndSignal > 0 ? Foreground.EndSignal : null);
            });
        }
        catch (PsrunException e)
        {
            if (report < 0)
                throw;
            status = 1;
            answer = Json.Error(Word(e), e.Message);
        }
        if (report >= 0)
            Log.Write(report, answer);
        return status;
    }

    static string Word(PsrunException e) => e.Message.StartsWith("exec: ", StringComparison.Ordinal)
        ? e.Errno is Libc.ENOENT or Libc.ENOTDIR ? "ExecutableNotFound" : "ExecutableNotPermitted"
        : NamespaceWords.ErrorId(e.Errno);

    static int Start(Options options, List<string> program)
    {
        List<(string Type, int Flag, int Descriptor)> joined = Open(options);
        int root = -1;
        if (options.Value("root") is string folder && (root = Libc.open(folder, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC)) < 0)
            throw new PsrunException($"--root: {folder}: {Errnos.Text(Libc.errno)}", Libc.errno);
        uint[]? user = options.Value("user") is string text ? ReadUser(text) : null;
        List<string> environment = OwnEnvironment();
        Terminal? terminal = options.Has("terminal") ? Terminal.Open(user?[0] ?? 0) : null;

        var plan = new Plan();
        plan.Call("start a session", Libc.SYS_setsid);
        if (terminal != null)
            terminal.Add(plan);
        // Once inside, other processes there must not be able to look into this one, which still is psrun (CVE-2016-9962).
        plan.Call("hide", Libc.SYS_prctl, Libc.PR_SET_DUMPABLE, 0);
        bool clonesAgain = AddJoin(plan, joined);
        if (root >= 0)
        {
            plan.Call("enter --root", Libc.SYS_fchdir, root);
            plan.Call("change the root", Libc.SYS_chroot, plan.Text("."));
        }
        plan.CloseOthers(0);
        if (options.Value("cwd") is string cwd)
            plan.Call($"--cwd: {cwd}", Libc.SYS_chdir, plan.Text(cwd));
        AddUser(plan, user, joined.Exists(one => one.Flag == Libc.CLONE_NEWUSER));
        // A change of user takes this away again, so it comes after. Whoever waits for the program may be killed, and would leave it behind.
        plan.Call("end with psrun", Libc.SYS_prctl, Libc.PR_SET_PDEATHSIG, Libc.SIGKILL);
        plan.Do("wait for the parent", StepKind.Sync, InitPlan.PointCreated, 1);
        nint* found = ProgramSteps.AddFind(plan, program, environment);
        ProgramSteps.AddExecute(plan, found, program, environment, 0, filter: null, parentWaits: true);

        Foreground.CatchSignals();
        using Launch launch = new(plan, 0, -1, clonesAgain);
        try
        {
            launch.Await(InitPlan.PointCreated);
            launch.Continue();
            launch.AwaitExecute(filtered: false);
        }
        catch
        {
            launch.Abort();
            throw;
        }
        terminal?.CloseSlave();
        return Foreground.Wait(launch.Pid, terminal?.Relay);
    }

    /// <summary>Those that are not our own already: a setns into one's own user namespace is an error.</summary>
    static List<(string Type, int Flag, int Descriptor)> Open(Options options)
    {
        var joined = new List<(string Type, int Flag, int Descriptor)>();
        foreach ((string type, int flag, string path) in NamespaceWords.ReadTypes(options, "join"))
        {
            int fd = NamespaceFile.Open(path, out NamespaceFile file);
            if (fd < 0)
                throw new PsrunException($"--join: {type}: {path}: {(Libc.errno == Libc.EINVAL ? "is no namespace" : Errnos.Text(Libc.errno))}", Libc.errno);
            if (file.Flag != flag)
                throw new PsrunException($"--join: {path} is a {file.Type} namespace and no {type} namespace");
            int own = NamespaceFile.Open($"/proc/self/ns/{type}", out NamespaceFile ours);
            Libc.close(own);
            if (own >= 0 && ours.Id == file.Id)
                Libc.close(fd);
            else
                joined.Add((type, flag, fd));
        }
        // In the order of the manual of setns(2): the mount namespace late, because paths mean something else after it. The user namespace comes last
        // for whoever has rights over the owners of the others, and first for whoever gets such rights by it alone.
        int userAt = HasAdministration() ? 9 : -1;
        joined.Sort((a, b) => Order(a.Flag).CompareTo(Order(b.Flag)));
        return joined;

        int Order(int flag) => flag switch
        {
            Libc.CLONE_NEWUSER => userAt,
            Libc.CLONE_NEWCGROUP => 0,
            Libc.CLONE_NEWIPC => 1,
            Libc.CLONE_NEWUTS => 2,
            Libc.CLONE_NEWNET => 3,
            Libc.CLONE_NEWPID => 4,
            Libc.CLONE_NEWTIME => 5,
            _ => 6,
        };
    }

    static bool HasAdministration()
    {
        uint* header = stackalloc uint[2];
        header[0] = (uint)Libc._LINUX_CAPABILITY_VERSION_3;
        header[1] = 0;
        uint* data = stackalloc uint[6];
        return Libc.syscall(Libc.SYS_capget, (nint)header, (nint)data, 0, 0, 0, 0) == 0 && (data[0] & 1u << Libc.CAP_SYS_ADMIN) != 0;
    }

    /// <summary>A process enters a pid namespace only by birth: then a second child is made in it.</summary>
    static bool AddJoin(Plan plan, List<(string Type, int Flag, int Descriptor)> joined)
    {
        bool pid = false;
        foreach ((string type, int flag, int descriptor) in joined)
        {
            plan.Call($"join the {type} namespace", Libc.SYS_setns, descriptor, flag);
            pid |= flag == Libc.CLONE_NEWPID;
        }
        if (!pid)
            return false;
        clone_args* args = (clone_args*)plan.Allocate(sizeof(clone_args));
        args->flags = Libc.CLONE_PARENT;
        plan.Do("enter the pid namespace", StepKind.CloneSibling, (nint)args, sizeof(clone_args));
        return true;
    }

    static void AddUser(Plan plan, uint[]? user, bool userNamespace)
    {
        if (user == null && !userNamespace)
            return;
        uint uid = user?[0] ?? 0, gid = user?[1] ?? 0;
        int groups = Math.Max(0, (user?.Length ?? 0) - 2);
        uint* list = (uint*)plan.Allocate(groups * sizeof(uint) + 4);
        for (int i = 0; i < groups; i++)
            list[i] = user![i + 2];
        Step* drop = plan.Call("take groups", Libc.SYS_setgroups, groups, (nint)list);
        Step* group = plan.Call($"become group {gid}", Libc.SYS_setresgid, gid, gid, gid);
        Step* one = plan.Call($"become user {uid}", Libc.SYS_setresuid, uid, uid, uid);
        if (user != null)
            return;
        // Nobody was asked for: a user namespace that maps no root, or that denies setgroups, is entered as who one is.
        drop->Tolerated0 = Libc.EPERM;
        drop->Tolerated1 = group->Tolerated0 = one->Tolerated0 = Libc.EINVAL;
    }

    /// <summary>UID:GID[:GID...]</summary>
    static uint[] ReadUser(string text)
    {
        string[] parts = text.Split(':');
        var ids = new uint[parts.Length];
        for (int i = 0; i < parts.Length; i++)
            if (!NamespaceWords.TryId(parts[i], out ids[i]))
                throw new PsrunException($"--user: \"{text}\" is not UID:GID[:GID...]");
        return ids.Length >= 2 ? ids : throw new PsrunException($"--user: \"{text}\" is not UID:GID[:GID...]");
    }

    internal static List<string> OwnEnvironment()
    {
        var all = new List<string>();
        for (byte** at = *(byte***)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ"); at != null && *at != null; at++)
            if (Marshal.PtrToStringUTF8((nint)(*at)) is { } entry)
                all.Add(entry);
        return all;
    }

    /// <summary>A pseudo-terminal of the host's, made before anything is joined: the joined namespaces may have none.</summary>
    sealed class Terminal
    {
        readonly int _slave;

        Terminal(TerminalRelay relay, int slave)
        {
            Relay = relay;
            _slave = slave;
        }

        public TerminalRelay Relay { get; }

        public static Terminal Open(uint uid)
        {
            var size = new Containers.Linux.Oci.Process();
            TerminalRelay relay = TerminalRelay.Open(size);
            int master = Libc.openpt("/dev/ptmx");
            int slave = master < 0 ? -1 : Libc.openpt_peer(master, Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
            if (slave < 0)
                throw new PsrunException($"--terminal: {Errnos.Text(Libc.errno)}", Libc.errno);
            if (size.ConsoleSize is { } console)
            {
                winsize window = default;
                window.ws_row = (ushort)(console.Height ?? 0);
                window.ws_col = (ushort)(console.Width ?? 0);
                Libc.ioctl(master, Libc.TIOCSWINSZ, &window);
            }
            Libc.fchown(slave, uid, uint.MaxValue);
            ReadOnlySpan<int> one = [master];
            if (DescriptorMessage.Send(relay.Socket, "t"u8, one) < 0)
                throw new PsrunException($"--terminal: {Errnos.Text(Libc.errno)}", Libc.errno);
            Libc.close(master);
            return new Terminal(relay, slave);
        }

        public void Add(Plan plan)
        {
            for (int fd = 0; fd < 3; fd++)
                plan.Call("--terminal", Libc.SYS_dup3, _slave, fd, 0);
            plan.Call("--terminal: make it the controlling terminal", Libc.SYS_ioctl, 0, Libc.TIOCSCTTY, 0);
        }

        /// <summary>Its last closing is what ends the master's reading.</summary>
        public void CloseSlave() => Libc.close(_slave);
    }
}
