using Containers.Linux.Oci;

namespace Containers;

/// <summary>The mounts of a container in the order in which they are made.</summary>
static class MountSpec
{
    internal static List<Mount> Build(ContainerCreateOptions o)
    {
        var mounts = Defaults.Mounts(o.Privileged, ShmSize(o));
        if (o.IpcNamespace?.Kind == NamespaceChoiceKind.Host)
        {
            // With the host's IPC go the host's shared memory and queues.
            Replace(mounts, Bind("/dev/shm"));
            if (Directory.Exists("/dev/mqueue")) { Replace(mounts, Bind("/dev/mqueue")); }
        }

        // A parent before its child, else the child would be hidden; a default gives way to the user's mount on the same place.
        foreach (var mount in (o.Mount ?? []).OrderBy(m => m.Target.Count(c => c == '/')))
        {
            if (mounts.Exists(m => m.Destination == mount.Target && o.Mount!.Any(other => !ReferenceEquals(other, mount) && other.Target == mount.Target)))
            {
                throw ContainerMount.Bad(mount, $"two mounts have the target '{mount.Target}'");
            }
            mounts.RemoveAll(m => m.Destination == mount.Target);
            mounts.Add(Of(mount));
        }
        return mounts;
    }

    static long ShmSize(ContainerCreateOptions o)
    {
        if (o.ShmSize is null) { return Defaults.ShmSize; }
        return o.ShmSize > 0 ? o.ShmSize.Value : throw ResourceSpec.Bad("ShmSize", o.ShmSize, "it is a number of bytes above 0");
    }

    static Mount Of(ContainerMount mount)
    {
        if (mount.Type == ContainerMountType.Image) { throw ContainerMount.Bad(mount, "a spec names folders: bind the Path of Mount-ContainerImage"); }
        if (mount is { Type: ContainerMountType.Volume, FileSystem: null }) { throw ContainerMount.Bad(mount, "a spec names folders: bind the Path of Get-ContainerVolume"); }
        var options = new List<string>();
        if (mount.Type == ContainerMountType.Bind)
        {
            if (!mount.Options.Any(option => option is "bind" or "rbind")) { options.Add("rbind"); }
            // Mounts that the container makes below it stay its own, and the host's later ones stay outside.
            if (!mount.Options.Any(MountWords.IsPropagation)) { options.Add("rprivate"); }
        }
        else if (mount.Type == ContainerMountType.Tmpfs)
        {
            foreach (var word in new[] { "nosuid", "nodev", "noexec" })
            {
                if (!mount.Options.Contains(word[2..])) { options.Add(word); }
            }
        }
        foreach (var option in mount.Options)
        {
            if (!options.Contains(option)) { options.Add(option); }
        }
        // A word of util-linux's mount(8): psrun looks the path up inside the source.
        if (mount.SubPath is not null) { options.Add("X-mount.subdir=" + mount.SubPath); }
        options.Add(mount.ReadOnly ? "ro" : "rw");
        var type = mount.Type switch { ContainerMountType.Bind => "bind", ContainerMountType.Tmpfs => "tmpfs", _ => mount.FileSystem };
        return new Mount { Destination = mount.Target, Type = type, Source = mount.Source ?? "tmpfs", Options = options };
    }

    static Mount Bind(string path) => new() { Destination = path, Type = "bind", Source = path, Options = ["rbind", "rprivate", "nosuid", "noexec", "nodev"] };

    static void Replace(List<Mount> mounts, Mount mount)
    {
        var index = mounts.FindIndex(m => m.Destination == mount.Destination);
        mounts[index] = mount;
    }
}
