using System.Globalization;
using System.Text;
using System.Text.Json;
using Containers.Linux;

namespace Psrun.Checkpoint;

/// <summary>
/// The container's standard streams, which lead out of it: noted at a dump (<c>descriptors.json</c> in the images' folder, runc's format), replaced by psrun's own at a restore.
/// </summary>
static unsafe class StandardFiles
{
    const string Name = "descriptors.json";

    /// <summary>What CRIU calls each of the three: a pipe, or a file that is in none of the container's mounts. Others keep the path by which they are known, and are not replaced.</summary>
    public static string[] Of(int pid)
    {
        if (!MountInfo.TryRead(pid, out List<MountInfo> table))
            throw new PsrunException("the container has stopped");
        var names = new string[3];
        for (int fd = 0; fd < names.Length; fd++)
        {
            string path = $"/proc/{pid}/fd/{fd}";
            string link = Link(path);
            names[fd] = link.StartsWith('/') && ExternalFile(pid, fd, path, table) is string external ? external : link;
        }
        return names;
    }

    /// <summary>CRIU's <c>file[MOUNT:INODE]</c>, for what it dumps as a file: regular ones, named pipes, and /dev/null and its like. A terminal is none.</summary>
    static string? ExternalFile(int pid, int fd, string path, List<MountInfo> table)
    {
        if (Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_TYPE | Libc.STATX_INO, out statx stat) < 0)
            return null;
        nint type = stat.stx_mode & Libc.S_IFMT;
        if (type != Libc.S_IFREG && type != Libc.S_IFIFO && !(type == Libc.S_IFCHR && stat.stx_rdev_major == 1))
            return null;
        foreach (string line in (Shim.Files.ReadText($"/proc/{pid}/fdinfo/{fd}") ?? "").Split('\n'))
            if (line.StartsWith("mnt_id:", StringComparison.Ordinal) && int.TryParse(line.AsSpan(7), NumberStyles.AllowLeadingWhite, CultureInfo.InvariantCulture, out int mount))
                return table.Exists(m => m.Id == mount) ? null : $"file[{mount:x}:{stat.stx_ino:x}]";
        return null;
    }

    static string Link(string path)
    {
        byte* buffer = stackalloc byte[4096];
        nint length = Libc.readlinkat(Libc.AT_FDCWD, path, buffer, 4096);
        return length > 0 ? Encoding.UTF8.GetString(buffer, (int)length) : "";
    }

    public static bool IsFile(string name) => name.StartsWith("file[", StringComparison.Ordinal);

    public static void Write(int images, string[] names)
    {
        byte[] text = Verbs.StateVerb.Json(json =>
        {
            json.WriteStartArray();
            foreach (string name in names)
                json.WriteStringValue(name);
            json.WriteEndArray();
        }, indented: false);
        int fd = Libc.openat(images, Name, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0x180);
        nint written = -1;
        if (fd >= 0)
        {
            fixed (byte* p = text)
                written = Libc.write(fd, p, (nuint)text.Length);
            Libc.close(fd);
        }
        if (written != text.Length)
            throw new PsrunException($"--image-path: {Name}: {Errnos.Text(fd < 0 || written < 0 ? Libc.errno : Libc.ENOSPC)}");
    }

    /// <summary>psrun's streams under the names of the dumped ones.</summary>
    public static List<(string Key, int Descriptor)> ReadInherited(int images)
    {
        int fd = Libc.openat(images, Name, Libc.O_RDONLY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0)
            throw new PsrunException($"--image-path: {Name}: {Errnos.Text(Libc.errno)}");
        byte[] text = State.StateFolder.ReadAll(fd, 1 << 16, Name);
        Libc.close(fd);
        var inherited = new List<(string Key, int Descriptor)>();
        try
        {
            var reader = new Utf8JsonReader(text);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            int number = 0;
            foreach (JsonElement element in document.RootElement.EnumerateArray())
            {
                string name = element.GetString() ?? "";
                if (number < 3 && (name.StartsWith("pipe:[", StringComparison.Ordinal) || IsFile(name)) && !inherited.Exists(i => i.Key == name))
                    inherited.Add((name, number));
                number++;
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new PsrunException($"--image-path: {Name}: {e.Message}");
        }
        return inherited;
    }
}
