using Containers.Linux.Cgroups;

namespace Containers;

/// <summary>A group that is to be made.</summary>
public sealed class CgroupMakePlan
{
    internal CgroupMakePlan(ControlGroup group, IReadOnlyCollection<string>? controllers, bool threaded, List<string> missing) => (Group, Controllers, Threaded, Missing) = (group, controllers, threaded, missing);

    public string Path => Group.Path;

    /// <summary>In their order: <c>mkdir FOLDER</c>, parents first, and <c>FILE: -> VALUE</c>.</summary>
    public IReadOnlyList<string> Steps
    {
        get
        {
            var steps = Group.CreateSteps(Missing, Controllers);
            if (Threaded) { steps.Add(Group.ThreadedStep); }
            return steps;
        }
    }

    internal ControlGroup Group { get; }
    internal IReadOnlyCollection<string>? Controllers { get; }
    internal bool Threaded { get; }
    internal List<string> Missing { get; }
}

/// <summary>A group that may be removed.</summary>
public sealed class CgroupRemovePlan
{
    internal CgroupRemovePlan(ControlGroup group, bool recurse, bool force, List<string> folders) => (Group, Recurse, Force, Folders) = (group, recurse, force, folders);

    public string Path => Group.Path;

    /// <summary>Those below go too.</summary>
    public bool Recurse { get; }

    /// <summary>Processes are killed first.</summary>
    public bool Force { get; }

    /// <summary>The folders that go, those of the deepest groups first.</summary>
    public IReadOnlyList<string> Folders { get; }

    internal ControlGroup Group { get; }
}

/// <summary>What a change of limits will write.</summary>
public sealed class CgroupLimitPlan
{
    internal CgroupLimitPlan(CgroupPlan plan, CgroupLimitChange change) => (Plan, Change) = (plan, change);

    public string Path => Plan.Path;

    /// <summary>In the order in which they are written; empty when all is as it was asked for.</summary>
    public IReadOnlyList<CgroupWrite> Writes => Plan.Writes;

    internal CgroupPlan Plan { get; }
    internal CgroupLimitChange Change { get; }
}
