using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary><c>events</c>: measurements in runc's shape, and what the kernel killed for want of memory.</summary>
public sealed class EventsTests : RuntimeTest
{
    static JsonObject Parse(string line) => JsonNode.Parse(line)!.AsObject();

    [RuntimeFact]
    public void Stats_are_one_line_in_runcs_shape()
    {
        var (id, _) = Start(Sleeper().Change(b =>
        {
            b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 64 << 20 };
            b.Linux["resources"]!["pids"] = new JsonObject { ["limit"] = 17 };
        }));
        var line = Assert.Single(Runtime.Do("events", "--stats", id).Ends(0).Lines);
        var root = Parse(line);
        Assert.Equal(("stats", id), ((string?)root["type"], (string?)root["id"]));
        var data = root["data"]!.AsObject();
        Assert.Equal(["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"], data.Select(member => member.Key));
        Assert.Equal((1, 17), ((int)data["pids"]!["current"]!, (int)data["pids"]!["limit"]!));
        Assert.Equal(64 << 20, (int)data["memory"]!["usage"]!["limit"]!);
        Assert.InRange((long)data["memory"]!["usage"]!["usage"]!, 1, 64 << 20);
        Assert.True((long)data["cpu"]!["usage"]!["total"]! > 0);
        Assert.Equal(["kernel", "user"], data["cpu"]!["usage"]!.AsObject().Select(member => member.Key).Where(name => name is "kernel" or "user"));
        Assert.NotNull(data["memory"]!["raw"]!["pgfault"]);
        Assert.Null(data["network_interfaces"]);
    }

    [RuntimeFact]
    public void Stats_come_at_the_interval_until_the_container_ends()
    {
        var (id, pid) = Start(Sleeper());
        using var events = Runtime.Begin(new SpawnOptions(), "events", "--interval", "50ms", id);
        Until(() => events.Stdout.Split('\n').Length > 3);
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        if (UnderTest.IsRunc)
            Runtime.Do("delete", id).Ends(0); // it waits for the group's end
        foreach (var line in events.Wait().Ends(0).Lines)
            Assert.Equal("stats", (string?)Parse(line)["type"]);
    }

    [RuntimeFact]
    public void Want_of_memory_is_told()
    {
        var (id, _) = Start(Sleeper().Change(b =>
            b.Linux["resources"]!["memory"] = new JsonObject { ["limit"] = 24 << 20, ["swap"] = 24 << 20 }));
        using var events = Runtime.Begin(new SpawnOptions(), "events", "--interval", "1h", id);
        Until(() => HasOpen(events.Pid));
        Runtime.Do("exec", id, "sh", "-c", "x=0123456789; while :; do x=$x$x; done");
        Until(() => events.Stdout.Contains('\n'));
        var told = Parse(events.Stdout.Split('\n')[0]);
        Assert.Equal(("oom", id), ((string?)told["type"], (string?)told["id"]));
        Assert.Null(told["data"]);
        Runtime.Do("delete", "--force", id).Ends(0);
        events.Wait().Ends(0);
    }

    /// <summary>The runtime watches: it has an eventfd or an inotify descriptor.</summary>
    static bool HasOpen(int pid) => Directory.GetFileSystemEntries($"/proc/{pid}/fd").Any(fd =>
        HostState.Link(fd) is { } link && (link.Contains("inotify") || (link.Contains("eventfd") && File.ReadAllText($"/proc/{pid}/fdinfo/{Path.GetFileName(fd)}").Length > 0)))
        && Directory.GetFileSystemEntries($"/proc/{pid}/fd").All(fd => HostState.Link(fd)?.EndsWith("event_control") != true);

    [RuntimeTheory]
    [InlineData("0s")]
    [InlineData("soon")]
    [InlineData("5")]
    [InlineData("-1s")]
    public void An_interval_that_is_none_is_refused(string interval)
    {
        var (id, _) = Start(Sleeper());
        Assert.NotEmpty(Runtime.Do("events", "--interval", interval, id).Ends(1).Stderr);
    }

    [RuntimeFact]
    public void A_stopped_container_has_none()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Contains("not running", Runtime.Do("events", "--stats", id).Ends(1).Stderr);
    }
}
