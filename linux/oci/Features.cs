using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>What a runtime can do (features.md). In all of it, <c>null</c> means "not told", not "no".</summary>
[JsonConverter(typeof(SpecObjectConverter<Features>))]
public sealed class Features : SpecObject
{
    /// <summary>The oldest version of the specification that is understood.</summary>
    public string? OciVersionMin { get; set; }

    public string? OciVersionMax { get; set; }
    public List<string>? Hooks { get; set; }
    public List<string>? MountOptions { get; set; }
    public LinuxFeatures? Linux { get; set; }
    public Dictionary<string, string>? Annotations { get; set; }
    /// <summary>Annotations of a config that change what the runtime does; a closing dot means a prefix.</summary>
    public List<string>? PotentiallyUnsafeConfigAnnotations { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        OciVersionMin = f.Field("ociVersionMin"u8, OciVersionMin);
        OciVersionMax = f.Field("ociVersionMax"u8, OciVersionMax);
        Hooks = f.Field("hooks"u8, Hooks);
        MountOptions = f.Field("mountOptions"u8, MountOptions);
        Linux = f.Field("linux"u8, Linux);
        Annotations = f.Field("annotations"u8, Annotations);
        PotentiallyUnsafeConfigAnnotations = f.Field("potentiallyUnsafeConfigAnnotations"u8, PotentiallyUnsafeConfigAnnotations);
    }
}

/// <summary>What a runtime can do on Linux (features-linux.md).</summary>
public sealed class LinuxFeatures : SpecObject
{
    public List<string>? Namespaces { get; set; }
    public List<string>? Capabilities { get; set; }
    public CgroupFeatures? Cgroup { get; set; }
    public SeccompFeatures? Seccomp { get; set; }
    public ToggleFeature? Apparmor { get; set; }
    public ToggleFeature? Selinux { get; set; }
    public IntelRdtFeatures? IntelRdt { get; set; }
    public MemoryPolicyFeatures? MemoryPolicy { get; set; }
    public MountExtensionFeatures? MountExtensions { get; set; }
    public ToggleFeature? NetDevices { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Namespaces = f.Field("namespaces"u8, Namespaces);
        Capabilities = f.Field("capabilities"u8, Capabilities);
        Cgroup = f.Field("cgroup"u8, Cgroup);
        Seccomp = f.Field("seccomp"u8, Seccomp);
        Apparmor = f.Field("apparmor"u8, Apparmor);
        Selinux = f.Field("selinux"u8, Selinux);
        IntelRdt = f.Field("intelRdt"u8, IntelRdt);
        MemoryPolicy = f.Field("memoryPolicy"u8, MemoryPolicy);
        MountExtensions = f.Field("mountExtensions"u8, MountExtensions);
        NetDevices = f.Field("netDevices"u8, NetDevices);
    }
}

/// <summary>Which cgroups are understood.</summary>
public sealed class CgroupFeatures : SpecObject
{
    public bool? V1 { get; set; }
    public bool? V2 { get; set; }
    public bool? Systemd { get; set; }
    public bool? SystemdUser { get; set; }
    public bool? Rdma { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        V1 = f.Field("v1"u8, V1);
        V2 = f.Field("v2"u8, V2);
        Systemd = f.Field("systemd"u8, Systemd);
        SystemdUser = f.Field("systemdUser"u8, SystemdUser);
        Rdma = f.Field("rdma"u8, Rdma);
    }
}

/// <summary>Which parts of seccomp are understood.</summary>
public sealed class SeccompFeatures : SpecObject
{
    public bool? Enabled { get; set; }
    public List<string>? Actions { get; set; }
    public List<string>? Operators { get; set; }
    public List<string>? Archs { get; set; }
    public List<string>? KnownFlags { get; set; }
    public List<string>? SupportedFlags { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Enabled = f.Field("enabled"u8, Enabled);
        Actions = f.Field("actions"u8, Actions);
        Operators = f.Field("operators"u8, Operators);
        Archs = f.Field("archs"u8, Archs);
        KnownFlags = f.Field("knownFlags"u8, KnownFlags);
        SupportedFlags = f.Field("supportedFlags"u8, SupportedFlags);
    }
}

/// <summary>Whether something was built in, whether or not this host has it.</summary>
public sealed class ToggleFeature : SpecObject
{
    public bool? Enabled { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Enabled = f.Field("enabled"u8, Enabled);
    }
}

/// <summary>Which parts of resctrl are understood.</summary>
public sealed class IntelRdtFeatures : SpecObject
{
    public bool? Enabled { get; set; }
    public bool? Schemata { get; set; }
    public bool? Monitoring { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Enabled = f.Field("enabled"u8, Enabled);
        Schemata = f.Field("schemata"u8, Schemata);
        Monitoring = f.Field("monitoring"u8, Monitoring);
    }
}

/// <summary>Which memory policies are understood.</summary>
public sealed class MemoryPolicyFeatures : SpecObject
{
    public List<string>? Modes { get; set; }
    public List<string>? Flags { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Modes = f.Field("modes"u8, Modes);
        Flags = f.Field("flags"u8, Flags);
    }
}

/// <summary>Mounts beyond mount(2).</summary>
public sealed class MountExtensionFeatures : SpecObject
{
    public ToggleFeature? IdMap { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        IdMap = f.Field("idmap"u8, IdMap);
    }
}
