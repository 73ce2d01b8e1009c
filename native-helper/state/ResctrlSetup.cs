using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Resctrl;

namespace Psrun.State;

/// <summary>linux.intelRdt: the container's groups of resctrl, between create and delete.</summary>
static class ResctrlSetup
{
    /// <summary>Its form, and whether this host has resctrl at all.</summary>
    public static void Check(LinuxIntelRdt? rdt)
    {
        if (rdt == null)
            return;
        ResctrlGroup.Check(rdt);
        ResctrlTree.Detect();
    }

    /// <summary>Makes what is missing. What delete is to remove is on record before it is made.</summary>
    public static ResctrlGroup Create(LinuxIntelRdt rdt, string id, StateFolder folder)
    {
        ResctrlGroup group = ResctrlGroup.Of(rdt, id);
        group.Create(ResctrlTree.Detect(), rdt, folder.WriteResctrlGroup);
        return group;
    }

    /// <summary>For the child that enters them by itself. A container whose groups are gone, or were unmounted, is in the default class, and so is what joins it.</summary>
    /// <param name="group">Null: none.</param>
    public static List<int> OpenEntry(ResctrlGroup? group)
    {
        if (group == null || ResctrlTree.Find(MountInfo.ReadSelf()) is not { } tree || !tree.HasGroup(group.Class))
            return [];
        return (group.Monitor == null || tree.HasGroup(group.Monitor) ? group : group with { Monitor = null }).OpenTasks(tree);
    }

    /// <summary>After the container's processes have ended. May be repeated; an unmounted tree has taken its groups along.</summary>
    public static void Remove(StateFolder folder)
    {
        if (folder.TryReadResctrlGroup() is string made)
            ResctrlTree.Find(MountInfo.ReadSelf())?.RemoveGroup(made);
    }
}
