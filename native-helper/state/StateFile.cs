using System.Buffers;
using System.Text.Json;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.State;

/// <summary>The flags of seccomp(2), and where the listener's descriptor goes.</summary>
readonly record struct KeptFilter(uint Flags, string? ListenerPath, string? Metadata);

/// <summary>
/// What psrun remembers of a container between its verbs: <c>&lt;root&gt;/&lt;id&gt;/state.json</c>, replaced atomically. Whether the container runs is never taken from
/// here alone: the init's pid counts only together with its start time.
/// </summary>
sealed class StateFile
{
    public const string Creating = "creating", Created = "created", Running = "running", Paused = "paused", Stopped = "stopped";

    public required string Id { get; init; }
    public required string Bundle { get; init; }
    public required string Rootfs { get; init; }
    public string OciVersion { get; init; } = "1.3.0";
    public DateTimeOffset CreatedAt { get; init; } = DateTimeOffset.UtcNow;
    public uint Owner { get; init; }
    public int Pid { get; set; }
    public ulong PidStartTime { get; set; }
    public bool Complete { get; set; }
    public string? CgroupPath { get; set; }
    /// <summary>Set where systemd keeps the group.</summary>
    public Psrun.Systemd.KeptUnit? Unit { get; set; }
    public Dictionary<string, string>? Annotations { get; set; }
    public Hooks? Hooks { get; set; }
    /// <summary>linux.intelRdt: where every exec process belongs, too.</summary>
    public Containers.Linux.Resctrl.ResctrlGroup? IntelRdt { get; set; }
    /// <summary>linux.memoryPolicy, which every exec process needs again.</summary>
    public LinuxMemoryPolicy? MemoryPolicy { get; set; }
    /// <summary>linux.personality, likewise.</summary>
    public LinuxPersonality? Personality { get; set; }
    /// <summary>The container has the session keyring of its creator (create --no-new-keyring), and so has what joins it.</summary>
    public bool SharesKeyring { get; set; }
    /// <summary>How the filter beside this file is installed; null without one.</summary>
    public KeptFilter? Seccomp { get; set; }

