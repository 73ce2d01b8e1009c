using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.Processes;
using Psrun.Shim;

namespace Psrun.Kept;

/// <summary>
/// Makes namespaces in a child and keeps each by a bind mount: all of them, or none. Prints one line, {"initPid":N} or {"error":{…}}.
/// A pid namespace lives as long as its first process, which stays when asked for.
/// </summary>
static unsafe class NewNamespaces
{
    /// <summary>The name of a first process that stays; Remove-Namespace knows it by this.</summary>
    public const string InitName = "psrun-ns-init";

    /// <summary>Made by clone; the other two by unshare, in the child.</summary>
    const int ByUnshare = Libc.CLONE_NEWCGROUP | Libc.CLONE_NEWTIME;

    public static readonly string[] Known = ["keep=", "uid-map=", "gid-map=", "time-offset=", "hostname=", "keep-init"];

    public static int Run(ReadOnlySpan<string> args)
    {
        byte[] answer;
        int status = 1;
        try
        {
            int init = Make(args);
            answer = Json.Object(w => Json.WriteNumber(w, "initPid", init > 0 ? init : null));
            status = 0;
        }
        catch (PsrunException e)
        {
            answer = Json.Error(e.Errno == Libc.EEXIST ? "NamespaceExists" : NamespaceWords.ErrorId(e.Errno), e.Message);
        }
        Log.Write(1, [.. answer, (byte)'\n']);
        return status;
    }

    static int Make(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        if (options.Arguments.Count > 0)
            throw new PsrunException($"namespace new: \"{options.Arguments[0]}\" is not an option");
        List<(string Type, int Flag, string Path)> types = NamespaceWords.ReadTypes(options, "keep");
        int flags = 0;
        foreach ((_, int flag, _) in types)
            flags |= flag;
        List<LinuxIdMapping> uids = NamespaceWords.ReadMaps(options, "uid-map"), gids = NamespaceWords.ReadMaps(options, "gid-map");
        bool keepInit = options.Has("keep-init");
        if (keepInit != ((flags & Libc.CLONE_NEWPID) != 0))
            throw new PsrunException(keepInit ? "--keep-init: needs a pid namespace" : "a pid namespace lives as long as its first process: --keep-init");
        Plan plan = Build(flags, NamespaceWords.ReadOffsets(options, "time-offset"), options.Value("hostname"));

        using var launch = new Launch(plan, flags & ~(ByUnshare | Libc.CLONE_NEWPID), -1, clonesAgain: false);
        var kept = new List<string>();
        try
        {
            launch.Await(InitPlan.PointJoin);
            if ((flags & Libc.CLONE_NEWUSER) != 0)
            {
                if (uids.Count > 0)
                    IdMaps.Write(launch.Pid, "uid_map", uids, "--uid-map");
                if (gids.Count > 0)
                    IdMaps.Write(launch.Pid, "gid_map", gids, "--gid-map");
            }
            launch.Continue();
            launch.Await(InitPlan.PointCreated);
            foreach ((string type, int flag, string path) in types)
                if (flag != Libc.CLONE_NEWPID)
                    Keep($"/proc/{launch.Pid}/ns/{type}", type, path, kept);
            return keepInit ? KeepInit(types, launch.Pid, kept) : 0;
        }
        catch
        {
            foreach (string path in kept)
            {
                Libc.umount2(path, Libc.MNT_DETACH);
                Libc.unlink(path);
            }
            throw;
        }
        finally
        {
            launch.Abort();
        }
    }

    /// <summary>
    /// Makes the pid namespace with a process of its own, which is in none of the other new namespaces but the one of users that owns them all: each goes
    /// when its own mount does.
    /// </summary>
    static int KeepInit(List<(string Type, int Flag, string Path)> types, int maker, List<string> kept)
    {
        var plan = new Plan();
        plan.Call("start a session", Libc.SYS_setsid);
        bool inUser = types.Exists(one => one.Flag == Libc.CLONE_NEWUSER);
        if (inUser)
        {
            int user = Libc.open($"/proc/{maker}/ns/user", Libc.O_RDONLY | Libc.O_CLOEXEC);
            if (user < 0)
                throw new PsrunException($"open the user namespace: {Errnos.Text(Libc.errno)}", Libc.errno);
            plan.Call("join the user namespace", Libc.SYS_setns, user, Libc.CLONE_NEWUSER);
            clone_args* args = (clone_args*)plan.Allocate(sizeof(clone_args));
            args->flags = Libc.CLONE_PARENT | Libc.CLONE_NEWPID;
            plan.Do("make a pid namespace", StepKind.CloneSibling, (nint)args, sizeof(clone_args));
        }
        AddInit(plan);
        using var launch = new Launch(plan, inUser ? 0 : Libc.CLONE_NEWPID, -1, clonesAgain: inUser);
        try
        {
            launch.Await(InitPlan.PointCreated);
            foreach ((string type, int flag, string path) in types)
                if (flag == Libc.CLONE_NEWPID)
                    Keep($"/proc/{launch.Pid}/ns/{type}", type, path, kept);
            launch.Continue();
            // The child says so when nothing of the caller's is open in it any more.
            launch.Await(InitPlan.PointExecute);
            launch.RestoreSignals();
            return launch.Pid;
        }
        catch
        {
            launch.Abort();
            throw;
        }
    }

