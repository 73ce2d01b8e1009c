using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>The state of a container (runtime.md, State): what <c>state</c> prints and hooks get.</summary>
[JsonConverter(typeof(SpecObjectConverter<OciState>))]
public sealed class OciState : SpecObject
{
    public string? OciVersion { get; set; }
    public string? Id { get; set; }
    /// <summary><c>creating</c>, <c>created</c>, <c>running</c> or <c>stopped</c>; runtimes add <c>paused</c>.</summary>
    public string? Status { get; set; }

    /// <summary>In the runtime's pid namespace; none when stopped.</summary>
    public int? Pid { get; set; }

    /// <summary>Absolute.</summary>
    public string? Bundle { get; set; }

    public Dictionary<string, string>? Annotations { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        OciVersion = f.Field("ociVersion"u8, OciVersion);
        Id = f.Field("id"u8, Id);
        Status = f.Field("status"u8, Status);
        Pid = f.Field("pid"u8, Pid);
        Bundle = f.Field("bundle"u8, Bundle);
        Annotations = f.Field("annotations"u8, Annotations);
    }
}

/// <summary>What goes to a seccomp listener together with the descriptors (config-linux.md, The Container Process State).</summary>
public sealed class ContainerProcessState : SpecObject
{
    public string? OciVersion { get; set; }
    /// <summary>Names for the descriptors that come along; <c>seccompFd</c> is one.</summary>
    public List<string>? Fds { get; set; }

    public int? Pid { get; set; }
    public string? Metadata { get; set; }
    public OciState? State { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        OciVersion = f.Field("ociVersion"u8, OciVersion);
        Fds = f.Field("fds"u8, Fds);
        Pid = f.Field("pid"u8, Pid);
        Metadata = f.Field("metadata"u8, Metadata);
        State = f.Field("state"u8, State);
    }
}
