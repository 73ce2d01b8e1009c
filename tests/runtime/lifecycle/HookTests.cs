using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Hooks (config.md, POSIX-platform Hooks): when, where and with what they run, and what their failure means.</summary>
public sealed class HookTests : RuntimeTest
{
    static readonly string[] All = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

    string Mark(string name) => Path.Combine(Folder, "marks", name);

    /// <summary>A bundle in which hooks can write into <see cref="Mark"/>, from inside too.</summary>
    Bundle WithMarks(Bundle bundle)
    {
        Directory.CreateDirectory(Path.Combine(Folder, "marks"));
        return bundle.Mount(Path.Combine(Folder, "marks"), "bind", Path.Combine(Folder, "marks"), "bind", "rw").Change(b => b.Config["hooks"] = new JsonObject());
    }

    Bundle Hook(Bundle bundle, string kind, string script, int? timeout = null, params string[] environment) => bundle.Change(b =>
    {
        var hooks = b.Config["hooks"]!.AsObject();
        if (hooks[kind] is null)
            hooks[kind] = new JsonArray();
        var hook = new JsonObject
        {
            ["path"] = "/bin/sh", ["args"] = Bundle.Strings("sh", "-c", script), ["env"] = Bundle.Strings(["PATH=/bin:/usr/bin", .. environment]),
        };
        if (timeout is not null)
            hook["timeout"] = timeout;
        hooks[kind]!.AsArray().Add(hook);
    });

    const string Poststart = "1.1 runs poststart when it has created";

    [RuntimeFact(NotUnderRunc = Poststart)]
    public void They_run_in_their_order_and_the_program_between()
    {
        var bundle = WithMarks(NewBundle().Shell($"echo program >>{Mark("order")}"));
        foreach (var kind in All.Reverse())
        {
            Hook(bundle, kind, $"echo {kind} 1 >>{Mark("order")}");
            Hook(bundle, kind, $"echo {kind} 2 >>{Mark("order")}");
        }
        var (id, pid) = Create(bundle);
        Assert.Equal(["prestart 1", "prestart 2", "createRuntime 1", "createRuntime 2", "createContainer 1", "createContainer 2"], File.ReadAllLines(Mark("order")));
        Runtime.Do("start", id).Ends(0);
        Runtime.WaitForEnd(pid);
        Until(() => File.ReadAllLines(Mark("order")).Length == 11);
        Runtime.Do("delete", id).Ends(0);
        var lines = File.ReadAllLines(Mark("order"));
        Assert.Equal(["startContainer 1", "startContainer 2"], lines[6..8]);
        // The program and poststart run at the same time.
        Assert.Equal(["poststart 1", "poststart 2", "program"], lines[8..11].Order());
        Assert.Equal(["poststop 1", "poststop 2"], lines[11..]);
    }

    [RuntimeFact(NotUnderRunc = Poststart)]
    public void Each_gets_the_state_of_its_moment()
    {
        var bundle = WithMarks(Sleeper());
        bundle.Config["annotations"] = new JsonObject { ["org.example.key"] = "value" };
        foreach (var kind in All)
            Hook(bundle, kind, $"cat >{Mark(kind)}");
        var (id, pid) = Create(bundle);
        Runtime.Do("start", id).Ends(0);
        Runtime.Do("delete", "--force", id).Ends(0);
        var states = All.ToDictionary(kind => kind, kind => JsonNode.Parse(File.ReadAllText(Mark(kind)))!);
        foreach (var state in states.Values)
        {
            Assert.Equal((id, bundle.Folder, "value"), ((string)state["id"]!, (string)state["bundle"]!, (string)state["annotations"]!["org.example.key"]!));
            Assert.StartsWith("1.", (string)state["ociVersion"]!);
        }
        // prestart is told what callers have always been told.
        Assert.Equal(["created", "creating", "creating", "created", "running", "stopped"], All.Select(kind => (string)states[kind]["status"]!));
        // Pids as the runtime sees them; inside, as the container does.
        Assert.Equal([pid, pid, 1, 1, pid], All[..5].Select(kind => (int)states[kind]["pid"]!));
    }

    [RuntimeFact]
    public void They_run_in_their_namespaces()
    {
        var bundle = WithMarks(Sleeper());
        foreach (var kind in All)
            Hook(bundle, kind, $"for n in mnt net pid; do readlink /proc/self/ns/$n; done >{Mark(kind)}");
        var (id, pid) = Create(bundle);
        Runtime.Do("start", id).Ends(0);
        Until(() => File.ReadAllText($"/proc/{pid}/cmdline").StartsWith("sleep"));
        var inside = (string[])[.. ((string[])["mnt", "net", "pid"]).Select(name => HostState.Link($"/proc/{pid}/ns/{name}")!)];
        Runtime.Do("delete", "--force", id).Ends(0);
        foreach (var kind in All)
        {
            var seen = File.ReadAllLines(Mark(kind));
            if (kind is "createContainer" or "startContainer")
                Assert.Equal(inside, seen);
            else
                Assert.All(seen.Zip(inside), pair => Assert.NotEqual(pair.Second, pair.First));
        }
    }

