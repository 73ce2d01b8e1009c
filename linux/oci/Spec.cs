using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>A container: the whole of a <c>config.json</c> (config.md).</summary>
[JsonConverter(typeof(SpecObjectConverter<Spec>))]
public sealed class Spec : SpecObject
{
    /// <summary>The version of the specification that the document follows, as SemVer.</summary>
    public string? OciVersion { get; set; }

    public Process? Process { get; set; }
    public Root? Root { get; set; }
    public string? Hostname { get; set; }
    /// <summary>The NIS domain name of the UTS namespace.</summary>
    public string? Domainname { get; set; }

    /// <summary>Mounted over the root, in this order.</summary>
    public List<Mount>? Mounts { get; set; }

    public Hooks? Hooks { get; set; }
    public Dictionary<string, string>? Annotations { get; set; }
    public LinuxConfig? Linux { get; set; }
    /// <summary>Kept as it is, like the other systems' sections below: none of them means anything on Linux.</summary>
    public JsonElement? Solaris { get; set; }

    public JsonElement? Windows { get; set; }
    public JsonElement? Vm { get; set; }
    public JsonElement? Zos { get; set; }
    public JsonElement? FreeBsd { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        OciVersion = f.Field("ociVersion"u8, OciVersion);
        Process = f.Field("process"u8, Process);
        Root = f.Field("root"u8, Root);
        Hostname = f.Field("hostname"u8, Hostname);
        Domainname = f.Field("domainname"u8, Domainname);
        Mounts = f.Field("mounts"u8, Mounts);
        Hooks = f.Field("hooks"u8, Hooks);
        Annotations = f.Field("annotations"u8, Annotations);
        Linux = f.Field("linux"u8, Linux);
        Solaris = f.Field("solaris"u8, Solaris);
        Windows = f.Field("windows"u8, Windows);
        Vm = f.Field("vm"u8, Vm);
        Zos = f.Field("zos"u8, Zos);
        FreeBsd = f.Field("freebsd"u8, FreeBsd);
    }
}

/// <summary>The container's root filesystem (config.md, Root).</summary>
public sealed class Root : SpecObject
{
    /// <summary>Absolute, or relative to the bundle.</summary>
    public string? Path { get; set; }

    public bool? Readonly { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Path = f.Field("path"u8, Path);
        Readonly = f.Field("readonly"u8, Readonly);
    }
}

/// <summary>One mount (config.md, Mounts; config-linux.md).</summary>
[JsonConverter(typeof(SpecObjectConverter<Mount>))]
public sealed class Mount : SpecObject
{
    /// <summary>Where it appears, as an absolute path inside the container.</summary>
    public string? Destination { get; set; }

    public string? Type { get; set; }
    /// <summary>A device, a name, or for bind mounts a path, absolute or relative to the bundle.</summary>
    public string? Source { get; set; }

    public List<string>? Options { get; set; }
    /// <summary>Maps the owners of the files for this mount alone (an idmapped mount).</summary>
    public List<LinuxIdMapping>? UidMappings { get; set; }

    public List<LinuxIdMapping>? GidMappings { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Destination = f.Field("destination"u8, Destination);
        Type = f.Field("type"u8, Type);
        Source = f.Field("source"u8, Source);
        Options = f.Field("options"u8, Options);
        UidMappings = f.Field("uidMappings"u8, UidMappings);
        GidMappings = f.Field("gidMappings"u8, GidMappings);
    }
}

/// <summary>Programs that the runtime starts at points of the life cycle (config.md, POSIX-platform Hooks).</summary>
[JsonConverter(typeof(SpecObjectConverter<Hooks>))]
public sealed class Hooks : SpecObject
{
    /// <summary>Deprecated by the specification, still honoured; runs before <see cref="CreateRuntime"/>, in the runtime's namespaces.</summary>
    public List<Hook>? Prestart { get; set; }

    /// <summary>In the runtime's namespaces, after the container's were made and before pivot_root.</summary>
    public List<Hook>? CreateRuntime { get; set; }

    /// <summary>In the container's namespaces, before pivot_root.</summary>
    public List<Hook>? CreateContainer { get; set; }

    /// <summary>In the container, as part of start, before the program.</summary>
    public List<Hook>? StartContainer { get; set; }

    /// <summary>In the runtime's namespaces, after the program was started.</summary>
    public List<Hook>? Poststart { get; set; }

    /// <summary>In the runtime's namespaces, after the container was deleted.</summary>
    public List<Hook>? Poststop { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Prestart = f.Field("prestart"u8, Prestart);
        CreateRuntime = f.Field("createRuntime"u8, CreateRuntime);
        CreateContainer = f.Field("createContainer"u8, CreateContainer);
        StartContainer = f.Field("startContainer"u8, StartContainer);
        Poststart = f.Field("poststart"u8, Poststart);
        Poststop = f.Field("poststop"u8, Poststop);
    }
}

/// <summary>One program of <see cref="Hooks"/>; it gets the container's state on standard input.</summary>
public sealed class Hook : SpecObject
{
    /// <summary>Absolute.</summary>
    public string? Path { get; set; }

    /// <summary>Its arguments, the first being its own name, as execv takes them.</summary>
    public List<string>? Args { get; set; }

    public List<string>? Env { get; set; }
    /// <summary>Seconds until it is given up, above 0.</summary>
    public int? Timeout { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Path = f.Field("path"u8, Path);
        Args = f.Field("args"u8, Args);
        Env = f.Field("env"u8, Env);
        Timeout = f.Field("timeout"u8, Timeout);
    }
}
