using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.Processes;

namespace Psrun.Rootfs;

/// <summary>
/// Bind mounts with maps of their own (mounts[].uidMappings, gidMappings, options idmap and ridmap). Mapping needs privilege over the source's file
/// system, which a container's root lacks: psrun makes these trees before the clone, and the child attaches them like any other.
/// </summary>
static unsafe class IdMappedTrees
{
    /// <summary>Detached trees by the index of their mount.</summary>
    /// <param name="joinedUser">The user namespace that is joined; -1 when it is new or the host's.</param>
    public static Dictionary<int, int> Open(Spec spec, Namespaces namespaces, int joinedUser)
    {
        var trees = new Dictionary<int, int>();
        var made = new Dictionary<string, int>();
        try
        {
            for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
            {
                Mount mount = spec.Mounts![i];
                if (mount.UidMappings != null || mount.GidMappings != null || mount.Options?.Exists(o => o is "idmap" or "ridmap") == true)
                    trees[i] = OpenOne(spec, mount, MountOptions.Parse(mount.Destination ?? "", mount.Options), namespaces, joinedUser, made);
            }
            return trees;
        }
        catch
        {
            foreach (int tree in trees.Values)
                Libc.close(tree);
            throw;
        }
        finally
        {
            foreach (int fd in made.Values)
                Libc.close(fd);
        }
    }

    /// <summary>A detached copy of a mounted tree.</summary>
    /// <param name="subFolder">The part of it, looked up as if the source were the root; null for all.</param>
    /// <returns>-1 and errno when it cannot be had.</returns>
    public static int OpenTree(string source, string? subFolder, bool recursive)
    {
        int how = Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC | (recursive ? Libc.AT_RECURSIVE : 0);
        if (subFolder == null)
            return Libc.open_tree(Libc.AT_FDCWD, source, how);
        int whole = Libc.open(source, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (whole < 0)
            return -1;
        int part = Items.ItemRoot.Open(whole, System.Text.Encoding.UTF8.GetBytes(subFolder), Libc.O_PATH);
        int tree = part < 0 ? -1 : Libc.open_tree(part, "", how | Libc.AT_EMPTY_PATH);
        int errno = Libc.errno;
        Libc.close(whole);
        if (part >= 0)
            Libc.close(part);
        System.Runtime.InteropServices.Marshal.SetLastPInvokeError(errno);
        return tree;
    }

    static int OpenOne(Spec spec, Mount mount, MountOptions options, Namespaces namespaces, int joinedUser, Dictionary<string, int> made)
    {
        string words = $"mounts: {mount.Destination}: id mapping";
        if (!options.Bind && mount.Type != "bind")
            throw new PsrunException($"{words}: only bind mounts can have one");
        if (string.IsNullOrEmpty(mount.Source))
            throw new PsrunException($"mounts: {mount.Destination}: source is missing");
        List<LinuxIdMapping>? uids = mount.UidMappings, gids = mount.GidMappings;
        if (uids is { Count: > 0 } != gids is { Count: > 0 })
            throw new PsrunException($"{words}: uidMappings and gidMappings are needed together");
        int user = joinedUser;
        if (uids is { Count: > 0 } || joinedUser < 0)
        {
            if (uids is not { Count: > 0 })
            {
                if (!namespaces.IsNew(Libc.CLONE_NEWUSER))
                    throw new PsrunException($"{words}: without uidMappings and gidMappings a user namespace is needed");
                uids = spec.Linux!.UidMappings!;
                gids = spec.Linux.GidMappings!;
            }
            string key = IdMaps.Text(uids) + "/" + IdMaps.Text(gids!);
            if (!made.TryGetValue(key, out user))
                made[key] = user = IdMaps.OpenNamespace(uids, gids!, $"mounts: {mount.Destination}");
        }
        int tree = OpenTree(mount.Source, options.SubFolder, options.Recursive);
        if (tree < 0)
            throw new PsrunException($"bind {(options.SubFolder == null ? "" : options.SubFolder + " of ")}{mount.Source} to {mount.Destination}: {Errnos.Text(Libc.errno)}");
        var attr = new mount_attr { attr_set = (ulong)Libc.MOUNT_ATTR_IDMAP, userns_fd = (ulong)user };
        if (Libc.mount_setattr(tree, "", Libc.AT_EMPTY_PATH | (options.RecursiveIdMap ? Libc.AT_RECURSIVE : 0), attr) == 0)
            return tree;
        int errno = Libc.errno;
        Libc.close(tree);
        throw new PsrunException(errno == Libc.EINVAL
            ? $"{words}: the file system of {mount.Source} cannot be mapped, or the tree is mapped already"
            : $"{words}: {Errnos.Text(errno)}");
    }
}
