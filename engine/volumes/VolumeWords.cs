using System.Net;

namespace Containers;

/// <summary>Options of the local driver, in docker's words.</summary>
static class VolumeWords
{
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>NotSupported</c>.</exception>
    internal static void Check(string name, ContainerVolumeOptions options)
    {
        if (options.Driver != "local") { throw Unsupported(name, $"the driver '{options.Driver}' is not known; there is 'local'"); }
        var given = options.Options ?? new Dictionary<string, string>();
        foreach (var key in given.Keys)
        {
            if (key is not ("type" or "device" or "o")) { throw Unsupported(name, $"the option '{key}' is not known; known are type, device and o"); }
        }
        var type = given.GetValueOrDefault("type");
        var device = given.GetValueOrDefault("device");
        var words = (given.GetValueOrDefault("o") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);
        if (given.Values.Any(value => value.Length == 0 || value.AsSpan().ContainsAny('\0', '\n'))) { throw Bad(name, "an option has no value, or one of several lines"); }
        switch (type)
        {
            case null:
                if (given.Count > 0) { throw Bad(name, "device and o mean something with a type alone"); }
                break;
            case "none":
                if (!words.Any(word => word is "bind" or "rbind")) { throw Bad(name, "the type 'none' is for binds: say o=bind"); }
                if (device is null || !device.StartsWith('/')) { throw Bad(name, "device is the absolute path of a folder"); }
                if (!Directory.Exists(device)) { throw Bad(name, $"the folder '{device}' is not there"); }
                Know(name, words, ContainerMountType.Bind);
                break;
            case "tmpfs":
                if (device is null) { throw Bad(name, "device is 'tmpfs'"); }
                Know(name, words, ContainerMountType.Tmpfs);
                break;
            case "nfs" or "nfs4":
                if (device is null || !device.Contains(":/", StringComparison.Ordinal)) { throw Bad(name, "device is ':/path' or 'server:/path'"); }
                if (!device.StartsWith(':')) { break; }
                if (!words.Any(word => word.StartsWith("addr=", StringComparison.Ordinal))) { throw Bad(name, "without a server in device, o has to name it: addr=SERVER"); }
                break;
            default:
                throw Unsupported(name, $"the type '{type}' is not known; known are none (with o=bind), tmpfs, nfs and nfs4");
        }
    }

    static void Know(string name, string[] words, ContainerMountType type)
    {
        foreach (var word in words)
        {
            if (word is not ("ro" or "rw") && !MountWords.IsKnown(word, type)) { throw Bad(name, $"the word '{word}' of o is not known for this type"); }
        }
    }

    /// <summary>The words of an nfs mount with the server's address, which the kernel needs as a number (nfs(5)).</summary>
    /// <exception cref="ContainerException"><c>VolumeUnavailable</c>.</exception>
    internal static (string Device, List<string> Words) Nfs(VolumeRecord record)
    {
        var words = record.Words.ToList();
        var device = record.Device!;
        var at = words.FindIndex(word => word.StartsWith("addr=", StringComparison.Ordinal));
        var server = at >= 0 ? words[at]["addr=".Length..] : device[..device.IndexOf(":/", StringComparison.Ordinal)];
        if (at >= 0) { words.RemoveAt(at); }
        if (!IPAddress.TryParse(server.Trim('[', ']'), out var address))
        {
            try { address = Dns.GetHostAddresses(server).FirstOrDefault(); }
            catch (System.Net.Sockets.SocketException) { }
        }
        if (address is null)
        {
            throw new ContainerException(ErrorIds.VolumeUnavailable, $"The server '{server}' of the volume '{record.Name}' has no address that is known here. Check the name, or make the volume anew with a number.", record.Name, ContainerErrorCategory.ConnectionError);
        }
        words.Add($"addr={address}");
        return (device, words);
    }

    static ContainerException Bad(string name, string why) => new(ErrorIds.InvalidArgument, $"The volume '{name}' cannot be made: {why}.", name, ContainerErrorCategory.InvalidArgument);

    static ContainerException Unsupported(string name, string why) => new(ErrorIds.NotSupported, $"The volume '{name}' cannot be made: {why}.", name, ContainerErrorCategory.NotImplemented);
}
