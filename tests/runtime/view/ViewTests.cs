using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Containers.Tests.Runtime;

/// <summary>
/// What one and the same bundle sees of itself under this runtime, runc and crun: equal, line by line, but for the list below. The
/// peers do not agree with each other in the lines of the list either; signal masks and dispositions are never on it.
/// </summary>
[Collection("hugetlb")]
public sealed class ViewTests : RuntimeTest
{
    /// <summary>How a line begins that may differ, and why.</summary>
    static readonly (string Beginning, string Why)[] MayDiffer =
    [
        ("mount /proc/keys ", "masked by a bind of /dev/null: runc takes the container's, crun the host's"),
        ("mount /proc/kcore ", "the same"),
        ("mount /proc/timer_list ", "the same"),
        ("mount /proc/acpi ", "masked by an empty tmpfs: runc makes its superblock read-only, crun the mount, with size=0"),
        ("mount /sys/firmware ", "the same"),
        ("mount /proc/scsi ", "the same"),
        ("mount /proc/asound ", "the same"),
        ("mount /sys ", "read-only superblock under runc, read-only mount under crun"),
        ("mount /sys/fs/cgroup ", "the tmpfs of the v1 hierarchies: mode=755 from runc, size=1024k from crun"),
        ("mount /sys/fs/cgroup/hugetlb ", "mounted on the host for crun alone"),
        ("cgroup hugetlb ", "the same"),
        ("mount /dev/null ", "in a user namespace devices are binds of the host's: crun adds nosuid and noexec, runc nothing"),
        ("mount /dev/zero ", "the same"),
        ("mount /dev/full ", "the same"),
        ("mount /dev/random ", "the same"),
        ("mount /dev/urandom ", "the same"),
        ("mount /dev/tty ", "the same"),
        ("dev mqueue ", "in a user namespace runc mounts it before it has taken on the mapped group"),
        ("dev core ", "crun and podman add the link to /proc/kcore, runc does not"),
    ];

    static readonly string[] Volatile =
    [
        // Sizes, counts and times of this very process; State and SigQ depend on the moment.
        "Vm", "Rss", "HugetlbPages", "State", "SigQ", "voluntary_ctxt_switches", "nonvoluntary_ctxt_switches", "FDSize",
    ];

    static Bundle AsRoot(Bundle bundle) => bundle;

