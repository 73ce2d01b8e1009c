using Mono.Unix.Native;

namespace Containers;

/// <summary>Where the configuration of registries is, and where credentials are kept. Nothing is read where nothing is named.</summary>
public sealed class RegistryFiles
{
    /// <summary>Folders with a folder for each registry, as containerd has them. <c>$CONTAINERS_CERTS_DIR</c>, else those of containerd, docker and podman.</summary>
    public IReadOnlyList<string> HostFolders { get; init; } = [];

    /// <summary><c>$CONTAINERS_REGISTRIES_CONF</c>, else the user's, else <c>/etc/containers/registries.conf</c>.</summary>
    public string? RegistriesConf { get; init; }

    /// <summary>Docker's <c>config.json</c> and podman's <c>auth.json</c>, in the order in which they are asked; new credentials go to the first.</summary>
    public IReadOnlyList<string> CredentialFiles { get; init; } = [];

    internal static RegistryFiles FromEnvironment(Func<string, string?> variable)
    {
        var home = variable("HOME");
        var config = variable("XDG_CONFIG_HOME") ?? (home is null ? null : Path.Combine(home, ".config"));
        var own = config is null ? null : Path.Combine(config, "containers/registries.conf");
        var user = Syscall.geteuid();
        var run = variable("XDG_RUNTIME_DIR") ?? (user == 0 ? "/run" : $"/run/user/{user}");
        var credentials = new List<string>();
        if (variable("REGISTRY_AUTH_FILE") is { } named) { credentials.Add(named); }
        if ((variable("DOCKER_CONFIG") ?? (home is null ? null : Path.Combine(home, ".docker"))) is { } docker) { credentials.Add(Path.Combine(docker, "config.json")); }
        credentials.Add(user == 0 && variable("XDG_RUNTIME_DIR") is null ? "/run/containers/0/auth.json" : Path.Combine(run, "containers/auth.json"));
        if (config is not null) { credentials.Add(Path.Combine(config, "containers/auth.json")); }
        return new RegistryFiles
        {
            HostFolders = variable("CONTAINERS_CERTS_DIR") is { } folder ? [Path.GetFullPath(folder)] : ["/etc/containerd/certs.d", "/etc/docker/certs.d", "/etc/containers/certs.d"],
            RegistriesConf = variable("CONTAINERS_REGISTRIES_CONF") ?? (File.Exists(own) ? own : "/etc/containers/registries.conf"),
            CredentialFiles = [.. credentials.Select(Path.GetFullPath).Distinct()],
        };
    }
}
