namespace Psrun.Shim;

/// <summary>One mounted cgroup hierarchy: the name that /proc/PID/cgroup has for it ("" for the v2 tree) and where it is mounted.</summary>
sealed record Hierarchy(string Name, string MountPoint, bool Version2)
{
    public bool Has(string controller) => Array.IndexOf(Name.Split(','), controller) >= 0;
}

/// <summary>The shim's own group in every hierarchy, and what it has to know of its container's.</summary>
static class Cgroups
{
    const int Attempts = 100;

    public static List<Hierarchy> Mounted()
    {
        var found = new List<Hierarchy>();
        var names = new HashSet<string>();
        foreach (string line in (Files.ReadText("/proc/self/mountinfo", 4 << 20) ?? "").Split('\n'))
        {
            // "36 35 98:0 /root /mount/point options [tags] - type source superoptions"
            int dash = line.IndexOf(" - ");
            if (dash < 0) continue;
            string[] front = line[..dash].Split(' '), back = line[(dash + 3)..].Split(' ');
            if (front.Length < 5 || back.Length < 3 || back[0] is not ("cgroup" or "cgroup2") || front[3] != "/") continue;
            string name = back[0] == "cgroup2" ? "" : ControllerNames(back[2]);
            if (names.Add(name)) found.Add(new Hierarchy(name, Unescape(front[4]), back[0] == "cgroup2"));
        }
        return found;
    }

    static string ControllerNames(string superOptions)
    {
        var names = new List<string>();
        foreach (string word in superOptions.Split(','))
            if (word is not ("rw" or "ro" or "xattr" or "noprefix" or "clone_children" or "cpuset_v2_mode" or "favordynmods") && !word.StartsWith("release_agent="))
                names.Add(word);
        return string.Join(',', names);
    }

    static string Unescape(string path) =>
        path.Replace("\\040", " ").Replace("\\011", "\t").Replace("\\012", "\n").Replace("\\134", "\\");

    /// <summary>Makes the group everywhere and moves the process into it. Its memory then is charged there from its first page on.</summary>
    public static void Join(string path, int pid)
    {
        foreach (Hierarchy h in Mounted())
        {
            long r = 0;
            // Whoever removed the last child of a parent removes the parent: ours may vanish between mkdir and the write.
            for (int attempt = 0; attempt < Attempts; attempt++)
            {
                r = Make(h, path);
                if (r >= 0) r = Files.WriteKernelFile(h.MountPoint + path + "/cgroup.procs", pid.ToString());
                if (r is >= 0 or not (-Sys.ENOENT)) break;
            }
            if (r < 0) throw ShimException.Of("CgroupFailed", h.MountPoint + path, r);
        }
    }

    static long Make(Hierarchy h, string path)
    {
        for (int slash = path.IndexOf('/', 1); ; slash = path.IndexOf('/', slash + 1))
        {
            string group = h.MountPoint + (slash < 0 ? path : path[..slash]);
            long r = Sys.MakeDirectory(group, 0x1ED);
            if (r < 0 && r != -Sys.EEXIST) return r;
            // A new cpuset is empty, and nobody can be put into an empty one.
            if (r >= 0 && h.Has("cpuset"))
            {
                CopyFromParent(group, "cpuset.cpus");
                CopyFromParent(group, "cpuset.mems");
            }
            if (slash < 0) return 0;
        }
    }

    static void CopyFromParent(string group, string file)
    {
        string? value = Files.ReadText(Path.GetDirectoryName(group) + "/" + file);
        if (!string.IsNullOrWhiteSpace(value)) Files.WriteKernelFile(group + "/" + file, value.Trim());
    }

    /// <summary>Removes the group and its parents as far as they are empty.</summary>
    public static void Remove(string path)
    {
        foreach (Hierarchy h in Mounted())
            for (string group = path; group.Length > 1; group = group[..group.LastIndexOf('/')])
                if (Sys.RemoveDirectory(h.MountPoint + group) < 0) break;
    }

    public static void LeaveToRoot(int pid)
    {
        foreach (Hierarchy h in Mounted()) Files.WriteKernelFile(h.MountPoint + "/cgroup.procs", pid.ToString());
    }

    /// <summary>The folders of the groups that a process is in, in every hierarchy where that is neither the root nor the caller's own group.</summary>
    public static List<(Hierarchy Hierarchy, string Folder)> Of(int pid)
    {
        var found = new List<(Hierarchy, string)>();
        var own = Paths("self");
        var its = Paths(pid.ToString());
        foreach (Hierarchy h in Mounted())
            if (its.TryGetValue(h.Name, out string? path) && path != "/" && !path.StartsWith("/..")
                && own.TryGetValue(h.Name, out string? mine) && path != mine && !mine.StartsWith(path + "/"))
                found.Add((h, h.MountPoint + path));
        return found;
    }

    static Dictionary<string, string> Paths(string process)
    {
        var paths = new Dictionary<string, string>();
        foreach (string line in (Files.ReadText($"/proc/{process}/cgroup") ?? "").Split('\n'))
        {
            // "4:memory:/path", "0::/path"; a path may hold colons.
            int first = line.IndexOf(':'), second = first < 0 ? -1 : line.IndexOf(':', first + 1);
            if (second > 0) paths[line[(first + 1)..second]] = line[(second + 1)..];
        }
        return paths;
    }

    /// <summary>How often the kernel killed for want of memory in these groups.</summary>
    public static long OomKills(List<(Hierarchy Hierarchy, string Folder)> groups)
    {
        foreach (var (h, folder) in groups)
        {
            string? text = h.Has("memory") ? Files.ReadText(folder + "/memory.oom_control")
                : h.Version2 ? Files.ReadText(folder + "/memory.events") : null;
            if (text is null) continue;
            foreach (string line in text.Split('\n'))
                if (line.StartsWith("oom_kill ") && long.TryParse(line.AsSpan(9), out long count)) return count;
        }
        return 0;
    }

    /// <summary>Kills every process in the groups. True when none was found in the last look.</summary>
    public static bool KillAll(List<(Hierarchy Hierarchy, string Folder)> groups)
    {
        bool empty = false;
        // Forks go on while we read; each pass halves what can still run.
        for (int pass = 0; pass < 10 && !empty; pass++)
        {
            empty = true;
            foreach (var (_, folder) in groups) empty &= KillIn(folder, 0);
        }
        return empty;
    }

    static bool KillIn(string folder, int depth)
    {
        bool empty = true;
        foreach (string line in (Files.ReadText(folder + "/cgroup.procs", 1 << 20) ?? "").Split('\n'))
            if (int.TryParse(line, out int pid) && pid > 1)
            {
                empty = false;
                Sys.Kill(pid, Sys.SIGKILL);
            }
        if (depth < 32 && Directory.Exists(folder))
            try
            {
                foreach (string child in Directory.GetDirectories(folder)) empty &= KillIn(child, depth + 1);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Removed meanwhile: nothing is in it.
            }
        return empty;
    }
}
