namespace Containers.Linux.Oci;

/// <summary>What only Linux has (config-linux.md).</summary>
public sealed class LinuxConfig : SpecObject
{
    /// <summary>For the user namespace, as are the group ids below.</summary>
    public List<LinuxIdMapping>? UidMappings { get; set; }

    public List<LinuxIdMapping>? GidMappings { get; set; }
    /// <summary>Kernel parameters by their dotted names.</summary>
    public Dictionary<string, string>? Sysctl { get; set; }

    public LinuxResources? Resources { get; set; }
    /// <summary>Absolute: below the root of the hierarchies; relative: below a place of the runtime's choice.</summary>
    public string? CgroupsPath { get; set; }

    /// <summary>New where no path is given; a type that is not listed is shared with the runtime.</summary>
    public List<OciNamespace>? Namespaces { get; set; }

    public List<LinuxDevice>? Devices { get; set; }
    /// <summary>Network interfaces of the host, by name, that move into the container.</summary>
    public Dictionary<string, LinuxNetDevice>? NetDevices { get; set; }

    public LinuxSeccomp? Seccomp { get; set; }
    /// <summary><c>shared</c>, <c>slave</c>, <c>private</c> or <c>unbindable</c>, or their recursive kinds.</summary>
    public string? RootfsPropagation { get; set; }

    /// <summary>Cannot be read inside the container.</summary>
    public List<string>? MaskedPaths { get; set; }

    public List<string>? ReadonlyPaths { get; set; }
    /// <summary>The SELinux context of the mounts.</summary>
    public string? MountLabel { get; set; }

    public LinuxIntelRdt? IntelRdt { get; set; }
    public LinuxMemoryPolicy? MemoryPolicy { get; set; }
    public LinuxPersonality? Personality { get; set; }
    /// <summary>For a new time namespace: by clock, <c>monotonic</c> or <c>boottime</c>.</summary>
    public Dictionary<string, LinuxTimeOffset>? TimeOffsets { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        UidMappings = f.Field("uidMappings"u8, UidMappings);
        GidMappings = f.Field("gidMappings"u8, GidMappings);
        Sysctl = f.Field("sysctl"u8, Sysctl);
        Resources = f.Field("resources"u8, Resources);
        CgroupsPath = f.Field("cgroupsPath"u8, CgroupsPath);
        Namespaces = f.Field("namespaces"u8, Namespaces);
        Devices = f.Field("devices"u8, Devices);
        NetDevices = f.Field("netDevices"u8, NetDevices);
        Seccomp = f.Field("seccomp"u8, Seccomp);
        RootfsPropagation = f.Field("rootfsPropagation"u8, RootfsPropagation);
        MaskedPaths = f.Field("maskedPaths"u8, MaskedPaths);
        ReadonlyPaths = f.Field("readonlyPaths"u8, ReadonlyPaths);
        MountLabel = f.Field("mountLabel"u8, MountLabel);
        IntelRdt = f.Field("intelRdt"u8, IntelRdt);
        MemoryPolicy = f.Field("memoryPolicy"u8, MemoryPolicy);
        Personality = f.Field("personality"u8, Personality);
        TimeOffsets = f.Field("timeOffsets"u8, TimeOffsets);
    }
}

/// <summary>One namespace to make or, with a path, to join.</summary>
public sealed class OciNamespace : SpecObject
{
    /// <summary><c>pid</c>, <c>network</c>, <c>mount</c>, <c>ipc</c>, <c>uts</c>, <c>user</c>, <c>cgroup</c> or <c>time</c>.</summary>
    public string? Type { get; set; }

    /// <summary>Absolute, in the runtime's mount namespace.</summary>
    public string? Path { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Type = f.Field("type"u8, Type);
        Path = f.Field("path"u8, Path);
    }
}

/// <summary>A range of ids, as a line of <c>uid_map</c> (user_namespaces(7)).</summary>
public sealed class LinuxIdMapping : SpecObject
{
    public uint? ContainerId { get; set; }
    public uint? HostId { get; set; }
    public uint? Size { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        ContainerId = f.Field("containerID"u8, ContainerId);
        HostId = f.Field("hostID"u8, HostId);
        Size = f.Field("size"u8, Size);
    }
}

/// <summary>What is added to a clock inside a time namespace.</summary>
public sealed class LinuxTimeOffset : SpecObject
{
    public long? Secs { get; set; }
    public uint? Nanosecs { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Secs = f.Field("secs"u8, Secs);
        Nanosecs = f.Field("nanosecs"u8, Nanosecs);
    }
}

/// <summary>A device node to make.</summary>
public sealed class LinuxDevice : SpecObject
{
    /// <summary>Absolute, inside the container.</summary>
    public string? Path { get; set; }

    /// <summary><c>c</c>, <c>b</c>, <c>u</c> (as <c>c</c>) or <c>p</c>.</summary>
    public string? Type { get; set; }

    public long? Major { get; set; }
    public long? Minor { get; set; }
    /// <summary>Permission bits, as a number (438 is 0666).</summary>
    public uint? FileMode { get; set; }

    public uint? Uid { get; set; }
    public uint? Gid { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Path = f.Field("path"u8, Path);
        Type = f.Field("type"u8, Type);
        Major = f.Field("major"u8, Major);
        Minor = f.Field("minor"u8, Minor);
        FileMode = f.Field("fileMode"u8, FileMode);
        Uid = f.Field("uid"u8, Uid);
        Gid = f.Field("gid"u8, Gid);
    }
}

/// <summary>A network interface that moves into the container.</summary>
public sealed class LinuxNetDevice : SpecObject
{
    /// <summary>Its name there; none keeps the one it has.</summary>
    public string? Name { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Name = f.Field("name"u8, Name);
    }
}

/// <summary>Cache and memory bandwidth by resctrl.</summary>
public sealed class LinuxIntelRdt : SpecObject
{
    /// <summary>The name of the resctrl group.</summary>
    public string? ClosId { get; set; }

    public List<string>? Schemata { get; set; }
    public string? L3CacheSchema { get; set; }
    public string? MemBwSchema { get; set; }
    public bool? EnableMonitoring { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        ClosId = f.Field("closID"u8, ClosId);
        Schemata = f.Field("schemata"u8, Schemata);
        L3CacheSchema = f.Field("l3CacheSchema"u8, L3CacheSchema);
        MemBwSchema = f.Field("memBwSchema"u8, MemBwSchema);
        EnableMonitoring = f.Field("enableMonitoring"u8, EnableMonitoring);
    }
}

/// <summary>What set_mempolicy(2) is called with.</summary>
public sealed class LinuxMemoryPolicy : SpecObject
{
    /// <summary>Such as <c>MPOL_INTERLEAVE</c>.</summary>
    public string? Mode { get; set; }

    /// <summary>A list such as <c>0-3,7</c>.</summary>
    public string? Nodes { get; set; }

    /// <summary>Such as <c>MPOL_F_STATIC_NODES</c>.</summary>
    public List<string>? Flags { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Mode = f.Field("mode"u8, Mode);
        Nodes = f.Field("nodes"u8, Nodes);
        Flags = f.Field("flags"u8, Flags);
    }
}

/// <summary>What personality(2) is called with.</summary>
public sealed class LinuxPersonality : SpecObject
{
    /// <summary><c>LINUX</c> or <c>LINUX32</c>.</summary>
    public string? Domain { get; set; }

    public List<string>? Flags { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Domain = f.Field("domain"u8, Domain);
        Flags = f.Field("flags"u8, Flags);
    }
}
