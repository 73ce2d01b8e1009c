namespace Containers;

/// <summary>One server that answers for a repository: the registry itself, or a mirror of it.</summary>
sealed record RegistryEndpoint
{
    /// <summary>Ends with <c>/v2/</c>, or with the path of <c>override_path</c>.</summary>
    internal required Uri Base { get; init; }

    /// <summary>The repository there, which a rewriting configuration may have changed.</summary>
    internal required string Repository { get; init; }

    /// <summary>The registry that it stands for: what its credentials are stored under, unless it is a mirror.</summary>
    internal required string Registry { get; init; }

    internal bool IsMirror { get; init; }
    internal bool CanPull { get; init; } = true;
    internal bool CanResolve { get; init; } = true;
    internal bool CanPush { get; init; } = true;

    /// <summary>The registry that a mirror is asked about, where it may hold several.</summary>
    internal string? Namespace { get; init; }

    /// <summary>The path is the configuration's own, so that scopes may be other than the name says.</summary>
    internal bool OwnPath { get; init; }

    internal bool SkipVerify { get; init; }
    internal IReadOnlyList<string> Authorities { get; init; } = [];
    internal IReadOnlyList<(string Certificate, string? Key)> Clients { get; init; } = [];
    internal IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];
    internal TimeSpan? DialTimeout { get; init; }

    internal bool IsHttps => Base.Scheme == Uri.UriSchemeHttps;

    /// <summary>What this server says was said by the one who is meant: by https, with a certificate that was looked at.</summary>
    internal bool IsVerified => IsHttps && !SkipVerify;

    /// <summary>The names that its credentials may be stored under, the best first.</summary>
    internal IReadOnlyList<string> CredentialNames => IsMirror ? [Base.Authority] : [Registry, Base.Authority];

    /// <summary>Where a registry's server is when nobody configured it.</summary>
    internal static string ServerOf(string registry) => registry == ImageReference.DefaultRegistry ? "registry-1.docker.io" : registry;

    internal static RegistryEndpoint Default(string registry, string repository, bool http = false) => new()
    {
        Base = new Uri($"{(http ? "http" : "https")}://{ServerOf(registry)}/v2/"), Registry = registry, Repository = repository,
    };
}
