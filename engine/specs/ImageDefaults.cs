namespace Containers;

/// <summary>What an image says of how it is run, where the user said nothing: docker's rules.</summary>
static class ImageDefaults
{
    internal static ContainerCreateOptions Apply(ContainerCreateOptions given, ImageStore.Prepared image)
    {
        var o = given.Copy();
        var settings = image.Settings;
        if (o.Spec is not null) { return o; }
        // Arguments replace the image's command and follow its entrypoint; another entrypoint leaves the command out, which was meant for the first.
        o.ArgumentList = o.ArgumentList is { Count: > 0 } ? o.ArgumentList : o.Entrypoint is null ? settings.Cmd : null;
        o.Entrypoint ??= settings.Entrypoint;
        o.ImageEnvironment = settings.Env ?? [];
        foreach (var variable in o.ImageEnvironment) { SpecBuilder.RefuseNul("Env", variable); }
        o.WorkingDirectory ??= settings.WorkingDir is { Length: > 0 } folder ? folder.StartsWith('/') ? folder : "/" + folder : null;
        o.User ??= settings.User is { Length: > 0 } user ? user : null;
        o.StopSignal ??= settings.StopSignal is { Length: > 0 } signal ? signal : null;
        if (settings.Labels is { Count: > 0 } labels)
        {
            var all = new Dictionary<string, string>(labels);
            foreach (var (name, value) in o.Label ?? new Dictionary<string, string>()) { all[name] = value; }
            o.Label = all;
        }
        return o;
    }
}
