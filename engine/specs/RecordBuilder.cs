using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>From what the user said to what the store keeps: everything is checked here, before anything is written.</summary>
static class RecordBuilder
{
    internal static ContainerRecord Build(ContainerEngine engine, ContainerCreateOptions o, ImageStore.Prepared? image, ContainerVolumes.Held held, List<ImageUse> images, string ns, string id)
    {
        if ((o.RootfsPath is null ? 0 : 1) + (o.Bundle is null ? 0 : 1) + (image is null ? 0 : 1) != 1)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, "A container is made from an image, a root filesystem or a bundle: give Image, RootfsPath or Bundle, one of them.",
                id, ContainerErrorCategory.InvalidArgument);
        }
        var runtime = o.Runtime ?? engine.Options.Runtime;
        engine.Host.FindRuntime(runtime);
        var joins = new Dictionary<string, string>();
        var pathIds = new Dictionary<string, ulong>();
        if (image is not null) { o = ImageDefaults.Apply(o, image); }
        var overlay = o.Overlay || image is not null;
        var mapped = NamespaceSpec.Maps(o);
        var driver = overlay ? Driver(engine, o.Snapshotter, mapped) : null;
        // A spec says all mounts itself.
        List<string> volumes = image is null || o.Spec is not null ? [] : ImageVolumes.Of(image, o.Mount);
        var uses = o.Mount?.Where(mount => mount.IsNamedVolume).Select(mount => new VolumeUse { Name = mount.Source!, Target = mount.Target }).ToList();
        if (o is { Spec: null, Bundle: null })
        {
            // The caller's options stay the caller's.
            o = o.Copy();
            o.Mount = [.. engine.Volumes.Resolve(held, o.Mount ?? [], mapped), .. volumes.Select(path => new ContainerMount { Type = ContainerMountType.Volume, Target = path })];
            if (mapped && images.Count > 0) { throw new ContainerException(ErrorIds.NotSupported, $"The image '{images[0].Name}' cannot be mounted in a container with ids of its own. Leave UidMap and GidMap out, or the mount.", images[0].Name, ContainerErrorCategory.NotImplemented); }
            o.Mount = PlaceImages(o.Mount, engine.Paths.RunFolder(ns, id));
            (o.Mount, volumes) = ImageVolumes.Own(o.Mount, engine.Paths.ContainerFolder(ns, id), mapped);
            RefuseParts(engine, o.Mount, runtime);
        }
        var (rootfs, spec) = o.Bundle is not null ? FromBundle(o, ns, id) : FromRootfs(engine, o, image, ns, id, joins, pathIds);
        foreach (var other in joins.Values) { engine.Containers.Load(ns, other); }
        var networks = engine.Networks.Requests(o);
        var (stdin, stdout, stderr) = Redirections(o);
        var log = LogUri.Check(o);

        return new ContainerRecord
        {
            Id = id,
            Namespace = ns,
            CreatedAt = DateTimeOffset.UtcNow,
            Bundle = o.Bundle is null ? null : Path.GetFullPath(o.Bundle),
            RootfsPath = rootfs,
            Overlay = overlay,
            Snapshotter = driver is null or OverlayDriver ? null : driver.Name,
            IdMapped = mapped,
            Volumes = volumes.Count > 0 ? volumes : null,
            ImageUses = images.Count > 0 ? images : null,
            VolumeUses = uses is { Count: > 0 } ? uses : null,
            Image = image?.Name,
            ImageDigest = image?.Digest,
            ManifestDigest = image?.ManifestDigest,
            Layers = image?.Layers.ToList(),
            Runtime = runtime,
            Labels = new Dictionary<string, string>(o.Label ?? new Dictionary<string, string>()),
            RestartPolicy = Restarts(o, spec, joins),
            Health = HealthRecord.Of(o, image?.Settings.Healthcheck),
            StopSignal = Signals.Name(ContainerSignal.Parse(o.StopSignal ?? "SIGTERM")),
            StopTimeoutSec = StopTimeout(o.StopTimeoutSec),
            Stdin = o.Interactive && stdin is null,
            StdinPath = stdin,
            Stdout = stdout,
            Stderr = stderr,
            KeepLog = log is null || log.File is not null,
            LogUri = o.LogUri,
            LogMaxSize = o.LogMaxSize,
            LogMaxFiles = o.LogMaxFiles,
            Joins = joins,
            PathIds = pathIds,
            NetworkId = networks.Count > 0 ? ContainerNetworks.NewId(id) : null,
            Networks = networks,
            Spec = spec,
        };
    }

    // The shim mounts an image there, in its own mount namespace, before the runtime binds it.
    static List<ContainerMount> PlaceImages(IReadOnlyList<ContainerMount> mounts, string runFolder)
    {
        var number = 0;
        return [.. mounts.Select(mount => mount.Type == ContainerMountType.Image ? mount.Placed(ContainerMountType.Bind, ContainerMount.ImageFolder(runFolder, number++), mount.Options, readOnly: true) : mount)];
    }

    // Another runtime would pass the word by, and mount all of the source.
    static void RefuseParts(ContainerEngine engine, IReadOnlyList<ContainerMount> mounts, string runtime)
    {
        if (mounts.FirstOrDefault(mount => mount.SubPath is not null) is { } part && engine.Host.FindRuntime(runtime) != engine.Host.FindHelper())
        {
            throw new ContainerException(ErrorIds.NotSupported, $"The runtime '{runtime}' cannot mount a part of '{part.Source}'. Use psrun, or leave the subpath out.", part, ContainerErrorCategory.NotImplemented);
        }
    }

    // Overlayfs itself cannot be mounted with maps of ids; a plain folder can.
    static SnapshotDriver Driver(ContainerEngine engine, string? name, bool mapped)
    {
        var driver = SnapshotDriver.Choose(engine, name, whole: mapped && name is null);
        return driver.IsWhole || !mapped ? driver : throw new ContainerException(ErrorIds.NotSupported,
            $"A writable layer of {driver.Name} cannot be mounted with maps of ids. With UidMap and GidMap leave the snapshotter out, or use 'native'.", name, ContainerErrorCategory.NotImplemented);
    }

    static (string?, Spec) FromRootfs(ContainerEngine engine, ContainerCreateOptions o, ImageStore.Prepared? image, string ns, string id, Dictionary<string, string> joins, Dictionary<string, ulong> pathIds)
    {
        var rootfs = image is null ? Rootfs(o.RootfsPath!) : null;
        // Of an image's container the task alone has a root as one folder: see CreateTask.
        var shown = rootfs ?? "rootfs";
        var cgroup = CgroupPath(o.CgroupParent, ns, id);
        if (o.Spec is null)
        {
            var users = rootfs is not null ? new UserLookup(rootfs) : new UserLookup(image!.Name, [.. image.Layers.Reverse().Select(engine.Snapshots.LayerFolder)]);
            return (rootfs, SpecBuilder.Build(o, users, shown, id, cgroup, joins, pathIds));
        }

        RefuseShaping(o, "Spec");
        // A copy: the caller's object stays the caller's.
        var spec = OciJson.ReadSpec(OciJson.WriteSpec(o.Spec));
        Check(spec, id);
        spec.Root = new Root { Path = shown, Readonly = spec.Root?.Readonly };
        (spec.Linux ??= new LinuxConfig()).CgroupsPath ??= cgroup;
        CheckCgroup(spec, id);
        return (rootfs, spec);
    }

    static (string, Spec) FromBundle(ContainerCreateOptions o, string ns, string id)
    {
        RefuseShaping(o, "Bundle");
        if (o.Spec is not null) { throw ResourceSpec.Bad("Spec", o.Spec, "a bundle has a spec of its own"); }
        var bundle = Path.GetFullPath(o.Bundle!);
        var config = Path.Combine(bundle, "config.json");
        Spec spec;
        try
        {
            var content = Folders.ReadOfUser(config, OciJson.MaxSize) ?? throw Invalid(bundle, $"The bundle '{bundle}' has no config.json. 'runc spec' makes one.", null);
            spec = OciJson.ReadSpec(content);
        }
        catch (Exception e) when (e is IOException or InvalidDataException) { throw Invalid(config, $"'{config}' {e.Message}.", e); }
        catch (SpecException e) { throw Invalid(config, $"'{config}' is not a spec: {e.Message}.", e); }
        Check(spec, config);

        var root = spec.Root?.Path is { Length: > 0 } path ? Path.Combine(bundle, path) : throw Invalid(config, $"'{config}': root.path is missing.", null);
        var rootfs = Rootfs(root);
        spec.Root!.Path = rootfs;
        // The runtime is given another bundle folder, so what is relative to this one is made absolute.
        foreach (var mount in spec.Mounts ?? [])
        {
            var bind = mount.Type == "bind" || mount.Options is { } options && (options.Contains("bind") || options.Contains("rbind"));
            if (bind && mount.Source is { Length: > 0 } source && !source.StartsWith('/')) { mount.Source = Path.GetFullPath(source, bundle); }
        }
        (spec.Linux ??= new LinuxConfig()).CgroupsPath ??= CgroupPath(o.CgroupParent, ns, id);
        CheckCgroup(spec, config);
        return (rootfs, spec);
    }

    static void Check(Spec spec, string where)
    {
        if (spec.Process?.Args is not { Count: > 0 } || spec.Process.Args[0].Length == 0) { throw Invalid(where, $"'{where}': process.args names no program.", null); }
        if (spec.Process.Cwd is null || !spec.Process.Cwd.StartsWith('/')) { throw Invalid(where, $"'{where}': process.cwd is not an absolute path.", null); }
    }

    // What is no path of a group could be neither watched nor removed later. Relative ones are the runtime's to place.
    static void CheckCgroup(Spec spec, string where)
    {
        var path = spec.Linux!.CgroupsPath!;
        if (!path.StartsWith('/')) { return; }
        try
        {
            if (Linux.Cgroups.CgroupPath.Normalize(path) == "/") { throw Invalid(where, $"'{where}': linux.cgroupsPath is the root of the hierarchies, not a group of its own.", null); }
        }
        catch (CgroupException e) { throw Invalid(where, $"'{where}': linux.cgroupsPath: {e.Message}.", e); }
    }

    // What a spec says already cannot be said a second time, and nothing is dropped in silence.
    static void RefuseShaping(ContainerCreateOptions o, string by)
    {
        (string Name, bool Given)[] shaping =
        [
            ("Entrypoint", o.Entrypoint is not null), ("ArgumentList", o.ArgumentList is { Count: > 0 }), ("Environment", o.Environment is not null),
            ("EnvironmentFile", o.EnvironmentFile is not null), ("WorkingDirectory", o.WorkingDirectory is not null), ("User", o.User is not null),
            ("GroupAdd", o.GroupAdd is not null), ("HostName", o.HostName is not null), ("Annotation", o.Annotation is not null),
            ("Memory", o.Memory is not null), ("MemorySwap", o.MemorySwap is not null), ("MemoryReservation", o.MemoryReservation is not null),
            ("Cpu", o.Cpu is not null), ("CpuWeight", o.CpuWeight is not null), ("CpuSet", o.CpuSet is not null), ("MemorySet", o.MemorySet is not null),
            ("ProcessLimit", o.ProcessLimit is not null), ("IoLimit", o.IoLimit is not null), ("Mount", o.Mount is not null), ("Network", o.Network is not null),
            ("ProcessNamespace", o.ProcessNamespace is not null), ("IpcNamespace", o.IpcNamespace is not null), ("UtsNamespace", o.UtsNamespace is not null),
            ("CgroupNamespace", o.CgroupNamespace is not null), ("UserNamespace", o.UserNamespace is not null), ("UidMap", o.UidMap is not null), ("GidMap", o.GidMap is not null), ("AddCapability", o.AddCapability is not null),
            ("DropCapability", o.DropCapability is not null), ("Privileged", o.Privileged), ("NoNewPrivileges", o.NoNewPrivileges), ("SeccompProfile", o.SeccompProfile is not null),
            ("AppArmorProfile", o.AppArmorProfile is not null), ("SELinuxLabel", o.SELinuxLabel is not null), ("Init", o.Init is not null), ("Device", o.Device is not null),
            ("ResourceLimit", o.ResourceLimit is not null), ("Sysctl", o.Sysctl is not null), ("ReadOnly", o.ReadOnly), ("ShmSize", o.ShmSize is not null),
            ("OomScoreAdjust", o.OomScoreAdjust is not null), ("Tty", o.Tty),
        ];
        foreach (var (name, given) in shaping)
        {
            if (given) { throw ResourceSpec.Bad(name, "given", $"with {by} the spec says it; change the spec instead"); }
        }
    }

    static string Rootfs(string path)
    {
        var full = path.StartsWith('/') ? Path.GetFullPath(path) : throw ResourceSpec.Bad("RootfsPath", path, "it is an absolute path");
        return Directory.Exists(full) ? full : throw new ContainerException(ErrorIds.RootfsNotFound,
            $"The root filesystem '{full}' is not a folder of this host. Unpack one there, or use another path.", full, ContainerErrorCategory.ObjectNotFound);
    }

    internal static string CgroupPath(string? parent, string ns, string id)
    {
        if (parent is null) { return HostPaths.CgroupPath(ns, id); }
        try { return Linux.Cgroups.CgroupPath.Normalize(parent).TrimEnd('/') + "/" + id; }
        catch (CgroupException) { throw ResourceSpec.Bad("CgroupParent", parent, "it is an absolute path below the root of the hierarchies, without '..'"); }
    }

    static (string?, string?, string?) Redirections(ContainerCreateOptions o)
    {
        if (!o.NullIO && o is { RedirectStandardInput: null, RedirectStandardOutput: null, RedirectStandardError: null }) { return (null, null, null); }
        if (o.Tty) { throw ResourceSpec.Bad("Tty", true, "a terminal takes the place of redirections, so both cannot be"); }
        const string nothing = "/dev/null";
        if (o.NullIO)
        {
            if (o.RedirectStandardInput is not null || o.RedirectStandardOutput is not null || o.RedirectStandardError is not null || o.Interactive)
            {
                throw ResourceSpec.Bad("NullIO", true, "it stands for all three streams, so none of them can be said apart");
            }
            return (nothing, nothing, nothing);
        }
        if (o.RedirectStandardInput is { } input && !File.Exists(input)) { throw ResourceSpec.Bad("RedirectStandardInput", input, "there is no such file"); }
        return (Absolute("RedirectStandardInput", o.RedirectStandardInput), Absolute("RedirectStandardOutput", o.RedirectStandardOutput),
            Absolute("RedirectStandardError", o.RedirectStandardError));

        static string? Absolute(string name, string? path) => path is null || path.StartsWith('/') ? path : throw ResourceSpec.Bad(name, path, "it is an absolute path");
    }

    // A further run is made without us: what a joined namespace's path means by then is not known.
    static string Restarts(ContainerCreateOptions o, Spec spec, Dictionary<string, string> joins)
    {
        var policy = RestartPolicy.Parse(o.RestartPolicy);
        RefuseJoined(policy, o.HealthOnFailure == ContainerHealthAction.Restart, spec, joins);
        return policy.ToString();
    }

    internal static void RefuseJoined(RestartPolicy policy, bool byHealth, Spec spec, Dictionary<string, string> joins)
    {
        var joined = joins.Count > 0 || spec.Linux?.Namespaces?.Any(one => one.Path?.StartsWith("/proc/", StringComparison.Ordinal) == true) == true;
        if (joined && (policy.Kind != "no" || byHealth))
        {
            throw new ContainerException(ErrorIds.NotSupported, $"A restart by policy or health and a namespace of another container or process exclude each other: that process may have ended, and its number may be another's, when the program is started again. Keep the namespace with New-Namespace and give its path.",
                policy.ToString(), ContainerErrorCategory.NotImplemented);
        }
    }

    internal static double StopTimeout(double? seconds) => seconds switch
    {
        null => Defaults.StopTimeoutSec,
        >= 0 and <= 1_000_000 => seconds.Value,
        _ => throw ResourceSpec.Bad("StopTimeoutSec", seconds, "it is a number of seconds from 0 to 1000000"),
    };

    static ContainerException Invalid(object target, string message, Exception? inner) => new(ErrorIds.InvalidSpec, message, target, ContainerErrorCategory.InvalidData, inner);
}