    static Plan Build(int flags, List<string> offsets, string? hostName)
    {
        var plan = new Plan();
        plan.Call("start a session", Libc.SYS_setsid);
        plan.Do("wait for the parent", StepKind.Sync, InitPlan.PointJoin, 1);
        if ((flags & Libc.CLONE_NEWCGROUP) != 0)
            plan.Call("make a cgroup namespace", Libc.SYS_unshare, Libc.CLONE_NEWCGROUP);
        if ((flags & Libc.CLONE_NEWTIME) != 0)
            AddTime(plan, offsets);
        if ((flags & Libc.CLONE_NEWNS) != 0)
            plan.Call("make the new mount namespace's mounts private", Libc.SYS_mount, plan.Text("none"), plan.Text("/"), 0, Libc.MS_REC | Libc.MS_PRIVATE, 0);
        if (hostName != null)
            plan.Call($"host name {hostName}", Libc.SYS_sethostname, plan.Text(hostName), Encoding.UTF8.GetByteCount(hostName));
        plan.Do("wait until all are kept", StepKind.Sync, InitPlan.PointCreated, 1);
        return plan;
    }

    /// <summary>Offsets can be written only while nobody is in the new namespace (time_namespaces(7)): it is made for the children, set, and then entered.</summary>
    static void AddTime(Plan plan, List<string> offsets)
    {
        const string words = "make a time namespace";
        plan.Call(words, Libc.SYS_unshare, Libc.CLONE_NEWTIME);
        foreach (string line in offsets)
            plan.WriteProc($"time offset {line.TrimEnd()}", "self/timens_offsets", line);
        nint* made = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/proc/self/ns/time_for_children"), Libc.O_RDONLY | Libc.O_CLOEXEC);
        plan.Call(words, Libc.SYS_setns, made, Libc.CLONE_NEWTIME);
        plan.Close(made);
    }

    /// <summary>The first process of a pid namespace, for as long as nobody kills it from outside: orphans that come to it leave nothing when they end.</summary>
    static void AddInit(Plan plan)
    {
        plan.Call("enter /", Libc.SYS_chdir, plan.Text("/"));
        nint* nothing = plan.Open("open /dev/null", Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/dev/null"), Libc.O_RDWR | Libc.O_CLOEXEC);
        for (int fd = 0; fd < 3; fd++)
            plan.Call("open /dev/null", Libc.SYS_dup3, nothing, fd, 0);
        plan.Close(nothing);
        plan.Call("take a name", Libc.SYS_prctl, Libc.PR_SET_NAME, plan.Text(InitName));
        plan.Do("reset signals", StepKind.ResetSignals);
        // struct sigaction of the kernel: SIG_IGN for SIGCHLD means that ended children are not waited for (wait(2)).
        nint* ignore = (nint*)plan.Allocate(32);
        ignore[0] = 1;
        plan.Call("ignore SIGCHLD", Libc.SYS_rt_sigaction, Libc.SIGCHLD, (nint)ignore, 0, 8);
        plan.Do("wait until it is kept", StepKind.Sync, InitPlan.PointCreated, 1);
        plan.Do("tell that all is made", StepKind.Sync, InitPlan.PointExecute, 0);
        plan.Call("close descriptors", Libc.SYS_close_range, 3, uint.MaxValue, 0);
        // Without a handler no signal ever ends this wait.
        plan.Call("wait for ever", Libc.SYS_ppoll, 0, 0, 0, 0, 0);
    }

    static void Keep(string link, string type, string path, List<string> kept)
    {
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            throw new PsrunException($"{path}: {Errnos.Text(Libc.errno)}", Libc.errno);
        Libc.close(fd);
        kept.Add(path);
        if (Libc.mount(link, path, null, Libc.MS_BIND, null) == 0)
            return;
        int errno = Libc.errno;
        throw new PsrunException(type == "mnt" && errno == Libc.EINVAL
            ? $"{path}: a mount namespace can be kept only in a mount whose propagation is private"
            : $"bind {link} to {path}: {Errnos.Text(errno)}", errno);
    }
}
