using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using Containers.Linux.Cgroups;
using Containers.Linux.Resctrl;

namespace Psrun.Verbs;

/// <summary>
/// A measurement in the shape that runc gives it (its types/events.go), which containerd and cadvisor read: times in nanoseconds, sizes in bytes,
/// and members that are zero left out where runc leaves them out.
/// </summary>
static class EventStats
{
    public static void Write(Utf8JsonWriter json, ControlGroup group, ResctrlGroup? rdt)
    {
        json.WriteStartObject();
        Cpu(json, group);
        CpuSet(json, group);
        Memory(json, group);
        Pids(json, group);
        BlockIo(json, group);
        HugePages(json, group);
        ResctrlStats.Write(json, rdt);
        // runc tells those that it made itself, which are none.
        json.WriteNull("network_interfaces");
        json.WriteEndObject();
    }

    static void Cpu(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("cpu");
        json.WriteStartObject("usage");
        string? v2 = group.Host.Unified is { } unified ? group.FolderIn(unified) : null;
        if (Folder(group, "cpuacct", out bool isV1) is { } acct && isV1)
        {
            Some(json, "total", Number(acct, "cpuacct.usage"));
            PerCpu(json, acct);
            // In ticks of 10 ms, USER_HZ.
            json.WriteNumber("kernel", Keyed(Text(acct, "cpuacct.stat"), "system") * 10_000_000);
            json.WriteNumber("user", Keyed(Text(acct, "cpuacct.stat"), "user") * 10_000_000);
        }
        else
        {
            string text = v2 == null ? "" : Text(v2, "cpu.stat");
            Some(json, "total", Keyed(text, "usage_usec") * 1000);
            json.WriteNumber("kernel", Keyed(text, "system_usec") * 1000);
            json.WriteNumber("user", Keyed(text, "user_usec") * 1000);
        }
        json.WriteEndObject();
        json.WriteStartObject("throttling");
        if (Folder(group, "cpu", out isV1) is { } cpu)
        {
            string text = Text(cpu, "cpu.stat");
            Some(json, "periods", Keyed(text, "nr_periods"));
            Some(json, "throttledPeriods", Keyed(text, "nr_throttled"));
            Some(json, "throttledTime", isV1 ? Keyed(text, "throttled_time") : Keyed(text, "throttled_usec") * 1000);
        }
        json.WriteEndObject();
        Pressure(json, v2, "cpu.pressure");
        json.WriteEndObject();
    }

    /// <summary>cpuacct.usage_all: a head line, then "cpu user system" for each.</summary>
    static void PerCpu(Utf8JsonWriter json, string folder)
    {
        List<ulong> user = [], kernel = [], total = [];
        foreach (string line in Text(folder, "cpuacct.usage_all").Split('\n'))
        {
            string[] fields = line.Split(' ');
            if (fields.Length != 3 || !ulong.TryParse(fields[1], out ulong u) || !ulong.TryParse(fields[2], out ulong k))
                continue;
            user.Add(u);
            kernel.Add(k);
            total.Add(u + k);
        }
        Numbers(json, "percpu", total);
        Numbers(json, "percpu_kernel", kernel);
        Numbers(json, "percpu_user", user);
    }

    static void CpuSet(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("cpuset");
        string? folder = Folder(group, "cpuset", out bool isV1);
        Numbers(json, "cpus", List(folder, isV1 ? "cpuset.cpus" : "cpuset.cpus.effective"));
        json.WriteNumber("cpu_exclusive", Number(folder, "cpuset.cpu_exclusive"));
        Numbers(json, "mems", List(folder, isV1 ? "cpuset.mems" : "cpuset.mems.effective"));
        foreach (string name in (ReadOnlySpan<string>)["mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page", "memory_spread_slab", "memory_pressure", "sched_load_balance"])
            json.WriteNumber(name, Number(folder, "cpuset." + name));
        json.WriteNumber("sched_relax_domain_level", folder != null && long.TryParse(Text(folder, "cpuset.sched_relax_domain_level").Trim(), out long level) ? level : 0);
        json.WriteEndObject();
    }

