using System.Runtime.InteropServices;

namespace Containers.Linux.Cgroups;

/// <summary>What can happen to a group.</summary>
public enum CgroupEventKind
{
    /// <summary>A process was killed, or has to wait, because the group's memory ran out.</summary>
    OutOfMemory,

    /// <summary>The first process came, or the last one went.</summary>
    Populated,

    /// <summary>All processes stand still, or go on.</summary>
    Frozen,

    /// <summary>Processes waited for a resource for longer than was asked.</summary>
    PressureStall,
}

/// <summary>Something that happened.</summary>
/// <param name="State">Populated and Frozen: whether it is so now.</param>
/// <param name="Count">OutOfMemory: processes killed so far; null where nobody counts.</param>
/// <param name="Resource">PressureStall: <c>cpu</c>, <c>memory</c> or <c>io</c>.</param>
public sealed record CgroupNotice(string Path, CgroupEventKind Kind, DateTimeOffset Time, bool? State = null, long? Count = null, string? Resource = null);

/// <summary>
/// Waits for what the kernel tells of groups, without asking again and again: inotify on v2's files of events, PSI triggers, eventfds by
/// <c>cgroup.event_control</c> on v1, and pidfds where neither tells when the last process goes.
/// </summary>
public sealed unsafe partial class CgroupWatcher : IDisposable
{
    const int MostEvents = 4096;
    // A v1 freezer tells nobody when the last process has stopped: between "FREEZING" and "FROZEN", which is a moment, it is looked at again.
    const int SettleTime = 2;
    const int MostSettling = 1000;

    readonly CgroupHost host;
    readonly int inotify;
    readonly int wake;
    readonly List<Watched> groups = [];
    readonly Dictionary<int, Action> byWatch = [];
    readonly Dictionary<(int, string), Watched> byParent = [];
    readonly List<CgroupNotice> found = [];

    /// <exception cref="LinuxException">No descriptors are left.</exception>
    public CgroupWatcher(CgroupHost host)
    {
        this.host = host;
        inotify = LinuxException.Check(Libc.inotify_init1(Libc.IN_CLOEXEC | Libc.IN_NONBLOCK), "inotify_init1", null);
        wake = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (wake < 0)
        {
            var errno = Libc.errno;
            Libc.close(inotify);
            throw new LinuxException("eventfd", null, errno);
        }
    }

    /// <summary>How many groups are still there to be watched.</summary>
    public int Count => groups.Count;

    /// <summary>Begins to watch a group, from how it is now.</summary>
    /// <param name="stall">PressureStall: for how long in all, within each <paramref name="window"/>.</param>
    /// <param name="window">500 ms to 10 s.</param>
    /// <param name="resources">PressureStall: of <c>cpu</c>, <c>memory</c>, <c>io</c>.</param>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>, <c>CgroupNotPermitted</c>, <c>CgroupLimitRefused</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">This host does not tell of such a thing.</exception>
    public void Add(ControlGroup group, IReadOnlyCollection<CgroupEventKind> kinds, TimeSpan stall, TimeSpan window, IReadOnlyCollection<string> resources)
    {
        if (!group.Exists) { throw new CgroupException("CgroupNotFound", $"{group.Path}: there is no such group"); }
        var watched = new Watched(group);
        try
        {
            foreach (var kind in kinds)
            {
                switch (kind)
                {
                    case CgroupEventKind.OutOfMemory: WatchMemory(watched); break;
                    case CgroupEventKind.Populated: WatchPopulated(watched); break;
                    case CgroupEventKind.Frozen: WatchFrozen(watched); break;
                    default:
                        foreach (var resource in resources) { WatchPressure(watched, resource, stall, window); }
                        break;
                }
            }
            if (group.Path != "/") { WatchRemoval(watched); }
        }
        catch
        {
            Forget(watched);
            throw;
        }
        groups.Add(watched);
    }

    /// <summary>Lets a <see cref="Wait"/> of another thread return at once.</summary>
    public void Wake()
    {
        ulong one = 1;
        _ = Libc.write(wake, &one, 8);
    }

    /// <summary>Waits until something has happened, all groups are gone, or <see cref="Wake"/>.</summary>
    /// <param name="milliseconds">-1: for ever.</param>
    /// <returns>What has happened, in its order; may be empty.</returns>
    public IReadOnlyList<CgroupNotice> Wait(int milliseconds)
    {
        found.Clear();
        if (groups.Count == 0) { return []; }
        var waiting = new List<(int Fd, short Events, Action? Act)> { (wake, Libc.POLLIN, Drain), (inotify, Libc.POLLIN, ReadInotify) };
        var settling = false;
        foreach (var group in groups)
        {
            waiting.AddRange(group.Sources);
            if (group.Process >= 0) { waiting.Add((group.Process, Libc.POLLIN, () => LookForProcesses(group))); }
            settling |= group.Settling > 0;
        }
        var polls = new pollfd[waiting.Count];
        for (var i = 0; i < polls.Length; i++) { polls[i] = new pollfd { fd = waiting[i].Fd, events = waiting[i].Events }; }
        fixed (pollfd* p = polls) { Libc.poll(p, (nuint)polls.Length, settling ? SettleTime : milliseconds); }
        // inotify last: what it tells may end a group whose descriptors have something to say.
        for (var i = polls.Length - 1; i >= 0; i--)
        {
            if (polls[i].revents != 0) { waiting[i].Act!(); }
        }
        foreach (var group in groups)
        {
            if (group.Settling > 0) { LookAtFreezer(group); }
        }
        groups.RemoveAll(group => group.Gone);
        return [.. found];
    }

