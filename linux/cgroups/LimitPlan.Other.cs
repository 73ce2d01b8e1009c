using System.Globalization;

namespace Containers.Linux.Cgroups;

sealed partial class LimitPlan
{
    // Each has a parameter of its own, which knows how its lines are put back.
    static readonly Dictionary<string, string> Named = new(StringComparer.Ordinal)
    {
        ["io.max"] = "IoLimit", ["io.latency"] = "IoLatency", ["rdma.max"] = "RdmaLimit", ["devices.allow"] = "DeviceRule", ["devices.deny"] = "DeviceRule",
        ["net_prio.ifpriomap"] = "NetPriority", ["memory.oom_control"] = "OomKillDisable", ["blkio.throttle.read_bps_device"] = "IoLimit", ["blkio.throttle.write_bps_device"] = "IoLimit",
        ["blkio.throttle.read_iops_device"] = "IoLimit", ["blkio.throttle.write_iops_device"] = "IoLimit",
    };

    static readonly string[] Actions =
    [
        "cgroup.procs", "cgroup.threads", "cgroup.kill", "cgroup.freeze", "cgroup.type", "cgroup.subtree_control", "cgroup.event_control", "cgroup.clone_children", "tasks",
        "notify_on_release", "release_agent", "freezer.state", "memory.force_empty", "memory.reclaim", "memory.pressure_level", "blkio.reset_stats",
    ];

    void Processes()
    {
        if (change.ProcessLimit is not { } limit) { return; }
        Add(nameof(change.ProcessLimit), Folder(nameof(change.ProcessLimit), "pids", out _), "pids.max", Max(Amount(nameof(change.ProcessLimit), limit)));
    }

    void HugePages()
    {
        if (change.HugePageLimit is not { Count: > 0 } limits) { return; }
        var folder = Folder(nameof(change.HugePageLimit), "hugetlb", out var version);
        foreach (var (size, bytes) in limits)
        {
            string page;
            try { page = ResourceValues.PageSize(size); }
            catch (CgroupException) { throw Invalid(nameof(change.HugePageLimit), size, "a page size is like 2MB or 1GB"); }
            if (bytes < -1) { throw Invalid(nameof(change.HugePageLimit), bytes, "it is a number of bytes, or -1 for no limit"); }
            // The kernel counts whole pages, and would make less of it without a word.
            if (bytes > 0 && bytes % BytesOf(page) != 0) { throw Invalid(nameof(change.HugePageLimit), bytes, $"it is a multiple of the page size, {page}"); }
            var suffix = version == 1 ? ".limit_in_bytes" : ".max";
            var value = version == 1 ? Text(bytes) : Max(bytes);
            Add(nameof(change.HugePageLimit), folder, $"hugetlb.{page}{suffix}", value);
            // Pages reserved by mmap count apart since Linux 5.7; without this limit a fault kills instead of mmap failing.
            var reserved = $"hugetlb.{page}.rsvd{suffix}";
            if (CgroupFiles.Exists(folder, reserved)) { Add(nameof(change.HugePageLimit), folder, reserved, value); }
        }
    }

