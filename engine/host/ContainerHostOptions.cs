using System.Runtime.InteropServices;
using Mono.Unix.Native;

namespace Containers;

/// <summary>Where things are on this machine. <see cref="FromEnvironment"/> gives what the environment and the defaults say.</summary>
public sealed class ContainerHostOptions
{
    /// <summary>The store; absolute. <c>$CONTAINERS_ROOT</c>, else <c>/var/lib/pscontainers</c>.</summary>
    public required string Root { get; init; }

    /// <summary>Running state; absolute. <c>$CONTAINERS_RUN</c>, else <c>/run/pscontainers</c>.</summary>
    public required string RunRoot { get; init; }

    /// <summary>The container namespace where none is named. <c>$CONTAINERS_NAMESPACE</c>, else <c>default</c>.</summary>
    public string ContainerNamespace { get; init; } = "default";

    /// <summary>The psrun program; null when none was found, which matters once one is needed.</summary>
    public string? HelperPath { get; init; }

    /// <summary>CRIU, absolute; null for <c>criu</c> in the system's folders of programs. <c>$CONTAINERS_CRIU</c>.</summary>
    public string? CriuPath { get; init; }

    /// <summary>The OCI runtime where none is named. <c>$CONTAINERS_RUNTIME</c>, else <c>psrun</c>.</summary>
    public string Runtime { get; init; } = "psrun";

    /// <summary>The driver of writable layers, one of <see cref="SnapshotStore.Snapshotters"/>, where none is named; null chooses by what the store's file system can. <c>$CONTAINERS_SNAPSHOTTER</c>.</summary>
    public string? Snapshotter { get; init; }

    /// <summary>How much of an image is too much.</summary>
    public ContainerLimits Limits { get; init; } = new();

    /// <summary>Where the configuration of registries and credentials are; nowhere, unless the environment was asked.</summary>
    public RegistryFiles Registries { get; init; } = new();

    /// <summary>Where network configurations are, which other engines share; absolute. <c>$CNI_CONF_DIR</c>, else <c>/etc/cni/net.d</c>.</summary>
    public string NetworkFolder { get; init; } = "/etc/cni/net.d";

    /// <summary>Where network plugins are looked for, in this order. <c>$CNI_PATH</c>, with colons between, then <c>/opt/cni/bin</c> and <c>/usr/lib/cni</c>.</summary>
    public IReadOnlyList<string> NetworkPluginFolders { get; init; } = DefaultPluginFolders;

    /// <summary>How long one call of a network plugin may take.</summary>
    internal TimeSpan NetworkPluginLimit { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>How long and how much a registry may go on.</summary>
    internal RegistryLimits RegistryLimits { get; init; } = new();

    /// <summary>The environment's word, else the configuration's, else the defaults: the system's folders for root, the XDG folders for others.</summary>
    /// <param name="moduleFolder">The folder of the module, which holds <c>bin/linux-x64/psrun</c>; null when there is none.</param>
    public static ContainerHostOptions FromEnvironment(string? moduleFolder = null)
    {
        // Each variable comes before what the files say: see ContainerHostConfiguration.
        var said = ContainerHostConfiguration.Lookup();
        return new ContainerHostOptions
        {
            Root = Folder(said, "CONTAINERS_ROOT"),
            RunRoot = Folder(said, "CONTAINERS_RUN"),
            ContainerNamespace = said("CONTAINERS_NAMESPACE") ?? "default",
            Runtime = said("CONTAINERS_RUNTIME") ?? "psrun",
            HelperPath = Variable("CONTAINERS_PSRUN") ?? BesideModule(moduleFolder),
            CriuPath = Variable("CONTAINERS_CRIU"),
            Snapshotter = said("CONTAINERS_SNAPSHOTTER"),
            Limits = ContainerLimits.FromEnvironment(said),
            Registries = RegistryFiles.FromEnvironment(Variable),
            NetworkFolder = Absolute("CNI_CONF_DIR", Variable("CNI_CONF_DIR") ?? "/etc/cni/net.d"),
            NetworkPluginFolders = [.. (Variable("CNI_PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Where(folder => folder.StartsWith('/')).Concat(DefaultPluginFolders).Distinct()],
        };
    }

    static readonly string[] DefaultPluginFolders = ["/opt/cni/bin", "/usr/lib/cni"];

    static string DataHome() => Path.Combine(Variable("XDG_DATA_HOME")
        ?? Path.Combine(Variable("HOME") ?? "/nonexistent", ".local/share"), "pscontainers");

    static string RuntimeHome() => Path.Combine(Variable("XDG_RUNTIME_DIR") ?? $"/run/user/{Syscall.geteuid()}", "pscontainers");

    static string? BesideModule(string? folder)
    {
        if (folder is null) { return null; }
        var rid = RuntimeInformation.ProcessArchitecture == Architecture.Arm64 ? "linux-arm64" : "linux-x64";
        return Path.Combine(folder, "bin", rid, "psrun");
    }

    /// <summary>The system's folders for root, the XDG folders for others.</summary>
    internal static string DefaultFolder(string variable)
    {
        var rootless = Syscall.geteuid() != 0;
        return variable == "CONTAINERS_ROOT" ? rootless ? DataHome() : "/var/lib/pscontainers" : rootless ? RuntimeHome() : "/run/pscontainers";
    }

    static string Folder(Func<string, string?> said, string variable) => Absolute(variable, said(variable) ?? DefaultFolder(variable));

    static string Absolute(string variable, string path)
    {
        if (!path.StartsWith('/'))
        {
            throw new ContainerException(ErrorIds.StoreUnavailable, $"{variable} is '{path}', which is not an absolute path. Set it to one, or unset it.",
                path, ContainerErrorCategory.InvalidArgument);
        }
        return Path.GetFullPath(path);
    }

    static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
