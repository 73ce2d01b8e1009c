using System.Globalization;

namespace Containers.Linux.Cgroups;

public sealed unsafe partial class CgroupWatcher
{
    void WatchMemory(Watched watched)
    {
        var memory = host.Find("memory");
        if (memory is null || (memory.Version == 2 && host.Kind != CgroupKind.V2)) { throw new CgroupNotSupportedException("OutOfMemory", "the memory controller is mounted nowhere on this host"); }
        var folder = memory.Folder(watched.Group.Path);
        if (memory.Version == 1)
        {
            WatchMemoryV1(watched, folder);
            return;
        }
        if (!CgroupFiles.Exists(folder, "memory.events")) { throw new CgroupNotSupportedException("OutOfMemory", $"{folder} has no memory.events; the memory controller is not enabled there"); }
        Read(out watched.Ooms, out watched.OomKills);
        Watch(folder + "/memory.events", (uint)Libc.IN_MODIFY, () =>
        {
            Read(out var ooms, out var kills);
            // The kernel tells the same file of limits that were met, which is no want of memory yet.
            if (kills > watched.OomKills || (ooms > watched.Ooms && kills == watched.OomKills)) { found.Add(new(watched.Group.Path, CgroupEventKind.OutOfMemory, DateTimeOffset.UtcNow, Count: kills)); }
            (watched.Ooms, watched.OomKills) = (ooms, kills);
        });

        void Read(out long ooms, out long kills)
        {
            var text = CgroupFiles.Read(folder, "memory.events");
            ooms = CgroupFiles.Keyed(text, "oom"u8) ?? 0;
            kills = CgroupFiles.Keyed(text, "oom_kill"u8) ?? 0;
        }
    }

