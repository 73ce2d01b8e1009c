using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>Limits whose files are the same, or nearly so, in v1 and v2.</summary>
static class ResourcesShared
{
    internal static void CpuSet(string folder, LinuxCpu cpu)
    {
        if (!string.IsNullOrEmpty(cpu.Cpus)) { CgroupFiles.Set(folder, "cpuset.cpus", List("cpus", cpu.Cpus)); }
        if (!string.IsNullOrEmpty(cpu.Mems)) { CgroupFiles.Set(folder, "cpuset.mems", List("mems", cpu.Mems)); }
    }

    // The kernel also takes things like "0-7:1/2"; all of it is digits and these signs.
    static string List(string name, string list)
    {
        foreach (var c in list)
        {
            if (!char.IsAsciiDigit(c) && c is not (',' or '-' or ':' or '/')) { throw ResourceValues.Refused($"cpu.{name}: \"{CgroupPath.Printable(list)}\" is not a list such as 0-3,7"); }
        }
        return list;
    }

    internal static void HugePages(CgroupHierarchy hierarchy, string folder, List<LinuxHugepageLimit> limits)
    {
        foreach (var limit in limits)
        {
            var size = ResourceValues.PageSize(limit.PageSize);
            var bytes = limit.Limit ?? 0;
            var file = hierarchy.Version == 1 ? ".limit_in_bytes" : ".max";
            CgroupFiles.Set(folder, "hugetlb." + size + file, bytes);
            // Pages reserved by mmap count apart since Linux 5.7; without this limit a fault kills instead of mmap failing.
            var reserved = "hugetlb." + size + ".rsvd" + file;
            if (CgroupFiles.Exists(folder, reserved)) { CgroupFiles.Set(folder, reserved, bytes); }
        }
    }

    internal static void Rdma(string folder, Dictionary<string, LinuxRdma> devices)
    {
        foreach (var (name, limit) in devices)
        {
            if (name.Length == 0 || name.AsSpan().ContainsAny(" \t\n=/")) { throw ResourceValues.Refused($"rdma: \"{CgroupPath.Printable(name)}\" is no device name"); }
            var text = name;
            if (limit.HcaHandles is { } handles) { text += $" hca_handle={handles}"; }
            if (limit.HcaObjects is { } objects) { text += $" hca_object={objects}"; }
            if (text.Length > name.Length) { CgroupFiles.Set(folder, "rdma.max", text); }
        }
    }
}
