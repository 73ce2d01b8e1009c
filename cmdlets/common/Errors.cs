using System.ComponentModel;
using System.Management.Automation;
using Containers.Linux;
using Containers.Linux.Cgroups;

namespace Containers.Cmdlets;

/// <summary>The one place where failures become error records.</summary>
static class Errors
{
    /// <summary>Whether an exception says that something failed, and not that the pipeline is being stopped or that the code is wrong.</summary>
    public static bool IsFailure(Exception exception)
        => exception is ContainerException or CgroupException or IOException or UnauthorizedAccessException or Win32Exception or NotSupportedException or ItemNotFoundException or System.Management.Automation.DriveNotFoundException
            or ProviderNotFoundException or PSInvalidCastException;

    /// <summary>The record of a failure: the original exception, a word as its id, a real category, the thing it is about.</summary>
    /// <param name="target">What the caller was busy with; the exception's own target comes first.</param>
    public static ErrorRecord Record(Exception exception, object? target)
    {
        if (exception is not ContainerException failure)
            return new ErrorRecord(exception, Word(exception), Category(exception), target);
        var record = new ErrorRecord(failure, failure.Id, Category(failure.Category), failure.Target ?? target);
        if (WayOut(failure.Id) is { } wayOut)
            record.ErrorDetails = new ErrorDetails(failure.Message) { RecommendedAction = wayOut };
        return record;
    }

    public static ContainerException Argument(string message, object? target) => new(ErrorIds.InvalidArgument, message, target, ContainerErrorCategory.InvalidArgument);

    static string Word(Exception exception)
    {
        if (exception is LinuxException)
            return ErrorIds.HostRefused;
        if (exception is CgroupException)
            return ErrorIds.CgroupUnavailable;
        string name = exception.GetType().Name;
        return name.EndsWith("Exception", StringComparison.Ordinal) ? name[..^"Exception".Length] : name;
    }

    static ErrorCategory Category(Exception exception) => exception switch
    {
        LinuxException or CgroupException => ErrorCategory.ResourceUnavailable,
        UnauthorizedAccessException => ErrorCategory.PermissionDenied,
        FileNotFoundException or DirectoryNotFoundException or ItemNotFoundException or System.Management.Automation.DriveNotFoundException => ErrorCategory.ObjectNotFound,
        NotSupportedException => ErrorCategory.NotImplemented,
        PSInvalidCastException => ErrorCategory.InvalidArgument,
        IOException => ErrorCategory.ReadError,
        _ => ErrorCategory.NotSpecified,
    };

    static ErrorCategory Category(ContainerErrorCategory category)
        => Enum.TryParse(category.ToString(), out ErrorCategory known) ? known : ErrorCategory.NotSpecified;

    // The next command to type, where there is one for every case of the id.
    static string? WayOut(string id) => id switch
    {
        ErrorIds.ContainerNotFound => "Get-Container",
        ErrorIds.ContainerExists or ErrorIds.ContainerInUse => "Get-Container",
        ErrorIds.ContainerNamespaceExists or ErrorIds.ContainerNamespaceNotEmpty or ErrorIds.ContainerNamespaceNotFound => "Get-ContainerNamespace",
        ErrorIds.TaskNotFound => "Start-ContainerTask",
        ErrorIds.TaskExists => "Remove-ContainerTask",
        ErrorIds.TaskRunning => "Stop-ContainerTask",
        ErrorIds.TaskNotRunning => "Start-ContainerTask",
        ErrorIds.WaitTimeout => "Get-ContainerTask",
        ErrorIds.RuntimeNotFound or ErrorIds.RuntimeFailed or ErrorIds.HelperNotFound or ErrorIds.CgroupUnavailable => "Test-ContainerHost",
        ErrorIds.ImageNotFound or ErrorIds.ImageExists or ErrorIds.PlatformNotFound => "Get-ContainerImage",
        ErrorIds.ContentNotFound or ErrorIds.ImageInvalid => "Test-ContainerImage",
        ErrorIds.RegistryDenied => "Connect-ContainerRegistry",
        ErrorIds.ImageInUse => "Get-Container",
        ErrorIds.CgroupNotFound or ErrorIds.CgroupExists => "Get-Cgroup",
        ErrorIds.CgroupNotSupported => "Get-CgroupController",
        ErrorIds.CgroupBusy => "Get-CgroupProcess",
        ErrorIds.ProcessNotFound => "Get-Process",
        ErrorIds.NamespaceNotFound => "Get-Namespace",
        _ => null,
    };
}
