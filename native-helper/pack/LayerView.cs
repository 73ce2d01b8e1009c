using System.Text;
using Containers.Linux;

namespace Psrun.Pack;

/// <summary>Layers of overlayfs seen as one tree, by a mount that nobody else sees and that ends with this process.</summary>
static unsafe class LayerView
{
    const int OptionsPage = 4096;

    /// <param name="layers">The topmost first; at least one.</param>
    /// <returns>An open folder.</returns>
    /// <exception cref="LinuxException"></exception>
    public static int Open(IReadOnlyList<string> layers)
    {
        if (layers.Count > 1)
            Mount(layers);
        return LinuxException.Check(Libc.open(layers[0], Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", layers[0]);
    }

    // Over the topmost layer, in a mount namespace of this thread alone.
    static void Mount(IReadOnlyList<string> layers)
    {
        LinuxException.Check(Libc.unshare(Libc.CLONE_NEWNS), "unshare");
        LinuxException.Check(Libc.mount(null, "/", null, (ulong)(Libc.MS_REC | Libc.MS_PRIVATE), null), "mount", "/");
        var options = new StringBuilder("index=off,lowerdir=");
        for (int i = 0; i < layers.Count; i++)
        {
            // By descriptors: all options have to fit into one page, whatever the paths are, and nothing needs to be escaped.
            int fd = LinuxException.Check(Libc.open(layers[i], Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", layers[i]);
            options.Append(i > 0 ? ":" : "").Append("/proc/self/fd/").Append(fd);
        }
        if (options.Length >= OptionsPage)
            throw new PackException($"{layers.Count} layers are more than overlayfs takes");
        LinuxException.Check(Libc.mount("overlay", layers[0], "overlay", Libc.MS_RDONLY, options.ToString()), "mount overlay", layers[0]);
    }
}
