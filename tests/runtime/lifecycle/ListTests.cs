using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>list, spec, features, --version, and the flags that stand before the verb.</summary>
public sealed class ListTests : RuntimeTest
{
    [RuntimeFact]
    public void An_empty_root_lists_nothing()
    {
        Assert.DoesNotContain(Tag, Runtime.Do("list").Ends(0).Stdout);
        Assert.Empty(Runtime.Do("list", "--quiet").Ends(0).Stdout.Trim());
    }

    [RuntimeFact]
    public void List_is_a_table_with_runcs_columns()
    {
        var bundle = Sleeper();
        var (id, pid) = Start(bundle);
        var lines = Runtime.Do("list").Ends(0).Lines;
        Assert.Equal(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], Words(lines[0]));
        Assert.Equal([id, pid.ToString(), "running", bundle.Folder], Words(lines[1])[..4]);
        Assert.Equal("root", Words(lines[1])[^1]);

        static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    [RuntimeFact]
    public void List_as_json_holds_every_container()
    {
        var (created, _) = Create(Sleeper());
        var (running, pid) = Start(Sleeper());
        var list = JsonNode.Parse(Runtime.Do("list", "--format", "json").Ends(0).Stdout)!.AsArray();
        var byId = list.ToDictionary(entry => (string)entry!["id"]!, entry => entry!);
        Assert.Equal(2, byId.Count);
        Assert.Equal("created", (string)byId[created]["status"]!);
        Assert.Equal("running", (string)byId[running]["status"]!);
        Assert.Equal(pid, (int)byId[running]["pid"]!);
        Assert.InRange(DateTimeOffset.Parse((string)byId[running]["created"]!), DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [RuntimeFact]
    public void List_quiet_is_ids_alone()
    {
        var (first, _) = Create(Sleeper());
        var (second, _) = Create(Sleeper());
        Assert.Equal([first, second], Runtime.Do("list", "-q").Ends(0).Lines.Order());
    }

    [RuntimeFact]
    public void A_stopped_container_is_listed_with_pid_0()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        var entry = JsonNode.Parse(Runtime.Do("list", "-f", "json").Ends(0).Stdout)!.AsArray().Single()!;
        Assert.Equal(("stopped", 0), ((string)entry["status"]!, (int)entry["pid"]!));
    }

    [RuntimeFact]
    public void Foreign_entries_in_the_root_do_not_break_the_list()
    {
        var (id, _) = Create(Sleeper());
        Directory.CreateDirectory(Path.Combine(Runtime.Root, "half"));
        File.WriteAllText(Path.Combine(Runtime.Root, "stray"), "");
        try
        {
            Assert.Equal([id], Runtime.Do("list", "-q").Ends(0).Lines);
        }
        finally
        {
            Directory.Delete(Path.Combine(Runtime.Root, "half"));
            File.Delete(Path.Combine(Runtime.Root, "stray"));
        }
    }

    [RuntimeFact]
    public void Version_names_the_program_and_the_specification()
    {
        var lines = Runtime.Do("--version").Ends(0).Lines;
        Assert.Matches(@"^\S+ version \d+\.\d+\.\d+", lines[0]);
        Assert.Contains(lines, line => line.StartsWith("spec: 1."));
    }

    [RuntimeFact]
    public void Features_is_the_specifications_object()
    {
        var features = JsonNode.Parse(Runtime.Do("features").Ends(0).Stdout)!.AsObject();
        Assert.StartsWith("1.", (string)features["ociVersionMin"]!);
        Assert.StartsWith("1.", (string)features["ociVersionMax"]!);
        var namespaces = features["linux"]!["namespaces"]!.AsArray().Select(name => (string)name!).ToArray();
        Assert.Contains("mount", namespaces);
        Assert.Contains("user", namespaces);
        Assert.Contains("CAP_KILL", features["linux"]!["capabilities"]!.AsArray().Select(name => (string)name!));
        Assert.Contains("rbind", features["mountOptions"]!.AsArray().Select(name => (string)name!));
    }

    [RuntimeFact]
    public void A_bundle_that_spec_wrote_runs()
    {
        var bundle = NewBundle();
        File.Delete(Path.Combine(bundle.Folder, "config.json"));
        Runtime.Do(new SpawnOptions { WorkingDirectory = bundle.Folder }, "spec").Ends(0);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(bundle.Folder, "config.json")))!;
        Assert.True((bool)config["process"]!["terminal"]!);
        config["process"]!["terminal"] = false;
        config["process"]!["args"] = Bundle.Strings("echo", "from spec");
        bundle.SaveText(config.ToJsonString());
        Assert.Equal("from spec\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void Spec_does_not_overwrite_a_bundle()
    {
        var bundle = Sleeper();
        var before = File.ReadAllText(Path.Combine(bundle.Folder, "config.json"));
        Runtime.Do("spec", "--bundle", bundle.Folder).Ends(1);
        Assert.Equal(before, File.ReadAllText(Path.Combine(bundle.Folder, "config.json")));
    }

    [RuntimeTheory]
    [InlineData("nosuchverb")]
    [InlineData("create", "--nosuchflag")]
    [InlineData("--nosuchflag", "list")]
    public void What_is_not_known_is_refused_by_name(params string[] arguments)
    {
        var result = Runtime.Do(arguments);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("nosuch", result.Stderr + result.Stdout);
    }

    [RuntimeFact]
    public void Errors_go_to_the_log_file_as_json()
    {
        var log = Path.Combine(Folder, "log.json");
        var bundle = NewBundle().Args("nosuchprogram");
        Runtime.Do("--log", log, "--log-format", "json", "run", "--bundle", bundle.Folder, NewId()).Ends(1);
        var entries = File.ReadAllLines(log).Select(line => JsonNode.Parse(line)!.AsObject()).ToArray();
        var error = Assert.Single(entries, entry => (string?)entry["level"] == "error");
        Assert.Contains("nosuchprogram", (string)error["msg"]!);
        Assert.True(DateTimeOffset.TryParse((string)error["time"]!, out _));
    }

    [RuntimeFact]
    public void Errors_go_to_the_log_file_as_text()
    {
        var log = Path.Combine(Folder, "log.txt");
        Runtime.Do("--log", log, "run", "--bundle", NewBundle().Args("nosuchprogram").Folder, NewId()).Ends(1);
        var text = File.ReadAllText(log);
        Assert.Contains("level=error", text);
        Assert.Contains("nosuchprogram", text);
    }
}