    public byte[] Write()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("ociVersion", OciVersion);
            json.WriteString("id", Id);
            json.WriteNumber("pid", Pid);
            json.WriteNumber("pidStartTime", PidStartTime);
            json.WriteBoolean("complete", Complete);
            json.WriteString("bundle", Bundle);
            json.WriteString("rootfs", Rootfs);
            json.WriteString("created", CreatedAt);
            json.WriteNumber("owner", Owner);
            if (CgroupPath != null)
                json.WriteString("cgroupPath", CgroupPath);
            if (Unit is { } unit)
            {
                json.WriteStartObject("systemd");
                json.WriteString("unit", unit.Name);
                json.WriteBoolean("user", unit.User);
                json.WriteEndObject();
            }
            WriteAnnotations(json, Annotations);
            if (Seccomp is { } seccomp)
            {
                json.WriteStartObject("seccomp");
                json.WriteNumber("flags", seccomp.Flags);
                if (seccomp.ListenerPath != null)
                    json.WriteString("listenerPath", seccomp.ListenerPath);
                if (seccomp.Metadata != null)
                    json.WriteString("listenerMetadata", seccomp.Metadata);
                json.WriteEndObject();
            }
            if (IntelRdt is { } rdt)
            {
                json.WriteStartObject("intelRdt");
                json.WriteString("class", rdt.Class);
                if (rdt.Monitor != null)
                    json.WriteString("monitor", rdt.Monitor);
                json.WriteEndObject();
            }
            if (Hooks != null)
            {
                json.WritePropertyName("hooks");
                OciJson.Write(json, Hooks);
            }
            if (MemoryPolicy != null)
            {
                json.WritePropertyName("memoryPolicy");
                OciJson.Write(json, MemoryPolicy);
            }
            if (Personality != null)
            {
                json.WritePropertyName("personality");
                OciJson.Write(json, Personality);
            }
            if (SharesKeyring)
                json.WriteBoolean("sharesKeyring", true);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    public static StateFile Read(ReadOnlySpan<byte> bytes)
    {
        try
        {
            var reader = new Utf8JsonReader(bytes);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            JsonElement o = document.RootElement;
            return new StateFile
            {
                Id = Text(o.GetProperty("id")),
                Bundle = Text(o.GetProperty("bundle")),
                Rootfs = Text(o.GetProperty("rootfs")),
                OciVersion = Text(o.GetProperty("ociVersion")),
                CreatedAt = o.GetProperty("created").GetDateTimeOffset(),
                Owner = o.GetProperty("owner").GetUInt32(),
                Pid = o.GetProperty("pid").GetInt32(),
                PidStartTime = o.GetProperty("pidStartTime").GetUInt64(),
                Complete = o.GetProperty("complete").GetBoolean(),
                CgroupPath = o.TryGetProperty("cgroupPath", out JsonElement cgroup) ? Containers.Linux.Cgroups.CgroupPath.Normalize(Text(cgroup)) : null,
                Annotations = o.TryGetProperty("annotations", out JsonElement annotations) ? ReadAnnotations(annotations) : null,
                Hooks = o.TryGetProperty("hooks", out JsonElement hooks) ? OciJson.Read<Hooks>(System.Text.Encoding.UTF8.GetBytes(hooks.GetRawText()), "hooks") : null,
                MemoryPolicy = o.TryGetProperty("memoryPolicy", out JsonElement policy) ? OciJson.Read<LinuxMemoryPolicy>(System.Text.Encoding.UTF8.GetBytes(policy.GetRawText()), "memoryPolicy") : null,
                Personality = o.TryGetProperty("personality", out JsonElement personality)
                    ? OciJson.Read<LinuxPersonality>(System.Text.Encoding.UTF8.GetBytes(personality.GetRawText()), "personality")
                    : null,
                SharesKeyring = o.TryGetProperty("sharesKeyring", out JsonElement shares) && shares.GetBoolean(),
                Unit = o.TryGetProperty("systemd", out JsonElement systemd)
                    ? new Psrun.Systemd.KeptUnit(Text(systemd.GetProperty("unit")), systemd.GetProperty("user").GetBoolean())
                    : null,
                IntelRdt = o.TryGetProperty("intelRdt", out JsonElement rdt)
                    ? new(Text(rdt.GetProperty("class")), rdt.TryGetProperty("monitor", out JsonElement monitor) ? Text(monitor) : null)
                    : null,
                Seccomp = o.TryGetProperty("seccomp", out JsonElement seccomp) ? ReadFilter(seccomp) : null,
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or SpecException or Containers.Linux.Cgroups.CgroupException)
        {
            throw new PsrunException("state.json is not readable: " + e.Message);
        }
    }

    // What is no string of ours becomes no path for the kernel either.
    static string Text(JsonElement element) => element.GetString() is { } text && !text.Contains('\0') ? text : throw new FormatException("a member is null or holds a NUL");

    static KeptFilter ReadFilter(JsonElement element) => new(element.GetProperty("flags").GetUInt32(),
        element.TryGetProperty("listenerPath", out JsonElement path) ? Text(path) : null,
        element.TryGetProperty("listenerMetadata", out JsonElement metadata) ? Text(metadata) : null);

    static Dictionary<string, string> ReadAnnotations(JsonElement element)
    {
        var annotations = new Dictionary<string, string>();
        foreach (JsonProperty property in element.EnumerateObject())
            annotations[property.Name] = property.Value.GetString() ?? "";
        return annotations;
    }

    static void WriteAnnotations(Utf8JsonWriter json, Dictionary<string, string>? annotations)
    {
        if (annotations is not { Count: > 0 })
            return;
        json.WriteStartObject("annotations");
        foreach ((string key, string value) in annotations)
            json.WriteString(key, value);
        json.WriteEndObject();
    }

    /// <summary>The state as runtime.md "State" words it, with runc's further members; also the hooks' standard input.</summary>
    public void WritePublic(Utf8JsonWriter json, string status, bool forHook) => WritePublic(json, status, forHook, Pid);

    void WritePublic(Utf8JsonWriter json, string status, bool forHook, int pid)
    {
        json.WriteStartObject();
        json.WriteString("ociVersion", OciVersion);
        json.WriteString("id", Id);
        json.WriteNumber("pid", status == Stopped ? 0 : pid);
        json.WriteString("status", status);
        json.WriteString("bundle", Bundle);
        if (!forHook)
        {
            json.WriteString("rootfs", Rootfs);
            json.WriteString("created", CreatedAt.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ"));
            json.WriteString("owner", OwnerName);
        }
        WriteAnnotations(json, Annotations);
        json.WriteEndObject();
    }

    static readonly Dictionary<uint, string> s_names = new() { [0] = "root" };

    /// <summary>The user's name by /etc/passwd, else "#1000".</summary>
    public string OwnerName => s_names.TryGetValue(Owner, out string? name) ? name : s_names[Owner] = FindOwner();

    string FindOwner()
    {
        foreach (string line in File.Exists("/etc/passwd") ? File.ReadAllLines("/etc/passwd") : [])
        {
            string[] fields = line.Split(':');
            if (fields.Length > 2 && fields[2] == Owner.ToString())
                return fields[0];
        }
        return "#" + Owner;
    }

    /// <param name="pid">The init's pid as the hook sees it; 0: as psrun does.</param>
    public byte[] ForHook(string status, int pid = 0)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
            WritePublic(json, status, forHook: true, pid > 0 ? pid : Pid);
        return buffer.WrittenSpan.ToArray();
    }
}
