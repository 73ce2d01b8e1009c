using System.Globalization;
using System.Text;

namespace Containers.Bench;

/// <summary>A runtime did not do what was asked, so that its times would mean nothing.</summary>
sealed class RuntimeRefused(string message) : Exception(message);

/// <summary>One OCI runtime, driven by its command line as an engine would drive it.</summary>
sealed class Runtime(string name, string path, Bundle bundle)
{
    readonly string root = Path.Combine(bundle.Folder, "state-" + name);
    int number;
    string? kept;

    public string Name => name;

    public static string? Find(string name)
        => (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public void Do(params string[] arguments)
    {
        int status = Spawn.Run(path, [name, .. arguments]);
        if (status != 0)
            throw new RuntimeRefused($"{name} {string.Join(' ', arguments)}: exit status {status}; it is left out of that row");
    }

    public void Run() => Do("--root", root, "run", "--bundle", bundle.TrueFolder, Next());

    public void Steps()
    {
        string id = Next();
        Do("--root", root, "create", "--bundle", bundle.TrueFolder, id);
        Do("--root", root, "start", id);
        Do("--root", root, "state", id);
        Do("--root", root, "delete", "-f", id);
    }

    /// <summary>Leaves a container running, for exec.</summary>
    public void Keep()
    {
        string id = Next();
        try
        {
            Do("--root", root, "run", "-d", "--bundle", bundle.SleepFolder, id);
            kept = id;
        }
        catch (RuntimeRefused e)
        {
            Console.Error.WriteLine(e.Message);
        }
    }

    public void Exec() => Do("--root", root, "exec", kept ?? throw new RuntimeRefused($"{name}: no container to exec in"), "/bin/true");

    public void Drop()
    {
        if (kept is not null)
            Do("--root", root, "delete", "-f", kept);
        kept = null;
    }

    string Next() => string.Create(CultureInfo.InvariantCulture, $"bench-{name}-{Environment.ProcessId}-{++number}");
}

/// <summary>A busybox root and two bundles over it, one that ends at once and one that stays.</summary>
sealed class Bundle : IDisposable
{
    public static string Platform => System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? "linux-arm64" : "linux-x64";

    public string Folder { get; } = $"/run/containers-bench-{Environment.ProcessId}";
    public string Rootfs => Path.Combine(Folder, "rootfs");
    public string TrueFolder => Path.Combine(Folder, "true");
    public string SleepFolder => Path.Combine(Folder, "sleep");

    public Bundle()
    {
        string busybox = Runtime.Find("busybox") ?? throw new FileNotFoundException("busybox is not on the PATH: install busybox-static");
        foreach (string folder in new[] { "bin", "proc", "sys", "dev", "tmp", "etc" })
            Directory.CreateDirectory(Path.Combine(Rootfs, folder));
        File.Copy(busybox, Path.Combine(Rootfs, "bin/busybox"));
        foreach (string link in new[] { "true", "sleep", "sh" })
            File.CreateSymbolicLink(Path.Combine(Rootfs, "bin", link), "busybox");
        Write(TrueFolder, "\"/bin/true\"");
        Write(SleepFolder, "\"/bin/sleep\",\"3600\"");
    }

    void Write(string folder, string arguments)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), Config.Replace("ROOT", Rootfs, StringComparison.Ordinal).Replace("ARGS", arguments, StringComparison.Ordinal), new UTF8Encoding(false));
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    // What runc spec writes, with the cgroup namespace that docker and podman add.
    const string Config = """
        {"ociVersion":"1.0.2","process":{"terminal":false,"user":{"uid":0,"gid":0},"args":[ARGS],"env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin","TERM=xterm"],"cwd":"/",
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
