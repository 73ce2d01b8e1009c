using Containers.Linux;
using Psrun.Processes;

namespace Psrun.Unpack;

/// <summary>Makes what the entries of a layer say, in the form in which overlayfs takes a layer: image-spec, layer.md.</summary>
sealed unsafe class LayerWriter(Tree tree, TarReader reader)
{
    const int Attempts = 3;

    /// <summary>Bytes of data that were written.</summary>
    public long Bytes { get; private set; }

    /// <summary>An entry said what the root folder is like.</summary>
    public bool HasRoot { get; private set; }

    public void Apply(TarEntry entry)
    {
        List<byte[]> parts = Tree.Split(entry.Name, Shown);
        string Shown() => entry.Shown;
        if (parts.Count == 0)
        {
            if (entry.Kind != EntryKind.Folder)
                throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' is no name for a file");
            FinishFolder(tree.Root, ".\0"u8.ToArray(), entry);
            HasRoot = true;
            return;
        }
        if (tree.IsPlain)
        {
            Make(parts, entry);
            return;
        }
        // The bookkeeping of aufs, which old layers carry: nothing of it is in the image.
        if (parts[0].AsSpan().StartsWith(".wh..wh."u8) && !parts[0].AsSpan().SequenceEqual(".wh..wh..opq\0"u8))
            return;
        for (int i = 0; i < parts.Count - 1; i++)
            if (parts[i].AsSpan().StartsWith(".wh."u8))
                throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' lies under a whiteout");
        if (parts[^1].AsSpan().StartsWith(".wh."u8))
        {
            Whiteout(parts, Shown);
            return;
        }
        Make(parts, entry);
    }

    void Make(List<byte[]> parts, TarEntry entry)
    {
        int parent = tree.Parent(parts, () => entry.Shown);
        byte[] name = parts[^1];
        switch (entry.Kind)
        {
            case EntryKind.Folder:
                MakeFolder(parent, parts, entry);
                break;
            case EntryKind.File:
                MakeFile(parent, name, entry);
                break;
            case EntryKind.HardLink:
                MakeHardLink(parts, entry);
                break;
            default:
                MakeSpecial(parent, name, entry);
                break;
        }
    }

    void Whiteout(List<byte[]> parts, Func<string> shown)
    {
        // Nothing lies below, so nothing is to be hidden.
        if (tree.Below == Below.Nothing)
            return;
        ReadOnlySpan<byte> hidden = parts[^1].AsSpan(".wh.".Length);
        int parent = tree.Parent(parts, shown);
        if (hidden.SequenceEqual(".wh..opq\0"u8))
        {
            tree.SetOpaque(parent, ".\0"u8.ToArray(), shown);
            return;
        }
        if (hidden.StartsWith(".wh."u8))
            return;
        if (hidden.SequenceEqual("\0"u8) || hidden.SequenceEqual(".\0"u8) || hidden.SequenceEqual("..\0"u8))
            throw new UnpackException(UnpackException.LayerInvalid, $"'{shown()}' is a whiteout of nothing");
        byte[] name = hidden.ToArray();
        fixed (byte* p = name)
        {
            // A whiteout is about lower layers only: what this one has made already stays.
            if (Libc.statx(parent, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_TYPE, out statx stat) == 0)
            {
                if ((stat.stx_mode & Libc.S_IFMT) == Libc.S_IFDIR)
                    tree.SetOpaque(parent, name, shown);
                return;
            }
        }
        tree.MakeWhiteout(parent, name, shown);
    }

    void MakeFolder(int parent, List<byte[]> parts, TarEntry entry)
    {
        byte[] name = parts[^1];
        string Shown() => entry.Shown;
        bool replaced = false;
        fixed (byte* p = name)
        {
            for (int attempt = 0; ; attempt++)
            {
                if (Libc.mkdirat(parent, p, 0x1c0) < 0 && Libc.errno != Libc.EEXIST)
                    throw Tree.Failure("mkdir", Shown);
                int fd = Libc.openat(parent, p, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC);
                if (fd >= 0)
                {
                    // What stood here hid the lower folder of this name, and so must the folder that takes its place.
                    if (replaced)
                        tree.SetOpaque(parent, name, Shown);
                    byte[] path = Tree.Join(parts, parts.Count);
                    FinishFolder(fd, path, entry);
                    tree.Keep(path, fd);
                    return;
                }
                if (attempt == Attempts || Libc.errno is not (Libc.ENOTDIR or Libc.ELOOP))
                    throw Tree.Failure("open", Shown);
                if (tree.IsPlain)
                    throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' is no folder there, and a folder takes the place of nothing else");
                tree.Remove(parent, name, Shown);
                replaced = true;
            }
        }
    }

    void FinishFolder(int fd, byte[] path, TarEntry entry)
    {
        Finish(fd, entry);
        tree.Made(entry.Mode, entry.Group, entry.Attributes.Count > 0);
        tree.AtEnd(path, entry.Accessed, entry.Changed);
    }

