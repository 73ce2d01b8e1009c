namespace Containers.Linux.Cgroups;

sealed partial class LimitPlan
{
    const long MostBfqWeight = 1000;

    void Io()
    {
        if (change is { IoWeight: null, IoLimit: null, IoLatency: null }) { return; }
        if (change.IoWeight is < 1 or > 10000) { throw Invalid(nameof(change.IoWeight), change.IoWeight, "it is from 1 to 10000; 100 is the default"); }
        var folder = Folder(change.IoLimit is not null ? nameof(change.IoLimit) : change.IoWeight is not null ? nameof(change.IoWeight) : nameof(change.IoLatency), "io", out var version);
        if (change.IoWeight is { } weight) { IoWeight(folder, version, weight); }
        foreach (var limit in change.IoLimit ?? [])
        {
            Device(nameof(change.IoLimit), limit.Device);
            if (version == 1) { ThrottleV1(folder, limit); }
            else { ThrottleV2(folder, limit); }
        }
        foreach (var (device, target) in change.IoLatency ?? new Dictionary<string, TimeSpan>())
        {
            Device(nameof(change.IoLatency), device);
            Refuse(version == 1, CgroupLimitName.IoLatency, "v1 has nothing like it");
            if (target < TimeSpan.Zero || target > TimeSpan.FromHours(1)) { throw Invalid(nameof(change.IoLatency), target, "it is a time such as 10ms, zero for none"); }
            Need(nameof(change.IoLatency), folder, "io.latency");
            var now = Line(CgroupFiles.ReadText(folder, "io.latency"), device);
            writes.Add(new(folder, "io.latency", $"{device} target={Text(target.Ticks / TimeSpan.TicksPerMicrosecond)}", nameof(change.IoLatency), now) { Undo = [("io.latency", now ?? device + " target=0")] });
        }
    }

    // BFQ's weights reach from 1 to 1000 with the same default as io.weight; the old CFQ's from 10 to 1000 with 500.
    void IoWeight(string folder, int version, long weight)
    {
        var prefix = version == 1 ? "blkio." : "io.";
        var bfq = prefix + "bfq.weight";
        if (CgroupFiles.Exists(folder, bfq))
        {
            if (weight > MostBfqWeight) { throw Invalid(nameof(change.IoWeight), weight, "the BFQ scheduler of this kernel takes 1 to 1000"); }
            Add(nameof(change.IoWeight), folder, bfq, Text(weight), Default(CgroupFiles.ReadText(folder, bfq)));
        }
        else if (version == 1) { Add(nameof(change.IoWeight), folder, "blkio.weight", Text(10 + (weight - 1) * 990 / 9999)); }
        else { Add(nameof(change.IoWeight), folder, "io.weight", Text(weight), Default(CgroupFiles.ReadText(folder, "io.weight"))); }

        // "default 100", then a line for each device.
        static string? Default(string? text) => text?.Split('\n')[0].Replace("default ", "", StringComparison.Ordinal);
    }

    void ThrottleV1(string folder, CgroupIoLimit limit)
    {
        One("read_bps", limit.ReadBytes);
        One("write_bps", limit.WriteBytes);
        One("read_iops", limit.ReadOperations);
        One("write_iops", limit.WriteOperations);

        void One(string kind, long? rate)
        {
            if (rate is null) { return; }
            var file = $"blkio.throttle.{kind}_device";
            Need(nameof(change.IoLimit), folder, file);
            var now = Line(CgroupFiles.ReadText(folder, file), limit.Device);
            var value = $"{limit.Device} {Text(Rate(rate.Value))}";
            // v1 takes 0 for none.
            if (now != value) { writes.Add(new(folder, file, value, nameof(change.IoLimit), now) { Undo = [(file, now ?? limit.Device + " 0")] }); }
        }
    }

    void ThrottleV2(string folder, CgroupIoLimit limit)
    {
        const string None = " rbps=max wbps=max riops=max wiops=max";
        Need(nameof(change.IoLimit), folder, "io.max");
        var value = limit.Device;
        Key("rbps", limit.ReadBytes);
        Key("wbps", limit.WriteBytes);
        Key("riops", limit.ReadOperations);
        Key("wiops", limit.WriteOperations);
        if (value == limit.Device) { return; }
        var now = Line(CgroupFiles.ReadText(folder, "io.max"), limit.Device);
        writes.Add(new(folder, "io.max", value, nameof(change.IoLimit), now) { Undo = [("io.max", now ?? limit.Device + None)] });

        void Key(string key, long? rate)
        {
            if (rate is not null) { value += $" {key}={(Rate(rate.Value) is var r && r == 0 ? "max" : Text(r))}"; }
        }
    }

    // 0 stands for "no limit" from here on.
    static long Rate(long rate) => rate switch
    {
        -1 => 0,
        > 0 => rate,
        _ => throw Invalid("IoLimit", rate, "a rate is above 0, or -1 for no limit"),
    };

    static void Device(string limit, string device)
    {
        var parts = device.Split(':');
        var good = parts.Length == 2;
        foreach (var part in parts) { good &= uint.TryParse(part, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out _); }
        if (!good) { throw Invalid(limit, device, "a block device is major:minor"); }
    }

    /// <summary>The line of a key in a file of "key values" lines.</summary>
    static string? Line(string? text, string key)
    {
        foreach (var line in (text ?? "").Split('\n'))
        {
            if (line.StartsWith(key, StringComparison.Ordinal) && line.Length > key.Length && line[key.Length] is ' ' or '\t') { return line; }
        }
        return null;
    }
}