    // kernel: admin-guide/cgroup-v1/memory, section 10: "<event_fd> <fd of memory.oom_control>" into cgroup.event_control.
    void WatchMemoryV1(Watched watched, string folder)
    {
        var control = Libc.open(folder + "/memory.oom_control", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (control < 0) { throw CgroupRefusal.Of(folder, "memory.oom_control", "a notification", Libc.errno); }
        watched.Descriptors.Add(control);
        var signal = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (signal < 0) { throw new LinuxException("eventfd", null, Libc.errno); }
        watched.Descriptors.Add(signal);
        var errno = CgroupFiles.TryWrite(folder, "cgroup.event_control", string.Create(CultureInfo.InvariantCulture, $"{signal} {control}"));
        if (errno != 0) { throw CgroupRefusal.Of(folder, "cgroup.event_control", "memory.oom_control", errno); }
        watched.Sources.Add((signal, Libc.POLLIN, () =>
        {
            ulong times;
            if (Libc.read(signal, &times, 8) != 8) { return; }
            // It is also signalled when the group is removed.
            if (!CgroupFiles.Exists(folder)) { return; }
            found.Add(new(watched.Group.Path, CgroupEventKind.OutOfMemory, DateTimeOffset.UtcNow, Count: CgroupFiles.Keyed(CgroupFiles.Read(folder, "memory.oom_control"), "oom_kill"u8)));
        }
        ));
    }

    void WatchPopulated(Watched watched)
    {
        var inV2 = host.Unified is { } unified ? CgroupFiles.Keyed(CgroupFiles.Read(unified.Folder(watched.Group.Path), "cgroup.events"), "populated"u8) : null;
        // Whoever works with v1 alone leaves the v2 group empty: then only the processes themselves tell when they end.
        if (inV2 is not null && (inV2 == 1 || watched.Group.Processes(recursive: true).Count == 0))
        {
            watched.Populated = inV2 == 1;
            var folder = host.Unified!.Folder(watched.Group.Path);
            Watch(folder + "/cgroup.events", (uint)Libc.IN_MODIFY, () =>
            {
                if (CgroupFiles.Keyed(CgroupFiles.Read(folder, "cgroup.events"), "populated"u8) is { } now) { Tell(watched, CgroupEventKind.Populated, ref watched.Populated, now == 1); }
            });
            return;
        }
        if (watched.Group.Path == "/") { throw new CgroupNotSupportedException("Populated", "the root of the hierarchies is never empty"); }
        foreach (var folder in watched.Group.Folders())
        {
            foreach (var file in (ReadOnlySpan<string>)["cgroup.procs", "tasks"])
            {
                if (CgroupFiles.Exists(folder, file)) { Watch(folder + "/" + file, (uint)Libc.IN_MODIFY, () => LookForProcesses(watched)); }
            }
        }
        var before = found.Count;
        LookForProcesses(watched);
        // How it is at the beginning is no event.
        found.RemoveRange(before, found.Count - before);
    }

    void WatchFrozen(Watched watched)
    {
        if (watched.Group.Path == "/") { throw new CgroupNotSupportedException("Frozen", "the root of the hierarchies is never frozen"); }
        watched.Frozen = watched.Group.Frozen;
        var any = false;
        if (host.Find("freezer") is { Version: 1 } freezer && CgroupFiles.Exists(freezer.Folder(watched.Group.Path), "freezer.state"))
        {
            any = true;
            Watch(freezer.Folder(watched.Group.Path) + "/freezer.state", (uint)Libc.IN_MODIFY, () =>
            {
                watched.Settling = MostSettling;
                LookAtFreezer(watched);
            });
        }
        if (host.Unified is { } unified && CgroupFiles.Exists(unified.Folder(watched.Group.Path), "cgroup.events"))
        {
            any = true;
            Watch(unified.Folder(watched.Group.Path) + "/cgroup.events", (uint)Libc.IN_MODIFY, () => Tell(watched, CgroupEventKind.Frozen, ref watched.Frozen, watched.Group.Frozen));
        }
        if (!any) { throw new CgroupNotSupportedException("Frozen", "neither the freezer of v1 nor the v2 tree has this group"); }
    }

    void LookAtFreezer(Watched watched)
    {
        var state = host.Find("freezer") is { Version: 1 } freezer ? CgroupFiles.ReadText(freezer.Folder(watched.Group.Path), "freezer.state") : null;
        watched.Settling = state == "FREEZING" ? watched.Settling - 1 : 0;
        Tell(watched, CgroupEventKind.Frozen, ref watched.Frozen, watched.Group.Frozen);
    }

    // kernel: accounting/psi, "Monitoring for pressure thresholds".
    void WatchPressure(Watched watched, string resource, TimeSpan stall, TimeSpan window)
    {
        if (host.Unified is not { } unified) { throw new CgroupNotSupportedException("PressureStall", "pressure is told by the v2 tree alone, which this host does not have"); }
        if (resource is not ("cpu" or "memory" or "io")) { throw new CgroupException("InvalidLimit", $"Resource is {CgroupPath.Printable(resource)}: it is cpu, memory or io"); }
        if (window < TimeSpan.FromMilliseconds(500) || window > TimeSpan.FromSeconds(10)) { throw new CgroupException("InvalidLimit", $"Window is {window}: it is from 500 ms to 10 s"); }
        if (stall <= TimeSpan.Zero || stall > window) { throw new CgroupException("InvalidLimit", $"Stall is {stall}: it is above zero and at most the window, {window}"); }
        var folder = unified.Folder(watched.Group.Path);
        var file = resource + ".pressure";
        var fd = Libc.open(folder + "/" + file, Libc.O_RDWR | Libc.O_NONBLOCK | Libc.O_CLOEXEC);
        var trigger = string.Create(CultureInfo.InvariantCulture, $"some {stall.Ticks / TimeSpan.TicksPerMicrosecond} {window.Ticks / TimeSpan.TicksPerMicrosecond}");
        if (fd < 0) { throw CgroupRefusal.Of(folder, file, trigger, Libc.errno, "PressureStall"); }
        watched.Descriptors.Add(fd);
        var errno = CgroupFiles.WriteTo(fd, trigger);
        if (errno != 0) { throw CgroupRefusal.Of(folder, file, trigger, errno, "PressureStall", errno == Libc.EINVAL ? "; without CAP_SYS_RESOURCE the window is a multiple of 2 s" : ""); }
        watched.Sources.Add((fd, Libc.POLLPRI, () =>
        {
            var state = new pollfd { fd = fd, events = Libc.POLLPRI };
            Libc.poll(&state, 1, 0);
            // The group goes: its parent tells of that.
            if ((state.revents & Libc.POLLERR) != 0 || !CgroupFiles.Exists(folder))
            {
                watched.Sources.RemoveAll(source => source.Fd == fd);
                return;
            }
            found.Add(new(watched.Group.Path, CgroupEventKind.PressureStall, DateTimeOffset.UtcNow, Resource: resource));
        }
        ));
    }
}
