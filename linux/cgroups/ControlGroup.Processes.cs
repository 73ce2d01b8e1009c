using System.Diagnostics;

namespace Containers.Linux.Cgroups;

public sealed unsafe partial class ControlGroup
{
    const int MostRounds = 64;
    const int MostHeld = 256;

    /// <summary>Pids in the group, in rising order; with <paramref name="recursive"/> also those in groups below it. Empty when there is no such group.
    /// Processes of other pid namespaces, which have no number here, are left out.</summary>
    /// <exception cref="CgroupException"><c>CgroupTooDeep</c>: more than 256 groups inside each other.</exception>
    public List<int> Processes(bool recursive = false)
    {
        var pids = new List<int>();
        CgroupTree.Processes(Primary, recursive, pids);
        pids.Sort();
        // v1 may list one twice while it moves.
        for (var i = pids.Count - 1; i > 0; i--)
        {
            if (pids[i] == pids[i - 1]) { pids.RemoveAt(i); }
        }
        return pids;
    }

    // On a hybrid host the controllers' side counts: what limits and removal hang on. Not every group is in each of their hierarchies.
    string Primary
    {
        get
        {
            for (var i = 0; i < folders.Length; i++)
            {
                if (Host.All[i].Version == 1 && Host.All[i].Offered.Length > 0 && CgroupFiles.Exists(folders[i])) { return folders[i]; }
            }
            return Host.Unified?.Folder(Path) ?? folders[0];
        }
    }

    /// <summary>Sends SIGKILL to every process of the group and of those below it, frozen ones too, whatever they fork meanwhile. Returns when
    /// all were told, not when they have ended: see <see cref="WaitEmpty"/>. No group, or none in it, is no error.</summary>
    /// <exception cref="CgroupException"><c>CgroupBusy</c>: new processes came faster than they could be killed.</exception>
    public void Kill()
    {
        RefuseRoot("killed");
        var atOnce = Host.Unified is { } unified && CgroupFiles.TryWrite(unified.Folder(Path), "cgroup.kill", "1") == 0;
        if (Host.Kind != CgroupKind.V2 || !atOnce) { KillOneByOne(freeze: !atOnce); }
        // A frozen process of v1 takes its signal only when it goes on.
        if (Host.Find("freezer") is { Version: 1 } freezer) { CgroupTree.ThawAll(freezer.Folder(Path)); }
    }

    /// <summary>Sends a signal once to every process that is in the group and below it now; never to one that has left and whose pid was given
    /// away. For SIGKILL, <see cref="Kill"/> also reaches what is forked meanwhile.</summary>
    /// <returns>How many were told.</returns>
    /// <exception cref="LinuxException">EINVAL: no such signal.</exception>
    public int Signal(int signal)
    {
        RefuseRoot("signalled");
        return SignalMembers(Processes(recursive: true), signal).Count;
    }

    void KillOneByOne(bool freeze)
    {
        var told = new HashSet<int>();
        for (var round = 0; round < MostRounds; round++)
        {
            var pids = Processes(recursive: true);
            var anew = pids.FindAll(pid => !told.Contains(pid));
            if (anew.Count == 0) { return; }
            // Who forks faster than we list is held still from the second round on.
            if (round == 1 && freeze) { TryFreeze(); }
            foreach (var pid in SignalMembers(anew, Libc.SIGKILL)) { told.Add(pid); }
        }
        throw new CgroupException("CgroupBusy", $"{Path}: new processes kept appearing while it was killed");
    }

    // A pid is only believed while it stands in the list: first hold the process, then look again, then send.
    List<int> SignalMembers(List<int> pids, int signal)
    {
        var sent = new List<int>(pids.Count);
        // A group may hold more processes than we may hold descriptors.
        for (var from = 0; from < pids.Count; from += MostHeld)
        {
            var held = new List<(int Pid, int Fd)>();
            try
            {
                foreach (var pid in pids.GetRange(from, Math.Min(MostHeld, pids.Count - from)))
                {
                    var fd = Libc.pidfd_open(pid, 0);
                    if (fd >= 0) { held.Add((pid, fd)); }
                    else if (Libc.errno != Libc.ESRCH) { LinuxException.Check(fd, "pidfd_open", pid); }
                }
                var still = Processes(recursive: true);
                foreach (var (pid, fd) in held)
                {
                    if (still.BinarySearch(pid) < 0) { continue; }
                    var result = Libc.pidfd_send_signal(fd, signal, null, 0);
                    if (result < 0 && Libc.errno != Libc.ESRCH) { LinuxException.Check(result, "pidfd_send_signal", pid); }
                    sent.Add(pid);
                }
            }
            finally
            {
                foreach (var (_, fd) in held) { Libc.close(fd); }
            }
        }
        return sent;
    }

