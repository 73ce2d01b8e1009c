using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// linux.intelRdt. Where the processors have none, the mount table that psrun reads names a folder as resctrl: a class that is there already is then all that the
/// kernel would have to do.
/// </summary>
public sealed class ResctrlTests : RuntimeTest
{
    const string Schemata = "    L3:0=7ff\n    MB:0=100\n";

    string Tree => Path.Combine(Folder, "resctrl");

    string Class => Path.Combine(Tree, "gold");

    /// <summary>psrun in a mount namespace in which its own mount table has one line more; the shell becomes psrun, so that the pid stays.</summary>
    Result Do(params string[] arguments)
    {
        var table = Path.Combine(Folder, "mountinfo");
        var script = $"set -e; cat /proc/self/mountinfo >{table}; echo '9999 1 0:99 / {Tree} rw - resctrl resctrl rw' >>{table}; "
            + $"mount --bind {table} /proc/$$/mountinfo; exec {Runtime.Program} --root {Runtime.Root} \"$@\"";
        return Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, "psrun", .. arguments]);
    }

    void Write(string file, string text)
    {
        var path = Path.Combine(Tree, file);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    Bundle With(Bundle bundle, string rdt)
    {
        Directory.CreateDirectory(Class);
        File.WriteAllText(Path.Combine(Class, "tasks"), "");
        File.WriteAllText(Path.Combine(Class, "schemata"), Schemata);
        return bundle.Change(b => b.Linux["intelRdt"] = JsonNode.Parse(rdt));
    }

    [RuntimeFact(NotUnderRunc = "it asks the kernel's own folder", NotUnderCrun = "1.8 knows but a part of it")]
    public void The_init_and_an_exec_enter_the_class_and_update_writes_to_it()
    {
        var id = NewId();
        Do("run", "--detach", "--bundle", With(Sleeper(), """{ "closID": "gold", "l3CacheSchema": "L3:0=07FF" }""").Folder, id).Ends(0);
        Watch(Runtime.Pid(id));
        // The kernel would move whoever writes this: once the init, once the exec.
        Assert.Equal("0", File.ReadAllText(Path.Combine(Class, "tasks")));
        File.WriteAllText(Path.Combine(Class, "tasks"), "");
        Do("exec", id, "true").Ends(0);
        Assert.Equal("0", File.ReadAllText(Path.Combine(Class, "tasks")));

        Do("update", "--l3-cache-schema", "L3:0=f", "--mem-bw-schema", "MB:0=50", id).Ends(0);
        Assert.Equal("L3:0=f\nMB:0=50\n", File.ReadAllText(Path.Combine(Class, "schemata")));
        Assert.Contains("memBwSchema", Do("update", "--mem-bw-schema", "L3:0=1", id).Ends(1).Stderr);
        Write("schemata", Schemata);
        Write("info/L3/cbm_mask", "7ff\n");
        Write("info/L3/num_closids", "16\n");
        Write("info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes\n");
        Write("gold/mon_data/mon_L3_00/llc_occupancy", "4096\n");
        Write("gold/mon_data/mon_L3_00/mbm_total_bytes", "Unavailable\n");
        var rdt = JsonNode.Parse(Do("events", "--stats", id).Ends(0).Stdout)!["data"]!["intel_rdt"]!;
        Assert.Equal("""{"cbm_mask":"7ff","min_cbm_bits":0,"num_closids":16}""", rdt["l3_cache_info"]!.ToJsonString());
        Assert.Equal(("L3:0=7ff", "L3:0=f"), ((string?)rdt["l3_cache_schema_root"], (string?)rdt["l3_cache_schema"]));
        Assert.Equal("""["L3:0=f","MB:0=50"]""", rdt["schemata"]!.ToJsonString());
        Assert.Equal("""[{"llc_occupancy":4096}]""", rdt["cmt_stats"]!.ToJsonString());
        Assert.Equal(0, (int)rdt["mbm_stats"]![0]!["mbm_total_bytes"]!);
        Assert.Null(rdt["mem_bw_info"]);

        // Without resctrl nobody is in a group of it any more.
        Runtime.Exec(id, "true").Ends(0);
        Do("delete", "--force", id).Ends(0);
        Assert.True(Directory.Exists(Class));
    }

    [RuntimeTheory(NotUnderRunc = "it asks the kernel's own folder", NotUnderCrun = "1.8 knows but a part of it")]
    [InlineData("""{ "closID": "gold", "l3CacheSchema": "L3:0=3" }""", "another schema")]
    [InlineData("""{ "closID": "absent" }""", "no group")]
    [InlineData("""{ "closID": "../gold" }""", "closID")]
    [InlineData("""{ "closID": "gold", "memBwSchema": "L3:0=3" }""", "memBwSchema")]
    public void What_cannot_be_is_refused_by_name(string rdt, string words)
    {
        var id = NewId();
        var result = Do("run", "--bundle", With(NewBundle().Args("true"), rdt).Folder, id).Ends(1);
        Assert.Contains("linux.intelRdt", result.Stderr);
        Assert.Contains(words, result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "it asks the kernel's own folder", NotUnderCrun = "1.8 knows but a part of it")]
    public void A_group_of_its_own_goes_with_a_creation_that_fails()
    {
        // A folder has no tasks file after mkdir: there the creation fails.
        var id = NewId();
        Assert.Contains("linux.intelRdt", Do("run", "--bundle", With(NewBundle().Args("true"), """{ "schemata": ["L3:0=1"] }""").Folder, id).Ends(1).Stderr);
        Assert.Equal([Class], Directory.GetDirectories(Tree));
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "1.1 makes a group for it", NotUnderCrun = "it has no such option")]
    public void An_update_of_a_container_without_a_class_is_refused_by_name()
    {
        var (id, _) = Start(Sleeper());
        Assert.Contains("--l3-cache-schema", Runtime.Do("update", "--l3-cache-schema", "L3:0=1", id).Ends(1).Stderr);
    }
}
