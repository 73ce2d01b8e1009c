using System.Text;
using Containers.Linux.Oci;

namespace Containers.Linux.Resctrl;

/// <summary>A container's place in resctrl (config-linux.md, IntelRdt): its class of service, and a group of its own to be measured in.</summary>
/// <param name="Class">The class's folder below the root of resctrl; empty for the root, which is the default class.</param>
/// <param name="Monitor">The monitoring group's folder below the root; null without one.</param>
public sealed record ResctrlGroup(string Class, string? Monitor)
{
    const int LongestName = 255;

    /// <summary>Where the container belongs. Nothing is made or read.</summary>
    /// <exception cref="ResctrlException"><c>InvalidIntelRdt</c>: what cannot be the name of a group, or a schema.</exception>
    public static ResctrlGroup Of(LinuxIntelRdt rdt, string id)
    {
        Check(rdt);
        string @class = rdt.ClosId switch
        {
            null or "" => Name(id, $"the container's id \"{id}\""),
            "/" => "",
            string name => name,
        };
        return new(@class, rdt.EnableMonitoring == true ? ResctrlTree.Join(@class, "mon_groups/" + Name(id, $"the container's id \"{id}\"")) : null);
    }

    /// <exception cref="ResctrlException"><c>InvalidIntelRdt</c>.</exception>
    public static void Check(LinuxIntelRdt rdt)
    {
        if (rdt.ClosId is { Length: > 0 } name && name != "/")
            Name(name, "closID");
        // Several lines in one string are discouraged, not forbidden: a cache may be split for code and data.
        Schema(rdt.L3CacheSchema, "l3CacheSchema", linesAllowed: true);
        Schema(rdt.MemBwSchema, "memBwSchema", linesAllowed: false);
        if (rdt.MemBwSchema is { Length: > 0 } bandwidth && !bandwidth.StartsWith("MB:", StringComparison.Ordinal))
            throw Invalid("memBwSchema: does not start with MB:");
        foreach (string line in rdt.Schemata ?? [])
            Schema(line, "schemata", linesAllowed: false);
    }

    /// <summary>Whether this container is the one for which the class has to be made, and with which it goes: the specification leaves a class with a name to others.</summary>
    public static bool IsOwn(LinuxIntelRdt rdt) => string.IsNullOrEmpty(rdt.ClosId);

    /// <summary>Makes what is missing and writes the schemata. What was made before a failure is left to <see cref="Remove"/>.</summary>
    /// <param name="making">Called with the folder that delete is to remove, before it is made: the class that is the container's own, or else its monitoring group.</param>
    /// <exception cref="ResctrlException"><c>ResctrlGroupMissing</c>, <c>ResctrlMismatch</c>, <c>ResctrlRefused</c>.</exception>
    public void Create(ResctrlTree tree, LinuxIntelRdt rdt, Action<string> making)
    {
        string first = Lines(rdt.L3CacheSchema, rdt.MemBwSchema), last = Lines([.. rdt.Schemata ?? []]);
        bool isThere = tree.HasGroup(Class), own = false;
        if (!isThere && !IsOwn(rdt) && first.Length + last.Length == 0)
            throw new ResctrlException("ResctrlGroupMissing", $"linux.intelRdt.closID: there is no group {tree.PathOf(Class)}, and no schema to make one");
        if (!isThere)
        {
            if (own = IsOwn(rdt))
                making(Class);
            isThere = !tree.MakeGroup(Class);
        }
        if (isThere && first.Length > 0)
        {
            string present = tree.TryRead(ResctrlTree.Join(Class, "schemata")) ?? "";
            if (!Schemata.Has(present, first))
                throw new ResctrlException("ResctrlMismatch", $"linux.intelRdt.closID: the group {tree.PathOf(Class)} is there already, with another schema than l3CacheSchema and memBwSchema");
        }
        else if (first.Length > 0)
        {
            tree.Write(ResctrlTree.Join(Class, "schemata"), first, "linux.intelRdt.l3CacheSchema, memBwSchema");
        }
        // Apart from the others: the kernel refuses two lines of one resource in one write, and the last is to win.
        if (last.Length > 0)
            tree.Write(ResctrlTree.Join(Class, "schemata"), last, "linux.intelRdt.schemata");
        if (Monitor == null)
            return;
        if (!own)
            making(Monitor);
        tree.MakeGroup(Monitor);
    }

    /// <summary>Writes other values for a class that is there.</summary>
    /// <returns>What it had, for <see cref="Restore"/>.</returns>
    /// <exception cref="ResctrlException"><c>InvalidIntelRdt</c>, <c>ResctrlGroupMissing</c>, <c>ResctrlRefused</c>.</exception>
    public string Update(ResctrlTree tree, string? l3CacheSchema, string? memBwSchema)
    {
        Check(new LinuxIntelRdt { L3CacheSchema = l3CacheSchema, MemBwSchema = memBwSchema });
        string file = ResctrlTree.Join(Class, "schemata");
        string before = tree.TryRead(file) ?? throw new ResctrlException("ResctrlGroupMissing", $"linux.intelRdt: the group {tree.PathOf(Class)} is gone");
        tree.Write(file, Lines(l3CacheSchema, memBwSchema), "linux.intelRdt");
        return before;
    }

    public void Restore(ResctrlTree tree, string before) => tree.Write(ResctrlTree.Join(Class, "schemata"), before + "\n", "linux.intelRdt");

    /// <summary>The files in which a process that enters writes "0", in this order: entering a class leaves the monitoring group.</summary>
    public List<int> OpenTasks(ResctrlTree tree)
    {
        List<int> files = [tree.OpenTasks(Class)];
        if (Monitor == null)
            return files;
        try
        {
            files.Add(tree.OpenTasks(Monitor));
            return files;
        }
        catch
        {
            Libc.close(files[0]);
            throw;
        }
    }

    static string Lines(params ReadOnlySpan<string?> schemas)
    {
        var text = new StringBuilder();
        foreach (string? schema in schemas)
            if (!string.IsNullOrEmpty(schema))
                text.Append(schema.TrimEnd('\n')).Append('\n');
        return text.ToString();
    }

    static void Schema(string? text, string member, bool linesAllowed)
    {
        foreach (char c in text ?? "")
            if (char.IsControl(c) && !(linesAllowed && c == '\n'))
                throw Invalid($"{member}: holds a {(c == '\n' ? "line break" : "control character")}");
        if (text?.Length > 4000)
            throw Invalid($"{member}: is longer than 4000 characters");
    }

    /// <summary>One component that can be a folder of resctrl, and is not one of its own.</summary>
    static string Name(string name, string what)
    {
        if (Encoding.UTF8.GetByteCount(name) > LongestName)
            throw Invalid($"{what}: is longer than {LongestName} bytes");
        foreach (char c in name)
            if (c == '/' || char.IsControl(c))
                throw Invalid($"{what}: holds a slash or a control character");
        if (name is "." or ".." or "info" or "mon_groups" or "mon_data")
            throw Invalid($"{what}: \"{name}\" cannot be the name of a group");
        return name;
    }

    static ResctrlException Invalid(string message) => new("InvalidIntelRdt", "linux.intelRdt." + message);
}