    /// <summary>Waits until no process is left in the group and below it.</summary>
    /// <returns>False when there still were some at the end of that time.</returns>
    public bool WaitEmpty(TimeSpan timeout)
    {
        var start = Stopwatch.GetTimestamp();
        while (true)
        {
            var pids = Processes(recursive: true);
            if (pids.Count == 0) { return true; }
            var left = (timeout - Stopwatch.GetElapsedTime(start)).TotalMilliseconds;
            if (left <= 0) { return false; }
            var fd = Libc.pidfd_open(pids[0], 0);
            if (fd < 0)
            {
                // Ended between list and call: the kernel takes it off the list a moment later.
                Libc.poll(null, 0, 1);
                continue;
            }
            var wait = new pollfd { fd = fd, events = Libc.POLLIN };
            Libc.poll(&wait, 1, (int)Math.Min(left + 1, 1000));
            Libc.close(fd);
            // One that has ended already but is still listed is about to leave.
            if (wait.revents != 0) { Libc.poll(null, 0, 1); }
        }
    }

    /// <summary>Stops every process of the group and of those below it, until <see cref="Thaw"/>.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>; <c>CgroupBusy</c>: not all have stopped within two seconds, and all go on.</exception>
    /// <exception cref="CgroupNotSupportedException">A v1 host without the freezer.</exception>
    public void Freeze()
    {
        RefuseRoot("frozen");
        if (SetFrozen(true)) { return; }
        SetFrozen(false);
        throw new CgroupException("CgroupBusy", $"{Path}: not all of its processes could be frozen");
    }

    /// <summary>Lets the processes go on. One that is not frozen is no error.</summary>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>.</exception>
    public void Thaw()
    {
        RefuseRoot("thawed");
        SetFrozen(false);
    }

    /// <summary>Whether it is frozen by itself or by a group above it; false when there is no such group.</summary>
    public bool Frozen
    {
        get
        {
            if (Host.Find("freezer") is { Version: 1 } freezer) { return CgroupFiles.ReadText(freezer.Folder(Path), "freezer.state") == "FROZEN"; }
            return Host.Unified is { } unified && CgroupFiles.Keyed(CgroupFiles.Read(unified.Folder(Path), "cgroup.events"), "frozen"u8) == 1;
        }
    }

    void TryFreeze()
    {
        try { SetFrozen(true); }
        catch (CgroupException) { }
    }

    bool SetFrozen(bool frozen)
    {
        if (Host.Find("freezer") is { Version: 1 } v1)
        {
            var folder = v1.Folder(Path);
            // A process that was just forked may miss the first word, so that it is said again until all have heard it.
            for (var attempt = 0; attempt < 500; attempt++)
            {
                Write(folder, "freezer.state", frozen ? "FROZEN" : "THAWED");
                if (!frozen || CgroupFiles.ReadText(folder, "freezer.state") == "FROZEN") { return true; }
                // v1 tells nobody when the last one has stopped.
                Libc.poll(null, 0, attempt < 10 ? 1 : 4);
            }
            return false;
        }
        if (Host.Unified is not { } unified) { throw new CgroupNotSupportedException("freezer", "the controller is mounted nowhere on this host"); }
        Write(unified.Folder(Path), "cgroup.freeze", frozen ? "1" : "0");
        return !frozen || CgroupTree.WaitEvent(unified.Folder(Path), "frozen"u8, 1, 2000);
    }

    static void Write(string folder, string file, string value)
    {
        if (CgroupFiles.TryWrite(folder, file, value) is not 0 and var errno) { throw CgroupRefusal.Of(folder, file, value, errno); }
    }

    /// <summary>
    /// Removes the group and all groups below it in every hierarchy. None there is no error, nor is one that was removed by half.
    /// </summary>
    /// <param name="parentsFrom">Also removes parents that are empty now, up to this path and no further; null removes none.</param>
    /// <param name="wait">How long to wait for processes that are about to end; one second when not given.</param>
    /// <exception cref="CgroupException"><c>CgroupBusy</c>: there are processes in it.</exception>
    public void Remove(string? parentsFrom = null, TimeSpan? wait = null)
    {
        RefuseRoot("removed");
        var start = Stopwatch.GetTimestamp();
        foreach (var folder in folders)
        {
            for (var attempt = 0; ; attempt++)
            {
                var errno = CgroupTree.Remove(folder);
                if (errno == 0) { break; }
                if (errno != Libc.EBUSY) { throw new LinuxException("rmdir", folder, errno); }
                var left = (wait ?? TimeSpan.FromSeconds(1)) - Stopwatch.GetElapsedTime(start);
                if (left <= TimeSpan.Zero || !WaitEmpty(left)) { throw Busy(folder); }
                // The list is empty a moment before the last process has quite left.
                if (attempt > 0) { Libc.poll(null, 0, Math.Min(attempt, 10)); }
            }
        }
        if (parentsFrom is not null) { RemoveParents(CgroupPath.Normalize(parentsFrom)); }
    }

    CgroupException Busy(string folder) => new("CgroupBusy", $"{folder} cannot be removed: {Processes(recursive: true).Count} processes live in it");

    void RemoveParents(string last)
    {
        if (last == "/") { throw new CgroupException("InvalidCgroupPath", "parents can be removed up to a group, not to the root"); }
        foreach (var hierarchy in Host.All)
        {
            for (var path = CgroupPath.Parent(Path); path == last || path.StartsWith(last + "/", StringComparison.Ordinal); path = CgroupPath.Parent(path))
            {
                // One that is in use, or was removed by another, ends the way up; so does one that is not a group.
                if (Libc.rmdir(hierarchy.Folder(path)) != 0 && Libc.errno != Libc.ENOENT) { break; }
            }
        }
    }
}