    static void Memory(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("memory");
        if (Folder(group, "memory", out bool isV1) is { } folder)
        {
            string raw = Text(folder, "memory.stat");
            Some(json, "cache", Keyed(raw, isV1 ? "cache" : "file"));
            if (isV1)
            {
                EntryV1(json, "usage", folder, "memory");
                EntryV1(json, "swap", folder, "memory.memsw");
                EntryV1(json, "kernel", folder, "memory.kmem");
                EntryV1(json, "kernelTCP", folder, "memory.kmem.tcp");
            }
            else
            {
                ulong usage = Number(folder, "memory.current"), limit = Limit(folder, "memory.max"), swap = Limit(folder, "memory.swap.max");
                Entry(json, "usage", limit, usage, Number(folder, "memory.peak"), Keyed(Text(folder, "memory.events"), "max"));
                // As v1 counts it: memory and swap together.
                Entry(json, "swap", swap == ulong.MaxValue || limit == ulong.MaxValue ? ulong.MaxValue : swap + limit, usage + Number(folder, "memory.swap.current"), 0, 0);
                Entry(json, "kernel", 0, 0, 0, 0);
                Entry(json, "kernelTCP", 0, 0, 0, 0);
            }
            json.WriteStartObject("raw");
            foreach (string line in raw.Split('\n'))
            {
                int blank = line.IndexOf(' ');
                if (blank > 0 && ulong.TryParse(line.AsSpan(blank + 1), out ulong value))
                    json.WriteNumber(line[..blank], value);
            }
            json.WriteEndObject();
        }
        Pressure(json, group.Host.Unified is { } unified ? group.FolderIn(unified) : null, "memory.pressure");
        json.WriteEndObject();
    }

    static void EntryV1(Utf8JsonWriter json, string name, string folder, string prefix) => Entry(json, name, Number(folder, prefix + ".limit_in_bytes"),
        Number(folder, prefix + ".usage_in_bytes"), Number(folder, prefix + ".max_usage_in_bytes"), Number(folder, prefix + ".failcnt"));

    static void Entry(Utf8JsonWriter json, string name, ulong limit, ulong usage, ulong max, ulong failures)
    {
        json.WriteStartObject(name);
        json.WriteNumber("limit", limit);
        Some(json, "usage", usage);
        Some(json, "max", max);
        json.WriteNumber("failcnt", failures);
        json.WriteEndObject();
    }

    static void Pids(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("pids");
        string? folder = Folder(group, "pids", out _);
        Some(json, "current", Number(folder, "pids.current"));
        Some(json, "limit", Number(folder, "pids.max"));
        json.WriteEndObject();
    }

    static void BlockIo(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("blkio");
        if (Folder(group, "io", out _) is { } io)
        {
            string text = Text(io, "io.stat");
            Devices(json, "ioServiceBytesRecursive", text, [("rbytes=", "Read"), ("wbytes=", "Write"), ("dbytes=", "Discard")]);
            Devices(json, "ioServicedRecursive", text, [("rios=", "Read"), ("wios=", "Write"), ("dios=", "Discard")]);
        }
        else if (Folder(group, "blkio", out _) is { } blkio)
        {
            foreach ((string name, string file) in (ReadOnlySpan<(string, string)>)[("ioServiceBytesRecursive", "io_service_bytes"), ("ioServicedRecursive", "io_serviced"),
                ("ioQueueRecursive", "io_queued"), ("ioServiceTimeRecursive", "io_service_time"), ("ioWaitTimeRecursive", "io_wait_time"), ("ioMergedRecursive", "io_merged"),
                ("ioTimeRecursive", "time"), ("sectorsRecursive", "sectors")])
                Lines(json, name, SchedulersOrThrottled(blkio, file));
        }
        Pressure(json, group.Host.Unified is { } unified ? group.FolderIn(unified) : null, "io.pressure");
        json.WriteEndObject();
    }

    /// <summary>CFQ's files on old kernels, BFQ's on those of today, and what the throttle counts where no scheduler does.</summary>
    static string SchedulersOrThrottled(string folder, string file)
    {
        foreach (string prefix in (ReadOnlySpan<string>)["blkio.", "blkio.bfq.", "blkio.throttle."])
            if (Text(folder, prefix + file + "_recursive") is { Length: > 0 } text && text.Contains(':'))
                return text;
        return "";
    }

    /// <summary>"8:0 Read 1" or "8:0 1"; the sum of all devices, "Total 1", is left out as runc does.</summary>
    static void Lines(Utf8JsonWriter json, string name, string text)
    {
        bool any = false;
        foreach (string line in text.Split('\n'))
        {
            string[] fields = line.Split(' ', ':');
            if (fields.Length is not (3 or 4) || !ulong.TryParse(fields[0], out ulong major) || !ulong.TryParse(fields[1], out ulong minor) || !ulong.TryParse(fields[^1], out ulong value))
                continue;
            if (!any)
                json.WriteStartArray(name);
            any = true;
            Device(json, major, minor, fields.Length == 4 ? fields[2] : "", value);
        }
        if (any)
            json.WriteEndArray();
    }

    static void Devices(Utf8JsonWriter json, string name, string text, ReadOnlySpan<(string Key, string Operation)> keys)
    {
        bool any = false;
        foreach (string line in text.Split('\n'))
        {
            string[] words = line.Split(' ');
            int colon = words[0].IndexOf(':');
            if (colon < 0 || !ulong.TryParse(words[0].AsSpan(0, colon), out ulong major) || !ulong.TryParse(words[0].AsSpan(colon + 1), out ulong minor))
                continue;
            foreach (string word in words)
                foreach ((string key, string operation) in keys)
                    if (word.StartsWith(key, StringComparison.Ordinal) && ulong.TryParse(word.AsSpan(key.Length), out ulong value))
                    {
                        if (!any)
                            json.WriteStartArray(name);
                        any = true;
                        Device(json, major, minor, operation, value);
                    }
        }
        if (any)
            json.WriteEndArray();
    }

