namespace Containers;

/// <summary>What a network plugin says of its failure: the CNI specification, "Error".</summary>
public sealed class NetworkPluginException : Exception
{
    internal NetworkPluginException(string plugin, string command, int code, string message, string? details) : base(message)
    {
        Plugin = plugin;
        Command = command;
        Code = code;
        Details = details;
    }

    /// <summary>Its type, such as <c>bridge</c>.</summary>
    public string Plugin { get; }

    /// <summary><c>ADD</c>, <c>DEL</c>, <c>CHECK</c>, <c>GC</c>, <c>STATUS</c> or <c>VERSION</c>.</summary>
    public string Command { get; }

    /// <summary>Up to 99 the specification's, from 100 the plugin's own; 0 when it named none.</summary>
    public int Code { get; }

    /// <summary>Null for none.</summary>
    public string? Details { get; }
}

static class NetworkErrors
{
    // The CNI specification, "Error".
    internal const int UnknownContainer = 3;

    internal static ContainerException Invalid(string path, string why, Exception? inner = null) => new(ErrorIds.NetworkInvalid,
        $"The network configuration '{path}' cannot be used: {ShimErrors.Printable(why)}. Correct the file, or remove it.", path, ContainerErrorCategory.InvalidData, inner);

    internal static ContainerException NotFound(string name, string folder) => new(ErrorIds.NetworkNotFound,
        $"There is no network '{ShimErrors.Printable(name)}' in '{folder}'. Get-ContainerNetwork lists those that are there.", name, ContainerErrorCategory.ObjectNotFound);

    internal static ContainerException NoPlugin(string type, string network, IReadOnlyList<string> folders) => new(ErrorIds.NetworkPluginNotFound,
        $"The network '{network}' needs the CNI plugin '{type}', which is in none of {string.Join(", ", folders)}. Install it (Debian: containernetworking-plugins), or name its folder in CNI_PATH.",
        type, ContainerErrorCategory.NotInstalled);

    internal static ContainerException Failed(string network, NetworkPluginException said)
    {
        var details = said.Details is { Length: > 0 } more ? $" ({more})" : "";
        var code = said.Code > 0 ? $" with code {said.Code}" : "";
        return new ContainerException(ErrorIds.NetworkPluginFailed, $"The plugin '{said.Plugin}' of network '{network}' failed in {said.Command}{code}: {said.Message}{details}. {Next(said)}",
            network, ContainerErrorCategory.InvalidOperation, said);
    }

    static string Next(NetworkPluginException said) => said.Code switch
    {
        1 => "The plugin does not know the version of the network's file: lower cniVersion, or install a newer plugin.",
        2 or 6 or 7 => "Correct the network's file.",
        11 => "It asks to be tried again later.",
        50 or 51 => "It cannot serve requests at present.",
        _ => "Nothing of this attempt is left; correct what it names and try again.",
    };
}
