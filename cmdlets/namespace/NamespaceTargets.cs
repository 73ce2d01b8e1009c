using System.Diagnostics;
using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>What a user can name namespaces by, made into what the engine takes.</summary>
static class NamespaceTargets
{
    /// <param name="hostPath">Makes a host path of what a user typed.</param>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>: it names nothing that has namespaces.</exception>
    public static NamespaceTarget From(object? value, string? containerNamespace, Func<string, string> hostPath) => (value is PSObject wrapped ? wrapped.BaseObject : value) switch
    {
        LinuxNamespace one => NamespaceTarget.OfNamespace(one),
        Container container => NamespaceTarget.OfContainer(container.Id, container.ContainerNamespace),
        ContainerTask task => NamespaceTarget.OfContainer(task.ContainerId, task.ContainerNamespace),
        Process process => NamespaceTarget.OfProcess(process.Id),
        FileSystemInfo file => NamespaceTarget.OfPath(file.FullName),
        int pid => NamespaceTarget.OfProcess(pid),
        string text when text.Contains('/', StringComparison.Ordinal) || text.StartsWith('.') || text.StartsWith('~') => NamespaceTarget.OfPath(hostPath(text)),
        string { Length: > 0 } text => NamespaceTarget.OfText(text, containerNamespace),
        var other => throw Errors.Argument($"'{other}' names no namespace: give a LinuxNamespace, a container, a process, its number, a path or a name.", other),
    };
}
