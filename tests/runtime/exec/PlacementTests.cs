using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Where programs run and take their memory: process.execCPUAffinity and linux.memoryPolicy.</summary>
public sealed class PlacementTests : RuntimeTest
{
    const string OldRunc = "1.1 leaves the member out";

    static readonly string All = Allowed(File.ReadAllText("/proc/self/status"));

    static string Allowed(string status) => status.Split('\n').Single(line => line.StartsWith("Cpus_allowed_list:"))[18..].Trim();

    static string Last => All.Split(',', '-')[^1];

    string ExecAllowed(JsonObject affinity)
    {
        var (id, pid) = Start(Sleeper().Change(b => b.Process["execCPUAffinity"] = affinity));
        Assert.Equal(All, Allowed(File.ReadAllText($"/proc/{pid}/status"))); // it is not the init's
        return Allowed(Runtime.Exec(id, "cat", "/proc/self/status").Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void An_exec_runs_on_its_final_processors() =>
        Assert.Equal(Last, ExecAllowed(new JsonObject { ["initial"] = All.Split(',', '-')[0], ["final"] = Last }));

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Without_final_processors_the_containers_count_again() => Assert.Equal(All, ExecAllowed(new JsonObject { ["initial"] = Last }));

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void The_initial_processors_are_those_of_the_start()
    {
        // One that is not there: the start on it fails, so the member was not left out.
        var (id, _) = Start(Sleeper().Change(b => b.Process["execCPUAffinity"] = new JsonObject { ["initial"] = "9000" }));
        Assert.Contains("execCPUAffinity.initial", Runtime.Exec(id, "true").Ends(255).Stderr);
    }

    [RuntimeFact(NotUnderRunc = "1.4 was the first to free them")]
    public void What_binds_the_caller_does_not_bind_the_container()
    {
        // On a host with a cpuset for each container the kernel does as much; elsewhere the runtime has to.
        string Bound(params string[] arguments) =>
            Allowed(Spawn.Run(Folder, "/usr/bin/taskset", ["-c", Last, Runtime.Program, "--root", Runtime.Root, .. arguments]).Ends(0).Stdout);

        var id = NewId();
        Assert.Equal(All, Bound("run", "--bundle", NewBundle().Args("cat", "/proc/self/status").Folder, id));
        Assert.Equal(All, Bound("exec", Start(Sleeper()).Id, "cat", "/proc/self/status"));
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("1-")]
    [InlineData("3-1")]
    [InlineData("0,,1")]
    [InlineData("99999999999")]
    public void A_list_that_is_none_is_refused_by_name(string list)
    {
        Assert.Contains("execCPUAffinity.final", Run(Sleeper().Change(b => b.Process["execCPUAffinity"] = new JsonObject { ["final"] = list })).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("""{ "mode": "MPOL_BIND", "nodes": "0" }""", " bind:0 ")]
    [InlineData("""{ "mode": "MPOL_BIND", "nodes": "0", "flags": [ "MPOL_F_STATIC_NODES" ] }""", " bind=static:0 ")]
    [InlineData("""{ "mode": "MPOL_INTERLEAVE", "nodes": "0-0" }""", " interleave:0 ")]
    [InlineData("""{ "mode": "MPOL_PREFERRED", "nodes": "0" }""", " prefer:0 ")]
    [InlineData("""{ "mode": "MPOL_LOCAL" }""", " local ")]
    [InlineData("""{ "mode": "MPOL_DEFAULT" }""", " default ")]
    public void The_memory_policy_holds_for_the_init_and_for_an_exec(string policy, string seen)
    {
        var (id, pid) = Start(Sleeper().Change(b => b.Linux["memoryPolicy"] = JsonNode.Parse(policy)));
        Assert.Contains(seen, File.ReadAllText($"/proc/{pid}/numa_maps"));
        Assert.Contains(seen, Runtime.Exec(id, "cat", "/proc/self/numa_maps").Ends(0).Stdout);
        File.WriteAllText(Path.Combine(Folder, "process.json"), """{ "args": [ "cat", "/proc/self/numa_maps" ], "env": [ "PATH=/bin" ], "cwd": "/" }""");
        Assert.Contains(seen, Runtime.Do("exec", "--process", Path.Combine(Folder, "process.json"), id).Ends(0).Stdout);
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("""{ "mode": "MPOL_NOSUCH", "nodes": "0" }""", "memoryPolicy.mode")]
    [InlineData("""{ "nodes": "0" }""", "memoryPolicy.mode")]
    [InlineData("""{ "mode": "MPOL_BIND", "nodes": "x" }""", "memoryPolicy.nodes")]
    [InlineData("""{ "mode": "MPOL_BIND", "nodes": "0", "flags": [ "MPOL_F_NOSUCH" ] }""", "memoryPolicy.flags")]
    [InlineData("""{ "mode": "MPOL_BIND", "nodes": "1000" }""", "memoryPolicy")]
    [InlineData("""{ "mode": "MPOL_BIND" }""", "memoryPolicy")]
    public void A_memory_policy_that_cannot_be_is_refused_by_name(string policy, string name)
    {
        Assert.Contains(name, Run(NewBundle().Args("true").Change(b => b.Linux["memoryPolicy"] = JsonNode.Parse(policy))).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
