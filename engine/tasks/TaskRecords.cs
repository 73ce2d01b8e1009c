using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers;

/// <summary><c>task.json</c>, written by the shim (docs/design.md, "Records").</summary>
sealed class TaskRecord
{
    public int Version { get; set; }
    public string? Id { get; set; }
    public string? Namespace { get; set; }
    public string? State { get; set; }
    public int Pid { get; set; }
    public ulong PidStartTime { get; set; }
    public int ShimPid { get; set; }
    public ulong ShimStartTime { get; set; }
    public DateTimeOffset? CreatedAt { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public List<ExecRecord>? Execs { get; set; }
    public long DroppedLogBytes { get; set; }
    public int RestartCount { get; set; }
    public DateTimeOffset? NextRestartAt { get; set; }

    /// <summary>How the last run ended, while the next is awaited.</summary>
    public ExitRecord? LastExit { get; set; }

    public HealthState? Health { get; set; }
}

sealed class HealthState
{
    public string? Status { get; set; }
    public int FailingStreak { get; set; }
    public List<HealthRun>? Log { get; set; }
}

sealed class HealthRun
{
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public int? ExitCode { get; set; }
    public string? Output { get; set; }
}

sealed class ExecRecord
{
    public string? Id { get; set; }
    public int Pid { get; set; }
    public ulong PidStartTime { get; set; }
    public string? State { get; set; }
}

/// <summary><c>exit.json</c>, of an init or of an exec process.</summary>
sealed class ExitRecord
{
    public int Version { get; set; }
    public int? ExitCode { get; set; }
    public int? Signal { get; set; }
    public bool OomKilled { get; set; }
    public DateTimeOffset? StartedAt { get; set; }
    public DateTimeOffset? FinishedAt { get; set; }
    public string? Reason { get; set; }
}

/// <summary><c>shim.json</c>, the shim's orders.</summary>
sealed class ShimOrders
{
    public int Version { get; set; } = 1;
    public required string Id { get; set; }
    public required string Namespace { get; set; }
    public required string Runtime { get; set; }
    public required string RuntimeRoot { get; set; }
    public required string Bundle { get; set; }
    public required List<ShimMount> Mounts { get; set; }
    public required string? Cgroup { get; set; }
    public required string? Journal { get; set; }
    public required string? Log { get; set; }
    public string? LogUri { get; set; }
    public long? LogMaxSize { get; set; }
    public int? LogMaxFiles { get; set; }
    public required bool Terminal { get; set; }
    public required bool Stdin { get; set; }
    public required string? Stdout { get; set; }
    public required string? Stderr { get; set; }
    public required string? StdinPath { get; set; }
    public bool Plain { get; set; }
    public required string EndRecord { get; set; }
    public required string RestartPolicy { get; set; }
    public required int RestartLimit { get; set; }
    public HealthOrder? Health { get; set; }

    /// <summary>The checkpoint that the first run goes on from; null for a run from the beginning.</summary>
    public RestoreOrder? Restore { get; set; }
}

sealed class RestoreOrder
{
    public required string ImagePath { get; set; }
    public required string? Criu { get; set; }
    public bool TcpEstablished { get; set; }
    public bool FileLocks { get; set; }
    public bool ExternalSockets { get; set; }
}

sealed class HealthOrder
{
    public required JsonElement Process { get; set; }
    public required int Interval { get; set; }
    public required int Timeout { get; set; }
    public required int StartPeriod { get; set; }
    public required int Retries { get; set; }
    public required string OnFailure { get; set; }
    public required int StopSignal { get; set; }
    public required int StopTimeout { get; set; }
}

sealed class ShimMount
{
    public required string Type { get; set; }
    public required string Source { get; set; }
    public required string Target { get; set; }
    public required List<string> Options { get; set; }
}

/// <summary>What the launcher prints: one line.</summary>
sealed class ShimAnswer
{
    public int Pid { get; set; }
    public int TaskPid { get; set; }
    public ShimError? Error { get; set; }
}

sealed class ShimError
{
    public string? Id { get; set; }
    public string? Message { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(TaskRecord))]
[JsonSerializable(typeof(ExitRecord))]
[JsonSerializable(typeof(ShimOrders))]
[JsonSerializable(typeof(ShimAnswer))]
[JsonSerializable(typeof(ContainerShimInside))]
sealed partial class TaskJson : JsonSerializerContext;