    static long BytesOf(string page) => long.TryParse(page.AsSpan(0, page.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is > 0 and <= 1024 * 1024
        ? count << (page[^2] switch { 'K' => 10, 'M' => 20, _ => 30 }) : 1;

    void Rdma()
    {
        if (change.RdmaLimit is not { Count: > 0 } limits) { return; }
        var folder = Folder(nameof(change.RdmaLimit), "rdma", out _);
        Need(nameof(change.RdmaLimit), folder, "rdma.max");
        foreach (var (device, words) in limits)
        {
            if (device.Length == 0 || device.AsSpan().ContainsAny(" \t\n=/")) { throw Invalid(nameof(change.RdmaLimit), device, "it is no device name"); }
            foreach (var word in words.Split(' '))
            {
                var sign = word.IndexOf('=');
                if (sign < 0 || word[..sign] is not ("hca_handle" or "hca_object") || (word[(sign + 1)..] != "max" && !uint.TryParse(word[(sign + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out _)))
                {
                    throw Invalid(nameof(change.RdmaLimit), words, "it is like \"hca_handle=2 hca_object=max\"");
                }
            }
            var now = Line(CgroupFiles.ReadText(folder, "rdma.max"), device);
            writes.Add(new(folder, "rdma.max", $"{device} {words}", nameof(change.RdmaLimit), now) { Undo = [("rdma.max", now ?? device + " hca_handle=max hca_object=max")] });
        }
    }

    void Network()
    {
        if (change.NetClass is { } mark) { Add(nameof(change.NetClass), Folder(nameof(change.NetClass), "net_cls", out _), "net_cls.classid", mark.ToString(CultureInfo.InvariantCulture)); }
        if (change.NetPriority is not { Count: > 0 } priorities) { return; }
        var folder = Folder(nameof(change.NetPriority), "net_prio", out _);
        var map = CgroupFiles.ReadText(folder, "net_prio.ifpriomap");
        foreach (var (name, priority) in priorities)
        {
            var now = name.Length is > 0 and <= 15 ? Line(map, name) : null;
            if (now is null) { throw Invalid(nameof(change.NetPriority), name, "there is no such interface in this network namespace"); }
            var value = $"{name} {priority.ToString(CultureInfo.InvariantCulture)}";
            if (now != value) { writes.Add(new(folder, "net_prio.ifpriomap", value, nameof(change.NetPriority), now) { Undo = [("net_prio.ifpriomap", now)] }); }
        }
    }

    void Values()
    {
        foreach (var (file, value) in change.Values ?? new Dictionary<string, string>())
        {
            var shown = CgroupPath.Printable(file);
            if (file.Length is 0 or > 128 || file.Contains('/') || file[0] == '.' || shown != file) { throw Invalid("Value", file, "it is not the name of a file of a group"); }
            if (value.Contains('\n')) { throw Invalid($"Value {shown}", value, "one write takes one line"); }
            if (Array.IndexOf(Actions, file) >= 0) { throw Invalid("Value", file, "it acts on processes or groups and is no limit"); }
            if (Named.TryGetValue(file, out var parameter)) { throw Invalid("Value", file, $"use -{parameter}, which can also put its lines back"); }
            var folder = FolderWith(file);
            var now = CgroupFiles.ReadText(folder, file);
            if (now is null && CgroupFiles.Exists(folder, file)) { throw Invalid("Value", file, "it cannot be read, so that it could not be put back"); }
            if (file == "misc.max")
            {
                var key = value.Split(' ')[0];
                writes.Add(new(folder, file, value, "Value", Line(now, key)) { Undo = [(file, Line(now, key) ?? key + " max")] });
                continue;
            }
            if (now?.Contains('\n') == true) { throw Invalid("Value", file, "it has several lines, which one value does not replace"); }
            Add("Value", folder, file, Written(value));
        }
    }

    /// <summary>The folder, among all hierarchies, in which the group has this file.</summary>
    string FolderWith(string file)
    {
        var dot = file.IndexOf('.');
        var controller = dot > 0 ? file[..dot] : "";
        foreach (var hierarchy in Host.All)
        {
            // The files "cgroup.…" are in the v2 tree and, some of them by the same name, in every other.
            if (controller == "cgroup" && hierarchy.Version == 1 && Host.Unified is not null) { continue; }
            if (CgroupFiles.Exists(hierarchy.Folder(group.Path), file)) { return hierarchy.Folder(group.Path); }
        }
        // Its controller may only have to be enabled.
        if (Host.Kind == CgroupKind.V2 && Host.Find(controller) is not null)
        {
            var folder = Folder("Value", controller, out _);
            if (enabledByPlan.Contains(controller)) { return folder; }
        }
        throw new CgroupNotSupportedException($"Value {file}", Host.Find(controller) is null && controller != "cgroup"
            ? $"no hierarchy of this host has a controller \"{CgroupPath.Printable(controller)}\"; Get-CgroupController lists those there are"
            : $"the group {group.Path} has no such file; this kernel lacks it, or has it on the other version of cgroups");
    }

    void Devices()
    {
        if (change.DeviceRule is not { } rules) { return; }
        if (Host.Find("devices") is not { Version: 1 } devices)
        {
            if (Host.Unified is not { } unified) { throw new CgroupNotSupportedException(nameof(change.DeviceRule), "the devices controller is mounted nowhere, and there is no v2 tree to enforce them in its place"); }
            writes.Add(new(unified.Folder(group.Path), "(device program)", $"{rules.Count} rules", nameof(change.DeviceRule), null) { Program = DeviceProgram.Build(rules) });
            return;
        }
        var folder = devices.Folder(group.Path);
        var lines = DeviceRules.Lines(rules);
        var now = (CgroupFiles.ReadText(folder, "devices.list") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i < lines.Count; i++)
        {
            // The first write resets the list, so that it alone brings the old one back.
            IReadOnlyList<(string, string)> undo = i > 0 ? [] : Array.Exists(now, line => line == "a *:* rwm") ? [("devices.allow", "a")]
                : [("devices.deny", "a"), .. Array.ConvertAll(now, line => ("devices.allow", line))];
            writes.Add(new(folder, lines[i].File, lines[i].Line, nameof(change.DeviceRule), i > 0 ? null : string.Join('\n', now)) { Undo = undo });
        }
    }
}
