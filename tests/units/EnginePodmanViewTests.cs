using System.Diagnostics;
using System.Globalization;
using Containers;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>
/// What a container gets when nothing is said, seen from inside, beside what `podman run` gives: docs/security.md. Each difference is on the list below with its reason; one
/// that is not on the list fails.
/// </summary>
public sealed class EnginePodmanViewTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    /// <summary>Key of the fact, or its beginning when it ends in *; and why it may differ.</summary>
    static readonly (string Fact, string Why)[] s_differences =
    [
        ("status CapPrm", "this podman keeps docker's MKNOD, NET_RAW and AUDIT_WRITE; ours are the eleven of podman since 4.4"),
        ("status CapEff", "as CapPrm"),
        ("status CapBnd", "as CapPrm"),
        ("limit Max processes", "podman takes its own configuration's, ours are the host's"),
        ("limit Max open files", "as above"),
        ("mount /dev/shm", "65536k as docker and the specification's example have it; podman has 64000k"),
        ("mount /dev", "podman adds noexec, which the bundle that the specification shows does not have"),
        ("mount /etc/hostname", "made with networks, not before"),
        ("mount /etc/hosts", "made with networks, not before"),
        ("mount /etc/resolv.conf", "made with networks, not before"),
        ("mount /run/.containerenv", "podman's own mark"),
        ("mount /run/secrets", "podman's own"),
        ("mount /proc/interrupts", "masked by us, as newer docker does: it tells neighbours' activity"),
        ("mount /proc/keys", "the null device has the options of /dev"),
        ("mount /proc/timer_list", "the null device has the options of /dev"),
        ("mount /proc/latency_stats", "the null device has the options of /dev"),
        ("mount /sys/devices/virtual/powercap", "masked by us: power figures leak what others compute (CVE-2020-8694)"),
        ("mount /sys/fs/cgroup", "read-only all the way for us"),
        ("mount /sys/fs/cgroup/*", "podman gives no cgroup namespace on v1 and binds its folders; ours has one"),
        ("cgroup *", "podman has no private cgroup namespace on a v1 host; here the container's own group is its root"),
        ("ns cgroup", "as above"),
        ("env HOME", "podman does not look into this root's /etc/passwd"),
        ("env HOSTNAME", "the id, made up anew for each container"),
        ("env TERM", "set for terminals only"),
        ("env container", "podman's own mark"),
        ("hostname", "the id, made up anew for each container"),
    ];

    [PodmanFact]
    public async Task A_container_of_defaults_sees_what_one_of_podman_sees()
    {
        File.WriteAllText(Path.Combine(f.Rootfs, "view.sh"), Script);
        foreach (string applet in (string[])["cut", "sed", "sort", "awk", "ls", "umask", "readlink"])
            File.CreateSymbolicLink(Path.Combine(f.Rootfs, "bin", applet), "busybox");
        Dictionary<string, string> theirs = Facts(RunPodman());

        Container container = await f.Engine.Containers.CreateAsync(new ContainerCreateOptions { RootfsPath = f.Rootfs, ArgumentList = ["/bin/sh", "/view.sh"] }, f.Limit);
        await f.Engine.Tasks.CreateAsync(container.Id, cancel: f.Limit);
        using ContainerAttachment attachment = await f.Engine.Tasks.AttachAsync(container.Id, cancel: f.Limit);
        await f.Engine.Tasks.StartAsync(container.Id, cancel: f.Limit);
        using var text = new MemoryStream();
        while (await attachment.ReadAsync(f.Limit) is { } output)
            text.Write(output.Data);
        Dictionary<string, string> ours = Facts(System.Text.Encoding.UTF8.GetString(text.ToArray()));

        Assert.True(ours.Count > 40 && theirs.Count > 40, $"only {ours.Count} and {theirs.Count} facts were seen");
        var unexplained = new List<string>();
        foreach (string fact in ours.Keys.Union(theirs.Keys).Order(StringComparer.Ordinal))
        {
            string? mine = ours.GetValueOrDefault(fact);
            string? podmans = theirs.GetValueOrDefault(fact);
            if (mine != podmans && !Array.Exists(s_differences, d => Covers(d.Fact, fact)))
                unexplained.Add($"{fact}: ours \"{mine}\", podman's \"{podmans}\"");
        }
        Assert.Empty(unexplained);
    }

    [Fact]
    public void Every_difference_has_its_reason() => Assert.All(s_differences, d => Assert.NotEmpty(d.Why));

    static bool Covers(string pattern, string fact) => pattern.EndsWith('*') ? fact.StartsWith(pattern[..^1], StringComparison.Ordinal) : pattern == fact;

    /// <summary>Lines of "key = value"; what is counted anew in each container (device numbers, node names) is not in the script's answer.</summary>
    static Dictionary<string, string> Facts(string text)
    {
        var facts = new Dictionary<string, string>();
        foreach (string line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = line.IndexOf(" = ", StringComparison.Ordinal);
            if (equals > 0)
                facts[line[..equals]] = line[(equals + 3)..];
        }
        return facts;
    }

    const string Script = """
        echo "id = $(id)"
        echo "umask = $(umask)"
        echo "hostname = $(hostname)"
        echo "cwd = $(pwd)"
        sed -nE 's/^(Cap[A-Za-z]+|NoNewPrivs|Seccomp|Sig(Blk|Ign)|Groups|Umask):[[:space:]]*/status \1 = /p' /proc/self/status
        sed -nE 's/^(Max (open files|processes|core file size|stack size|locked memory|pending signals|msgqueue size))[ ]+([^ ]+)[ ]+([^ ]+).*/limit \1 = \3 \4/p' /proc/self/limits
        awk '{ i = 7; while ($i != "-") i++; print "mount " $5 " = " $6 " " $(i + 1) " " $(i + 3) }' /proc/self/mountinfo
        ls -l /dev | awk 'NR > 1 { node = $1 ~ /^[cb]/; print "dev " (node ? $10 : $9) " = " $1 " " $3 " " $4 (node ? " " $5 $6 : "") }'
        env | sed -nE 's/^([A-Za-z_]+)=/env \1 = /p'
        sed -E 's/^[0-9]+:([^:]*):/cgroup \1 = /' /proc/self/cgroup
        for n in cgroup ipc mnt net pid user uts time; do echo "ns $n = $(readlink /proc/self/ns/$n | sed 's/:.*//')"; done
        """;

    string RunPodman()
    {
        string folder = Directory.CreateDirectory(Path.Combine(f.Folder, "podman")).FullName;
        // podman takes no run root of more than 50 characters
        string configuration = Path.Combine(folder, "containers.conf");
        // Hard limits cannot be raised everywhere; crun needs a hierarchy that not every host mounts.
        File.WriteAllText(configuration, "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]\n[engine]\nruntime = \"runc\"\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n");
        var start = new ProcessStartInfo("/usr/bin/podman") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["CONTAINERS_CONF"] = configuration;
        foreach (string argument in (string[])["--root", folder + "/root", "--runroot", $"/tmp/psview-{f.Options.ContainerNamespace}", "--storage-driver", "vfs", "run", "--rm", "--network", "none",
            "--name", "view" + f.Options.ContainerNamespace, "--rootfs", f.Rootfs, "/bin/sh", "/view.sh"])
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        Directory.Delete($"/tmp/psview-{f.Options.ContainerNamespace}", recursive: true);
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)), "podman did not end within 60 s");
        Assert.True(process.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"podman: exit code {process.ExitCode}: {error.Result}"));
        return output;
    }
}

/// <summary>A test that compares with podman; left out, by name, where it is not installed.</summary>
sealed class PodmanFactAttribute : FactAttribute
{
    public PodmanFactAttribute()
    {
        Skip = new RunsContainersFactAttribute().Skip ?? (File.Exists("/usr/bin/podman") && File.Exists("/usr/bin/runc") ? null : "podman or runc is not installed");
    }
}
