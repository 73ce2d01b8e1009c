using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What a bundle asks for is done, or refused by its name: never left out in silence.</summary>
[Collection("hugetlb")]
public sealed class NeverIgnoredTests : RuntimeTest
{
    const string Delegated = "/sys/fs/cgroup/unified/cgroup.subtree_control";

    readonly string? delegatedBefore = HostState.Text(Delegated);

    /// <summary>A runtime may hand a controller of the unified tree down to its groups for good; then nobody can mount it as a v1 hierarchy.</summary>
    protected override void CleanUp()
    {
        if (HostState.Text(Delegated)?.Contains("hugetlb") == true && delegatedBefore?.Contains("hugetlb") == false)
            File.WriteAllText(Delegated, "-hugetlb");
    }

    [RuntimeTheory]
    [InlineData("prestart")]
    [InlineData("createRuntime")]
    [InlineData("createContainer")]
    [InlineData("startContainer")]
    [InlineData("poststart")]
    [InlineData("poststop")]
    public void A_hook_is_done_or_refused_by_name(string hook)
    {
        var mark = Path.Combine(Folder, "mark");
        File.WriteAllText(mark, "");
        File.SetUnixFileMode(mark, (UnixFileMode)0x1b6);
        // The hooks of the container's own namespaces see the mark through a bind mount at the same place.
        var bundle = NewBundle().Args("true").Mount(mark, "bind", mark, "bind", "rw").Change(b => b.Config["hooks"] = new JsonObject
        {
            [hook] = new JsonArray(new JsonObject
            {
                ["path"] = "/bin/sh",
                ["args"] = Bundle.Strings("sh", "-c", $"echo $WHICH >{mark}; cat >>{mark}"),
                ["env"] = Bundle.Strings($"WHICH={hook}", "PATH=/bin:/usr/bin"),
            }),
        });
        var result = Run(bundle);
        var text = File.ReadAllText(mark);
        if (result.ExitCode != 0)
        {
            Assert.Contains("hook", result.Stderr);
            Assert.Empty(text);
            AssertNothingLeft();
            return;
        }
        Assert.StartsWith(hook + "\n", text);
        var state = JsonNode.Parse(text[(hook.Length + 1)..])!.AsObject(); // the state, on the hook's standard input
        Assert.StartsWith(Tag, (string)state["id"]!);
    }

    [RuntimeTheory]
    [InlineData("createRuntime")]
    [InlineData("createContainer")]
    [InlineData("startContainer")]
    public void A_hook_that_fails_fails_the_run_and_leaves_nothing(string hook)
    {
        var bundle = NewBundle().Args("true").Change(b => b.Config["hooks"] = new JsonObject
        {
            [hook] = new JsonArray(new JsonObject { ["path"] = "/bin/sh", ["args"] = Bundle.Strings("sh", "-c", "exit 3") }),
        });
        Assert.Contains("hook", Run(bundle).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = "it leaves them out")]
    [InlineData("", "windows", "{}", "windows")]
    [InlineData("", "vm", "{}", "vm")]
    [InlineData("", "solaris", "{}", "solaris")]
    [InlineData("", "zos", "{}", "zos")]
    [InlineData("", "freebsd", "{}", "freebsd")]
    [InlineData("process", "commandLine", "\"cmd\"", "process.commandLine")]
    [InlineData("process", "user", """{ "uid": 0, "gid": 0, "username": "somebody" }""", "process.user.username")]
    public void What_is_another_systems_is_refused_by_name(string part, string name, string value, string member)
    {
        var result = Run(NewBundle().Args("true").Change(b => (part switch { "" => b.Config, "process" => b.Process, _ => b.Linux })[name] = JsonNode.Parse(value))).Ends(1);
        Assert.Contains(member + ":", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void An_apparmor_profile_is_done_or_refused_by_name() =>
        DoneOrRefused(Run(NewBundle().Args("cat", "/proc/self/attr/current").Change(b => b.Process["apparmorProfile"] = "nosuchprofile")),
            "apparmor", result => Assert.Contains("nosuchprofile", result.Stdout));

    [RuntimeFact(NotUnderRunc = "it leaves the label out on a host without SELinux")]
    public void A_selinux_label_is_done_or_refused_by_name() =>
        DoneOrRefused(Run(NewBundle().Args("cat", "/proc/self/attr/current").Change(b => b.Process["selinuxLabel"] = "system_u:system_r:x_t:s0")),
            "selinux", result => Assert.Contains("x_t", result.Stdout));

    [RuntimeFact(NotUnderRunc = "it gives the label to a kernel that refuses it", NotUnderCrun = "it leaves the label out without a word")]
    public void A_label_for_mounts_is_told_where_it_means_nothing()
    {
        var log = Path.Combine(Folder, "log");
        var bundle = NewBundle().Args("true").Change(b => b.Linux["mountLabel"] = "system_u:object_r:x_t:s0");
        Runtime.Do("--log", log, "run", "--bundle", bundle.Folder, NewId()).Ends(File.Exists("/sys/fs/selinux/enforce") ? 1 : 0);
        Assert.Contains("linux.mountLabel", File.ReadAllText(log));
    }

    [RuntimeTheory(NotUnderRunc = "it does not know these members and leaves them out")]
    [InlineData("process", "scheduler", """{ "policy": "SCHED_BATCH", "nice": 5 }""")]
    [InlineData("process", "ioPriority", """{ "class": "IOPRIO_CLASS_IDLE", "priority": 0 }""")]
    [InlineData("linux", "intelRdt", """{ "closID": "x" }""")]
    [InlineData("linux", "netDevices", """{ "nosuchdev": {} }""")]
    [InlineData("resources", "hugepageLimits", """[ { "pageSize": "3MB", "limit": 4096 } ]""", "hugetlb")]
    [InlineData("resources", "rdma", """{ "nosuchdev": { "hcaHandles": 3 } }""")]
    [InlineData("resources", "network", """{ "classID": 1048577 }""", "net_cls")]
    [InlineData("resources", "unified", """{ "nosuch.file": "1" }""")]
    public void A_member_that_is_not_done_is_refused_by_name(string part, string name, string value, string? kernelName = null)
    {
        var bundle = NewBundle().Args("true").Change(b =>
        {
            var target = part switch { "process" => b.Process, "linux" => b.Linux, _ => b.Linux["resources"]!.AsObject() };
            target[name] = JsonNode.Parse(value);
        });
        var result = Run(bundle);
        // scheduler and ioPriority can be done anywhere; the others cannot on a host that lacks the thing.
        if (result.ExitCode != 0)
            Assert.Contains(kernelName ?? name, result.Stderr, StringComparison.OrdinalIgnoreCase);
        else
            Assert.Equal("process", part);
        AssertNothingLeft();
    }

    void DoneOrRefused(Result result, string name, Action<Result> effect)
    {
        if (result.ExitCode != 0 && result.Stderr.Contains(name, StringComparison.OrdinalIgnoreCase))
            AssertNothingLeft();
        else
            effect(result);
    }
}
