using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Microsoft.Win32.SafeHandles;

namespace Containers;

/// <summary>
/// Who a program runs as, looked up in the container's own <c>/etc/passwd</c> and <c>/etc/group</c>. Those files are the image's: they
/// are opened without leaving the root filesystem, read up to a limit, and lines that make no sense are skipped.
/// </summary>
sealed class UserLookup
{
    const int LongestFile = 4 << 20;

    readonly string rootfs;
    readonly IReadOnlyList<string>? layers;
    List<string[]>? users;
    List<string[]>? groups;

    internal UserLookup(string rootfs) => this.rootfs = rootfs;

    /// <param name="name">What the layers are of, for messages.</param>
    /// <param name="layers">Layers of overlayfs that make the root filesystem, the topmost first; nothing is mounted.</param>
    internal UserLookup(string name, IReadOnlyList<string> layers)
    {
        rootfs = name;
        this.layers = layers;
    }

    internal sealed record Found(User User, string Home);

    /// <param name="text"><c>uid</c>, <c>uid:gid</c>, <c>name</c>, <c>name:group</c>; null is root.</param>
    /// <param name="groupAdd">Additional groups, by number or by name.</param>
    /// <exception cref="ContainerException"><c>UserNotFound</c>.</exception>
    internal Found Find(string? text, IReadOnlyList<string>? groupAdd)
    {
        var colon = text?.IndexOf(':') ?? -1;
        var userText = text is null ? "0" : colon < 0 ? text : text[..colon];
        var groupText = colon < 0 ? null : text![(colon + 1)..];
        if (userText.Length == 0) { userText = "0"; }

        // A name may be all digits: the file is asked first for a name, then the number counts.
        var line = Users.Find(u => u[0] == userText);
        uint uid;
        if (line is not null && TryNumber(line[2], out uid)) { }
        else if (TryNumber(userText, out uid)) { line = Users.Find(u => u[2] == userText); }
        else { throw Missing(userText, "user", "/etc/passwd"); }

        var gid = line is not null && TryNumber(line[3], out var primary) ? primary : 0;
        if (groupText is { Length: > 0 }) { gid = Group(groupText); }

        var additional = new List<uint>();
        // Groups that list the user count only when no group was named, as in docker.
        if (line is not null && groupText is null)
        {
            foreach (var group in Groups)
            {
                if (TryNumber(group[2], out var id) && id != gid && group[3].Split(',').Contains(line[0])) { AddOnce(additional, id); }
            }
        }
        foreach (var name in groupAdd ?? []) { AddOnce(additional, Group(name)); }

        var home = line is not null && line[5].StartsWith('/') ? line[5] : uid == 0 ? "/root" : "/";
        var user = new User { Uid = uid, Gid = gid, Umask = Defaults.Umask, AdditionalGids = additional.Count > 0 ? additional : null };
        return new Found(user, home);
    }

    /// <summary>The first name that a number has; null for none.</summary>
    internal string? NameOf(uint uid) => Users.Find(line => TryNumber(line[2], out var number) && number == uid)?[0];

    uint Group(string text)
    {
        var line = Groups.Find(g => g[0] == text);
        if (line is not null && TryNumber(line[2], out var id)) { return id; }
        return TryNumber(text, out id) ? id : throw Missing(text, "group", "/etc/group");
    }

    List<string[]> Users => users ??= Read("/etc/passwd", 7);
    List<string[]> Groups => groups ??= Read("/etc/group", 4);

    List<string[]> Read(string path, int fields)
    {
        var lines = new List<string[]>();
        foreach (var line in Encoding.UTF8.GetString(ReadInside(path)).Split('\n'))
        {
            var parts = line.TrimEnd('\r').Split(':');
            if (parts.Length >= fields && parts[0].Length > 0) { lines.Add(parts); }
        }
        return lines;
    }

    byte[] ReadInside(string path)
    {
        if (layers is not null)
        {
            using var merged = new LayeredFolder(layers);
            if (merged.Find(path, followLast: true) is not { } found || (found.Stat.stx_mode & Libc.S_IFMT) != Libc.S_IFREG) { return []; }
            using var inLayer = Open(found.Open(Libc.O_RDONLY | Libc.O_NONBLOCK | Libc.O_NOCTTY));
            return inLayer is null ? [] : Content(inLayer);
        }
        using var root = Open(Libc.open(rootfs, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC));
        if (root is null) { return []; }
        // O_NONBLOCK: a FIFO in the image's place must not hold us up.
        var how = new open_how { flags = (ulong)(Libc.O_RDONLY | Libc.O_CLOEXEC | Libc.O_NONBLOCK | Libc.O_NOCTTY), resolve = Libc.RESOLVE_IN_ROOT | Libc.RESOLVE_NO_MAGICLINKS };
        SafeFileHandle? file = null;
        for (var attempt = 0; attempt < 32; attempt++)
        {
            file = Open(Libc.openat2((int)root.DangerousGetHandle(), path, how));
            if (file is not null || Libc.errno != Libc.EAGAIN) { break; }
        }
        using (file)
        {
            return file is null ? [] : Content(file);
        }
    }

    static byte[] Content(SafeFileHandle file)
    {
        if (Libc.statx((int)file.DangerousGetHandle(), Libc.STATX_TYPE | Libc.STATX_SIZE, out var stat) != 0
            || (stat.stx_mode & 0xf000) != 0x8000 || stat.stx_size > LongestFile) { return []; }
        var content = new byte[stat.stx_size];
        var length = 0;
        while (length < content.Length)
        {
            var n = RandomAccess.Read(file, content.AsSpan(length), length);
            if (n == 0) { break; }
            length += n;
        }
        return content[..length];
    }

    static SafeFileHandle? Open(int fd) => fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);

    // The kernel keeps the highest id for "nobody asked".
    static bool TryNumber(string text, out uint number) =>
        uint.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out number) && number != uint.MaxValue;

    static void AddOnce(List<uint> list, uint id)
    {
        if (!list.Contains(id)) { list.Add(id); }
    }

    ContainerException Missing(string name, string what, string file) => new(ErrorIds.UserNotFound,
        $"There is no {what} '{name}' in '{file}' of the root filesystem '{rootfs}'. Give a number, or a name that is there.",
        name, ContainerErrorCategory.ObjectNotFound);
}
