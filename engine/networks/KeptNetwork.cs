using Containers.Linux;

namespace Containers;

/// <summary>The network namespace of a container with networks: kept by a bind mount in <c>/run/netns</c>, where ip-netns(8) and CNI have them, so that it outlives its tasks.</summary>
static class KeptNetwork
{
    internal static string Place(string networkId) => Path.Combine(NamespaceStore.Networks, "cni-" + networkId);

    internal static bool Exists(string networkId)
    {
        var fd = NamespaceFile.Open(Place(networkId), out var file);
        if (fd < 0) { return false; }
        _ = Libc.close(fd);
        return file.Type == "net";
    }

    /// <summary>Makes it where it is not there, with a loopback that is up.</summary>
    /// <exception cref="ContainerException"><c>HostRefused</c>.</exception>
    internal static void Make(HostPaths paths, string networkId)
    {
        if (Exists(networkId)) { return; }
        var place = Place(networkId);
        try
        {
            Folders.MakeRoot(paths.RunRoot);
            using (FileLock.TakeFolder(paths.RunRoot)) { NamespaceStore.Prepare(paths, [LinuxNamespaceType.Net]); }
            // One that was cut off left the file.
            Libc.unlink(place);
            var fd = Libc.open(place, Libc.O_RDONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_CLOEXEC, 0);
            LinuxException.Check(fd, "open", place);
            _ = Libc.close(fd);
            NetworkNamespace.Make(place);
        }
        catch (LinuxException e)
        {
            Remove(networkId);
            throw NamespaceRefusal.Make(e, "The network namespace of the container could not be made", place);
        }
    }

    /// <summary>Lets go of it; the kernel ends it with its last process. One that is gone is no error.</summary>
    internal static void Remove(string networkId)
    {
        var place = Place(networkId);
        while (Libc.umount2(place, Libc.MNT_DETACH | Libc.UMOUNT_NOFOLLOW) == 0) { }
        Libc.unlink(place);
    }
}
