using System.Globalization;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Set, "CgroupLimit", DefaultParameterSetName = ById, SupportsShouldProcess = true)]
[OutputType(typeof(CgroupLimit))]
public sealed class SetCgroupLimitCommand : LimitCmdlet
{
    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? Memory { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemorySwap { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? MemoryReservation { get; set; }

    [Parameter]
    public double? Cpu { get; set; }

    [Parameter]
    public long? CpuWeight { get; set; }

    [Parameter]
    public string? CpuSet { get; set; }

    [Parameter]
    public string? MemorySet { get; set; }

    [Parameter]
    [ValidateRange(-1L, long.MaxValue)]
    public long? ProcessLimit { get; set; }

    [Parameter]
    public ContainerIoLimit[]? IoLimit { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (Words().Count == 0)
            ThrowTerminatingError(Errors.Record(Errors.Argument("No limit is named: give at least one, such as -Memory 64MB.", null), null));
    }

    protected override void Process(string path, string target)
    {
        if (!ShouldProcess(target, $"Set-CgroupLimit {string.Join(' ', Words())}"))
            return;
        CgroupLimit now = Engine.Cgroups.SetLimit(path, new CgroupLimitChange
        {
            Memory = Memory,
            MemorySwap = MemorySwap,
            MemoryReservation = MemoryReservation,
            Cpu = Cpu,
            CpuWeight = CpuWeight,
            CpuSet = CpuSet,
            MemorySet = MemorySet,
            ProcessLimit = ProcessLimit,
            IoLimit = IoLimit,
        });
        if (PassThru)
            WriteObject(now);
    }

    // The plan, as it was said.
    List<string> Words()
    {
        var words = new List<string>();
        void Add(string name, IFormattable? value)
        {
            if (value is not null)
                words.Add($"-{name} {value.ToString(null, CultureInfo.InvariantCulture)}");
        }
        Add(nameof(Memory), Memory);
        Add(nameof(MemorySwap), MemorySwap);
        Add(nameof(MemoryReservation), MemoryReservation);
        Add(nameof(Cpu), Cpu);
        Add(nameof(CpuWeight), CpuWeight);
        Add(nameof(ProcessLimit), ProcessLimit);
        if (CpuSet is not null)
            words.Add($"-CpuSet {CpuSet}");
        if (MemorySet is not null)
            words.Add($"-MemorySet {MemorySet}");
        if (IoLimit is not null)
            words.Add($"-IoLimit {string.Join(',', IoLimit.Select(limit => limit.Device))}");
        return words;
    }
}