    void Drain()
    {
        ulong times;
        _ = Libc.read(wake, &times, 8);
    }

    // The first descriptor of a v1 group that ends may not be the last.
    void LookForProcesses(Watched watched)
    {
        if (watched.Gone) { return; }
        Release(ref watched.Process);
        foreach (var pid in watched.Group.Processes(recursive: true))
        {
            watched.Process = Libc.pidfd_open(pid, 0);
            if (watched.Process < 0) { continue; }
            // One that has ended stays on the list for a moment, and would be chosen for ever.
            var ended = new pollfd { fd = watched.Process, events = Libc.POLLIN };
            if (Libc.poll(&ended, 1, 0) == 0) { break; }
            Release(ref watched.Process);
        }
        Tell(watched, CgroupEventKind.Populated, ref watched.Populated, watched.Process >= 0);
    }

    void Tell(Watched watched, CgroupEventKind kind, ref bool last, bool now)
    {
        if (last == now || watched.Gone) { return; }
        last = now;
        found.Add(new(watched.Group.Path, kind, DateTimeOffset.UtcNow, State: now));
    }

    void ReadInotify()
    {
        var buffer = stackalloc byte[MostEvents];
        while (Libc.read(inotify, buffer, MostEvents) is > 0 and var got)
        {
            for (nint at = 0; at < got;)
            {
                var e = (inotify_event*)(buffer + at);
                at += sizeof(inotify_event) + (nint)e->len;
                if ((e->mask & Libc.IN_Q_OVERFLOW) != 0)
                {
                    foreach (var look in byWatch.Values) { look(); }
                }
                else if ((e->mask & Libc.IN_DELETE) != 0)
                {
                    var name = e->len == 0 ? "" : Marshal.PtrToStringUTF8((nint)(e + 1)) ?? "";
                    if (byParent.Remove((e->wd, name), out var gone)) { End(gone); }
                }
                else if (byWatch.TryGetValue(e->wd, out var look)) { look(); }
            }
        }
    }

    // inotify gives one number for each file, however often it is asked for.
    int Watch(string path, uint mask, Action? look = null)
    {
        var wd = Libc.inotify_add_watch(inotify, path, mask | Libc.IN_MASK_ADD);
        if (wd < 0) { throw Libc.errno == Libc.ENOENT ? new CgroupException("CgroupNotFound", $"{path} is not there") : new LinuxException("inotify_add_watch", path, Libc.errno); }
        if (look is not null) { byWatch[wd] = byWatch.TryGetValue(wd, out var other) ? other + look : look; }
        return wd;
    }

    // Only the parent tells that a group is removed: the group itself does not.
    void WatchRemoval(Watched watched)
    {
        foreach (var folder in watched.Group.Folders())
        {
            byParent[(Watch(CgroupPath.Parent(folder), (uint)Libc.IN_DELETE), folder[(folder.LastIndexOf('/') + 1)..])] = watched;
        }
        // Removed before the watch was there.
        if (!watched.Group.Exists) { throw new CgroupException("CgroupNotFound", $"{watched.Group.Path}: the group was removed meanwhile"); }
    }

    // A group can be removed before anybody could read that its last process went.
    void End(Watched watched)
    {
        Tell(watched, CgroupEventKind.Populated, ref watched.Populated, false);
        Forget(watched);
    }

    static void Release(ref int fd)
    {
        if (fd >= 0) { Libc.close(fd); }
        fd = -1;
    }

    static void Forget(Watched watched)
    {
        if (watched.Gone) { return; }
        watched.Gone = true;
        Release(ref watched.Process);
        foreach (var fd in watched.Descriptors) { Libc.close(fd); }
        watched.Sources.Clear();
        watched.Descriptors.Clear();
    }

    public void Dispose()
    {
        foreach (var group in groups) { Forget(group); }
        groups.Clear();
        Libc.close(inotify);
        Libc.close(wake);
    }

    sealed class Watched(ControlGroup group)
    {
        internal readonly ControlGroup Group = group;
        internal readonly List<(int Fd, short Events, Action? Act)> Sources = [];
        internal readonly List<int> Descriptors = [];
        internal int Process = -1;
        internal int Settling;
        internal bool Populated;
        internal bool Frozen;
        internal bool Gone;
        internal long OomKills;
        internal long Ooms;
    }
}