    static Bundle AsUser(Bundle bundle) => bundle.Change(b =>
    {
        b.Process["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1001, ["additionalGids"] = new JsonArray(2000, 2001), ["umask"] = 0x17 };
        b.Process["capabilities"]!["ambient"] = Bundle.Strings("CAP_KILL");
        b.Process["capabilities"]!["inheritable"] = Bundle.Strings("CAP_KILL");
        b.Process["rlimits"]!.AsArray().Add(new JsonObject { ["type"] = "RLIMIT_NPROC", ["soft"] = 500, ["hard"] = 600 });
        b.Process["oomScoreAdj"] = 300;
        b.Process["noNewPrivileges"] = false;
        b.Process["cwd"] = "/work";
        b.Config["root"]!["readonly"] = false;
        b.Linux["sysctl"] = new JsonObject { ["net.ipv4.ip_default_ttl"] = "77" };
        b.Mount("/mnt/data", "tmpfs", "tmpfs", "nosuid", "noexec", "size=64k", "mode=0700");
    });

    static Bundle AsMappedRoot(Bundle bundle) => bundle.UserNamespace();

    public static TheoryData<string, string> Cases
    {
        get
        {
            var cases = new TheoryData<string, string>();
            foreach (var section in (string[])["status", "mountinfo", "cgroup", "limits", "dev", "self"])
            {
                foreach (var kind in (string[])["root", "user", "mapped root"])
                    cases.Add(section, kind);
            }
            return cases;
        }
    }

    [RuntimeTheory(NeedsPeer = true)]
    [MemberData(nameof(Cases))]
    public void One_bundle_sees_the_same_under_every_runtime(string section, string kind)
    {
        var hierarchies = File.ReadAllText("/proc/self/cgroup");
        try
        {
            Compare(section, kind);
        }
        catch (Exception) when (File.ReadAllText("/proc/self/cgroup") != hierarchies)
        {
            // Others mount and unmount them: what was seen was not one and the same host.
            Compare(section, kind);
        }
    }

    void Compare(string section, string kind)
    {
        var ours = Look(section, kind, (id, bundle) => Runtime.Run(id, bundle));
        Assert.NotEmpty(ours);
        var compared = 0;
        if (UnderTest.InPath("runc") is { } runc && !UnderTest.IsRunc)
        {
            compared++;
            var theirs = new Runtime(runc, Path.Combine(Folder, "runc"), Folder);
            Compare("runc", ours, Look(section, kind, (id, bundle) => theirs.Run(id, bundle)));
        }
        if (UnderTest.InPath("crun") is { } crun)
        {
            var theirs = Look(section, kind, (id, bundle) =>
                Crun.Run(Folder, crun, "--root", Path.Combine(Folder, "crun"), "run", "--bundle", bundle.Folder, id));
            if (theirs.Count > 0)
            {
                compared++;
                Compare("crun", ours, theirs);
            }
        }
        Assert.True(compared > 0, "neither runc nor crun can be compared with");
    }

    [RuntimeFact]
    public void The_list_of_differences_is_about_mounts_and_devices_alone() => Assert.All(MayDiffer, entry =>
    {
        Assert.Matches("^(mount|cgroup|dev) ", entry.Beginning);
        Assert.NotEmpty(entry.Why);
    });

    List<string> Look(string section, string kind, Func<string, Bundle, Result?> run)
    {
        var bundle = NewBundle();
        bundle = kind switch { "user" => AsUser(bundle), "mapped root" => AsMappedRoot(bundle), _ => AsRoot(bundle) };
        bundle = section switch
        {
            "status" => bundle.Args("cat", "/proc/self/status"),
            "mountinfo" => bundle.Args("cat", "/proc/self/mountinfo"),
            "cgroup" => bundle.Args("cat", "/proc/self/cgroup"),
            "limits" => bundle.Args("cat", "/proc/self/limits"),
            "dev" => bundle.Shell("cd /dev; for f in $(find . | sort); do echo \"dev ${f#./} $(stat -c '%A %u %g %t %T %h' $f) $(readlink $f)\"; done"),
            _ => bundle.Shell("""
                env | sort; id; pwd; hostname; umask
                for f in /proc/self/fd/*; do echo fd ${f##*/}; done
                for f in oom_score_adj loginuid sessionid personality timerslack_ns coredump_filter uid_map gid_map setgroups; do echo "$f $(cat /proc/self/$f 2>&1)"; done
                cut -d' ' -f18,19,41 /proc/self/stat
                cat /proc/sys/net/ipv4/ip_default_ttl; ip -o link
                """),
        };
        var result = run(NewId(), bundle)?.Ends(0);
        if (result is null)
            return [];
        Assert.Empty(result.Stderr);
        var number = Path.GetFileName(bundle.Folder)["bundle".Length..];
        List<string> lines = [];
        foreach (var line in result.Lines)
        {
            if (section == "status" && Volatile.Any(line.StartsWith))
                continue;
            // A hierarchy is everybody's from its mount on: one that another test names, or takes down at this moment (it has neither name nor controllers then), is none of ours.
            if (section == "cgroup" && Regex.IsMatch(line, "^[1-9][0-9]*:(name=(?!systemd:).*|):"))
                continue;
            lines.Add((section switch { "mountinfo" => Mount(line), "cgroup" => Group(line), _ => line })
                .Replace($"{Tag}-group{number}", "GROUP").Replace($"bundle{number}/", "BUNDLE/"));
        }
        if (section is "mountinfo" or "cgroup")
            lines.Sort(StringComparer.Ordinal); // the order of hierarchies is nobody's promise
        return lines;
    }

    /// <summary>mountinfo without the numbers that the kernel gives out, target first. A cgroup mount's source is a mere name.</summary>
    static string Mount(string line)
    {
        var fields = line.Split(' ');
        var dash = Array.IndexOf(fields, "-");
        var type = fields[dash + 1];
        var source = type == "cgroup" ? "" : fields[dash + 2];
        return $"mount {fields[4]} root {fields[3]} options {fields[5]} propagation {string.Join(',', fields[6..dash])} type {type} source {source} {fields[dash + 3]}";
    }

    static string Group(string line)
    {
        var parts = line.Split(':', 3);
        return $"cgroup {parts[1]} {parts[2]}";
    }

    static void Compare(string peer, List<string> ours, List<string> theirs)
    {
        ours = ours.FindAll(IsCompared);
        theirs = theirs.FindAll(IsCompared);
        // Where the host's root is shared, as under systemd, it has it for a master under runc and is private under crun.
        if (peer == "crun")
            ours = ours.ConvertAll(line => Regex.Replace(line, "^(mount / .*) propagation master:[0-9]+ ", "$1 propagation  "));
        List<string> differences = [];
        foreach (var line in ours.Except(theirs))
            differences.Add("ours: " + line);
        foreach (var line in theirs.Except(ours))
            differences.Add($"{peer}: {line}");
        Assert.True(differences.Count == 0, string.Join('\n', differences));
        Assert.Equal(theirs, ours);

        static bool IsCompared(string line) => !MayDiffer.Any(entry => (line + " ").StartsWith(entry.Beginning, StringComparison.Ordinal));
    }
}
