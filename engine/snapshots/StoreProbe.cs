using System.Collections.Concurrent;
using Containers.Linux;

namespace Containers;

/// <summary>What the file system of the store can, tried in a folder there: once for each store.</summary>
static class StoreProbe
{
    static readonly ConcurrentDictionary<(string Root, string Driver), string> s_answers = new();

    /// <summary>Null when it can, else why not.</summary>
    /// <param name="ask">Told the folder, which goes with everything in it.</param>
    internal static string? Refusal(HostPaths paths, string driver, Func<string, string?> ask)
    {
        var answer = s_answers.GetOrAdd((paths.Root, driver), _ => Ask(paths, ask) ?? "");
        return answer.Length == 0 ? null : answer;
    }

    static string? Ask(HostPaths paths, Func<string, string?> ask)
    {
        Folders.Make(paths.Snapshots);
        // As a layer that is being unpacked: left alone while its lock is held, and swept when its maker was killed.
        var name = "probe" + Names.Random();
        var folder = Path.Combine(paths.Snapshots, ".new-" + name);
        using var held = FileLock.Take(Path.Combine(paths.Snapshots, ".lock-" + name));
        try
        {
            Folders.Make(folder);
            return ask(folder);
        }
        finally
        {
            Folders.RemoveTree(folder);
            held.RemoveAndDispose();
        }
    }

    /// <summary>Whether subvolumes can be made and removed.</summary>
    internal static unsafe string? Btrfs(string folder)
    {
        statfs system;
        if (Libc.statfs(folder, &system) != 0) { throw Folders.Unavailable(folder, new LinuxException("statfs", folder, Libc.errno)); }
        if (system.f_type != Libc.BTRFS_SUPER_MAGIC) { return "its file system is not btrfs"; }
        try { Subvolume.Create(Path.Combine(folder, "upper")); }
        catch (LinuxException e) { return Answer(folder, e); }
        var parent = LinuxException.Check(Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", folder);
        try { return Subvolume.Destroy(parent, "upper"u8) == 0 ? null : Answer(folder, new LinuxException("BTRFS_IOC_SNAP_DESTROY", folder, Libc.errno)); }
        finally { Libc.close(parent); }
    }

    /// <summary>Whether an overlay can write there: asked of the kernel by a mount that is made nowhere.</summary>
    internal static string? Overlay(string folder)
    {
        foreach (var one in new[] { "lower", "upper", "work" }) { Folders.Make(Path.Combine(folder, one)); }
        var fd = Libc.fsopen("overlay", Libc.FSOPEN_CLOEXEC);
        if (fd < 0) { return Libc.errno == Libc.ENODEV ? "this kernel has no overlayfs" : new LinuxException("fsopen", "overlay", Libc.errno).Message; }
        List<int> opened = [fd];
        try
        {
            foreach (var (key, name) in new[] { ("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work") })
            {
                var path = Path.Combine(folder, name);
                opened.Add(LinuxException.Check(Libc.open(path, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", path));
                // By its descriptor: nothing in the path has to be escaped.
                if (Libc.fsconfig(fd, Libc.FSCONFIG_SET_STRING, key, $"/proc/self/fd/{opened[^1]}", 0) != 0) { return Answer(folder, new LinuxException("fsconfig", key, Libc.errno)); }
            }
            return Libc.fsconfig(fd, Libc.FSCONFIG_CMD_CREATE, null, null, 0) == 0 ? null : Answer(folder, new LinuxException("fsconfig", "create", Libc.errno));
        }
        finally
        {
            foreach (var one in opened) { Libc.close(one); }
        }
    }

    // A full disk, say, is no answer.
    static string Answer(string folder, LinuxException error) =>
        error.Errno is Libc.EINVAL or Libc.EOPNOTSUPP or Libc.ENOSYS or Libc.EPERM or Libc.EACCES or Libc.ENODEV or Libc.ENOTTY ? $"its file system is refused ({error.Message})" : throw Folders.Unavailable(folder, error);
}
