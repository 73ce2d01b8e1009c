using System.Globalization;
using Containers.Linux;

namespace Psrun.Checkpoint;

/// <summary>What the command lines of checkpoint and restore have in common.</summary>
sealed class CheckpointOptions
{
    /// <summary>Where CRIU's images are; absolute.</summary>
    public required string ImagePath;
    /// <summary>Where its log and its statistics go; null for the images' folder.</summary>
    public string? WorkPath;
    /// <summary>Of an earlier --pre-dump, relative to <see cref="ImagePath"/>.</summary>
    public string? ParentPath;
    public bool LeaveRunning, PreDump, TcpEstablished, TcpSkipInFlight, LinkRemap, ExtUnixSk, ShellJob, FileLocks, AutoDedup, LazyPages;
    /// <summary>-1: nobody waits for the pages to be ready.</summary>
    public int StatusFd = -1;
    public (string Address, int Port)? PageServer;
    public CriuCgroupMode CgroupMode;
    public string? LsmProfile, LsmMountContext;

    public static CheckpointOptions Read(Options options)
    {
        var result = new CheckpointOptions
        {
            ImagePath = Path.GetFullPath(options.Value("image-path") is { Length: > 0 } image ? image : "checkpoint", Program.InvocationFolder),
            WorkPath = options.Value("work-path") is { Length: > 0 } work ? Path.GetFullPath(work, Program.InvocationFolder) : null,
            ParentPath = options.Value("parent-path") is { Length: > 0 } parent ? parent : null,
            LeaveRunning = options.Has("leave-running"),
            PreDump = options.Has("pre-dump"),
            TcpEstablished = options.Has("tcp-established"),
            TcpSkipInFlight = options.Has("tcp-skip-in-flight"),
            LinkRemap = options.Has("link-remap"),
            ExtUnixSk = options.Has("ext-unix-sk"),
            ShellJob = options.Has("shell-job"),
            FileLocks = options.Has("file-locks"),
            AutoDedup = options.Has("auto-dedup"),
            LazyPages = options.Has("lazy-pages"),
            CgroupMode = ReadCgroupMode(options.Value("manage-cgroups-mode")),
            LsmProfile = options.Value("lsm-profile") is { Length: > 0 } profile ? profile : null,
            LsmMountContext = options.Value("lsm-mount-context") is { Length: > 0 } context ? context : null,
        };
        if (options.Value("status-fd") is string status)
            result.StatusFd = ReadStatusFd(status, result.LazyPages);
        if (options.Value("page-server") is { Length: > 0 } server)
            result.PageServer = ReadPageServer(server);
        if (result.ParentPath?.StartsWith('/') == true)
            throw new PsrunException($"--parent-path: \"{result.ParentPath}\" is not relative to --image-path");
        if (result.LsmProfile?.IndexOf(':') is <= 0)
            throw new PsrunException($"--lsm-profile: \"{result.LsmProfile}\" is not TYPE:NAME");
        foreach (string one in options.Values("empty-ns"))
            // That one is always made empty: see CriuOptions.Write.
            if (one != "network")
                throw new PsrunException($"--empty-ns: \"{one}\" is not supported: network is");
        return result;
    }

    static CriuCgroupMode ReadCgroupMode(string? mode) => mode switch
    {
        null or "" => CriuCgroupMode.Default,
        "soft" => CriuCgroupMode.Soft,
        "full" => CriuCgroupMode.Full,
        "strict" => CriuCgroupMode.Strict,
        "ignore" => CriuCgroupMode.Ignore,
        _ => throw new PsrunException($"--manage-cgroups-mode: \"{mode}\" is none of soft, full, strict, ignore"),
    };

    static int ReadStatusFd(string text, bool lazyPages)
    {
        if (!int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int fd))
            throw new PsrunException($"--status-fd: \"{text}\" is not a number");
        if (fd < 0)
            return -1;
        if (!lazyPages)
            throw new PsrunException("--status-fd: tells that the pages are ready, and needs --lazy-pages");
        int flags = Libc.fcntl(fd, Libc.F_GETFL);
        // None that came from the caller closes on exec: such a one is psrun's own.
        if (flags < 0 || Libc.fcntl(fd, Libc.F_GETFD) != 0)
            throw new PsrunException($"--status-fd: {fd} is no open descriptor");
        return (flags & Libc.O_ACCMODE) != Libc.O_RDONLY ? fd : throw new PsrunException($"--status-fd: {fd} is not open for writing");
    }

    static (string, int) ReadPageServer(string text)
    {
        int colon = text.LastIndexOf(':');
        string address = colon < 0 ? "" : text[..colon];
        if (address is ['[', .., ']'])
            address = address[1..^1];
        else if (address.Contains(':'))
            address = "";
        return address.Length > 0 && int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port is > 0 and < 65536
            ? (address, port)
            : throw new PsrunException($"--page-server: \"{text}\" is not ADDRESS:PORT");
    }

    /// <summary>CRIU's options that are the same for a dump and a restore.</summary>
    public CriuOptions ToCriu(string logFile, string root, int imagesFolder, int workFolder, Dictionary<string, string>? annotations) => new()
    {
        ImagesFolder = imagesFolder,
        WorkFolder = workFolder,
        LogFile = logFile,
        Root = root,
        TcpEstablished = TcpEstablished,
        ExtUnixSk = ExtUnixSk,
        ShellJob = ShellJob,
        FileLocks = FileLocks,
        AutoDedup = AutoDedup,
        LazyPages = LazyPages,
        CgroupMode = CgroupMode,
        ConfigFile = ConfigFile(annotations),
    };

    /// <summary>A file of the administrator's for CRIU's further options, which it may lack: the annotation's, none when that is empty; else ours, else runc's.</summary>
    static string? ConfigFile(Dictionary<string, string>? annotations)
    {
        const string ours = "/etc/criu/psrun.conf";
        if (annotations?.TryGetValue("org.criu.config", out string? named) == true)
            return named.Length > 0 ? named : null;
        return File.Exists(ours) ? ours : "/etc/criu/runc.conf";
    }

    /// <summary>Where the log is.</summary>
    public string LogPath(string name) => $"{WorkPath ?? ImagePath}/{name}";

    /// <summary>A descriptor of a folder for CRIU's files, which hold the memory of programs: made with mode 0700 where it is missing.</summary>
    public static int OpenFolder(string path, string option, bool make, out bool made)
    {
        made = false;
        for (int at = 0; make && at >= 0;)
        {
            at = path.IndexOf('/', at + 1);
            made = Libc.mkdir(at < 0 ? path : path[..at], 0x1C0) == 0;
            if (!made && Libc.errno is not (Libc.EEXIST or Libc.EROFS))
                throw new PsrunException($"{option}: {path}: {Errnos.Text(Libc.errno)}");
        }
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        return fd >= 0 ? fd : throw new PsrunException($"{option}: {path}: {Errnos.Text(Libc.errno)}");
    }
}
