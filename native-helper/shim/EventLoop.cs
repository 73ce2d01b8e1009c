using Containers.Linux;

namespace Psrun.Shim;

/// <summary>Something with a descriptor that the loop watches, level-triggered.</summary>
abstract class Watched
{
    public int Fd { get; protected set; } = -1;
    internal ulong Key;
    internal uint Events;

    /// <param name="events">EPOLL… bits. EPOLLERR and EPOLLHUP come unasked.</param>
    public abstract void Ready(uint events);
}

sealed class Watch(int fd, Action<uint> ready) : Watched
{
    public Watch Opened() { Fd = fd; return this; }
    public override void Ready(uint events) => ready(events);
}

/// <summary>One thread's epoll with deadlines. Sleeps without limit when nothing is due: an idle shim never wakes.</summary>
sealed class EventLoop
{
    // In a gap of a burst what it needs is kept: to give memory back and to have it again costs more than to read what came.
    const int QuietMilliseconds = 50;

    readonly int epoll;
    readonly Dictionary<ulong, Watched> watched = new();
    readonly List<Deadline> deadlines = new();
    readonly epoll_event[] entries = new epoll_event[32];
    ulong lastKey;
    bool rested;

    /// <summary>How many things are to happen at a time.</summary>
    public int Deadlines => deadlines.Count;

    public sealed class Deadline
    {
        internal long At;
        internal required Action Act;
    }

    /// <summary>Called when a handler threw.</summary>
    public Action<Watched, Exception>? Failed { get; set; }

    /// <summary>Called once nothing has happened for a moment, before the loop goes to sleep for long.</summary>
    public Action? Idle { get; set; }

    public EventLoop()
    {
        epoll = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
        if (epoll < 0) throw ShimException.Of("ShimFailed", "epoll_create1", -Libc.errno);
        epoll = Sys.Above(epoll);
    }

    public void Add(Watched w, uint events)
    {
        // A new key each time: an event of a closed descriptor in the batch at hand must not reach the next owner of its number.
        w.Key = ++lastKey;
        w.Events = events;
        if (Libc.epoll_ctl(epoll, Libc.EPOLL_CTL_ADD, w.Fd, events, w.Key) < 0) throw ShimException.Of("ShimFailed", "epoll_ctl", -Libc.errno);
        watched[w.Key] = w;
    }

    public void Change(Watched w, uint events)
    {
        if (w.Key == 0 || w.Events == events) return;
        w.Events = events;
        Libc.epoll_ctl(epoll, Libc.EPOLL_CTL_MOD, w.Fd, events, w.Key);
    }

    public void Remove(Watched w)
    {
        if (w.Key == 0) return;
        Libc.epoll_ctl(epoll, Libc.EPOLL_CTL_DEL, w.Fd, 0, 0);
        watched.Remove(w.Key);
        w.Key = 0;
    }

    public Deadline After(int milliseconds, Action act)
    {
        var deadline = new Deadline { At = Environment.TickCount64 + milliseconds, Act = act };
        deadlines.Add(deadline);
        return deadline;
    }

    public void Cancel(Deadline? deadline)
    {
        if (deadline is not null) deadlines.Remove(deadline);
    }

    /// <summary>Waits for events or the next deadline and handles what there is.</summary>
    public void Turn()
    {
        int count = Libc.epoll_wait(epoll, entries, 0);
        if (count == 0)
        {
            int due = NextDeadline();
            bool brief = !rested && due is < 0 or > QuietMilliseconds;
            count = Libc.epoll_wait(epoll, entries, brief ? QuietMilliseconds : due);
            if (brief && count == 0)
            {
                Idle?.Invoke();
                rested = true;
                return;
            }
        }
        rested = rested && count == 0;
        if (count < 0 && Libc.errno != Libc.EINTR) throw ShimException.Of("ShimFailed", "epoll_wait", -Libc.errno);
        for (int i = 0; i < count; i++)
            if (watched.TryGetValue(entries[i].data, out Watched? w))
                try
                {
                    w.Ready(entries[i].events);
                }
                catch (Exception e) when (Failed is not null)
                {
                    Failed(w, e);
                }
        long now = Environment.TickCount64;
        for (int i = 0; i < deadlines.Count; i++)
            if (deadlines[i].At <= now)
            {
                Deadline due = deadlines[i];
                deadlines.RemoveAt(i);
                rested = false;
                due.Act();
                // What it did may have changed the list.
                i = -1;
            }
    }

    int NextDeadline()
    {
        if (deadlines.Count == 0) return -1;
        long first = long.MaxValue;
        foreach (Deadline d in deadlines) first = Math.Min(first, d.At);
        return (int)Math.Clamp(first - Environment.TickCount64, 0, int.MaxValue);
    }
}
