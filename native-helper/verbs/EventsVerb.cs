using System.Text.Json;
using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Resctrl;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>events: one JSON object on a line for each measurement and for each time that the kernel killed for want of memory, until the container ends.</summary>
static unsafe class EventsVerb
{
    public static readonly string[] Known = ["interval=", "stats"];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        string id = ContainerId.Check(CreateVerb.OneId(options, "events"));
        long interval = Durations.Parse("interval", options.Value("interval") ?? "5s");
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        if (Status.Of(folder, state) == StateFile.Stopped)
            throw new PsrunException($"container with id {id} is not running");
        ControlGroup group = CgroupSetup.At(state.CgroupPath ?? throw new PsrunException("events: the container has no cgroup"));
        if (options.Has("stats"))
        {
            Print(id, "stats", group, state.IntelRdt);
            return 0;
        }
        int init = InitProcess.OpenPidFd(state.Pid, state.PidStartTime);
        if (init < 0)
            throw new PsrunException($"container with id {id} is not running");
        Watch(id, group, state.IntelRdt, init, interval);
        Libc.close(init);
        return 0;
    }

    static void Watch(string id, ControlGroup group, ResctrlGroup? rdt, int init, long interval)
    {
        int timer = Libc.timerfd_create(Libc.CLOCK_MONOTONIC, Libc.TFD_CLOEXEC);
        itimerspec every;
        every.it_interval.tv_sec = every.it_value.tv_sec = interval / 1_000_000_000;
        every.it_interval.tv_nsec = every.it_value.tv_nsec = interval % 1_000_000_000;
        if (timer < 0 || Libc.timerfd_settime(timer, 0, &every, null) < 0)
            throw new PsrunException($"timerfd: {Errnos.Text(Libc.errno)}");
        long killed = OomKills(group);
        int memory = OpenOomEvents(group, out bool isV1);
        pollfd* polls = stackalloc pollfd[3];
        polls[0].fd = timer;
        polls[1].fd = memory;
        polls[2].fd = init;
        byte* buffer = stackalloc byte[4096];
        for (int i = 0; i < 3; i++)
            polls[i].events = Libc.POLLIN;
        while (true)
        {
            if (Libc.poll(polls, 3, -1) < 0)
            {
                if (Libc.errno == Libc.EINTR)
                    continue;
                throw new PsrunException($"poll: {Errnos.Text(Libc.errno)}");
            }
            if (polls[1].revents != 0)
            {
                Libc.read(memory, buffer, 4096);
                // v1's notice comes before the kernel has chosen and counted whom it kills, and once more when the group is removed.
                if (isV1 && group.Exists)
                    Print(id, "oom", null);
                for (long now = isV1 ? killed : OomKills(group); killed < now; killed++)
                    Print(id, "oom", null);
            }
            if (polls[2].revents != 0)
                break;
            if (polls[0].revents != 0)
            {
                Libc.read(timer, buffer, 8);
                Print(id, "stats", group, rdt);
            }
        }
        Libc.close(timer);
        if (memory >= 0)
            Libc.close(memory);
    }

    static long OomKills(ControlGroup group) => group.Exists ? group.ReadStats().OomKills ?? 0 : 0;

    /// <summary>A descriptor that becomes readable when memory ran out: v1's eventfd (admin-guide/cgroup-v1/memory, "OOM Control"), v2's file by inotify; -1 where nobody counts memory.</summary>
    static int OpenOomEvents(ControlGroup group, out bool isV1)
    {
        isV1 = group.Host.Find("memory") is { Version: 1 };
        if (group.Host.Find("memory") is not { } memory)
            return -1;
        string folder = group.FolderIn(memory);
        if (memory.Version == 2)
        {
            int watch = Libc.inotify_init1(Libc.IN_CLOEXEC | Libc.IN_NONBLOCK);
            if (watch < 0 || Libc.inotify_add_watch(watch, folder + "/memory.events", Libc.IN_MODIFY) < 0)
                throw new PsrunException($"{folder}/memory.events: {Errnos.Text(Libc.errno)}");
            return watch;
        }
        int events = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        int control = Libc.open(folder + "/memory.oom_control", Libc.O_RDONLY | Libc.O_CLOEXEC);
        int register = Libc.open(folder + "/cgroup.event_control", Libc.O_WRONLY | Libc.O_CLOEXEC);
        if (events < 0 || control < 0 || register < 0)
            throw new PsrunException($"{folder}/memory.oom_control: {Errnos.Text(Libc.errno)}");
        Log.Write(register, $"{events} {control}");
        Libc.close(register);
        Libc.close(control);
        return events;
    }

    static void Print(string id, string type, ControlGroup? group, ResctrlGroup? rdt = null) => Log.Write(1, StateVerb.Json(json =>
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteString("id", id);
        if (group != null)
        {
            json.WritePropertyName("data");
            EventStats.Write(json, group, rdt);
        }
        json.WriteEndObject();
    }, indented: false));
}
