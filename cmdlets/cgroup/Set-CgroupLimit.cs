using System.Collections;
using System.Globalization;
using System.Management.Automation;
using Containers.Linux.Cgroups;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Set, "CgroupLimit", DefaultParameterSetName = ById, SupportsShouldProcess = true)]
[OutputType(typeof(CgroupLimit))]
public sealed class SetCgroupLimitCommand : LimitCmdlet
{
    CgroupLimitChange change = new();

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? Memory { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemorySwap { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemoryHigh { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemoryLow { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemoryMinimum { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemoryReservation { get; set; }

    [Parameter]
    public long? Swappiness { get; set; }

    [Parameter]
    public double? Cpu { get; set; }

    [Parameter]
    public long? CpuWeight { get; set; }

    [Parameter]
    [Span]
    public TimeSpan? CpuBurst { get; set; }

    [Parameter]
    public bool? CpuIdle { get; set; }

    [Parameter]
    [AllowEmptyString]
    public string? CpuSet { get; set; }

    [Parameter]
    [AllowEmptyString]
    public string? MemorySet { get; set; }

    [Parameter]
    public CgroupPartition? CpuSetPartition { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? ProcessLimit { get; set; }

    [Parameter]
    public long? IoWeight { get; set; }

    [Parameter]
    public ContainerIoLimit[]? IoLimit { get; set; }

    [Parameter]
    public IDictionary? IoLatency { get; set; }

    [Parameter]
    public IDictionary? HugePageLimit { get; set; }

    [Parameter]
    public IDictionary? RdmaLimit { get; set; }

    [Parameter]
    public string? NetClass { get; set; }

    [Parameter]
    public IDictionary? NetPriority { get; set; }

    [Parameter]
    public string[]? DeviceRule { get; set; }

    [Parameter]
    public bool? OomGroup { get; set; }

    [Parameter]
    public bool? OomKillDisable { get; set; }

    [Parameter]
    public IDictionary? Value { get; set; }

    [Parameter(ParameterSetName = ByUnit)]
    public SwitchParameter Runtime { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (!MyInvocation.BoundParameters.Keys.Any(name => name == nameof(Value) || Enum.IsDefined(typeof(CgroupLimitName), name)))
            ThrowTerminatingError(Errors.Record(Errors.Argument("No limit is named: give at least one, such as -Memory 64MB.", null), null));
        try
        {
            change = Change();
        }
        catch (ContainerException e)
        {
            ThrowTerminatingError(Errors.Record(e, null));
        }
    }

    protected override void Process(string path, string target)
    {
        CgroupLimitPlan plan = Engine.Cgroups.PlanLimit(path, change);
        if (!ShouldWrite(target, plan.Writes.Select(write => write.ToString())))
            return;
        Engine.Cgroups.Apply(plan, StopToken);
        if (PassThru)
            WriteObject(Engine.Cgroups.GetLimit(plan.Path));
    }

    protected override void ProcessUnit(string unit) => ApplyToUnit(Engine.Cgroups.PlanUnitLimit(unit, change, Runtime), PassThru);

    CgroupLimitChange Change() => new()
    {
        Memory = Memory,
        MemorySwap = MemorySwap,
        MemoryHigh = MemoryHigh,
        MemoryLow = MemoryLow,
        MemoryMinimum = MemoryMinimum,
        MemoryReservation = MemoryReservation,
        Swappiness = Swappiness,
        Cpu = Cpu,
        CpuWeight = CpuWeight,
        CpuBurst = CpuBurst,
        CpuIdle = CpuIdle,
        CpuSet = CpuSet,
        MemorySet = MemorySet,
        CpuSetPartition = CpuSetPartition,
        ProcessLimit = ProcessLimit,
        IoWeight = IoWeight,
        IoLimit = IoLimit?.Select(CgroupWords.Io).ToList(),
        IoLatency = Table(IoLatency, nameof(IoLatency), CgroupWords.Device, Time),
        HugePageLimit = Table(HugePageLimit, nameof(HugePageLimit), size => size, Number<long>),
        RdmaLimit = Table(RdmaLimit, nameof(RdmaLimit), device => device, (_, value) => Arguments.Text(value)),
        NetClass = NetClass is null ? null : CgroupWords.NetClass(NetClass),
        NetPriority = Table(NetPriority, nameof(NetPriority), name => name, Number<uint>),
        DeviceRule = DeviceRule?.Select(CgroupWords.DeviceRule).ToList(),
        OomGroup = OomGroup,
        OomKillDisable = OomKillDisable,
        Values = Table(Value, nameof(Value), file => file, Word),
    };

    // The kernel's files say 1 and 0 where PowerShell says True and False.
    static string Word(string parameter, object? value) => (value is PSObject wrapped ? wrapped.BaseObject : value) is bool truth ? truth ? "1" : "0" : Arguments.Text(value);

    static Dictionary<string, T>? Table<T>(IDictionary? table, string parameter, Func<string, string> key, Func<string, object?, T> value)
    {
        if (table is null)
            return null;
        var all = new Dictionary<string, T>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in table)
            all[key(Arguments.Text(entry.Key))] = value(parameter, entry.Value);
        return all;
    }

    static TimeSpan Time(string parameter, object? value)
    {
        try
        {
            return SpanAttribute.Parse(value ?? "");
        }
        catch (ArgumentTransformationMetadataException e)
        {
            throw Errors.Argument($"{parameter}: {e.Message}", value);
        }
    }

    static T Number<T>(string parameter, object? value) where T : struct
        => LanguagePrimitives.TryConvertTo(value, CultureInfo.InvariantCulture, out T number) ? number : throw Errors.Argument($"{parameter}: '{value}' is not a number that it takes.", value);
}