    static void Device(Utf8JsonWriter json, ulong major, ulong minor, string operation, ulong value)
    {
        json.WriteStartObject();
        Some(json, "major", major);
        Some(json, "minor", minor);
        if (operation.Length > 0)
            json.WriteString("op", operation);
        Some(json, "value", value);
        json.WriteEndObject();
    }

    static void HugePages(Utf8JsonWriter json, ControlGroup group)
    {
        json.WriteStartObject("hugetlb");
        string? folder = Folder(group, "hugetlb", out bool isV1);
        foreach (string size in (ReadOnlySpan<string>)["64KB", "1MB", "2MB", "16MB", "32MB", "512MB", "1GB", "2GB", "16GB"])
        {
            string file = $"hugetlb.{size}." + (isV1 ? "usage_in_bytes" : "current");
            if (folder == null || Text(folder, file).Length == 0)
                continue;
            json.WriteStartObject(size);
            Some(json, "usage", Number(folder, file));
            Some(json, "max", isV1 ? Number(folder, $"hugetlb.{size}.max_usage_in_bytes") : 0);
            json.WriteNumber("failcnt", isV1 ? Number(folder, $"hugetlb.{size}.failcnt") : Keyed(Text(folder, $"hugetlb.{size}.events"), "max"));
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <summary>"some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full …" (accounting/psi); left out where the kernel tells nothing.</summary>
    static void Pressure(Utf8JsonWriter json, string? folder, string file)
    {
        string text = folder == null ? "" : Text(folder, file);
        if (text.Length == 0)
            return;
        json.WriteStartObject("psi");
        foreach (string line in text.Split('\n'))
        {
            string[] words = line.Split(' ');
            if (words[0] is not ("some" or "full"))
                continue;
            json.WriteStartObject(words[0]);
            foreach (string word in words[1..])
            {
                int equals = word.IndexOf('=');
                byte[] value = Encoding.ASCII.GetBytes(word[(equals + 1)..]);
                if (equals > 0 && Utf8Parser.TryParse(value, out double number, out int used) && used == value.Length)
                {
                    if (word.StartsWith("total=", StringComparison.Ordinal))
                        json.WriteNumber("total", (ulong)number);
                    else
                        json.WriteNumber(word[..equals], number);
                }
            }
            json.WriteEndObject();
        }
        json.WriteEndObject();
    }

    /// <summary>The group's folder where the controller lives and the group has it.</summary>
    static string? Folder(ControlGroup group, string controller, out bool isV1)
    {
        CgroupHierarchy? hierarchy = group.Host.Find(controller);
        isV1 = hierarchy?.Version == 1;
        return hierarchy == null ? null : group.FolderIn(hierarchy);
    }

    static string Text(string folder, string file) => Shim.Files.ReadText(folder + "/" + file) ?? "";

    /// <summary>0 for what is not there and for "max".</summary>
    static ulong Number(string? folder, string file) => folder != null && ulong.TryParse(Text(folder, file).AsSpan().Trim(), out ulong number) ? number : 0;

    static ulong Limit(string folder, string file) => Text(folder, file).StartsWith("max", StringComparison.Ordinal) ? ulong.MaxValue : Number(folder, file);

    static ulong Keyed(string text, string key)
    {
        foreach (string line in text.Split('\n'))
            if (line.Length > key.Length && line[key.Length] == ' ' && line.StartsWith(key, StringComparison.Ordinal) && ulong.TryParse(line.AsSpan(key.Length + 1), out ulong value))
                return value;
        return 0;
    }

    /// <summary>"0-1,4" as numbers.</summary>
    static List<ulong> List(string? folder, string file)
    {
        var numbers = new List<ulong>();
        foreach (string part in folder == null ? [] : Text(folder, file).Trim().Split(','))
        {
            int dash = part.IndexOf('-');
            if (ulong.TryParse(dash < 0 ? part : part.AsSpan(0, dash), out ulong first) && ulong.TryParse(part.AsSpan(dash + 1), out ulong last) && last < 65536)
                for (ulong i = first; i <= last; i++)
                    numbers.Add(i);
        }
        return numbers;
    }

    static void Numbers(Utf8JsonWriter json, string name, List<ulong> numbers)
    {
        if (numbers.Count == 0)
            return;
        json.WriteStartArray(name);
        foreach (ulong number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    static void Some(Utf8JsonWriter json, string name, ulong value)
    {
        if (value != 0)
            json.WriteNumber(name, value);
    }
}
