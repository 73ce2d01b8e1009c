using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>Makes the OCI runtime spec of a container over a root filesystem, part by part.</summary>
static class SpecBuilder
{
    const int LongestHostName = 64; // sethostname(2)

    /// <param name="o">What the user said.</param>
    /// <param name="users">Users and groups of the root filesystem.</param>
    /// <param name="rootfs">What the spec says as its root.</param>
    /// <param name="id">The container's id, which is its host name too.</param>
    /// <param name="cgroupsPath">Absolute.</param>
    /// <param name="joins">Receives OCI namespace type → container id.</param>
    /// <param name="pathIds">Receives OCI namespace type → inode of a namespace that a path names.</param>
    internal static Spec Build(ContainerCreateOptions o, UserLookup users, string rootfs, string id, string cgroupsPath, Dictionary<string, string> joins, Dictionary<string, ulong> pathIds)
    {
        var namespaces = NamespaceSpec.Build(o, joins, pathIds);
        var hostname = HostName(o, id);
        var found = users.Find(o.User, o.GroupAdd);
        var rules = Defaults.DeviceRules(o.Privileged);
        var devices = o.Privileged ? DeviceSpec.All() : [];
        foreach (var device in o.Device ?? []) { DeviceSpec.Add(device, devices, rules); }

        var (arguments, mounts) = (Arguments(o), MountSpec.Build(o));
        InitProgram.Add(o, arguments, mounts);
        var capabilities = CapabilitySet.Build(o.Privileged, o.AddCapability, o.DropCapability, found.User.Uid ?? 0);
        return new Spec
        {
            OciVersion = "1.0.2", // what every runtime in use takes; younger is only defaultErrnoRet, which docker and podman send with it too
            Process = new Process
            {
                Terminal = o.Tty,
                User = found.User,
                Args = arguments,
                Env = EnvironmentOf(o, hostname, found.Home),
                Cwd = WorkingDirectory(o.WorkingDirectory),
                Capabilities = capabilities,
                Rlimits = Rlimits(o.ResourceLimit),
                NoNewPrivileges = o.NoNewPrivileges,
                OomScoreAdj = OomScore(o.OomScoreAdjust),
                ApparmorProfile = SecurityModules.AppArmorProfile(o.AppArmorProfile),
                SelinuxLabel = SecurityModules.SelinuxLabel(o.SELinuxLabel),
            },
            Root = new Root { Path = rootfs, Readonly = o.ReadOnly },
            Hostname = hostname,
            Mounts = mounts,
            Annotations = o.Annotation is { Count: > 0 } annotations ? new Dictionary<string, string>(annotations) : null,
            Linux = new LinuxConfig
            {
                Sysctl = Sysctls(o),
                Resources = ResourceSpec.Build(o, rules),
                CgroupsPath = cgroupsPath,
                Namespaces = namespaces,
                UidMappings = NamespaceSpec.Mappings("UidMap", o.UidMap, o.GidMap),
                GidMappings = NamespaceSpec.Mappings("GidMap", o.GidMap, o.UidMap),
                Seccomp = SeccompProfile.Build(o.SeccompProfile, o.Privileged, capabilities.Bounding!),
                Devices = devices.Count > 0 ? devices : null,
                MaskedPaths = o.Privileged ? null : Defaults.MaskedPaths(),
                ReadonlyPaths = o.Privileged ? null : [.. Defaults.ReadonlyPaths],
            },
        };
    }

    static List<string> Arguments(ContainerCreateOptions o)
    {
        List<string> arguments = [.. o.Entrypoint ?? [], .. o.ArgumentList ?? []];
        if (arguments.Count == 0 || arguments[0].Length == 0)
        {
            throw new ContainerException(ErrorIds.InvalidSpec, "There is no program to run: nothing names one. Give ArgumentList, such as sh or /bin/sleep,60.",
                o.Id, ContainerErrorCategory.InvalidArgument);
        }
        foreach (var argument in arguments) { RefuseNul("ArgumentList", argument); }
        return arguments;
    }

    internal static List<string> EnvironmentOf(ContainerCreateOptions o, string? hostname, string home)
    {
        var all = new Dictionary<string, string>(StringComparer.Ordinal) { ["PATH"] = Defaults.Path };
        if (hostname is not null) { all["HOSTNAME"] = hostname; }
        if (o.Tty) { all["TERM"] = "xterm"; }
        all["HOME"] = home;
        foreach (var variable in o.ImageEnvironment)
        {
            var equals = variable.IndexOf('=');
            if (equals > 0) { all[variable[..equals]] = variable[(equals + 1)..]; }
        }
        foreach (var file in o.EnvironmentFile ?? [])
        {
            foreach (var (name, value) in EnvironmentFile.Read(file)) { all[name] = value; }
        }
        foreach (var (name, value) in o.Environment ?? new Dictionary<string, string>()) { all[name] = value; }
        return [.. all.Select(Assignment)];
    }

    internal static string Assignment(KeyValuePair<string, string> variable)
    {
        if (variable.Key.Length == 0 || variable.Key.Contains('=')) { throw ResourceSpec.Bad("Environment", variable.Key, "a name has at least one character and no '='"); }
        RefuseNul("Environment", variable.Key);
        RefuseNul("Environment", variable.Value);
        return $"{variable.Key}={variable.Value}";
    }

