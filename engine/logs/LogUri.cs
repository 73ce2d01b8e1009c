namespace Containers;

/// <summary>Where a container's output goes beside those who are attached.</summary>
sealed class LogUri
{
    internal const int SmallestFile = 64 * 1024, DefaultFiles = 5;

    /// <exception cref="ContainerException"><c>NotSupported</c>: no such kind; <c>InvalidArgument</c>.</exception>
    internal LogUri(string uri)
    {
        var colon = uri.IndexOf(':');
        switch (colon < 0 ? "" : uri[..colon])
        {
            case "none" when uri == "none:":
                return;
            case "file":
                File = Local(uri, "file:", uri);
                return;
            case "journald" or "syslog":
                // A path is another socket than the host's.
                if (uri.Length > colon + 1) { Local(uri, uri[..(colon + 1)], uri); }
                break;
            case "binary":
                var query = uri.IndexOf('?');
                Local(query < 0 ? uri : uri[..query], "binary:", uri);
                break;
            default:
                throw new ContainerException(ErrorIds.NotSupported, $"There are no logs of the kind '{uri}'. Leave it out for a log in the store, or use 'file:///path', 'journald:', 'syslog:', 'binary:///program' or 'none:'.",
                    uri, ContainerErrorCategory.NotImplemented);
        }
        Sink = uri;
    }

    /// <summary>What the shim hands the output to; null for a file or nothing.</summary>
    internal string? Sink { get; }

    /// <summary>The file that can be read again; null when there is none.</summary>
    internal string? File { get; }

    // "file:///path" and "file:/path"; a host's name between would be another machine's file.
    static string Local(string uri, string scheme, string whole)
    {
        var rest = uri[scheme.Length..];
        var path = Uri.UnescapeDataString(rest.StartsWith("//", StringComparison.Ordinal) ? rest[2..] : rest);
        if (!path.StartsWith('/') || path.EndsWith('/') || path.Contains('\0') || path.Split('/').Contains(".."))
        {
            throw ResourceSpec.Bad("LogUri", whole, $"it is {scheme}//, the absolute path of a file without '..', and nothing else");
        }
        return path;
    }

    /// <summary>What the options say of the log, checked; null: the store's.</summary>
    /// <exception cref="ContainerException"><c>NotSupported</c>, <c>InvalidArgument</c>.</exception>
    internal static LogUri? Check(ContainerCreateOptions o)
    {
        if (o.LogUri?.Contains('\0') == true) { throw ResourceSpec.Bad("LogUri", o.LogUri, "it holds a NUL"); }
        var log = o.LogUri is null ? null : new LogUri(o.LogUri);
        if (log?.File is { } file && !Directory.Exists(Path.GetDirectoryName(file))) { throw ResourceSpec.Bad("LogUri", o.LogUri, "the folder of the file is not there"); }
        if (o.LogMaxSize is not null && log is { File: null }) { throw ResourceSpec.Bad("LogMaxSize", o.LogMaxSize, $"the log {o.LogUri} is no file"); }
        if (o.LogMaxSize < SmallestFile) { throw ResourceSpec.Bad("LogMaxSize", o.LogMaxSize, $"it is a number of bytes from {SmallestFile}"); }
        if (o.LogMaxFiles is not null && o.LogMaxSize is null) { throw ResourceSpec.Bad("LogMaxFiles", o.LogMaxFiles, "without LogMaxSize there is one file alone"); }
        if (o.LogMaxFiles is < 2 or > 1000) { throw ResourceSpec.Bad("LogMaxFiles", o.LogMaxFiles, "it is a number from 2 to 1000"); }
        return log;
    }
}
