using Containers.Linux.Resctrl;

namespace Containers.Tests.Units.Resctrl;

/// <summary>A folder that stands for /sys/fs/resctrl: what the kernel puts into a new group is put there, and goes with it.</summary>
sealed class RecordedResctrl(string folder) : ResctrlTree(folder), IDisposable
{
    public const string Default = "    L3:0=7ff;1=7ff\n    MB:0=100;1=100\n";

    /// <summary>What delete would be told to remove.</summary>
    public List<string> Made { get; } = [];

    public static RecordedResctrl New()
    {
        var tree = new RecordedResctrl(Directory.CreateTempSubdirectory("resctrl-").FullName);
        tree.Fill("");
        Directory.CreateDirectory(Path.Combine(tree.Root, "info"));
        return tree;
    }

    void Fill(string group)
    {
        File.WriteAllText(PathOf(Join(group, "tasks")), "");
        if (group.Contains("mon_groups/")) { return; }
        File.WriteAllText(PathOf(Join(group, "schemata")), Default);
        Directory.CreateDirectory(PathOf(Join(group, "mon_groups")));
    }

    public void Add(string group, string schemata = Default)
    {
        MakeGroup(group);
        File.WriteAllText(PathOf(Join(group, "schemata")), schemata);
    }

    public override bool MakeGroup(string group)
    {
        var made = base.MakeGroup(group);
        if (made) { Fill(group); }
        return made;
    }

    public override void RemoveGroup(string group)
    {
        // The kernel lets its own files be: one that is not empty otherwise is told by the real call.
        if (Directory.Exists(PathOf(group))) { Directory.Delete(PathOf(group), recursive: true); }
        base.RemoveGroup(group);
    }

    public string Schemata(string group) => File.ReadAllText(PathOf(Join(group, "schemata")));

    public bool Has(string path) => Path.Exists(PathOf(path));

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
