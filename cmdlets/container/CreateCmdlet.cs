using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>The parameters that say what a container is made of; one spelling for every cmdlet that makes one.</summary>
public abstract class CreateCmdlet : TenantCmdlet
{
    protected const string FromRootfs = "Rootfs";
    protected const string FromBundle = "Bundle";
    protected const string FromImage = "Image";

    [Parameter(ValueFromRemainingArguments = true)]
    [AllowEmptyCollection]
    [AllowEmptyString]
    [AllowNull]
    public object[]? ArgumentList { get; set; }

    [Parameter]
    [AllowEmptyCollection]
    public string[]? Entrypoint { get; set; }

    [Parameter]
    [Alias("Env")]
    public IDictionary? Environment { get; set; }

    [Parameter]
    public string[]? EnvironmentFile { get; set; }

    [Parameter]
    public string? WorkingDirectory { get; set; }

    [Parameter]
    public string? User { get; set; }

    [Parameter]
    public string[]? GroupAdd { get; set; }

    [Parameter]
    public string? HostName { get; set; }

    [Parameter]
    public IDictionary? Annotation { get; set; }

    [Parameter]
    public long? Memory { get; set; }

    [Parameter]
    public long? MemorySwap { get; set; }

    [Parameter]
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
    public long? ProcessLimit { get; set; }

    [Parameter]
    public ContainerIoLimit[]? IoLimit { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string? CgroupParent { get; set; }

    [Parameter]
    public object[]? Mount { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NetworkCompleter))]
    public object? Network { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NamespaceChoiceCompleter))]
    public object? ProcessNamespace { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NamespaceChoiceCompleter))]
    public object? IpcNamespace { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NamespaceChoiceCompleter))]
    public object? UtsNamespace { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NamespaceChoiceCompleter))]
    public object? CgroupNamespace { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(NamespaceChoiceCompleter))]
    public object? UserNamespace { get; set; }

    [Parameter]
    public string[]? UidMap { get; set; }

    [Parameter]
    public string[]? GidMap { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(CapabilityCompleter))]
    public string[]? AddCapability { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(CapabilityCompleter))]
    public string[]? DropCapability { get; set; }

    [Parameter]
    public SwitchParameter Privileged { get; set; }

    [Parameter]
    public SwitchParameter NoNewPrivileges { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SeccompProfileCompleter))]
    public string? SeccompProfile { get; set; }

    [Parameter]
    public string? AppArmorProfile { get; set; }

    [Parameter]
    public string? SELinuxLabel { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(InitCompleter))]
    public string? Init { get; set; }

    [Parameter]
    public SwitchParameter ReadOnly { get; set; }

    [Parameter]
    public string[]? Device { get; set; }

    [Parameter]
    public string[]? ResourceLimit { get; set; }

    [Parameter]
    public IDictionary? Sysctl { get; set; }

    [Parameter]
    public long? ShmSize { get; set; }

    [Parameter]
    public int? OomScoreAdjust { get; set; }

    [Parameter]
    public SwitchParameter Tty { get; set; }

    /// <summary>The parameters as the engine takes them; what concerns the store and the streams is added by the cmdlet.</summary>
    protected ContainerCreateOptions SpecOptions() => new()
    {
        ContainerNamespace = ContainerNamespace,
        ArgumentList = Arguments.Flat(ArgumentList),
        Entrypoint = Entrypoint,
        Environment = Arguments.Table(Environment),
        EnvironmentFile = EnvironmentFile?.Select(HostPath).ToList(),
        WorkingDirectory = WorkingDirectory,
        User = User,
        GroupAdd = GroupAdd,
        HostName = HostName,
        Annotation = Arguments.Table(Annotation),
        Memory = Memory,
        MemorySwap = MemorySwap,
        MemoryReservation = MemoryReservation,
        Cpu = Cpu,
        CpuWeight = CpuWeight,
        CpuSet = CpuSet,
        MemorySet = MemorySet,
        ProcessLimit = ProcessLimit,
        IoLimit = IoLimit,
        CgroupParent = CgroupParent,
        Mount = Mount?.Where(mount => mount is not null).Select(mount => ContainerMount.From(Plain(mount)!, HostPath)).ToList(),
        Network = Plain(Network) is { } network ? NamespaceChoice.FromNetwork(network) : null,
        ProcessNamespace = Choice(ProcessNamespace, LinuxNamespaceType.Pid),
        IpcNamespace = Choice(IpcNamespace, LinuxNamespaceType.Ipc),
        UtsNamespace = Choice(UtsNamespace, LinuxNamespaceType.Uts),
        CgroupNamespace = Choice(CgroupNamespace, LinuxNamespaceType.Cgroup),
        UserNamespace = Choice(UserNamespace, LinuxNamespaceType.User),
        UidMap = UidMap?.Select(NamespaceIdMap.Parse).ToList(),
        GidMap = GidMap?.Select(NamespaceIdMap.Parse).ToList(),
        AddCapability = AddCapability,
        DropCapability = DropCapability,
        Privileged = Privileged,
        NoNewPrivileges = NoNewPrivileges,
        SeccompProfile = SeccompProfile?.ToLowerInvariant() is "default" or "unconfined" or null ? SeccompProfile?.ToLowerInvariant() : HostPath(SeccompProfile),
        AppArmorProfile = AppArmorProfile,
        SELinuxLabel = SELinuxLabel,
        Init = Init is not null && Init.Contains('/', StringComparison.Ordinal) ? HostPath(Init) : Init,
        ReadOnly = ReadOnly,
        Device = Device,
        ResourceLimit = ResourceLimit,
        Sysctl = Arguments.Table(Sysctl),
        ShmSize = ShmSize,
        OomScoreAdjust = OomScoreAdjust,
        Tty = Tty,
    };

    static NamespaceChoice? Choice(object? value, LinuxNamespaceType type) => Plain(value) is { } plain ? NamespaceChoice.From(plain, type) : null;

    static object? Plain(object? value) => value is PSObject wrapped ? wrapped.BaseObject : value;
}
