namespace Containers;

/// <summary>All servers that can be asked about one repository, in the order in which they are asked.</summary>
sealed class RegistrySession : IDisposable
{
    readonly IReadOnlyList<RegistryClient> clients;
    readonly Action<string>? log;

    RegistrySession(IReadOnlyList<RegistryClient> clients, Action<string>? log)
    {
        this.clients = clients;
        this.log = log;
    }

    /// <summary>The registry itself: what is changed is changed there. One that may be spoken to by https and by http is asked what it speaks.</summary>
    internal async Task<RegistryClient> OriginAsync(CancellationToken cancel)
    {
        var own = clients.Where(c => !c.Endpoint.IsMirror && c.Endpoint.CanPush).ToList();
        foreach (var client in own.SkipLast(1))
        {
            try { await client.CheckAsync(cancel).ConfigureAwait(false); }
            catch (ContainerException e) when (e.Id is ErrorIds.RegistryNotTrusted or ErrorIds.RegistryUnavailable) { continue; }
            // It has answered: what it says of this request, it says of the next one as well.
            catch (ContainerException) { }
            return client;
        }
        return own.LastOrDefault() ?? throw None();
    }

    /// <exception cref="ContainerException"><c>RegistryConfigInvalid</c>, <c>RegistryBlocked</c>.</exception>
    internal static RegistrySession Open(ContainerEngine engine, ImageReference image, RegistryOptions options)
    {
        var files = engine.Options.Registries;
        var limits = engine.Options.RegistryLimits;
        var stored = new RegistryCredentials(files, limits);
        var clients = Endpoints(files, image, options).ConvertAll(endpoint => new RegistryClient(endpoint, limits, options.Parallel,
            cancel => options.Credential is { } given && !endpoint.IsMirror ? Task.FromResult<RegistryCredential?>(given) : stored.FindAsync(endpoint.CredentialNames, endpoint.Repository, cancel), options.Log));
        return new RegistrySession(clients, options.Log);
    }

    internal static List<RegistryEndpoint> Endpoints(RegistryFiles files, ImageReference image, RegistryOptions options)
    {
        var locations = RegistriesConf.Load(files.RegistriesConf).Locations(image);
        // What the caller said of the way holds for the registry itself, and then nobody else is asked.
        if (options.PlainHttp) { return [RegistryEndpoint.Default(image.Registry, image.Repository, http: true)]; }
        var endpoints = new List<RegistryEndpoint>();
        foreach (var location in locations)
        {
            if ((location.DigestOnly && image.Digest is null) || (location.TagOnly && image.Digest is not null)) { continue; }
            var slash = location.Text.IndexOf('/');
            var registry = slash > 0 ? location.Text[..slash] : "";
            if (!ImageReference.IsRegistry(registry) || !ImageReference.IsRepository(location.Text[(slash + 1)..])) { throw RegistryErrors.Config(files.RegistriesConf!, $"makes '{RegistryErrors.Printable(location.Text)}' of '{image.Name}', which is no name"); }
            foreach (var one in HostsToml.Endpoints(files.HostFolders, registry, location.Text[(slash + 1)..]))
            {
                var endpoint = location.IsMirror ? one with { IsMirror = true, CanPush = false } : one;
                if (location.Insecure || (options.SkipCertificateCheck && !endpoint.IsMirror)) { endpoint = endpoint with { SkipVerify = true }; }
                endpoints.Add(endpoint);
                // containers-registries.conf(5): insecure allows http as well.
                if (location.Insecure && endpoint.IsHttps) { endpoints.Add(endpoint with { Base = new UriBuilder(endpoint.Base) { Scheme = "http", Port = endpoint.Base.IsDefaultPort ? 80 : endpoint.Base.Port }.Uri }); }
            }
        }
        return endpoints;
    }

    /// <summary>Asks one server after the other until one has it.</summary>
    internal async Task<T> FirstAsync<T>(Func<RegistryEndpoint, bool> may, Func<RegistryClient, Task<T>> ask)
    {
        var able = clients.Where(c => may(c.Endpoint)).ToList();
        for (var i = 0; i < able.Count; i++)
        {
            try { return await ask(able[i]).ConfigureAwait(false); }
            catch (ContainerException e) when (i < able.Count - 1 && PassesOn(e)) { log?.Invoke($"{able[i].Where}: {able[i].Http.Auth.Scrub(e.Message)} The next one is asked."); }
        }
        throw None();
    }

    static bool PassesOn(ContainerException e) => e.Id is ErrorIds.RegistryUnavailable or ErrorIds.RegistryTimeout or ErrorIds.RegistryProtocol or ErrorIds.RegistryNotTrusted or ErrorIds.RegistryDenied
        or ErrorIds.RegistryRefused or ErrorIds.ImageNotFound or ErrorIds.ImageInvalid or ErrorIds.DigestMismatch or ErrorIds.SizeMismatch;

    static ContainerException None() => new(ErrorIds.RegistryConfigInvalid, "The configuration of registries leaves no server for that. Look at hosts.toml and registries.conf.", null, ContainerErrorCategory.InvalidData);

    public void Dispose()
    {
        foreach (var client in clients) { client.Dispose(); }
    }
}
