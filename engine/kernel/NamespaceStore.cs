using Containers.Linux;

namespace Containers;

/// <summary>Where namespaces are kept by a name.</summary>
static class NamespaceStore
{
    /// <summary>ip-netns(8).</summary>
    internal const string Networks = "/run/netns";

    /// <summary>The folder of a type: the kept namespaces in it are called as their files.</summary>
    internal static string Folder(HostPaths paths, LinuxNamespaceType type) =>
        type == LinuxNamespaceType.Net ? Networks : Path.Combine(paths.KeptNamespaces, LinuxNamespaces.File(type));

    /// <summary>The names of one type that something is kept by; whatever else lies there is not looked at.</summary>
    internal static IReadOnlyList<string> Names(HostPaths paths, LinuxNamespaceType type)
    {
        try
        {
            var names = Directory.GetFiles(Folder(paths, type)).Select(file => Path.GetFileName(file)!).ToArray();
            Array.Sort(names, StringComparer.Ordinal);
            return names;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }

    internal static IReadOnlyList<string> Folders(HostPaths paths) => [.. Enum.GetValues<LinuxNamespaceType>().Select(type => Folder(paths, type))];
}
