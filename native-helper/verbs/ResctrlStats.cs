using System.Globalization;
using System.Text.Json;
using Containers.Linux;
using Containers.Linux.Resctrl;

namespace Psrun.Verbs;

/// <summary>What resctrl allots to a container and measures of it, in the shape that runc gives it (its types/events.go).</summary>
static class ResctrlStats
{
    /// <param name="group">Null: none. Empty where resctrl was unmounted since.</param>
    public static void Write(Utf8JsonWriter json, ResctrlGroup? group)
    {
        json.WriteStartObject("intel_rdt");
        if (group != null && ResctrlTree.Find(MountInfo.ReadSelf()) is { } tree)
            Write(json, tree, group);
        json.WriteEndObject();
    }

    static void Write(Utf8JsonWriter json, ResctrlTree tree, ResctrlGroup group)
    {
        string all = tree.TryRead("schemata") ?? "", own = tree.TryRead(ResctrlTree.Join(group.Class, "schemata")) ?? "";
        if (tree.TryRead("info/L3/cbm_mask") is string mask)
        {
            json.WriteStartObject("l3_cache_info");
            json.WriteString("cbm_mask", mask);
            Numbers(json, tree, "info/L3/", "min_cbm_bits", "num_closids");
            json.WriteEndObject();
            Line(json, "l3_cache_schema_root", all, "L3");
            Line(json, "l3_cache_schema", own, "L3");
        }
        if (tree.TryRead("info/MB/min_bandwidth") is not null)
        {
            json.WriteStartObject("mem_bw_info");
            Numbers(json, tree, "info/MB/", "bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids");
            json.WriteEndObject();
            Line(json, "mem_bw_schema_root", all, "MB");
            Line(json, "mem_bw_schema", own, "MB");
        }
        json.WriteStartArray("schemata");
        foreach (string line in own.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            json.WriteStringValue(line);
        json.WriteEndArray();
        string measured = ResctrlTree.Join(group.Monitor ?? group.Class, "mon_data");
        string features = tree.TryRead("info/L3_MON/mon_features") ?? "";
        if (features.Contains("mbm_", StringComparison.Ordinal))
            Nodes(json, tree, measured, "mbm_stats", "mbm_total_bytes", "mbm_local_bytes");
        if (features.Contains("llc_occupancy", StringComparison.Ordinal))
            Nodes(json, tree, measured, "cmt_stats", "llc_occupancy");
    }

    static void Line(Utf8JsonWriter json, string name, string schemata, string resource)
    {
        if (Schemata.Line(schemata, resource) is string line)
            json.WriteString(name, line);
    }

    /// <summary>One object for each cache (node), in the kernel's order of names.</summary>
    static void Nodes(Utf8JsonWriter json, ResctrlTree tree, string folder, string name, params ReadOnlySpan<string> files)
    {
        json.WriteStartArray(name);
        string[] nodes = Directory.Exists(tree.PathOf(folder)) ? Directory.GetDirectories(tree.PathOf(folder), "mon_L3_*") : [];
        Array.Sort(nodes, StringComparer.Ordinal);
        foreach (string node in nodes)
        {
            json.WriteStartObject();
            Numbers(json, tree, $"{folder}/{Path.GetFileName(node)}/", files);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>A counter that the hardware cannot tell now says "Unavailable": 0 then.</summary>
    static void Numbers(Utf8JsonWriter json, ResctrlTree tree, string folder, params ReadOnlySpan<string> files)
    {
        foreach (string file in files)
            json.WriteNumber(file, ulong.TryParse(tree.TryRead(folder + file), NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) ? number : 0);
    }
}
