namespace Containers.Tests.Runtime;

/// <summary>
/// Counts what belongs to one test on the host. Every id, folder and cgroup of a test holds its tag, so that tests beside it, and a
/// second run of the whole suite, do not count.
/// </summary>
static class HostState
{
    static readonly string[] NamespaceNames = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

    public static List<string> Leftovers(string tag, string stateRoot, IReadOnlySet<string> namespaces)
    {
        List<string> found = [];
        foreach (var line in File.ReadLines("/proc/self/mountinfo"))
        {
            if (line.Contains(tag))
                found.Add("mount: " + line);
        }
        foreach (var cgroup in Cgroups(tag))
            found.Add("cgroup: " + cgroup);
        foreach (var pid in Processes())
            Inspect(pid, tag, namespaces, found);
        if (Directory.Exists(stateRoot))
        {
            foreach (var entry in Directory.EnumerateFileSystemEntries(stateRoot))
                found.Add("state: " + entry);
        }
        return found;
    }

    /// <summary>
    /// The lines of a /proc/PID/cgroup that name a hierarchy mounted here for good. Others on this host mount further ones for themselves and for a time,
    /// and all processes are in the root of those.
    /// </summary>
    public static IEnumerable<string> Groups(IEnumerable<string> lines)
    {
        var mounted = new HashSet<string>();
        foreach (var mount in File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')).Where(mount => mount[2] == "cgroup"))
            mounted.UnionWith(mount[3].Split(','));
        mounted.Remove("hugetlb");
        return lines.Where(line => line.StartsWith("0::", StringComparison.Ordinal) || mounted.Contains(line.Split(':')[1].Split(',')[0]));
    }

    /// <summary>The folders below every mounted hierarchy whose name holds the tag.</summary>
    public static List<string> Cgroups(string tag)
    {
        List<string> found = [];
        Walk("/sys/fs/cgroup", 0);
        return found;

        void Walk(string folder, int depth)
        {
            string[] children;
            try
            {
                children = Directory.GetDirectories(folder);
            }
            catch (IOException)
            {
                return; // removed while we looked
            }
            foreach (var child in children)
            {
                if (child.Contains(tag))
                    found.Add(child);
                if (depth < 9)
                    Walk(child, depth + 1);
            }
        }
    }

    /// <summary>The namespaces of a process that are not the test's own, as <c>net:[4026531840]</c>.</summary>
    public static IEnumerable<string> PrivateNamespaces(int pid)
    {
        foreach (var name in NamespaceNames)
        {
            if (Link($"/proc/{pid}/ns/{name}") is { } theirs && theirs != Link($"/proc/self/ns/{name}"))
                yield return theirs;
        }
    }

    public static string? Link(string path)
    {
        try
        {
            return new FileInfo(path).LinkTarget;
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Field 22 of /proc/PID/stat, in clock ticks; null when the process is gone.</summary>
    public static ulong? StartTime(int pid) => StatField(pid, 22) is { } text ? ulong.Parse(text) : null;

    /// <summary>The state letter of /proc/PID/stat; null when the process is gone.</summary>
    public static string? ProcessState(int pid) => StatField(pid, 3);

    static string? StatField(int pid, int number)
    {
        var stat = Text($"/proc/{pid}/stat");
        // The name stands in parentheses and may hold both blanks and parentheses.
        return stat is null or "" ? null : stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[number - 3];
    }

    public static List<int> Processes()
    {
        List<int> pids = [];
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), out var pid))
                pids.Add(pid);
        }
        return pids;
    }

    public static string? Text(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }

    static void Inspect(int pid, string tag, IReadOnlySet<string> namespaces, List<string> found)
    {
        // A dead process waits for the host's pid 1 to look: it holds nothing any more, and the runtime cannot hurry it.
        if (pid == Environment.ProcessId || ProcessState(pid) is null or "Z" or "X")
            return;
        if (Text($"/proc/{pid}/cmdline") is { } line && line.Contains(tag))
            found.Add($"process {pid}: {line.Replace('\0', ' ')}");
        else if (Text($"/proc/{pid}/cgroup") is { } groups && groups.Contains(tag))
            found.Add($"process {pid} in cgroup of {tag}, state {ProcessState(pid)}");
        else if (Link($"/proc/{pid}/root") is { } root && root.Contains(tag))
            found.Add($"process {pid} with root {root}");
        // A namespace's number is given to the next one when it is free. Who holds it in a group of others' is theirs; what a container of the test left is in the
        // test's groups, told above, or was not moved from the test's own yet.
        if (namespaces.Count == 0 || Text($"/proc/{pid}/cgroup") is not { } group || group != Text("/proc/self/cgroup") && !group.Contains(tag))
            return;
        foreach (var name in NamespaceNames)
        {
            if (Link($"/proc/{pid}/ns/{name}") is { } held && namespaces.Contains(held))
                found.Add($"namespace {held} of process {pid}");
        }
    }
}
