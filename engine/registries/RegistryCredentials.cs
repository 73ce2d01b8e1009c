namespace Containers;

/// <summary>Credentials as docker and podman keep them: in files, or by helper programs.</summary>
sealed class RegistryCredentials(RegistryFiles files, RegistryLimits limits)
{
    /// <summary>What is stored for a registry: of the first file that has something, its own helper first.</summary>
    /// <param name="names">The registry's names, the best first.</param>
    /// <exception cref="ContainerException"><c>CredentialUnavailable</c>.</exception>
    internal async Task<RegistryCredential?> FindAsync(IReadOnlyList<string> names, string? repository, CancellationToken cancel)
    {
        foreach (var name in names)
        {
            foreach (var path in files.CredentialFiles)
            {
                if (CredentialFile.Load(path) is not { } file) { continue; }
                var helper = file.HelperFor(name);
                if (helper is null && file.Find(name, repository) is { } here) { return here; }
                if ((helper ?? file.Store) is { Length: > 0 } program
                    && await CredentialHelper.GetAsync(program, CredentialFile.ServerName(name), limits.Helper, cancel).ConfigureAwait(false) is { } kept) { return kept; }
            }
            foreach (var helper in RegistriesConf.Load(files.RegistriesConf).CredentialHelpers.Where(h => h != "containers-auth.json"))
            {
                if (await CredentialHelper.GetAsync(helper, CredentialFile.ServerName(name), limits.Helper, cancel).ConfigureAwait(false) is { } kept) { return kept; }
            }
        }
        return null;
    }

    /// <returns>The file, or the program, that has them now.</returns>
    internal async Task<string> StoreAsync(string registry, RegistryCredential credential, CancellationToken cancel)
    {
        var path = files.CredentialFiles.FirstOrDefault() ?? throw RegistryErrors.Credentials("no file", "neither HOME, DOCKER_CONFIG nor REGISTRY_AUTH_FILE says where they go");
        var file = CredentialFile.Load(path);
        if ((file?.HelperFor(registry) ?? file?.Store) is not { Length: > 0 } helper)
        {
            CredentialFile.Change(path, registry, credential);
            return path;
        }
        await CredentialHelper.StoreAsync(helper, CredentialFile.ServerName(registry), credential, limits.Helper, cancel).ConfigureAwait(false);
        CredentialFile.Change(path, registry, new RegistryCredential("", ""));
        return CredentialHelper.ProgramOf(helper);
    }

    /// <summary>Takes them away wherever they are.</summary>
    /// <returns>The places that had some.</returns>
    internal async Task<IReadOnlyList<string>> EraseAsync(string registry, CancellationToken cancel)
    {
        var from = new List<string>();
        foreach (var path in files.CredentialFiles)
        {
            if (CredentialFile.Load(path) is not { } file) { continue; }
            if ((file.HelperFor(registry) ?? file.Store) is { Length: > 0 } helper && await CredentialHelper.GetAsync(helper, CredentialFile.ServerName(registry), limits.Helper, cancel).ConfigureAwait(false) is not null
                && await CredentialHelper.EraseAsync(helper, CredentialFile.ServerName(registry), limits.Helper, cancel).ConfigureAwait(false)) { from.Add(CredentialHelper.ProgramOf(helper)); }
            if (CredentialFile.Change(path, registry, null)) { from.Add(path); }
        }
        return from;
    }
}
