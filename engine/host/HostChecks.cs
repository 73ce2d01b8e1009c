using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;

namespace Containers;

public sealed partial class ContainerHost
{
    const string Manuals = "https://man7.org/linux/man-pages/";

    /// <summary>Checks this machine by trying. One object for each check, as it is done; nothing is left behind.</summary>
    public IEnumerable<ContainerHostCheck> Check(CancellationToken cancel = default)
    {
        foreach (var check in Checks())
        {
            cancel.ThrowIfCancellationRequested();
            ContainerHostCheck result;
            try { result = check(); }
            catch (Exception e) when (e is ContainerException or CgroupException or IOException or UnauthorizedAccessException)
            {
                result = New("Check", "Host", ContainerHostCheckStatus.Fail, e.Message, "a check that can be done", "A check could not be done, so what it stands for is unknown.", "Run as root, and see that /sys and /proc are mounted.", null);
            }
            yield return result;
        }
    }

    IEnumerable<Func<ContainerHostCheck>> Checks()
    {
        yield return () => Tried("PidFd", "Kernel", KernelProbes.PidFd(), "pidfd_open and openat2 (Linux 5.6)", "Processes are waited for and files of images are opened by these.", "Use a newer kernel.", "man2/pidfd_open.2.html");
        (string Name, int Flag)[] namespaces =
        [
            ("mnt", Libc.CLONE_NEWNS), ("net", Libc.CLONE_NEWNET), ("pid", Libc.CLONE_NEWPID), ("ipc", Libc.CLONE_NEWIPC), ("uts", Libc.CLONE_NEWUTS), ("cgroup", Libc.CLONE_NEWCGROUP),
        ];
        foreach (var (name, flag) in namespaces)
        {
            yield return () => Tried($"Namespace {name}", "Namespaces", KernelProbes.Namespace(flag), $"a new {name} namespace", "Containers have one of their own.",
                "Run as root (CAP_SYS_ADMIN), and look at /proc/sys/user/max_*_namespaces.", "man7/namespaces.7.html");
        }
        yield return UserNamespaces;
        yield return () => InFolder("Overlay", KernelProbes.Overlay, "an overlay mount over the store's file system", "Private writable layers (-Overlay) are overlays.",
            "Load the module overlay, and put the store on ext4, xfs, btrfs or tmpfs (CONTAINERS_ROOT).", "man8/mount.8.html");
        yield return () => InFolder("PivotRoot", KernelProbes.PivotRoot, "pivot_root in a new mount namespace", "A container's root takes the place of the host's by it.",
            "Run as root; the host's own root must not be the initial ramfs.", "man2/pivot_root.2.html");
        yield return () => Tried("Seccomp", "Kernel", KernelProbes.Seccomp(), "a seccomp filter that works", "Profiles of system calls are filters.", "Use a kernel with CONFIG_SECCOMP_FILTER.", "man2/seccomp.2.html");
        yield return () => Tried("eBPF", "Kernel", KernelProbes.Bpf(), "a device program that the kernel takes", "On hosts with cgroup v2 alone, access to devices is limited by it.",
            "Use a kernel with CONFIG_CGROUP_BPF, and run with CAP_BPF.", "man2/bpf.2.html", ContainerHostCheckStatus.Warn);
        foreach (var (controller, probe) in Controllers()) { yield return () => Controller(controller, probe); }
        yield return Psrun;
        yield return LeftBehind;
    }

    static ContainerHostCheck UserNamespaces()
    {
        var most = First("/proc/sys/user/max_user_namespaces");
        var works = long.TryParse(most, out var number) && number > 0;
        return New("Namespace user", "Namespaces", works ? ContainerHostCheckStatus.Skip : ContainerHostCheckStatus.Warn,
            most is null ? "the kernel has none" : $"up to {most} are allowed; a process with threads cannot make one to try", "max_user_namespaces above 0",
            "Containers without root on the host need one.", works ? null : "Set user.max_user_namespaces by sysctl.", Manuals + "man7/user_namespaces.7.html");
    }

    // Each makes a group, limits it, reads back, removes it.
    static (string, Func<ControlGroup, string?>)[] Controllers() =>
    [
        ("memory", group => Limited(group, new LinuxResources { Memory = new LinuxMemory { Limit = 64 << 20 } }, now => now.Memory == 64 << 20)),
        ("cpu", group => Limited(group, new LinuxResources { Cpu = new LinuxCpu { Quota = 50_000, Period = 100_000 } },
            now => now is { CpuQuota: { } quota, CpuPeriod: { } period } && quota / period == 0.5)),
        ("cpuset", group => Limited(group, new LinuxResources { Cpu = new LinuxCpu { Cpus = "0" } }, now => now.Cpus == "0")),
        ("pids", group => Limited(group, new LinuxResources { Pids = new LinuxPids { Limit = 32 } }, now => now.Pids == 32)),
        ("io", group => BlockDevice() is not { } device ? "there is no block device to limit"
            : Limited(group, new LinuxResources { BlockIo = new LinuxBlockIo { ThrottleReadBpsDevice = [device] } }, now => now.Io.Any(io => io.ReadBytes == (long)device.Rate!))),
        ("devices", group => Limited(group, new LinuxResources { Devices = Defaults.DeviceRules(privileged: false) }, _ => true)),
        ("freezer", group =>
        {
            group.Freeze();
            var frozen = group.Frozen;
            group.Thaw();
            return frozen ? null : "the group was told to freeze and did not";
        }),
    ];

    static string? Limited(ControlGroup group, LinuxResources limits, Func<CgroupLimits, bool> isSet)
    {
        group.Apply(limits);
        return isSet(group.ReadLimits()) ? null : "the limit was taken and reads back as another";
    }

