using Containers.Linux;
using Containers.Linux.Cgroups;
using Psrun.Dance;

namespace Psrun.State;

/// <summary>A group held open for the child that enters it by itself; see <see cref="ControlGroup.OpenEntries"/>.</summary>
sealed unsafe class CgroupEntry : IDisposable
{
    readonly List<int> _files;
    readonly int _unified;

    /// <param name="below">Groups below it to enter instead, by controller; "" stands for all.</param>
    /// <param name="sinceMounted">Without the hierarchies that the host has mounted since the group was made.</param>
    public CgroupEntry(ControlGroup group, IReadOnlyDictionary<string, string>? below = null, bool sinceMounted = false)
    {
        _files = group.OpenEntries(out _unified, below, sinceMounted);
    }

    /// <summary>Whoever writes "0" into these files is moved.</summary>
    public IReadOnlyList<int> Files => _files;

    /// <summary>The v2 folder for CLONE_INTO_CGROUP, or -1.</summary>
    public int Unified => _unified;

    /// <summary>The child's first steps: it is in all groups before it does anything that they limit.</summary>
    public void AddSteps(Plan plan)
    {
        AddWrites(plan, _files, "enter the control group");
        if (_unified >= 0)
            plan.Call("enter the control group", Libc.SYS_close, _unified);
    }

    /// <summary>The writes that move.</summary>
    public static void AddWrites(Plan plan, List<int> files, string words)
    {
        nint self = plan.Text("0");
        foreach (int file in files)
        {
            plan.Call(words, Libc.SYS_write, file, self, 1);
            plan.Call(null, Libc.SYS_close, file);
        }
    }

    public void Dispose()
    {
        foreach (int file in _files)
            Libc.close(file);
        if (_unified >= 0)
            Libc.close(_unified);
    }
}
