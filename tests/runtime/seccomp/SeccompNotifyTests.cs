using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>SCMP_ACT_NOTIFY: calls that a program outside answers.</summary>
public sealed class SeccompNotifyTests : RuntimeTest
{
    const int Mkdir = 83;

    Bundle Notifying(SeccompListener listener, string script) => NewBundle().Shell(script).Change(b => b.Linux["seccomp"] = new JsonObject
    {
        ["defaultAction"] = "SCMP_ACT_ALLOW",
        ["architectures"] = Bundle.Strings("SCMP_ARCH_X86_64"),
        ["listenerPath"] = listener.Path,
        ["listenerMetadata"] = "meta \"data\" ☃",
        ["syscalls"] = new JsonArray(new JsonObject { ["names"] = Bundle.Strings("mkdir"), ["action"] = "SCMP_ACT_NOTIFY" }),
    });

    [RuntimeFact]
    public void The_listener_gets_the_state_and_answers()
    {
        using var listener = new SeccompListener(Folder);
        var bundle = Notifying(listener, "mkdir /a; mkdir /b && echo fine; exec sleep 1000").Change(b => b.Config["annotations"] = new JsonObject { ["key"] = "value" });
        var id = NewId();
        using var run = Runtime.Begin(new SpawnOptions(), "run", "--detach", "--bundle", bundle.Folder, id);
        listener.Take();
        var state = listener.State;
        Assert.Equal("seccompFd", (string?)state["fds"]!.AsArray().Single());
        Assert.Equal("meta \"data\" ☃", (string?)state["metadata"]);
        Assert.Equal((id, bundle.Folder), ((string?)state["state"]!["id"], (string?)state["state"]!["bundle"]));
        Assert.Equal("creating", (string?)state["state"]!["status"]);
        Assert.Equal("value", (string?)state["state"]!["annotations"]!["key"]);
        Assert.Equal(Mkdir, listener.Answer(28).Number);
        Assert.Equal(Mkdir, listener.Answer(0).Number);
        var result = run.Wait().Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        Assert.Equal((pid, pid), ((int)state["pid"]!, (int)state["state"]!["pid"]!));
        Until(() => File.ReadAllText($"/proc/{pid}/cmdline").StartsWith("sleep", StringComparison.Ordinal));
        result = run.Wait();
        Assert.Contains("No space left", result.Stderr);
        Assert.Equal("fine\n", result.Stdout);
    }

    [RuntimeFact]
    public void What_exec_starts_tells_the_listener_too()
    {
        using var listener = new SeccompListener(Folder);
        var (id, pid) = Start(Notifying(listener, "exec sleep 1000"));
        listener.Take();
        using var exec = Runtime.Begin(new SpawnOptions(), "exec", id, "mkdir", "/a");
        listener.Take();
        Assert.Equal(pid, (int)listener.State["state"]!["pid"]!);
        Assert.Equal("running", (string?)listener.State["state"]!["status"]);
        Assert.NotEqual(pid, (int)listener.State["pid"]!);
        var (number, caller) = listener.Answer(28);
        Assert.Equal((Mkdir, (int)listener.State["pid"]!), (number, caller));
        Assert.Contains("No space left", exec.Wait().Ends(1).Stderr);
    }

    [RuntimeFact]
    public void Without_a_listener_nothing_is_started()
    {
        using (var listener = new SeccompListener(Folder))
        {
            var bundle = Notifying(listener, "true");
            listener.Dispose();
            Assert.NotEqual(0, Run(bundle).ExitCode);
        }
        AssertNothingLeft();
    }
}
