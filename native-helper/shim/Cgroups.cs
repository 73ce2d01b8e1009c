using System.Globalization;
using Containers.Linux;
using Containers.Linux.Cgroups;
using Psrun.State;

namespace Psrun.Shim;

/// <summary>The shim's own group, and what it has to know of its container's.</summary>
static class Cgroups
{
    const int MostAttempts = 100;

    /// <summary>Makes the group in every hierarchy, and opens it for the child that enters it.</summary>
    /// <exception cref="ShimException">CgroupFailed.</exception>
    public static CgroupEntry Open(string path)
    {
        try
        {
            ControlGroup group = CgroupHost.Detect().Group(path);
            for (int attempt = 0; ; attempt++)
            {
                group.Create();
                try
                {
                    return new CgroupEntry(group);
                }
                catch (CgroupException e) when (e.Id == "CgroupNotFound" && attempt < MostAttempts)
                {
                    // Another shim's end took it for empty between the two steps.
                }
            }
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            throw new ShimException("CgroupFailed", e.Message);
        }
    }

    /// <summary>Removes the group, and its parents as far as they are empty.</summary>
    /// <returns>What is in the way, or null.</returns>
    public static string? Remove(string path)
    {
        int second = path.IndexOf('/', 1);
        try
        {
            CgroupHost.Detect().Group(path).Remove(parentsFrom: second < 0 ? null : path[..second]);
            return null;
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            return e.Message;
        }
    }

    /// <summary>Leaves the shim's group and removes it.</summary>
    /// <param name="killRest">Ends who else is in it: what a runtime that was cut off has left there.</param>
    /// <returns>What is in the way, or null.</returns>
    public static string? Leave(string path, bool killRest)
    {
        try
        {
            CgroupHost.Detect().Group("/").Attach(0);
            if (killRest) CgroupHost.Detect().Group(path).Kill();
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            return e.Message;
        }
        return Remove(path);
    }

    /// <summary>Ends whoever is in the group of a shim that is gone.</summary>
    public static void Kill(string path)
    {
        try
        {
            CgroupHost.Detect().Group(path).Kill();
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            // The removal that follows says what is in the way.
        }
    }

    /// <summary>The group of a process; null where that is the root, or this shim's own or one above it: it then is not the container's alone.</summary>
    public static ControlGroup? Of(int pid)
    {
        try
        {
            CgroupHost host = CgroupHost.Detect();
            CgroupHierarchy hierarchy = host.Find("memory") ?? host.Unified ?? host.Hierarchies[0];
            string? path = PathIn(hierarchy, pid.ToString(CultureInfo.InvariantCulture)), own = PathIn(hierarchy, "self");
            if (path is null or "/" || path.StartsWith("/..", StringComparison.Ordinal) || own is null) return null;
            return (own + "/").StartsWith(path + "/", StringComparison.Ordinal) ? null : host.Group(path);
        }
        catch (Exception e) when (e is CgroupException or LinuxException)
        {
            return null;
        }
    }

    static string? PathIn(CgroupHierarchy hierarchy, string process)
    {
        foreach (string line in (Files.ReadText($"/proc/{process}/cgroup") ?? "").Split('\n'))
        {
            // "4:memory:/path", "0::/path"; a path may hold colons.
            int first = line.IndexOf(':'), second = first < 0 ? -1 : line.IndexOf(':', first + 1);
            if (second > 0 && line[(first + 1)..second] == hierarchy.Name) return line[(second + 1)..];
        }
        return null;
    }

    /// <summary>How often the kernel killed for want of memory in the group, 0 where nobody counts.</summary>
    public static long OomKills(ControlGroup? group)
    {
        if (group?.Host.Find("memory") is not { } memory) return 0;
        string? text = Files.ReadText(group.FolderIn(memory) + (memory.Version == 1 ? "/memory.oom_control" : "/memory.events"));
        foreach (string line in (text ?? "").Split('\n'))
            if (line.StartsWith("oom_kill ", StringComparison.Ordinal) && long.TryParse(line.AsSpan(9), CultureInfo.InvariantCulture, out long count)) return count;
        return 0;
    }
}
