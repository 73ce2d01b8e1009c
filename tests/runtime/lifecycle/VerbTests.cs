using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Verbs and options that the other files leave out.</summary>
public sealed class VerbTests : RuntimeTest
{
    [RuntimeFact]
    public void Ps_is_the_hosts_table_of_the_containers_processes()
    {
        var (id, pid) = Start(NewBundle().Shell("sleep 1001 & sleep 1000"));
        Until(() => Runtime.Do("ps", id).Ends(0).Lines.Length > 2);
        var lines = Runtime.Do("ps", id).Lines;
        Assert.Contains("PID", lines[0]);
        Assert.Contains(lines, line => line.Contains($" {pid} "));
        Assert.All(lines[1..], line => Assert.Matches("sleep|sh", line));
    }

    [RuntimeFact]
    public void Ps_takes_the_options_of_ps()
    {
        var (id, pid) = Start(Sleeper());
        Until(() => File.ReadAllText($"/proc/{pid}/cmdline").StartsWith("sleep"));
        Assert.Equal(["PID COMMAND", $"{pid} sleep"], Runtime.Do("ps", id, "-e", "-o", "pid,comm").Ends(0).Lines.Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))));
        Runtime.Do("ps", id, "-o", "nosuchcolumn").Ends(1);
    }

    [RuntimeFact]
    public void Ps_as_json_is_an_array_of_pids()
    {
        var (id, pid) = Start(Sleeper());
        Assert.Equal($"[{pid}]\n", Runtime.Do("ps", "--format", "json", id).Ends(0).Stdout);
        Assert.Equal($"[{pid}]\n", Runtime.Do("ps", "-f", "json", id).Ends(0).Stdout);
        Runtime.Do("ps", "-f", "xml", id).Ends(1);
    }

    [RuntimeFact]
    public void List_quiet_wins_over_json()
    {
        var (id, _) = Create(Sleeper());
        Assert.Equal([id], Runtime.Do("list", "-q", "-f", "json").Ends(0).Lines);
    }

    [RuntimeFact]
    public void A_state_that_cannot_be_read_hides_no_other_container_and_goes_by_force()
    {
        var (id, _) = Create(Sleeper());
        var torn = Path.Combine(Runtime.Root, "torn");
        Directory.CreateDirectory(torn);
        File.WriteAllText(Path.Combine(torn, "state.json"), "{ \"id\": ");
        var result = Runtime.Do("list", "-q").Ends(0);
        Assert.Equal([id], result.Lines);
        Assert.Contains("torn", result.Stderr);
        if (UnderTest.IsRunc)
        {
            Directory.Delete(torn, recursive: true); // it refuses
            return;
        }
        Runtime.Do("state", "torn").Ends(1);
        Runtime.Do("delete", "torn").Ends(1);
        Runtime.Do("delete", "--force", "torn").Ends(0);
        Assert.False(Directory.Exists(torn));
    }

    [RuntimeTheory]
    [InlineData("9", 137)]
    [InlineData("KILL", 137)]
    [InlineData("SIGKILL", 137)]
    [InlineData("kill", 137)]
    [InlineData("sigkill", 137)]
    [InlineData("SIGTERM", 143)]
    [InlineData("usr1", 138)]
    public void Kill_knows_a_signal_by_all_its_spellings(string signal, int status)
    {
        var bundle = Sleeper().WithoutNamespace("pid");
        var id = NewId();
        using var run = Runtime.Begin(new SpawnOptions(), "run", "--bundle", bundle.Folder, id);
        Until(() => Runtime.Do("state", id).Stdout.Contains("\"running\""));
        Runtime.Do("kill", id, signal).Ends(0);
        Assert.Equal(status, run.Wait().ExitCode);
    }

    [RuntimeTheory]
    [InlineData("0x9")]
    [InlineData("KILLALL")]
    [InlineData("65")]
    [InlineData("-")]
    public void Kill_refuses_what_is_no_signal(string signal)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEmpty(Runtime.Do("kill", id, signal).Ends(1).Stderr);
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact]
    public void Kill_all_reaches_every_process()
    {
        var (id, pid) = Start(NewBundle().Shell("sleep 1001 & sleep 1002 & wait"));
        Until(() => JsonNode.Parse(Runtime.Do("ps", "-f", "json", id).Stdout)!.AsArray().Count == 3);
        var pids = JsonNode.Parse(Runtime.Do("ps", "-f", "json", id).Stdout)!.AsArray().Select(p => (int)p!).ToArray();
        Runtime.Do("kill", "--all", id, "KILL").Ends(0);
        foreach (var one in pids)
            Runtime.WaitForEnd(one);
        Runtime.WaitForEnd(pid);
    }

    [RuntimeFact]
    public void Exec_enters_a_group_below_the_containers()
    {
        var bundle = NewBundle().Shell("for g in /sys/fs/cgroup/pids /sys/fs/cgroup; do mkdir $g/inner 2>/dev/null && break; done; sleep 1000").Change(b =>
            b.Mounts.Single(mount => (string?)mount!["type"] == "cgroup")!["options"] = Bundle.Strings("nosuid", "noexec", "nodev"));
        var (id, pid) = Start(bundle);
        Until(() => Runtime.Exec(id, "sh", "-c", "test -d /sys/fs/cgroup/pids/inner || test -d /sys/fs/cgroup/inner").ExitCode == 0);
        var v2 = File.Exists("/sys/fs/cgroup/cgroup.controllers");
        var lines = Runtime.Do("exec", "--cgroup", v2 ? "inner" : "pids:inner", id, "cat", "/proc/self/cgroup").Ends(0).Lines;
        Assert.Equal("/inner", lines.Single(line => line.Contains(v2 ? "0::" : ":pids:")).Split(':', 3)[2]);
        Assert.All(lines.Where(line => !line.Contains(v2 ? "0::" : ":pids:")), line => Assert.DoesNotContain("inner", line));
    }

    [RuntimeTheory]
    [InlineData("pids:nosuchgroup")]
    [InlineData("nosuchcontroller:inner")]
    [InlineData("pids:a", "pids:b")]
    [InlineData(":inner")]
    public void Exec_refuses_a_group_that_is_not_there(params string[] groups)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEmpty(Runtime.Do(["exec", .. groups.SelectMany(group => (string[])["--cgroup", group]), id, "true"]).Ends(255).Stderr);
    }

    [RuntimeFact(NotUnderRunc = "it only cleans the path")]
    public void Exec_does_not_leave_the_containers_group_by_dots() => Assert.Contains("..", Runtime.Do("exec", "--cgroup", "pids:../..", Start(Sleeper()).Id, "true").Ends(255).Stderr);

    [RuntimeFact(NotUnderRunc = "1.1 does not know the option")]
    public void The_pidfd_socket_gets_a_descriptor_of_the_process()
    {
        var path = Path.Combine(Folder, "pidfd.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen(2);

        var id = NewId();
        Runtime.Create(id, Sleeper(), "--pidfd-socket", path).Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        Assert.Equal(pid, PidOf(Receive(listener)));
        Runtime.Do("start", id).Ends(0);

        var pidFile = Path.Combine(Folder, "exec.pid");
        Runtime.Do("exec", "--detach", "--pid-file", pidFile, "--pidfd-socket", path, id, "sleep", "1000").Ends(0);
        Assert.Equal(int.Parse(File.ReadAllText(pidFile)), PidOf(Receive(listener)));
        Runtime.Create(NewId(), Sleeper(), "--pidfd-socket", path + "x").Ends(1);
    }

    static unsafe int Receive(Socket listener)
    {
        Assert.True(listener.Poll(TimeSpan.FromSeconds(30), SelectMode.SelectRead));
        using var connection = listener.Accept();
        connection.Blocking = true;
        Span<byte> data = stackalloc byte[64], control = stackalloc byte[64];
        control.Clear();
        fixed (byte* dataStart = data, controlStart = control)
        {
            var vector = new Native.IoVec { Base = (nint)dataStart, Length = 64 };
            var message = new Native.MsgHdr { Iov = (nint)(&vector), IovLength = 1, Control = (nint)controlStart, ControlLength = 64 };
            Assert.True(Native.recvmsg((int)connection.Handle, ref message, 0x40000000) > 0);
        }
        return MemoryMarshal.Read<int>(control[16..]);
    }

    static int PidOf(int pidfd)
    {
        var line = File.ReadLines($"/proc/self/fdinfo/{pidfd}").Single(line => line.StartsWith("Pid:"));
        Native.close(pidfd);
        return int.Parse(line[4..]);
    }

    [RuntimeFact]
    public void No_new_privs_goes_on()
    {
        var (id, _) = Start(Sleeper().Change(b => b.Process["noNewPrivileges"] = false));
        Assert.Contains("NoNewPrivs:\t0", Runtime.Exec(id, "cat", "/proc/self/status").Ends(0).Stdout);
        Assert.Contains("NoNewPrivs:\t1", Runtime.Do("exec", "--no-new-privs", id, "cat", "/proc/self/status").Ends(0).Stdout);
    }

    [RuntimeTheory(NotUnderRunc = "it knows or ignores them")]
    [InlineData("--apparmor", "strict")]
    [InlineData("--process-label", "system_u:system_r:container_t:s0")]
    public void Exec_refuses_by_name_what_this_host_has_not(string option, string value) =>
        Assert.Contains(option.TrimStart('-'), Runtime.Do("exec", option, value, Start(Sleeper()).Id, "true").Ends(255).Stderr);

    [RuntimeTheory(NotUnderRunc = "it can")]
    [InlineData("--cgroup-manager=nosuch", "list")]
    [InlineData("--rootless=perhaps", "list")]
    public void What_is_not_supported_is_refused_by_name(params string[] arguments) =>
        Assert.Contains(arguments[0].Split('=')[0], Runtime.Do(arguments).Ends(1).Stderr);

    [RuntimeTheory]
    [InlineData("--rootless=auto")]
    [InlineData("--rootless=true")]
    [InlineData("--rootless=false")]
    [InlineData("--criu=/nowhere")]
    [InlineData("--systemd-cgroup")]
    public void Global_options_of_callers_are_taken(string option) => Runtime.Do(option, "list").Ends(0);

    [RuntimeFact(NotUnderRunc = "it tells other things")]
    public void Debug_tells_the_steps_in_the_log()
    {
        var log = Path.Combine(Folder, "debug.log");
        var id = NewId();
        Runtime.Do("--debug", "--log", log, "--log-format", "json", "run", "--bundle", NewBundle().Args("true").Folder, id).Ends(0);
        var steps = File.ReadAllLines(log).Select(line => JsonNode.Parse(line)!).Where(entry => (string?)entry["level"] == "debug").ToArray();
        Assert.Contains(steps, entry => ((string)entry["msg"]!).Contains(id));
        Assert.Contains("psrun: debug: ", Runtime.Do("--debug", "run", "--bundle", NewBundle().Args("true").Folder, NewId()).Ends(0).Stderr);
    }

    [RuntimeFact]
    public void Spec_rootless_has_a_user_namespace_and_no_network()
    {
        Runtime.Do("spec", "--rootless", "--bundle", Folder).Ends(0);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "config.json")))!;
        Assert.Equal(["pid", "ipc", "uts", "mount", "user"], config["linux"]!["namespaces"]!.AsArray().Select(entry => (string)entry!["type"]!));
        Assert.Equal("""{"containerID":0,"hostID":0,"size":1}""", config["linux"]!["uidMappings"]![0]!.ToJsonString());
        Assert.Equal("""{"containerID":0,"hostID":0,"size":1}""", config["linux"]!["gidMappings"]![0]!.ToJsonString());
        Assert.Null(config["linux"]!["resources"]);
        var sys = config["mounts"]!.AsArray().Single(mount => (string?)mount!["destination"] == "/sys")!;
        Assert.Equal(("none", "/sys", "rbind"), ((string)sys["type"]!, (string)sys["source"]!, (string)sys["options"]![0]!));
    }

    [RuntimeFact]
    public void A_rootless_bundle_runs()
    {
        var bundle = NewBundle();
        File.Delete(Path.Combine(bundle.Folder, "config.json"));
        Runtime.Do("spec", "--rootless", "--bundle", bundle.Folder).Ends(0);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(bundle.Folder, "config.json")))!;
        config["process"]!["terminal"] = false;
        config["process"]!["args"] = Bundle.Strings("cat", "/proc/self/uid_map");
        bundle.SaveText(config.ToJsonString());
        Assert.Matches(@"^\s+0\s+0\s+1\n$", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void Run_keep_leaves_a_stopped_container()
    {
        var id = NewId();
        Runtime.Do("run", "--keep", "--no-subreaper", "--bundle", NewBundle().Args("true").Folder, id).Ends(0);
        Assert.Equal("stopped", Runtime.Status(id));
    }
}