    static LinuxThrottleDevice? BlockDevice()
    {
        if (!Directory.Exists("/sys/block")) { return null; }
        foreach (var folder in Directory.EnumerateDirectories("/sys/block"))
        {
            var number = First(Path.Combine(folder, "dev"))?.Split(':');
            if (number is [var major, var minor] && long.TryParse(major, out var a) && long.TryParse(minor, out var b)) { return new LinuxThrottleDevice { Major = a, Minor = b, Rate = 1 << 30 }; }
        }
        return null;
    }

    static ContainerHostCheck Controller(string name, Func<ControlGroup, string?> probe)
    {
        var group = CgroupHost.Detect().Group($"/pscontainers-check-{Names.Random()}");
        string? refused;
        try
        {
            group.Create();
            refused = probe(group);
        }
        catch (Exception e) when (e is CgroupException or LinuxException) { refused = e.Message; }
        finally { group.Remove(); }
        // Containers run without these two; only what asks for them does not.
        var otherwise = name is "io" or "devices" ? ContainerHostCheckStatus.Warn : ContainerHostCheckStatus.Fail;
        return Tried($"Cgroup {name}", "Cgroups", refused, $"a group in which {name} can be set", $"Limits of {name} need it.",
            "Run as root; mount the hierarchy, or let the kernel have the controller (cgroup_enable=, cgroup_no_v1=).", "man7/cgroups.7.html", otherwise);
    }

    ContainerHostCheck Psrun()
    {
        const string needed = "a psrun that root alone can change, and that answers", why = "It is the shim of every task, and the default runtime.";
        try
        {
            var path = FindHelper();
            var (status, words) = RunProgram(path, "--version");
            var found = $"{path}: {words.Split('\n')[0].Trim()}";
            return status == 0 ? New("Psrun", "Runtime", ContainerHostCheckStatus.Pass, found, needed, why, null, null)
                : New("Psrun", "Runtime", ContainerHostCheckStatus.Fail, $"{found} (exit status {status})", needed, why, "Build the module for this machine.", null);
        }
        catch (ContainerException e) { return New("Psrun", "Runtime", ContainerHostCheckStatus.Fail, e.Message, needed, why, "Build the module, or set CONTAINERS_PSRUN.", null); }
    }

    /// <summary>Tasks whose shim died, run folders without a container, groups without a task, folders that a crash left half made.</summary>
    ContainerHostCheck LeftBehind()
    {
        var left = new List<string>();
        var expected = new HashSet<string>(StringComparer.Ordinal);
        foreach (var ns in ContainerStore.RunNamespaces(engine.Paths))
        {
            foreach (var task in engine.Tasks.List(ns))
            {
                expected.Add($"{ns}/{task.ContainerId}");
                if (!Directory.Exists(engine.Paths.ContainerFolder(ns, task.ContainerId))) { left.Add($"task {ns}/{task.ContainerId} without a container"); }
                else if (task.StoppedReason == "ShimLost" || task is { State: ContainerTaskState.Running, ShimProcessId: null }) { left.Add($"task {ns}/{task.ContainerId} without its shim"); }
            }
        }
        foreach (var parent in new[] { "/pscontainers", "/pscontainers-shim" })
        {
            var groups = CgroupHost.Detect().Group(parent);
            foreach (var hierarchy in groups.Host.Hierarchies)
            {
                var folder = groups.FolderIn(hierarchy);
                if (!Directory.Exists(folder)) { continue; }
                foreach (var ns in ContainerStore.ChildNames(folder))
                {
                    // Only of this store: others on this machine may have containers of their own there.
                    if (!Directory.Exists(engine.Paths.NamespaceFolder(ns))) { continue; }
                    foreach (var id in ContainerStore.ChildNames(Path.Combine(folder, ns)))
                    {
                        if (!expected.Contains($"{ns}/{id}")) { left.Add($"cgroup {folder}/{ns}/{id}"); }
                    }
                }
            }
        }
        foreach (var ns in engine.Containers.ListNamespaces())
        {
            var folder = engine.Paths.NamespaceFolder(ns);
            left.AddRange(Folders.Entries(folder).Where(name => name.StartsWith('.')).Select(name => Path.Combine(folder, name)));
        }
        var status = left.Count == 0 ? ContainerHostCheckStatus.Pass : ContainerHostCheckStatus.Warn;
        return New("Leftovers", "Store", status, left.Count == 0 ? "nothing" : string.Join("; ", left.Take(10)), "nothing",
            "What a crash left takes memory and disk.", left.Count == 0 ? null : "Remove the containers with Remove-Container -Force; the next New-Container sweeps the store.", null);
    }

    ContainerHostCheck InFolder(string name, Func<string, string?> probe, string needed, string why, string remedy, string link)
    {
        // On the file system that the store is on, or will be.
        var place = engine.Paths.Root;
        while (!Directory.Exists(place)) { place = Path.GetDirectoryName(place)!; }
        var folder = Path.Combine(place, ".check-" + Names.Random());
        try
        {
            Folders.Make(folder);
            return Tried(name, "Mounts", probe(folder), needed, why, remedy, link);
        }
        finally { Folders.RemoveTree(folder); }
    }

    static ContainerHostCheck Tried(string name, string category, string? refused, string needed, string why, string remedy, string link,
        ContainerHostCheckStatus otherwise = ContainerHostCheckStatus.Fail) =>
        New(name, category, refused is null ? ContainerHostCheckStatus.Pass : otherwise, refused ?? "it works", needed, why, refused is null ? null : remedy, Manuals + link);

    static ContainerHostCheck New(string name, string category, ContainerHostCheckStatus status, string found, string needed, string why, string? remedy, string? link) =>
        new() { Name = name, Category = category, Status = status, Found = found, Needed = needed, Why = why, Remedy = remedy, Link = link };
}
