using System.Diagnostics;
using Containers.Linux.Cgroups;

namespace Containers.Tests.Units.Cgroups;

/// <summary>A group of this host with a name of its own, processes in it, and a count of what is left at the end.</summary>
sealed class LiveGroup : IDisposable
{
    readonly List<Process> started = [];
    readonly string parent = $"/pscontainers-units-{Environment.ProcessId}-{Guid.NewGuid():N}";

    public CgroupHost Host { get; }

    public ControlGroup Group { get; }

    public string Parent => parent;

    public LiveGroup(CgroupHost? host = null, bool create = true)
    {
        Host = host ?? CgroupHost.Detect();
        Group = Host.Group(parent + "/g");
        if (create) { Make(Group); }
    }

    /// <summary>Makes a group; in the v2 tree of a hybrid host by bare hands, because <c>Create</c> would enable controllers in the host's own root.</summary>
    public ControlGroup Make(ControlGroup group)
    {
        if (Host.Kind != CgroupKind.V2 || File.Exists("/sys/fs/cgroup/cgroup.procs")) { group.Create(); }
        else { Directory.CreateDirectory(group.FolderIn(Host.Unified!)); }
        return group;
    }

    /// <summary>Why nothing can be tried here; null when it can.</summary>
    public static string? Problem { get; } = FindProblem();

    static string? FindProblem()
    {
        if (Environment.UserName != "root") { return "needs root"; }
        try
        {
            using var live = new LiveGroup();
            return null;
        }
        catch (Exception e) when (e is IOException or CgroupException) { return e.Message; }
    }

    /// <summary>This host as if only its v1 hierarchies were mounted, or only its v2 tree.</summary>
    public static CgroupHost? Part(int version)
    {
        var lines = File.ReadAllLines("/proc/self/mountinfo").Where(line => line.Contains(version == 1 ? " - cgroup " : " - cgroup2 "));
        try { return new CgroupHost("", string.Join('\n', lines)); }
        catch (CgroupException) { return null; }
    }

    /// <summary>Starts a shell script in the group.</summary>
    public Process Start(string script, ControlGroup? group = null)
    {
        var info = new ProcessStartInfo("/bin/sh") { RedirectStandardInput = true, RedirectStandardOutput = true };
        info.ArgumentList.Add("-c");
        info.ArgumentList.Add("read go; " + script);
        var process = Process.Start(info)!;
        started.Add(process);
        try { (group ?? Group).Attach(process.Id); }
        catch
        {
            process.Kill();
            throw;
        }
        process.StandardInput.WriteLine("go");
        return process;
    }

    public int FoldersLeft() => Host.Hierarchies.Count(h => Directory.Exists(h.MountPoint + parent));

    public void Dispose()
    {
        var top = Host.Group(parent);
        top.Kill();
        foreach (var process in started)
        {
            if (!process.WaitForExit(TimeSpan.FromSeconds(20))) { process.Kill(entireProcessTree: true); }
            process.Dispose();
        }
        top.Remove(wait: TimeSpan.FromSeconds(10));
        if (FoldersLeft() != 0) { throw new InvalidOperationException($"{parent} was left behind"); }
    }
}
