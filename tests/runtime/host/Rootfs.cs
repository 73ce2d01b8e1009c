namespace Containers.Tests.Runtime;

/// <summary>
/// A root filesystem of busybox and links. Each test has its own, so that what a runtime makes in it can be seen; the program itself
/// is copied once for a run of the suite and hard-linked from there.
/// </summary>
static class Rootfs
{
    static readonly string[] Applets =
    [
        "awk", "basename", "cat", "chmod", "cut", "date", "dd", "df", "echo", "env", "false", "find", "grep", "head", "hostname", "id",
        "ip", "kill", "ln", "ls", "mkdir", "mknod", "mount", "nproc", "od", "printf", "ps", "pwd", "readlink", "realpath", "rm", "sed",
        "sh", "sleep", "sort", "stat", "stty", "tail", "test", "touch", "tr", "true", "tty", "umount", "uname", "wc", "whoami",
    ];

    static readonly Lazy<string> Program = new(CopyOnce);

    /// <summary>Makes <paramref name="path"/> and fills it. Readable by everyone: user namespaces look at it as another user.</summary>
    public static void Make(string path)
    {
        foreach (var folder in (string[])["bin", "dev", "etc", "proc", "sys", "tmp", "root", "work"])
            Directory.CreateDirectory(Path.Combine(path, folder));
        if (Native.link(Program.Value, Path.Combine(path, "bin/busybox")) != 0)
            throw Native.Failure("link busybox");
        foreach (var applet in Applets)
            File.CreateSymbolicLink(Path.Combine(path, "bin", applet), "busybox");
        File.WriteAllText(Path.Combine(path, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/work:/bin/sh\n");
        File.WriteAllText(Path.Combine(path, "etc/group"), "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n");
    }

    static string CopyOnce()
    {
        if (!File.Exists("/bin/busybox"))
            throw new FileNotFoundException("the runtime tests need a static /bin/busybox (Debian: busybox-static)");
        var folder = Directory.CreateTempSubdirectory("psrt-base-").FullName;
        File.SetUnixFileMode(folder, Permission.WorldSearchable);
        var copy = Path.Combine(folder, "busybox");
        File.Copy("/bin/busybox", copy);
        File.SetUnixFileMode(copy, Permission.Program);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return copy;
    }
}

static class Permission
{
    const UnixFileMode Owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>0711</summary>
    public const UnixFileMode WorldSearchable = Owner | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>0755</summary>
    public const UnixFileMode Program = WorldSearchable | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>0644</summary>
    public const UnixFileMode Plain = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
}
