using System.Globalization;

namespace Containers;

/// <summary>One thing that names namespaces to join.</summary>
public sealed record NamespaceTarget
{
    /// <summary>This one; else the others say which.</summary>
    public LinuxNamespace? Namespace { get; private init; }

    /// <summary>Of this process, all that are not the caller's own.</summary>
    public int? ProcessId { get; private init; }

    /// <summary>Of this container's program, all that are not the caller's own.</summary>
    public string? ContainerId { get; private init; }

    public string? ContainerNamespace { get; private init; }

    /// <summary>The one that this path leads to.</summary>
    public string? Path { get; private init; }

    /// <summary>A container's id, or the name that <c>ip netns</c> or <c>New-Namespace</c> gave.</summary>
    public string? Name { get; private init; }

    public static NamespaceTarget OfNamespace(LinuxNamespace ns) => new() { Namespace = ns };

    public static NamespaceTarget OfProcess(int processId) => new() { ProcessId = processId };

    public static NamespaceTarget OfContainer(string id, string? containerNamespace = null) => new() { ContainerId = Names.Id(id), ContainerNamespace = containerNamespace };

    /// <param name="path">Absolute.</param>
    public static NamespaceTarget OfPath(string path) => new() { Path = path };

    /// <summary>A pid, a container's id, or the name of kept namespaces, looked for in this order.</summary>
    public static NamespaceTarget OfText(string text, string? containerNamespace = null) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var pid)
        ? OfProcess(pid) : new NamespaceTarget { Name = text, ContainerNamespace = containerNamespace };

    public override string ToString() => Namespace?.ToString() ?? Path ?? Name ?? ContainerId ?? $"process {ProcessId}";
}
