using System.Text.Json.Nodes;

namespace Containers.Bench;

/// <summary>A busybox root and bundles over it, each for one question.</summary>
sealed class Bundle : IDisposable
{
    public static string Platform => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "linux-arm64" : "linux-x64";

    public string Folder { get; } = $"/run/containers-bench-{Environment.ProcessId}";
    public string Rootfs => Path.Combine(Folder, "rootfs");

    /// <summary>Ends at once.</summary>
    public string True { get; }

    public string Sleep { get; }

    /// <summary>With the system calls that a container may make by default.</summary>
    public string Filtered { get; }

    /// <summary>With 50 folders of the host.</summary>
    public string Mounts { get; }

    /// <summary>In a user namespace of 65,536 ids.</summary>
    public string UserNamespace { get; }

    /// <summary>Writes its runtime's largest resident size into <see cref="PeakFile"/> when it ends.</summary>
    public string Peak { get; }

    public string PeakFile => Path.Combine(Folder, "peak");

    public Bundle()
    {
        string busybox = Runtime.Find("busybox") ?? throw new FileNotFoundException("busybox is not on the PATH: install busybox-static");
        foreach (string folder in new[] { "bin", "proc", "sys", "dev", "tmp", "etc" })
            Directory.CreateDirectory(Path.Combine(Rootfs, folder));
        File.Copy(busybox, Path.Combine(Rootfs, "bin/busybox"));
        foreach (string link in new[] { "true", "sleep", "sh" })
            File.CreateSymbolicLink(Path.Combine(Rootfs, "bin", link), "busybox");
        True = Write("true", _ => { });
        Sleep = Write("sleep", config => config["process"]!["args"] = new JsonArray("/bin/sleep", "3600"));
        Filtered = Write("filtered", config => config["linux"]!["seccomp"] = Seccomp());
        Mounts = Write("mounts", config =>
        {
            for (int i = 0; i < 50; i++)
            {
                string source = Path.Combine(Folder, "sources", $"{i}");
                Directory.CreateDirectory(source);
                Directory.CreateDirectory(Path.Combine(Rootfs, $"m/{i}"));
                config["mounts"]!.AsArray().Add(new JsonObject { ["destination"] = $"/m/{i}", ["type"] = "bind", ["source"] = source, ["options"] = new JsonArray("rbind", "ro") });
            }
        });
        UserNamespace = Write("user", config =>
        {
            config["linux"]!["namespaces"]!.AsArray().Add(new JsonObject { ["type"] = "user" });
            foreach (string maps in new[] { "uidMappings", "gidMappings" })
                config["linux"]![maps] = new JsonArray(new JsonObject { ["containerID"] = 0, ["hostID"] = 100000, ["size"] = 65536 });
        });
        Peak = Write("peak-rss", config => config["hooks"] = new JsonObject
        {
            ["poststop"] = new JsonArray(new JsonObject { ["path"] = "/bin/sh", ["args"] = new JsonArray("sh", "-c", $"while read a b c; do [ $a != VmHWM: ] || echo $b >{PeakFile}; done </proc/$PPID/status") }),
        });
    }

    string Write(string name, Action<JsonNode> change)
    {
        JsonNode config = JsonNode.Parse(Config.Replace("ROOT", Rootfs, StringComparison.Ordinal))!;
        change(config);
        string folder = Directory.CreateDirectory(Path.Combine(Folder, name)).FullName;
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        return folder;
    }

    // The engine's own profile as it is for a container without capabilities of weight, in the runtime specification's words.
    static JsonObject Seccomp()
    {
        using Stream stream = typeof(Bundle).Assembly.GetManifestResourceStream("seccomp.json")!;
        JsonNode profile = JsonNode.Parse(stream)!;
        var rules = new JsonArray();
        foreach (JsonNode? rule in profile["syscalls"]!.AsArray())
        {
            if (rule!["includes"] is not null)
                continue;
            var copy = rule.DeepClone().AsObject();
            copy.Remove("excludes");
            copy.Remove("comment");
            rules.Add((JsonNode)copy);
        }
        var architectures = new JsonArray();
        foreach (JsonNode? entry in profile["archMap"]!.AsArray())
        {
            if ((string?)entry!["architecture"] != (Platform == "linux-x64" ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64"))
                continue;
            architectures.Add((JsonNode)entry["architecture"]!.DeepClone());
            foreach (JsonNode? other in entry["subArchitectures"]!.AsArray())
                architectures.Add(other!.DeepClone());
        }
        return new JsonObject
        {
            ["defaultAction"] = profile["defaultAction"]!.DeepClone(), ["defaultErrnoRet"] = profile["defaultErrnoRet"]!.DeepClone(), ["architectures"] = architectures, ["syscalls"] = rules,
        };
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    // What runc spec writes, with the cgroup namespace that docker and podman add.
    const string Config = """
        {"ociVersion":"1.0.2","process":{"terminal":false,"user":{"uid":0,"gid":0},"args":["/bin/true"],"env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"cwd":"/",
        "capabilities":{"bounding":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],"effective":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"],"permitted":["CAP_AUDIT_WRITE","CAP_KILL","CAP_NET_BIND_SERVICE"]},
        "rlimits":[{"type":"RLIMIT_NOFILE","hard":1024,"soft":1024}],"noNewPrivileges":true},
        "root":{"path":"ROOT","readonly":true},"hostname":"bench",
        "mounts":[{"destination":"/proc","type":"proc","source":"proc"},
        {"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","strictatime","mode=755","size=65536k"]},
        {"destination":"/dev/pts","type":"devpts","source":"devpts","options":["nosuid","noexec","newinstance","ptmxmode=0666","mode=0620","gid=5"]},
        {"destination":"/dev/shm","type":"tmpfs","source":"shm","options":["nosuid","noexec","nodev","mode=1777","size=65536k"]},
        {"destination":"/dev/mqueue","type":"mqueue","source":"mqueue","options":["nosuid","noexec","nodev"]},
        {"destination":"/sys","type":"sysfs","source":"sysfs","options":["nosuid","noexec","nodev","ro"]},
        {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup","options":["nosuid","noexec","nodev","relatime","ro"]}],
        "linux":{"resources":{"devices":[{"allow":false,"access":"rwm"}]},
        "namespaces":[{"type":"pid"},{"type":"network"},{"type":"ipc"},{"type":"uts"},{"type":"mount"},{"type":"cgroup"}],
        "maskedPaths":["/proc/acpi","/proc/asound","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats","/proc/sched_debug","/sys/firmware","/proc/scsi"],
        "readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]}}
        """;
}
