using Containers.Linux;
using Psrun.State;
using System.Text;

namespace Psrun.Shim;

/// <summary>What the engine runs and waits for: makes the shim's group, starts the shim apart from everything of the caller's, relays its answer.</summary>
static unsafe class Launcher
{
    const int LongestAnswer = 64 * 1024, LogTail = 4096;

    public static int Launch(string runDir)
    {
        // A caller may have closed its standard streams: what is opened from here on must not take their numbers.
        int fd;
        do fd = Sys.Open("/dev/null", Libc.O_RDWR); while (fd is >= 0 and < 3);
        Sys.Close(fd);

        byte[] answer;
        int status = 1;
        try
        {
            Orders orders = Orders.Read(runDir + "/shim.json");
            RefuseWhatIsThere(runDir);
            answer = Start(runDir, orders);
            status = answer.AsSpan().StartsWith("{\"pid\":"u8) ? 0 : 1;
        }
        catch (ShimException e)
        {
            answer = [.. Json.Error(e.Id, e.Message), (byte)'\n'];
        }
        Files.WriteAll(1, answer);
        return status;
    }

    static void RefuseWhatIsThere(string runDir)
    {
        if (File.Exists(runDir + "/task.json") || File.Exists(runDir + "/exit.json")) throw new ShimException("TaskExists", $"{runDir} has a task");
        Sys.ChangeDirectory(runDir);
        int fd = Sys.Connect("shim.sock");
        if (fd >= 0)
        {
            Sys.Close(fd);
            throw new ShimException("TaskExists", $"{runDir}/shim.sock answers");
        }
        // Left by a shim that was killed before it had a task.
        if (fd == -Libc.ECONNREFUSED) Sys.Unlink("shim.sock");
    }

    static byte[] Start(string runDir, Orders orders)
    {
        var answer = Sys.Pipe();
        int nothing = Sys.Above(Sys.Open("/dev/null", Libc.O_RDWR));
        int log = Sys.Above(Sys.Open(runDir + "/shim.log", Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND | Libc.O_NOFOLLOW, 0x180));
        if (nothing < 0 || log < 0) throw ShimException.Of("FileFailed", runDir + "/shim.log", Math.Min(nothing, log));
        // In its group before its first step: whatever happens to the caller's group from now on does not happen to the shim.
        using CgroupEntry? group = orders.Cgroup is null ? null : Cgroups.Open(orders.Cgroup);
        var shim = new Spawn
        {
            Program = "/proc/self/exe",
            Arguments = ["psrun", "shim", "--serve", "--run-dir", runDir],
            Environment = RuntimeCall.MinimalEnvironment(),
            Stdin = nothing,
            Stdout = nothing,
            Stderr = log,
            Extra = [answer.Write],
            Group = group,
            Detach = true,
            BlockedSignals = Server.Signals,
        };
        int pid = shim.Start();
        Sys.Close(answer.Write);
        if (pid < 0)
        {
            if (orders.Cgroup is not null) Cgroups.Remove(orders.Cgroup);
            Sys.Unlink(runDir + "/shim.log");
            throw shim.FailedToEnter ? ShimException.Of("CgroupFailed", $"enter {orders.Cgroup}", pid) : ShimException.Of("ShimFailed", "start the shim", pid);
        }

        byte[] line = Files.ReadSmall(answer.Read, LongestAnswer, out _) ?? [];
        if (line.Length > 0 && line[^1] == '\n')
        {
            // One that could not create its task ends now: nothing of it is left when the caller hears of it.
            if (!line.AsSpan().StartsWith("{\"pid\":"u8)) CleanUp(runDir, orders, pid, false);
            return line;
        }
        int status = CleanUp(runDir, orders, pid, true, out string words);
        string end = (status & 0x7f) != 0 ? $"signal {status & 0x7f}" : $"exit status {(status >> 8) & 0xff}";
        throw new ShimException("ShimFailed", $"the shim ended before it answered ({end}){words}");
    }

    static int WaitFor(int pid) => Sys.Wait(ref pid, Libc.__WALL);

    static void CleanUp(string runDir, Orders orders, int pid, bool died) => CleanUp(runDir, orders, pid, died, out _);

    /// <summary>The mounts went with the shim's mount namespace; its group, its files and what the runtime made of the container are left.</summary>
    static int CleanUp(string runDir, Orders orders, int pid, bool died, out string words)
    {
        int status = WaitFor(pid);
        words = "";
        if (died)
        {
            byte[] log = Files.ReadSmall(runDir + "/shim.log", 1 << 20, out _) ?? [];
            if (log.Length > 0) words = ": " + Encoding.UTF8.GetString(log.AsSpan(Math.Max(0, log.Length - LogTail))).Trim().ReplaceLineEndings(" | ");
            // The shim may have been killed while the runtime was at work.
            if (orders.Cgroup is not null) Cgroups.Kill(orders.Cgroup);
            if (Directory.Exists($"{orders.RuntimeRoot}/{orders.Id}")) DeleteContainer(orders);
            foreach (string file in new[] { "shim.sock", "init.pid", "task.json", "task.json.new", "shim.log" }) Sys.Unlink($"{runDir}/{file}");
        }
        if (orders.Cgroup is not null) Cgroups.Remove(orders.Cgroup);
        return status;
    }

    static void DeleteContainer(Orders orders)
    {
        int nothing = Sys.Above(Sys.Open("/dev/null", Libc.O_RDWR));
        int pid = new Spawn
        {
            Program = orders.Runtime,
            Arguments = [orders.Runtime, "--root", orders.RuntimeRoot, "delete", "--force", orders.Id],
            Environment = RuntimeCall.MinimalEnvironment(),
            Stdin = nothing,
            Stdout = nothing,
            Stderr = nothing,
        }.Start();
        Sys.Close(nothing);
        if (pid > 0) WaitFor(pid);
    }
}
