using Containers.Linux;

namespace Psrun.Rootfs;

/// <summary>
/// A mount's options (runtime-spec config.md "Linux mount options"), sorted by what has to be done with them: attributes of the mount
/// (mount_setattr(2)), flags of the superblock, propagation, and the file system's own words.
/// </summary>
sealed class MountOptions
{
    public ulong Set, Clear;
    public ulong RecursiveSet, RecursiveClear;
    public bool Bind, Recursive;
    public bool IdMap, RecursiveIdMap;
    /// <summary>Nothing is mounted: what is there at the target is changed.</summary>
    public bool Remount;
    /// <summary>A tmpfs begins with what it covers.</summary>
    public bool CopyUp;
    public ulong Propagation;
    public bool RecursivePropagation;
    /// <summary>Of a bind mount: the part of the source that is mounted, looked up as if the source were the root. A word of util-linux's mount(8).</summary>
    public string? SubFolder;
    /// <summary>linux.mountLabel, for a new file system.</summary>
    public string? Label;
    public readonly List<string> SuperblockFlags = [];
    public readonly List<string> Data = [];

    public bool ReadOnly => (Set & Libc.MOUNT_ATTR_RDONLY) != 0;

    public static MountOptions Parse(string destination, IReadOnlyList<string>? options)
    {
        var parsed = new MountOptions();
        if (options != null)
            foreach (string option in options)
                parsed.Add(destination, option);
        return parsed;
    }

    /// <summary>Every option that is understood, for `features`; what is not among them goes to the file system.</summary>
    public static List<string> Names()
    {
        List<string> names = ["async", "bind", "defaults", "dirsync", "idmap", "lazytime", "loud", "mand", "nolazytime", "nomand", "private", "rbind", "remount", "ridmap", "rprivate", "rshared",
            "rslave", "runbindable", "shared", "silent", "slave", "sync", "tmpcopyup", "unbindable"];
        foreach (string name in (ReadOnlySpan<string>)["atime", "dev", "diratime", "exec", "noatime", "nodev", "nodiratime", "noexec", "norelatime", "nostrictatime", "nosuid",
            "nosymfollow", "relatime", "ro", "rw", "strictatime", "suid", "symfollow"])
        {
            names.Add(name);
            names.Add("r" + name);
        }
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    void Add(string destination, string option)
    {
        switch (option)
        {
            case "defaults" or "": return;
            case "bind": Bind = true; return;
            case "rbind": Bind = Recursive = true; return;
            case "ro": Attribute(Libc.MOUNT_ATTR_RDONLY, 0); SuperblockFlags.Add("ro"); return;
            case "rw": Attribute(0, Libc.MOUNT_ATTR_RDONLY); SuperblockFlags.Remove("ro"); return;
            case "sync" or "dirsync" or "mand" or "lazytime": SuperblockFlags.Add(option); return;
            case "async": SuperblockFlags.Remove("sync"); return;
            case "nomand": SuperblockFlags.Remove("mand"); return;
            case "nolazytime": SuperblockFlags.Remove("lazytime"); return;
            // What the kernel writes into its own log.
            case "silent" or "loud": return;
            case "iversion" or "noiversion":
                Log.Warning($"mounts: {destination}: option \"{option}\" is left out: file systems decide by themselves whether they count changes");
                return;
            case "private" or "rprivate": SetPropagation(Libc.MS_PRIVATE, option); return;
            case "shared" or "rshared": SetPropagation(Libc.MS_SHARED, option); return;
            case "slave" or "rslave": SetPropagation(Libc.MS_SLAVE, option); return;
            case "unbindable" or "runbindable": SetPropagation(Libc.MS_UNBINDABLE, option); return;
            case "idmap": IdMap = true; return;
            case "ridmap": IdMap = RecursiveIdMap = true; return;
            case "tmpcopyup": CopyUp = true; return;
            case "remount": Remount = true; return;
        }
        const string subFolder = "X-mount.subdir=";
        if (option.StartsWith(subFolder, StringComparison.Ordinal))
        {
            SubFolder = option.Length > subFolder.Length && !option.Contains('\0') ? option[subFolder.Length..] : throw new PsrunException($"mounts: {destination}: option \"{option}\" names nothing");
            return;
        }
        if (TryAttribute(option, out ulong set, out ulong clear))
        {
            Attribute(set, clear);
            return;
        }
        if (option.Length > 1 && option[0] == 'r' && TryAttribute(option[1..], out set, out clear))
        {
            RecursiveSet = RecursiveSet & ~clear | set;
            RecursiveClear = RecursiveClear & ~set | clear;
            return;
        }
        Data.Add(option);
    }

    void Attribute(ulong set, ulong clear)
    {
        Set = Set & ~clear | set;
        Clear = Clear & ~set | clear;
    }

    void SetPropagation(nint flag, string option)
    {
        Propagation = (ulong)flag;
        RecursivePropagation = option[0] == 'r';
    }

    static bool TryAttribute(string option, out ulong set, out ulong clear)
    {
        (set, clear) = option switch
        {
            "ro" => ((ulong)Libc.MOUNT_ATTR_RDONLY, 0ul),
            "rw" => (0ul, (ulong)Libc.MOUNT_ATTR_RDONLY),
            "nosuid" => ((ulong)Libc.MOUNT_ATTR_NOSUID, 0ul),
            "suid" => (0ul, (ulong)Libc.MOUNT_ATTR_NOSUID),
            "nodev" => ((ulong)Libc.MOUNT_ATTR_NODEV, 0ul),
            "dev" => (0ul, (ulong)Libc.MOUNT_ATTR_NODEV),
            "noexec" => ((ulong)Libc.MOUNT_ATTR_NOEXEC, 0ul),
            "exec" => (0ul, (ulong)Libc.MOUNT_ATTR_NOEXEC),
            "nosymfollow" => ((ulong)Libc.MOUNT_ATTR_NOSYMFOLLOW, 0ul),
            "symfollow" => (0ul, (ulong)Libc.MOUNT_ATTR_NOSYMFOLLOW),
            "nodiratime" => ((ulong)Libc.MOUNT_ATTR_NODIRATIME, 0ul),
            "diratime" => (0ul, (ulong)Libc.MOUNT_ATTR_NODIRATIME),
            // One field with three values: to set one, the field is cleared first.
            "noatime" => ((ulong)Libc.MOUNT_ATTR_NOATIME, (ulong)(Libc.MOUNT_ATTR__ATIME & ~Libc.MOUNT_ATTR_NOATIME)),
            "strictatime" or "norelatime" => ((ulong)Libc.MOUNT_ATTR_STRICTATIME, (ulong)(Libc.MOUNT_ATTR__ATIME & ~Libc.MOUNT_ATTR_STRICTATIME)),
            "relatime" or "atime" or "nostrictatime" => (0ul, (ulong)Libc.MOUNT_ATTR__ATIME),
            _ => (0ul, 0ul),
        };
        return (set | clear) != 0;
    }

    /// <summary>
    /// What mount_setattr(2) wants to clear: the kernel refuses a change of the access-time field whose whole mask is not among the cleared bits.
    /// </summary>
    public static ulong ClearFor(ulong set, ulong clear)
    {
        const ulong atime = Libc.MOUNT_ATTR__ATIME;
        return ((set | clear) & atime) != 0 ? clear | atime : clear;
    }
}
