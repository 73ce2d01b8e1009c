using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// Device rules on a host that has the v2 tree alone. On a hybrid host one is made for the runtime: in a mount namespace of its own, a group of
/// the unified tree stands where the runtime looks for all of them. Controllers are not needed, and none is enabled.
/// </summary>
public sealed class V2DeviceTests : RuntimeTest
{
    const string Write = "for n in kmsg:11 zero:5; do mknod /dev/my${n%:*} c 1 ${n#*:} && true >/dev/my${n%:*} && echo ${n%:*}; done; true </dev/zero && echo read";

    string? part;

    Result RunOnV2(string? devices)
    {
        var bundle = NewBundle().Shell(Write).WithoutNamespace("cgroup").Change(b =>
        {
            b.Linux["resources"] = devices is null ? new JsonObject() : new JsonObject { ["devices"] = JsonNode.Parse(devices) };
            foreach (var set in (string[])["bounding", "effective", "permitted"])
                b.Process["capabilities"]![set] = Bundle.Strings("CAP_MKNOD");
        });
        // Without a mount of cgroups inside: it would show the host's own.
        for (var i = bundle.Mounts.Count - 1; i >= 0; i--)
        {
            if ((string?)bundle.Mounts[i]!["type"] is "cgroup" or "cgroup2")
                bundle.Mounts.RemoveAt(i);
        }
        bundle.Change(_ => { });
        if (File.Exists("/sys/fs/cgroup/cgroup.controllers"))
            return Run(bundle);
        part = $"/sys/fs/cgroup/unified/{Tag}-v2";
        Directory.CreateDirectory(part);
        return Spawn.Run(Folder, "/usr/bin/unshare", ["--mount", "/bin/sh", "-c", "mount --bind \"$0\" /sys/fs/cgroup && exec \"$@\"", part,
            Runtime.Program, "--root", Runtime.Root, "run", "--bundle", bundle.Folder, NewId()]);
    }

    protected override void CleanUp()
    {
        if (part is not null && Directory.Exists(part))
            Directory.Delete(part);
    }

    [RuntimeTheory]
    [InlineData(null, "zero\nread\n")]
    [InlineData("""[ { "allow": false, "access": "rwm" } ]""", "zero\nread\n")]
    [InlineData("""[ { "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw" } ]""", "kmsg\nzero\nread\n")]
    [InlineData("""[ { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "rw" }, { "allow": false, "type": "a", "access": "rwm" } ]""", "zero\nread\n")]
    [InlineData("""[ { "allow": true, "type": "a", "access": "rwm" } ]""", "kmsg\nzero\nread\n")]
    public void Rules_hold_without_the_devices_controller(string? devices, string expected)
    {
        if (!Directory.Exists("/sys/fs/cgroup/unified") && !File.Exists("/sys/fs/cgroup/cgroup.controllers"))
            return; // a v1 host
        Assert.Equal(expected, RunOnV2(devices).Ends(0).Stdout);
        CleanUp();
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "its default devices come after the rules, even where all is allowed")]
    public void A_default_device_can_be_taken_out_of_everything()
    {
        if (!Directory.Exists("/sys/fs/cgroup/unified") && !File.Exists("/sys/fs/cgroup/cgroup.controllers"))
            return;
        var result = RunOnV2("""[ { "allow": true, "type": "a", "access": "rwm" }, { "allow": false, "type": "c", "major": 1, "minor": 5, "access": "w" } ]""").Ends(0);
        Assert.Equal("kmsg\nread\n", result.Stdout);
        Assert.Contains("Operation not permitted", result.Stderr);
    }
}
