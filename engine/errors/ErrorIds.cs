namespace Containers;

/// <summary>Every error id of the engine. docs/errors.md says what each means; a unit test holds the two equal.</summary>
public static class ErrorIds
{
    public const string CgroupNotFound = nameof(CgroupNotFound);
    public const string CgroupUnavailable = nameof(CgroupUnavailable);
    public const string ContainerExists = nameof(ContainerExists);
    public const string ContainerNotFound = nameof(ContainerNotFound);
    public const string EnvironmentFileInvalid = nameof(EnvironmentFileInvalid);
    public const string ExecExists = nameof(ExecExists);
    public const string ExecNotFound = nameof(ExecNotFound);
    public const string ExecutableNotFound = nameof(ExecutableNotFound);
    public const string ExecutableNotPermitted = nameof(ExecutableNotPermitted);
    public const string HelperNotFound = nameof(HelperNotFound);
    public const string HelperNotTrusted = nameof(HelperNotTrusted);
    public const string HostRefused = nameof(HostRefused);
    public const string InvalidArgument = nameof(InvalidArgument);
    public const string InvalidId = nameof(InvalidId);
    public const string InvalidMount = nameof(InvalidMount);
    public const string InvalidSpec = nameof(InvalidSpec);
    public const string LogNotFound = nameof(LogNotFound);
    public const string NamespaceExists = nameof(NamespaceExists);
    public const string NamespaceInUse = nameof(NamespaceInUse);
    public const string NamespaceNotFound = nameof(NamespaceNotFound);
    public const string NetworkNotSupported = nameof(NetworkNotSupported);
    public const string NotSupported = nameof(NotSupported);
    public const string OutputLost = nameof(OutputLost);
    public const string RootfsNotFound = nameof(RootfsNotFound);
    public const string RuntimeFailed = nameof(RuntimeFailed);
    public const string RuntimeNotFound = nameof(RuntimeNotFound);
    public const string ShimFailed = nameof(ShimFailed);
    public const string ShimLost = nameof(ShimLost);
    public const string ShimProtocol = nameof(ShimProtocol);
    public const string StoreDamaged = nameof(StoreDamaged);
    public const string StoreFormatUnsupported = nameof(StoreFormatUnsupported);
    public const string StoreUnavailable = nameof(StoreUnavailable);
    public const string TaskExists = nameof(TaskExists);
    public const string TaskNotFound = nameof(TaskNotFound);
    public const string TaskNotPaused = nameof(TaskNotPaused);
    public const string TaskNotRunning = nameof(TaskNotRunning);
    public const string TaskPaused = nameof(TaskPaused);
    public const string TaskRunning = nameof(TaskRunning);
    public const string UserNotFound = nameof(UserNotFound);
    public const string WaitTimeout = nameof(WaitTimeout);
}
