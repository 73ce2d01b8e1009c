using System.Text.Json;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>An OCI bundle in a folder of the test's: a busybox root and a config.json that is changed as JSON.</summary>
sealed class Bundle
{
    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public string Folder { get; }

    public string RootfsPath { get; }

    public JsonObject Config { get; }

    public Bundle(string folder, string cgroup)
    {
        Folder = folder;
        RootfsPath = Path.Combine(folder, "rootfs");
        Directory.CreateDirectory(folder);
        Rootfs.Make(RootfsPath);
        Config = JsonNode.Parse(BaseConfig.Text)!.AsObject();
        Linux["cgroupsPath"] = cgroup;
        Save();
    }

    public JsonObject Process => Config["process"]!.AsObject();

    public JsonObject Linux => Config["linux"]!.AsObject();

    public JsonArray Mounts => Config["mounts"]!.AsArray();

    public JsonArray Namespaces => Linux["namespaces"]!.AsArray();

    /// <summary>Sets process.args and writes config.json.</summary>
    public Bundle Args(params string[] args)
    {
        Process["args"] = Strings(args);
        return Save();
    }

    /// <summary>The program is busybox' shell with this script.</summary>
    public Bundle Shell(string script) => Args("/bin/sh", "-c", script);

    public Bundle Change(Action<Bundle> change)
    {
        change(this);
        return Save();
    }

    public Bundle Mount(string destination, string type, string source, params string[] options)
    {
        Mounts.Add(new JsonObject
        {
            ["destination"] = destination, ["type"] = type, ["source"] = source, ["options"] = Strings(options),
        });
        return Save();
    }

    /// <summary>Gives the container a namespace of its own, or the one at <paramref name="path"/>, in place of what stood there.</summary>
    public Bundle Namespace(string type, string? path = null)
    {
        WithoutNamespace(type);
        var entry = new JsonObject { ["type"] = type };
        if (path is not null)
            entry["path"] = path;
        Namespaces.Add(entry);
        return Save();
    }

    public Bundle WithoutNamespace(string type)
    {
        for (var i = Namespaces.Count - 1; i >= 0; i--)
        {
            if ((string?)Namespaces[i]!["type"] == type)
                Namespaces.RemoveAt(i);
        }
        return Save();
    }

    /// <summary>A user namespace that maps 65536 ids from 100000 on, and a root that belongs to its root.</summary>
    public Bundle UserNamespace()
    {
        JsonObject Map() => new() { ["containerID"] = 0, ["hostID"] = 100000, ["size"] = 65536 };
        Linux["uidMappings"] = new JsonArray(Map());
        Linux["gidMappings"] = new JsonArray(Map());
        foreach (var folder in Directory.GetDirectories(RootfsPath))
            Native.lchown(folder, 100000, 100000);
        Native.lchown(RootfsPath, 100000, 100000);
        return Namespace("user");
    }

    public Bundle Save()
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), Config.ToJsonString(Indented));
        return this;
    }

    /// <summary>Replaces config.json by text that need not be JSON.</summary>
    public Bundle SaveText(string text)
    {
        File.WriteAllText(Path.Combine(Folder, "config.json"), text);
        return this;
    }

    /// <summary>The path of a file of the root, seen from the host.</summary>
    public string InRootfs(string path) => Path.Combine(RootfsPath, path.TrimStart('/'));

    public Bundle WriteFile(string path, string text, UnixFileMode mode = Permission.Plain)
    {
        var file = InRootfs(path);
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        File.WriteAllText(file, text);
        File.SetUnixFileMode(file, mode);
        return this;
    }

    public static JsonArray Strings(params string[] values)
    {
        var array = new JsonArray();
        foreach (var value in values)
            array.Add((JsonNode)value);
        return array;
    }
}

/// <summary>What <c>runc spec</c> writes, without a terminal and with a cgroup namespace.</summary>
static class BaseConfig
{
    public const string Text = """
        {
          "ociVersion": "1.0.2",
          "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": [ "sh" ],
            "env": [ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm" ],
            "cwd": "/",
            "capabilities": {
              "bounding": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
              "effective": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ],
              "permitted": [ "CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE" ]
            },
            "rlimits": [ { "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 } ],
            "noNewPrivileges": true
          },
          "root": { "path": "rootfs", "readonly": true },
          "hostname": "boxed",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs",
              "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
              "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" ] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": [ "nosuid", "noexec", "nodev" ] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [ "nosuid", "noexec", "nodev", "ro" ] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
              "options": [ "nosuid", "noexec", "nodev", "relatime", "ro" ] }
          ],
          "linux": {
            "resources": { "devices": [ { "allow": false, "access": "rwm" } ] },
            "namespaces": [
              { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" }
            ],
            "maskedPaths": [
              "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
              "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
            ],
            "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
          }
        }
        """;
}
