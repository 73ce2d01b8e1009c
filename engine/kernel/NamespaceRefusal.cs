using Containers.Linux;

namespace Containers;

/// <summary>The way out of what the kernel refuses about namespaces.</summary>
static class NamespaceRefusal
{
    /// <param name="id">As psrun's namespace verb says it.</param>
    internal static ContainerException Make(string id, string what, object? target, Exception? inner = null)
    {
        var (remedy, category) = id switch
        {
            "NotPermitted" => ("Be root, or enter a user namespace of your own first: it has to own the others.", ContainerErrorCategory.PermissionDenied),
            "ReadOnly" => ("Make it writable (mount -o remount,rw), or keep them elsewhere: -Path names a folder, CONTAINERS_RUN the place for names.", ContainerErrorCategory.ResourceUnavailable),
            "LimitReached" => ("There are as many as /proc/sys/user/max_*_namespaces lets be, or user namespaces are 32 deep: remove some, or raise the number.", ContainerErrorCategory.ResourceUnavailable),
            _ => ("Test-ContainerHost tells what this host can do.", ContainerErrorCategory.ResourceUnavailable),
        };
        return new ContainerException(ErrorIds.HostRefused, $"{what}. {remedy}", target, category, inner);
    }

    internal static ContainerException Make(LinuxException e, string what, object? target) => Make(e.Errno switch
    {
        Libc.EPERM or Libc.EACCES => "NotPermitted",
        Libc.EROFS => "ReadOnly",
        _ => "HostRefused",
    }, $"{what}: {e.Message}", target, e);
}