    [RuntimeFact]
    public void StartContainer_is_looked_for_inside_and_createContainer_outside()
    {
        var bundle = WithMarks(NewBundle().Args("true")).WriteFile("/inside.sh", $"#!/bin/sh\necho inside >{Mark("inside")}\n", Permission.Program);
        var outside = Path.Combine(Folder, "outside.sh");
        File.WriteAllText(outside, $"#!/bin/sh\necho outside >{Mark("outside")}\n");
        File.SetUnixFileMode(outside, Permission.Program);
        bundle.Change(b => b.Config["hooks"] = new JsonObject
        {
            ["createContainer"] = new JsonArray(new JsonObject { ["path"] = outside }),
            ["startContainer"] = new JsonArray(new JsonObject { ["path"] = "/inside.sh" }),
        });
        Run(bundle).Ends(0);
        Assert.Equal(("inside\n", "outside\n"), (File.ReadAllText(Mark("inside")), File.ReadAllText(Mark("outside"))));
    }

    [RuntimeFact]
    public void The_environment_and_the_arguments_are_the_hooks_alone()
    {
        var bundle = WithMarks(NewBundle().Args("true"));
        foreach (var kind in All)
            Hook(bundle, kind, $"env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^OLDPWD= | sort >{Mark(kind)}", null, $"WHICH={kind}");
        var id = NewId();
        Runtime.Do(new SpawnOptions { Environment = new() { ["SECRET"] = "x" } }, "run", "--bundle", bundle.Folder, id).Ends(0);
        foreach (var kind in All)
            Assert.Equal(["PATH=/bin:/usr/bin", $"WHICH={kind}"], File.ReadAllLines(Mark(kind)));
    }

    [RuntimeFact]
    public void Creating_is_the_state_while_the_first_ones_run()
    {
        var bundle = WithMarks(NewBundle().Args("true"));
        var go = Path.Combine(Folder, "go");
        Native.mkfifo(go, 0x180);
        Hook(bundle, "createRuntime", $"echo >{Mark("there")}; cat {go}");
        var id = NewId();
        using var create = Runtime.Begin(new SpawnOptions(), "create", "--bundle", bundle.Folder, id);
        Until(() => File.Exists(Mark("there")));
        if (!UnderTest.IsRunc) // which has it on record only later
        {
            Assert.Equal("creating", Runtime.Status(id));
            Assert.NotEqual(0, Runtime.Do("start", id).ExitCode);
        }
        File.WriteAllText(go, "");
        create.Wait().Ends(0);
        Assert.Equal("created", Runtime.Status(id));
    }

    [RuntimeTheory]
    [InlineData("prestart")]
    [InlineData("createRuntime")]
    [InlineData("createContainer")]
    [InlineData("startContainer")]
    public void One_that_fails_ends_the_container_and_the_next_do_not_run(string kind)
    {
        var bundle = WithMarks(NewBundle().Shell($"echo >{Mark("program")}"));
        Hook(bundle, kind, "exit 3");
        Hook(bundle, kind, $"echo >{Mark("next")}");
        Hook(bundle, "poststop", $"echo >{Mark("poststop")}");
        var result = Run(bundle).Ends(1);
        Assert.Contains("exit status 3", result.Stderr);
        Assert.False(File.Exists(Mark("next")));
        Assert.False(File.Exists(Mark("program")));
        Assert.True(File.Exists(Mark("poststop")));
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [InlineData("poststart")]
    [InlineData("poststop")]
    public void One_that_fails_later_ends_nothing_and_the_next_run(string kind)
    {
        var bundle = WithMarks(NewBundle().Args("true"));
        Hook(bundle, kind, "exit 3");
        Hook(bundle, kind, $"echo >{Mark("next")}");
        var result = Run(bundle);
        if (UnderTest.IsRunc) // which ends with them
            return;
        result.Ends(0);
        Assert.True(File.Exists(Mark("next")));
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [InlineData("prestart")]
    [InlineData("createRuntime")]
    [InlineData("createContainer")]
    [InlineData("startContainer")]
    public void One_that_takes_longer_than_its_time_is_killed(string kind)
    {
        var bundle = WithMarks(NewBundle().Args("true"));
        Hook(bundle, kind, "exec sleep 1000", timeout: 1);
        Assert.NotEmpty(Run(bundle).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = "1.1 looks at neither before it runs them")]
    [InlineData("""{ "path": "relative" }""", "path")]
    [InlineData("""{ "args": [ "x" ] }""", "path")]
    [InlineData("""{ "path": "/bin/true", "timeout": 0 }""", "timeout")]
    [InlineData("""{ "path": "/bin/true", "timeout": -1 }""", "timeout")]
    public void A_hook_that_is_none_is_refused_by_name(string hook, string member)
    {
        var bundle = NewBundle().Args("true").Change(b => b.Config["hooks"] = new JsonObject { ["poststop"] = new JsonArray(JsonNode.Parse(hook)) });
        var result = Run(bundle).Ends(1);
        Assert.Contains("hooks.poststop", result.Stderr);
        Assert.Contains(member, result.Stderr);
        AssertNothingLeft();
    }
}
