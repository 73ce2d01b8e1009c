using System.Text.Json.Serialization;

namespace Containers.Linux.Oci;

/// <summary>The program to run (config.md, Process).</summary>
[JsonConverter(typeof(SpecObjectConverter<Process>))]
public sealed class Process : SpecObject
{
    /// <summary>Whether a terminal is attached.</summary>
    public bool? Terminal { get; set; }

    public ConsoleSize? ConsoleSize { get; set; }
    public User? User { get; set; }
    /// <summary>The program and its arguments, as execvp takes them.</summary>
    public List<string>? Args { get; set; }

    /// <summary>For Windows alone.</summary>
    public string? CommandLine { get; set; }

    /// <summary><c>NAME=value</c>.</summary>
    public List<string>? Env { get; set; }

    /// <summary>Absolute, inside the container.</summary>
    public string? Cwd { get; set; }

    public LinuxCapabilities? Capabilities { get; set; }
    public List<PosixRlimit>? Rlimits { get; set; }
    public bool? NoNewPrivileges { get; set; }
    public string? ApparmorProfile { get; set; }
    /// <summary>From -1000 (never killed) to 1000.</summary>
    public int? OomScoreAdj { get; set; }

    public Scheduler? Scheduler { get; set; }
    public string? SelinuxLabel { get; set; }
    public LinuxIoPriority? IoPriority { get; set; }
    /// <summary>For exec alone: the CPUs that the new process runs on.</summary>
    public ExecCpuAffinity? ExecCpuAffinity { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Terminal = f.Field("terminal"u8, Terminal);
        ConsoleSize = f.Field("consoleSize"u8, ConsoleSize);
        User = f.Field("user"u8, User);
        Args = f.Field("args"u8, Args);
        CommandLine = f.Field("commandLine"u8, CommandLine);
        Env = f.Field("env"u8, Env);
        Cwd = f.Field("cwd"u8, Cwd);
        Capabilities = f.Field("capabilities"u8, Capabilities);
        Rlimits = f.Field("rlimits"u8, Rlimits);
        NoNewPrivileges = f.Field("noNewPrivileges"u8, NoNewPrivileges);
        ApparmorProfile = f.Field("apparmorProfile"u8, ApparmorProfile);
        OomScoreAdj = f.Field("oomScoreAdj"u8, OomScoreAdj);
        Scheduler = f.Field("scheduler"u8, Scheduler);
        SelinuxLabel = f.Field("selinuxLabel"u8, SelinuxLabel);
        IoPriority = f.Field("ioPriority"u8, IoPriority);
        ExecCpuAffinity = f.Field("execCPUAffinity"u8, ExecCpuAffinity);
    }
}

/// <summary>The size of the terminal, in characters.</summary>
public sealed class ConsoleSize : SpecObject
{
    public uint? Height { get; set; }
    public uint? Width { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Height = f.Field("height"u8, Height);
        Width = f.Field("width"u8, Width);
    }
}

/// <summary>Who the program runs as (config.md, User).</summary>
public sealed class User : SpecObject
{
    /// <summary>As seen inside the container's user namespace, like all ids here.</summary>
    public uint? Uid { get; set; }

    public uint? Gid { get; set; }
    public uint? Umask { get; set; }
    public List<uint>? AdditionalGids { get; set; }
    /// <summary>For Windows alone.</summary>
    public string? Username { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Uid = f.Field("uid"u8, Uid);
        Gid = f.Field("gid"u8, Gid);
        Umask = f.Field("umask"u8, Umask);
        AdditionalGids = f.Field("additionalGids"u8, AdditionalGids);
        Username = f.Field("username"u8, Username);
    }
}

/// <summary>Capability sets, as names such as <c>CAP_CHOWN</c> (capabilities(7)).</summary>
public sealed class LinuxCapabilities : SpecObject
{
    public List<string>? Bounding { get; set; }
    public List<string>? Effective { get; set; }
    public List<string>? Inheritable { get; set; }
    public List<string>? Permitted { get; set; }
    public List<string>? Ambient { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Bounding = f.Field("bounding"u8, Bounding);
        Effective = f.Field("effective"u8, Effective);
        Inheritable = f.Field("inheritable"u8, Inheritable);
        Permitted = f.Field("permitted"u8, Permitted);
        Ambient = f.Field("ambient"u8, Ambient);
    }
}

/// <summary>One limit of setrlimit(2).</summary>
public sealed class PosixRlimit : SpecObject
{
    /// <summary>Such as <c>RLIMIT_NOFILE</c>.</summary>
    public string? Type { get; set; }

    /// <summary>In the unit of its type; 18446744073709551615 is no limit.</summary>
    public ulong? Hard { get; set; }

    public ulong? Soft { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Type = f.Field("type"u8, Type);
        Hard = f.Field("hard"u8, Hard);
        Soft = f.Field("soft"u8, Soft);
    }
}

/// <summary>What sched_setattr(2) is called with.</summary>
public sealed class Scheduler : SpecObject
{
    /// <summary>Such as <c>SCHED_BATCH</c>.</summary>
    public string? Policy { get; set; }

    /// <summary>From -20 to 19.</summary>
    public int? Nice { get; set; }

    /// <summary>For real-time policies.</summary>
    public int? Priority { get; set; }

    /// <summary>Such as <c>SCHED_FLAG_RESET_ON_FORK</c>.</summary>
    public List<string>? Flags { get; set; }

    /// <summary>Nanoseconds, like the two below; for <c>SCHED_DEADLINE</c>.</summary>
    public ulong? Runtime { get; set; }

    public ulong? Deadline { get; set; }
    public ulong? Period { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Policy = f.Field("policy"u8, Policy);
        Nice = f.Field("nice"u8, Nice);
        Priority = f.Field("priority"u8, Priority);
        Flags = f.Field("flags"u8, Flags);
        Runtime = f.Field("runtime"u8, Runtime);
        Deadline = f.Field("deadline"u8, Deadline);
        Period = f.Field("period"u8, Period);
    }
}

/// <summary>What ioprio_set(2) is called with.</summary>
public sealed class LinuxIoPriority : SpecObject
{
    /// <summary><c>IOPRIO_CLASS_RT</c>, <c>IOPRIO_CLASS_BE</c> or <c>IOPRIO_CLASS_IDLE</c>.</summary>
    public string? Class { get; set; }

    /// <summary>From 0 (first) to 7.</summary>
    public int? Priority { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Class = f.Field("class"u8, Class);
        Priority = f.Field("priority"u8, Priority);
    }
}

/// <summary>CPUs as lists such as <c>0-3,7</c>.</summary>
public sealed class ExecCpuAffinity : SpecObject
{
    /// <summary>Before the process joins the container's cgroup.</summary>
    public string? Initial { get; set; }

    /// <summary>After that.</summary>
    public string? Final { get; set; }

    internal override void Fields(ref SpecFields f)
    {
        Initial = f.Field("initial"u8, Initial);
        Final = f.Field("final"u8, Final);
    }
}