    // Owner first: a change of it takes set-id bits and capabilities away.
    void Finish(int fd, TarEntry entry)
    {
        string Shown() => entry.Shown;
        if (Libc.fchown(fd, entry.Owner, entry.Group) < 0)
            throw Tree.Failure("chown", Shown);
        foreach ((byte[] name, byte[] value) in entry.Attributes)
        {
            byte[]? own = Kept(name);
            if (own is null)
                continue;
            fixed (byte* n = own)
            fixed (byte* v = value)
                if (Libc.fsetxattr(fd, n, v, (nuint)value.Length, 0) < 0)
                    throw Tree.Failure("setxattr " + System.Text.Encoding.UTF8.GetString(name), Shown);
        }
        if (Libc.fchmod(fd, entry.Mode) < 0)
            throw Tree.Failure("chmod", Shown);
    }

    /// <summary>
    /// The name of an image's attribute in a layer, ended by a zero; null for what is left out: labels of SELinux belong to the host. Overlayfs's own
    /// names are put behind its escape, or an image could hide things of its lower layers and reach into its neighbours'.
    /// </summary>
    public static byte[]? Attribute(byte[] name)
    {
        if (name.AsSpan().SequenceEqual("security.selinux"u8))
            return null;
        ReadOnlySpan<byte> prefix = "trusted.overlay."u8;
        return name.AsSpan().StartsWith(prefix) ? [.. prefix, .. "overlay."u8, .. name.AsSpan(prefix.Length), 0] : [.. name, 0];
    }

    // What overlayfs calls its own is nobody's in a plain tree.
    byte[]? Kept(byte[] name) => tree.IsPlain && name.AsSpan().StartsWith("trusted.overlay."u8) ? null : Attribute(name);

    void MakeFile(int parent, byte[] name, TarEntry entry)
    {
        string Shown() => entry.Shown;
        // Most files are: two calls less for each.
        bool plain = entry.Owner == 0 && entry.Group == 0 && (entry.Mode & (Libc.S_ISUID | Libc.S_ISGID)) == 0 && entry.Attributes.Count == 0 && !tree.Inherits;
        int fd;
        fixed (byte* p = name)
        {
            for (int attempt = 0; ; attempt++)
            {
                fd = Libc.openat(parent, p, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_EXCL | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, plain ? entry.Mode : 0x180);
                if (fd >= 0)
                    break;
                if (Libc.errno != Libc.EEXIST || attempt == Attempts)
                    throw Tree.Failure("open", Shown);
                tree.Remove(parent, name, Shown);
            }
        }
        try
        {
            WriteData(fd, entry);
            if (!plain)
                Finish(fd, entry);
            timespec* times = stackalloc timespec[2];
            times[0] = entry.Accessed;
            times[1] = entry.Changed;
            if (Libc.futimens(fd, times) < 0)
                throw Tree.Failure("futimens", Shown);
        }
        finally
        {
            Libc.close(fd);
        }
    }

    void WriteData(int fd, TarEntry entry)
    {
        if (entry.Sparse is null)
        {
            WritePiece(fd, 0, entry.StoredSize, entry);
            return;
        }
        if (Libc.ftruncate(fd, entry.Size) < 0)
            throw Tree.Failure("ftruncate", () => entry.Shown);
        foreach ((long offset, long length) in entry.Sparse)
            WritePiece(fd, offset, length, entry);
    }

    void WritePiece(int fd, long offset, long length, TarEntry entry)
    {
        while (length > 0)
        {
            ReadOnlySpan<byte> part = reader.Peek();
            if (part.Length > length)
                part = part[..(int)length];
            nint written;
            fixed (byte* p = part)
                written = Libc.pwrite(fd, p, (nuint)part.Length, offset);
            if (written <= 0)
            {
                if (Libc.errno == Libc.EINTR)
                    continue;
                throw Tree.Failure("write", () => entry.Shown);
            }
            reader.Took((int)written);
            offset += written;
            length -= written;
            Bytes += written;
        }
    }

    void MakeHardLink(List<byte[]> parts, TarEntry entry)
    {
        string Shown() => entry.Shown;
        List<byte[]> target = Tree.Split(entry.LinkName, () => $"{entry.Shown} -> {System.Text.Encoding.UTF8.GetString(entry.LinkName)}");
        if (target.Count == 0)
            throw new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' is a hard link to no name");
        byte[] targetName = target[^1], name = parts[^1];
        int from = LinkTarget(target, entry);
        try
        {
            int parent = tree.Parent(parts, Shown);
            fixed (byte* t = targetName)
            fixed (byte* p = name)
            {
                for (int attempt = 0; Libc.linkat(from, t, parent, p, 0) < 0; attempt++)
                {
                    if (Libc.errno != Libc.EEXIST || attempt == Attempts)
                        throw Libc.errno == Libc.EPERM ? new UnpackException(UnpackException.LayerInvalid, $"'{entry.Shown}' is a hard link to a folder") : Tree.Failure("link", Shown);
                    if (Same(from, t, parent, p))
                        return;
                    tree.Remove(parent, name, Shown);
                }
            }
        }
        finally
        {
            Libc.close(from);
        }
    }