    internal static string WorkingDirectory(string? path)
    {
        if (path is null) { return "/"; }
        RefuseNul("WorkingDirectory", path);
        return path.StartsWith('/') ? path : throw ResourceSpec.Bad("WorkingDirectory", path, "it is an absolute path inside the container");
    }

    static string? HostName(ContainerCreateOptions o, string id)
    {
        var own = (o.UtsNamespace?.Kind ?? NamespaceChoiceKind.Private) == NamespaceChoiceKind.Private;
        if (!own && o.HostName is not null) { throw ResourceSpec.Bad("HostName", o.HostName, "it can be set only in a private UTS namespace"); }
        if (!own) { return null; }
        var name = o.HostName ?? (id.Length <= LongestHostName ? id : id[..LongestHostName]);
        if (name.Length == 0 || Encoding.UTF8.GetByteCount(name) > LongestHostName || name.Any(c => char.IsControl(c) || char.IsWhiteSpace(c) || c == '/'))
        {
            throw ResourceSpec.Bad("HostName", name, $"it has 1 to {LongestHostName} bytes, without white space, control characters and '/'");
        }
        return name;
    }

    static int? OomScore(int? score) => score is null or (>= -1000 and <= 1000) ? score : throw ResourceSpec.Bad("OomScoreAdjust", score, "it is from -1000 to 1000");

    // docker's name=soft[:hard]
    static List<PosixRlimit> Rlimits(IReadOnlyList<string>? limits)
    {
        var all = Defaults.Rlimits();
        foreach (var text in limits ?? [])
        {
            var equals = text.IndexOf('=');
            var name = equals < 0 ? "" : text[..equals].Trim().ToUpperInvariant();
            if (!name.StartsWith("RLIMIT_", StringComparison.Ordinal)) { name = "RLIMIT_" + name; }
            if (!ResourceLimits.TryNumber(name, out _)) { throw ResourceSpec.Bad("ResourceLimit", text, "say name=soft or name=soft:hard, with a name such as nofile (getrlimit(2))"); }
            var ends = text[(equals + 1)..].Split(':');
            if (ends.Length > 2) { throw ResourceSpec.Bad("ResourceLimit", text, "there are two limits, soft and hard"); }
            var soft = Number(text, ends[0]);
            var hard = ends.Length == 2 ? Number(text, ends[1]) : soft;
            if (soft > hard) { throw ResourceSpec.Bad("ResourceLimit", text, "the soft limit is at most the hard one"); }
            all.RemoveAll(l => l.Type == name);
            all.Add(new PosixRlimit { Type = name, Soft = soft, Hard = hard });
        }
        return all;

        static ulong Number(string text, string number)
        {
            if (number is "-1" or "unlimited") { return ulong.MaxValue; }
            return ulong.TryParse(number, System.Globalization.NumberStyles.None, null, out var value) ? value : throw ResourceSpec.Bad("ResourceLimit", text, $"'{number}' is no number");
        }
    }

    // Only what belongs to one of the container's own namespaces: anything else would change the host.
    static Dictionary<string, string>? Sysctls(ContainerCreateOptions o)
    {
        var network = Private(o.Network) || o.Network!.Kind == NamespaceChoiceKind.Networks;
        var all = new Dictionary<string, string>(StringComparer.Ordinal);
        // Podman's: ping for root without NET_RAW.
        if (network && File.Exists("/proc/sys/net/ipv4/ping_group_range")) { all["net.ipv4.ping_group_range"] = "0 0"; }
        foreach (var (name, value) in o.Sysctl ?? new Dictionary<string, string>())
        {
            RefuseNul("Sysctl", name);
            RefuseNul("Sysctl", value);
            var dotted = name.Replace('/', '.');
            var (known, own, type) = dotted switch
            {
                _ when dotted.Contains("..") => (false, false, ""),
                _ when dotted.StartsWith("net.", StringComparison.Ordinal) => (true, network, "network"),
                _ when dotted.StartsWith("fs.mqueue.", StringComparison.Ordinal) => (true, Private(o.IpcNamespace), "IPC"),
                "kernel.msgmax" or "kernel.msgmnb" or "kernel.msgmni" or "kernel.sem" or "kernel.shmall" or "kernel.shmmax" or "kernel.shmmni"
                    or "kernel.shm_rmid_forced" => (true, Private(o.IpcNamespace), "IPC"),
                "kernel.domainname" => (true, Private(o.UtsNamespace), "UTS"),
                _ => (false, false, ""),
            };
            if (!known) { throw ResourceSpec.Bad("Sysctl", name, "it does not belong to a namespace, so it would change the host; use net.*, fs.mqueue.*, kernel.sem, kernel.msg*, kernel.shm* or kernel.domainname"); }
            if (!own) { throw ResourceSpec.Bad("Sysctl", name, $"it needs a private {type} namespace"); }
            all[dotted] = value;
        }
        return all.Count > 0 ? all : null;

        static bool Private(NamespaceChoice? choice) => (choice?.Kind ?? NamespaceChoiceKind.Private) == NamespaceChoiceKind.Private;
    }

    internal static void RefuseNul(string name, string text)
    {
        if (text.Contains('\0')) { throw ResourceSpec.Bad(name, text.Replace("\0", "\\0"), "it holds a NUL character"); }
    }
}
