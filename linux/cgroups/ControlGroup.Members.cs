using System.Globalization;

namespace Containers.Linux.Cgroups;

public sealed unsafe partial class ControlGroup
{
    const string Mark = "user.pscontainers";
    const string PrivilegedMark = "trusted.pscontainers";

    /// <summary>The writes by which <see cref="Move"/> moves: files of the hierarchies in which the group exists.</summary>
    /// <param name="thread">A single thread and not a process with all of its threads.</param>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>.</exception>
    /// <exception cref="CgroupNotSupportedException">A v2 host where the group is not threaded.</exception>
    public List<string> EntryFiles(bool thread = false)
    {
        var files = new List<string>();
        foreach (var (hierarchy, file) in Entries(thread)) { files.Add(hierarchy.Folder(Path) + "/" + file); }
        return files;
    }

    List<(CgroupHierarchy Hierarchy, string File)> Entries(bool thread)
    {
        var entries = new List<(CgroupHierarchy, string)>();
        for (var i = 0; i < folders.Length; i++)
        {
            if (!CgroupFiles.Exists(folders[i])) { continue; }
            var hierarchy = Host.All[i];
            // On a hybrid host a thread's limits are v1's; its v2 group only takes it where that is threaded.
            if (hierarchy.Version == 2 && thread && Host.Kind != CgroupKind.V2 && Type != "threaded") { continue; }
            entries.Add((hierarchy, !thread ? "cgroup.procs" : hierarchy.Version == 1 ? "tasks" : "cgroup.threads"));
        }
        return entries.Count > 0 ? entries : throw new CgroupException("CgroupNotFound", $"{Path}: there is no such group");
    }

    /// <summary>Moves a process, or one thread, into the group in every hierarchy in which that exists. When one refuses it, it is put back in the others.</summary>
    /// <exception cref="CgroupException"><c>ProcessNotFound</c>; <c>CgroupNotFound</c>; <c>CgroupThreaded</c>: a group of threads does not take a process, nor a
    /// domain single threads; <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>, <c>CgroupLimitRefused</c> with the file and the cause.</exception>
    public void Move(int id, bool thread = false)
    {
        if (id <= 0 || !ProcessCgroup.TryRead(id, out var before)) { throw new CgroupException("ProcessNotFound", $"there is no {(thread ? "thread" : "process")} {id}"); }
        var text = id.ToString(CultureInfo.InvariantCulture);
        var entries = Entries(thread);
        for (var i = 0; i < entries.Count; i++)
        {
            var (hierarchy, file) = entries[i];
            var errno = CgroupFiles.TryWrite(hierarchy.Folder(Path), file, text);
            if (errno == 0) { continue; }
            while (--i >= 0)
            {
                // Who has ended meanwhile need not go back.
                if (PathIn(entries[i].Hierarchy, before) is { } old) { _ = CgroupFiles.TryWrite(entries[i].Hierarchy.Folder(old), entries[i].File, text); }
            }
            throw errno == Libc.ESRCH ? Ended(id, thread) : CgroupRefusal.Of(hierarchy.Folder(Path), file, text, errno);
        }
        // The kernel takes the number of one that has ended, and moves nobody.
        if (!ProcessStatus.TryRead(id, out var status) || (status.State is 'Z' or 'X' && (thread || status.Threads <= 1))) { throw Ended(id, thread); }
    }

    static CgroupException Ended(int id, bool thread) => new("ProcessNotFound", $"{(thread ? "thread" : "process")} {id} has ended");

    internal static string? PathIn(CgroupHierarchy hierarchy, List<ProcessCgroup> lines)
    {
        foreach (var line in lines)
        {
            if (hierarchy.Version == 2 ? line.Hierarchy == 0 : line.Hierarchy != 0 && line.Controllers == hierarchy.Name) { return line.Path; }
        }
        return null;
    }

    /// <summary>Thread ids in the group itself, in rising order.</summary>
    public List<int> Threads()
    {
        var ids = new List<int>();
        var v1 = Host.Unified is null || Primary != Host.Unified.Folder(Path);
        foreach (var line in (CgroupFiles.ReadText(Primary, v1 ? "tasks" : "cgroup.threads") ?? "").Split('\n'))
        {
            if (int.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && id > 0) { ids.Add(id); }
        }
        ids.Sort();
        return ids;
    }

    /// <summary>Notes on the group that these tools made it: an extended attribute, which goes with it.</summary>
    public void MarkAsOurs()
    {
        byte one = (byte)'1';
        // The first can be set by whoever a group was delegated to; where a kernel takes it in the v2 tree alone, v1 takes the second of root. Without any of
        // them, removal wants force.
        if (Libc.lsetxattr(Primary, Mark, &one, 1, 0) == 0 || Libc.lsetxattr(Primary, PrivilegedMark, &one, 1, 0) == 0) { return; }
        if (Host.Unified is { } unified) { _ = Libc.lsetxattr(unified.Folder(Path), Mark, &one, 1, 0); }
    }

    /// <summary>Whether these tools made it.</summary>
    public bool IsOurs => Libc.lgetxattr(Primary, Mark, null, 0) > 0 || Libc.lgetxattr(Primary, PrivilegedMark, null, 0) > 0
        || (Host.Unified is { } unified && Libc.lgetxattr(unified.Folder(Path), Mark, null, 0) > 0);

    /// <summary>Why nobody may remove, stop or freeze it; null when one may. These are the groups of process 1 and all above them.</summary>
    public string? Protection
    {
        get
        {
            if (Path == "/") { return "it is the root of the hierarchies"; }
            foreach (var hierarchy in Host.All)
            {
                if (PathIn(hierarchy, Host.GroupsOfInit) is { } path && Holds(path)) { return $"process 1 is in {path} of {hierarchy.MountPoint}"; }
            }
            return null;
        }
    }

    /// <summary>Whether this very process is in it or below it, in any hierarchy.</summary>
    public bool HoldsUs
    {
        get
        {
            foreach (var hierarchy in Host.All)
            {
                if (PathIn(hierarchy, Host.OwnGroups) is { } path && Holds(path)) { return true; }
            }
            return false;
        }
    }

    bool Holds(string path) => path == Path || path.StartsWith(Path + "/", StringComparison.Ordinal);
}
