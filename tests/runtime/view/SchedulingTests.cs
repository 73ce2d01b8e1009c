using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>process.scheduler, process.ioPriority, and the limits of block devices on this host.</summary>
public sealed class SchedulingTests : RuntimeTest
{
    const string OldRunc = "1.1 leaves the member out";

    /// <summary>Nice value and policy: fields 19 and 41 of proc_pid_stat(5).</summary>
    static (string Nice, string Policy) Scheduling(string stat)
    {
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (fields[16], fields[38]);
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("""{ "policy": "SCHED_BATCH", "nice": 5 }""", "5", "3")]
    [InlineData("""{ "policy": "SCHED_OTHER", "nice": 7 }""", "7", "0")]
    [InlineData("""{ "policy": "SCHED_IDLE" }""", null, "5")]
    [InlineData("""{ "policy": "SCHED_BATCH", "nice": 3, "flags": [ "SCHED_FLAG_RESET_ON_FORK" ] }""", "3", "3")]
    public void The_scheduler_is_the_bundles_for_the_init_and_for_an_exec(string scheduler, string? nice, string policy)
    {
        nice ??= Scheduling(File.ReadAllText("/proc/self/stat")).Nice; // this policy leaves the caller's
        var (id, pid) = Start(Sleeper().Change(b => b.Process["scheduler"] = JsonNode.Parse(scheduler)));
        Assert.Equal((nice, policy), Scheduling(File.ReadAllText($"/proc/{pid}/stat")));
        Assert.Equal((nice, policy), Scheduling(Runtime.Exec(id, "cat", "/proc/self/stat").Ends(0).Stdout));
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("""{ "policy": "SCHED_NOSUCH" }""", "process.scheduler.policy")]
    [InlineData("""{ "policy": "SCHED_OTHER", "flags": [ "SCHED_FLAG_NOSUCH" ] }""", "process.scheduler.flags")]
    [InlineData("""{ "policy": "SCHED_FIFO", "priority": 1000 }""", "process.scheduler")]
    [InlineData("""{ "policy": "SCHED_DEADLINE", "runtime": 50, "deadline": 20, "period": 100 }""", "process.scheduler")]
    public void A_scheduler_that_cannot_be_is_refused_by_name(string scheduler, string member)
    {
        Assert.Contains(member, Run(NewBundle().Args("true").Change(b => b.Process["scheduler"] = JsonNode.Parse(scheduler))).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("IOPRIO_CLASS_IDLE", 0, "idle")]
    [InlineData("IOPRIO_CLASS_BE", 6, "best-effort: prio 6")]
    public void The_io_priority_is_the_bundles(string @class, int priority, string seen)
    {
        var (_, pid) = Start(Sleeper().Change(b => b.Process["ioPriority"] = new JsonObject { ["class"] = @class, ["priority"] = priority }));
        Assert.Contains(seen, Spawn.Run(Folder, "/bin/busybox", ["ionice", "-p", pid.ToString()]).Ends(0).Stdout);
    }

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("IOPRIO_CLASS_NOSUCH", 0)]
    [InlineData("IOPRIO_CLASS_BE", 8)]
    public void An_io_priority_that_cannot_be_is_refused_by_name(string @class, int priority) => Assert.Contains("process.ioPriority",
        Run(NewBundle().Args("true").Change(b => b.Process["ioPriority"] = new JsonObject { ["class"] = @class, ["priority"] = priority })).Ends(1).Stderr);

    [RuntimeFact]
    public void Block_devices_are_throttled()
    {
        // The first disk that the kernel lists.
        var disk = File.ReadLines("/proc/partitions").Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).First(words => words.Length == 4 && words[0] != "major");
        JsonArray Limit(long rate) => new(new JsonObject { ["major"] = long.Parse(disk[0]), ["minor"] = long.Parse(disk[1]), ["rate"] = rate });
        var (_, pid) = Start(Sleeper().Change(b => b.Linux["resources"]!["blockIO"] = new JsonObject
        {
            ["throttleReadBpsDevice"] = Limit(1048576), ["throttleWriteBpsDevice"] = Limit(2097152), ["throttleReadIOPSDevice"] = Limit(300), ["throttleWriteIOPSDevice"] = Limit(400),
        }));
        var groups = File.ReadAllLines($"/proc/{pid}/cgroup").Select(line => line.Split(':', 3)).ToArray();
        if (groups.FirstOrDefault(parts => parts[1] == "blkio") is not { } blkio)
        {
            Assert.Contains("rbps=1048576 wbps=2097152 riops=300 wiops=400", File.ReadAllText($"/sys/fs/cgroup{groups.Single(parts => parts[1] == "")[2]}/io.max"));
            return;
        }
        string Read(string file) => File.ReadAllText($"/sys/fs/cgroup/blkio{blkio[2]}/blkio.throttle.{file}_device").Trim();
        Assert.Equal([$"{disk[0]}:{disk[1]} 1048576", $"{disk[0]}:{disk[1]} 2097152", $"{disk[0]}:{disk[1]} 300", $"{disk[0]}:{disk[1]} 400"],
            [Read("read_bps"), Read("write_bps"), Read("read_iops"), Read("write_iops")]);
    }
}
