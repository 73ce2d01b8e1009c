using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Pack;

/// <summary>The extended attributes of a thing as an image has them, in the order of their names: the reverse of what unpacking does to them.</summary>
static unsafe class Attributes
{
    const int Most = 64 << 10; // XATTR_LIST_MAX, XATTR_SIZE_MAX

    static readonly byte[] s_names = new byte[Most];
    static readonly byte[] s_value = new byte[Most];

    /// <param name="raw">A layer of overlayfs itself, with its marks; otherwise what is mounted, where the kernel has taken them away.</param>
    /// <exception cref="PackException">It was renamed or changed in a form that a layer cannot say.</exception>
    public static List<(byte[] Name, byte[] Value)> Of(int parent, byte[] name, bool raw, Func<string> shown)
    {
        var attributes = new List<(byte[] Name, byte[] Value)>();
        // By its name in an open folder: neither a link nor a device can be opened for this.
        byte[] path = [.. Encoding.ASCII.GetBytes($"/proc/self/fd/{parent}/"), .. name];
        fixed (byte* p = path)
        fixed (byte* names = s_names)
        fixed (byte* value = s_value)
        {
            nint length = Libc.llistxattr(p, names, Most);
            if (length < 0)
                return Libc.errno is Libc.EOPNOTSUPP or Libc.ENOENT ? attributes : throw new LinuxException("llistxattr", shown(), Libc.errno);
            for (nint i = 0; i < length;)
            {
                byte* attribute = names + i;
                ReadOnlySpan<byte> text = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(attribute);
                i += text.Length + 1;
                byte[]? own = Own(text, raw, shown);
                if (own is null)
                    continue;
                nint size = Libc.lgetxattr(p, attribute, value, Most);
                if (size >= 0)
                    attributes.Add((own, s_value[..(int)size]));
            }
        }
        attributes.Sort((one, other) => one.Name.AsSpan().SequenceCompareTo(other.Name));
        return attributes;
    }

    public static bool Same(List<(byte[] Name, byte[] Value)> one, List<(byte[] Name, byte[] Value)> other)
    {
        if (one.Count != other.Count)
            return false;
        for (int i = 0; i < one.Count; i++)
            if (!one[i].Name.AsSpan().SequenceEqual(other[i].Name) || !one[i].Value.AsSpan().SequenceEqual(other[i].Value))
                return false;
        return true;
    }

    // Null for what belongs to the host (labels) or to overlayfs itself.
    static byte[]? Own(ReadOnlySpan<byte> name, bool raw, Func<string> shown)
    {
        if (name.SequenceEqual("security.selinux"u8))
            return null;
        if (name.Contains((byte)'='))
            throw new PackException($"'{shown()}' has the attribute '{Encoding.UTF8.GetString(name)}': a name with '=' cannot be written into an archive");
        ReadOnlySpan<byte> overlay = "trusted.overlay."u8;
        if (!raw || !name.StartsWith(overlay))
            return name.ToArray();
        ReadOnlySpan<byte> rest = name[overlay.Length..];
        if (rest.StartsWith("overlay."u8))
            return [.. overlay, .. rest["overlay.".Length..]];
        // Of a mount with redirect_dir or metacopy: the data, or what the folder shows, is elsewhere.
        if (rest.SequenceEqual("redirect"u8) || rest.SequenceEqual("metacopy"u8))
            throw new PackException($"'{shown()}' was changed under the overlayfs option {(rest.SequenceEqual("redirect"u8) ? "redirect_dir" : "metacopy")}, and a layer cannot say that");
        return null;
    }
}
