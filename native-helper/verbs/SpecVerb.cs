using Containers.Linux;

namespace Psrun.Verbs;

/// <summary>spec: writes a bundle's config.json to start from; one that is there is never overwritten.</summary>
static class SpecVerb
{
    public static readonly string[] Known = ["b,bundle=", "rootless"];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 0, out int used);
        if (used != args.Length)
            throw new PsrunException($"spec: \"{args[used]}\" is not expected");
        string path = Path.GetFullPath("config.json", Path.GetFullPath(options.Value("bundle") ?? ".", Program.InvocationFolder));
        int fd = Libc.open(path, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0x1B6);
        if (fd < 0)
            throw new PsrunException(Libc.errno == Libc.EEXIST ? $"file config.json exists already: {path}" : $"{path}: {Errnos.Text(Libc.errno)}");
        Log.Write(fd, (options.Has("rootless") ? Rootless() : Text) + "\n");
        Libc.close(fd);
        return 0;
    }

    /// <summary>
    /// What a plain user can start: a user namespace of its own with that user as root; no network namespace, in which sysfs would be refused, so that
    /// /sys is the host's; no limits, and no group for the terminal that is not mapped.
    /// </summary>
    static string Rootless() => Text
        .Replace("\"mode=0620\", \"gid=5\"", "\"mode=0620\"")
        .Replace("\"type\": \"sysfs\", \"source\": \"sysfs\", \"options\": [ ", "\"type\": \"none\", \"source\": \"/sys\", \"options\": [ \"rbind\", ")
        .Replace("\"resources\": { \"devices\": [ { \"allow\": false, \"access\": \"rwm\" } ] },",
            $"\"uidMappings\": [ {{ \"containerID\": 0, \"hostID\": {Libc.geteuid()}, \"size\": 1 }} ],\n    \"gidMappings\": [ {{ \"containerID\": 0, \"hostID\": {Libc.getegid()}, \"size\": 1 }} ],")
        .Replace("{ \"type\": \"network\" }, ", "").Replace("{ \"type\": \"cgroup\" }", "{ \"type\": \"user\" }");

    const string Text = """
        {
          "ociVersion": "1.3.0",
          "process": {
            "terminal": true,
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
          "hostname": "psrun",
          "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ] },
            { "destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" ] },
            { "destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": [ "nosuid", "noexec", "nodev" ] },
            { "destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [ "nosuid", "noexec", "nodev", "ro" ] },
            { "destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": [ "nosuid", "noexec", "nodev", "relatime", "ro" ] }
          ],
          "linux": {
            "resources": { "devices": [ { "allow": false, "access": "rwm" } ] },
            "namespaces": [ { "type": "pid" }, { "type": "network" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }, { "type": "cgroup" } ],
            "maskedPaths": [ "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi" ],
            "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
          }
        }
        """;
}