    // The folder with what is linked to; brought up from a lower layer when it is not in this one.
    int LinkTarget(List<byte[]> target, TarEntry entry)
    {
        byte[] name = target[^1];
        string Shown() => entry.Shown;
        int folder = tree.ExistingParent(target);
        fixed (byte* p = name)
            if (folder >= 0 && Libc.statx(folder, p, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx stat) == 0)
            {
                if (!OverlayNames.IsWhiteout(folder, name, stat))
                    return folder;
                Libc.close(folder);
                throw Missing(entry);
            }
        if (folder >= 0)
            Libc.close(folder);
        LayeredEntry? lower = tree.Below == Below.Known ? tree.FindLower(target) : null;
        if (tree.Below == Below.Unknown)
            throw new UnpackException(UnpackException.NeedsLower, $"'{entry.Shown}' links to what is not in the layer");
        if (lower is null || lower.IsFolder)
            throw Missing(entry);
        int parent = LinuxException.Check(Libc.fcntl(tree.Parent(target, Shown), Libc.F_DUPFD_CLOEXEC), "dup");
        CopyUp.To(lower, parent, name, tree, Tree.Join(target, target.Count));
        return parent;
    }

    static UnpackException Missing(TarEntry entry) =>
        new(UnpackException.LayerInvalid, $"'{entry.Shown}' links to '{System.Text.Encoding.UTF8.GetString(entry.LinkName)}', which is not there");

    static bool Same(int from, byte* target, int parent, byte* name) =>
        Libc.statx(from, target, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx one) == 0
        && Libc.statx(parent, name, Libc.AT_SYMLINK_NOFOLLOW, Libc.STATX_BASIC_STATS, out statx other) == 0
        && one.stx_ino == other.stx_ino;

    void MakeSpecial(int parent, byte[] name, TarEntry entry)
    {
        string Shown() => entry.Shown;
        fixed (byte* p = name)
        {
            for (int attempt = 0; Make(parent, p, entry) < 0; attempt++)
            {
                // No user namespace but the first one makes devices. Its containers have those that the host gives them.
                if (Libc.errno == Libc.EPERM && (entry.Kind is EntryKind.CharacterDevice or EntryKind.BlockDevice) && Rootless.Active)
                    return;
                if (Libc.errno != Libc.EEXIST || attempt == Attempts)
                    throw Tree.Failure(entry.Kind == EntryKind.SymbolicLink ? "symlink" : "mknod", Shown);
                tree.Remove(parent, name, Shown);
            }
            if (Libc.fchownat(parent, p, entry.Owner, entry.Group, Libc.AT_SYMLINK_NOFOLLOW) < 0)
                throw Tree.Failure("chown", Shown);
            SetAttributes(parent, name, entry);
            if (entry.Kind != EntryKind.SymbolicLink && Libc.fchmodat(parent, p, entry.Mode, 0) < 0)
                throw Tree.Failure("chmod", Shown);
            timespec* times = stackalloc timespec[2];
            times[0] = entry.Accessed;
            times[1] = entry.Changed;
            if (Libc.utimensat(parent, p, times, Libc.AT_SYMLINK_NOFOLLOW) < 0)
                throw Tree.Failure("utimensat", Shown);
        }
    }

    static int Make(int parent, byte* name, TarEntry entry)
    {
        if (entry.Kind == EntryKind.SymbolicLink)
        {
            byte[] target = [.. entry.LinkName, 0];
            fixed (byte* t = target)
                return Libc.symlinkat(t, parent, name);
        }
        int type = entry.Kind switch
        {
            EntryKind.CharacterDevice => Libc.S_IFCHR,
            EntryKind.BlockDevice => Libc.S_IFBLK,
            _ => Libc.S_IFIFO,
        };
        return Libc.mknodat(parent, name, (uint)type | 0x180, Libc.makedev(entry.Major, entry.Minor));
    }

    // Neither a link nor a device can be opened for this, so they are named through the open folder.
    void SetAttributes(int parent, byte[] name, TarEntry entry)
    {
        foreach ((byte[] attribute, byte[] value) in entry.Attributes)
        {
            byte[]? own = Kept(attribute);
            if (own is null)
                continue;
            byte[] path = [.. System.Text.Encoding.ASCII.GetBytes($"/proc/self/fd/{parent}/"), .. name];
            fixed (byte* p = path)
            fixed (byte* n = own)
            fixed (byte* v = value)
                if (Libc.lsetxattr(p, n, v, (nuint)value.Length, 0) < 0)
                    throw Tree.Failure("setxattr " + System.Text.Encoding.UTF8.GetString(attribute), () => entry.Shown);
        }
    }
}
