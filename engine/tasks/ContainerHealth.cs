namespace Containers;

/// <summary>What the health check of a task says.</summary>
public sealed class ContainerHealth
{
    public ContainerHealthStatus Status { get; init; }

    /// <summary>Failures in a row; those while the program was beginning do not count.</summary>
    public int FailingStreak { get; init; }

    /// <summary>The last five checks, the oldest first.</summary>
    public IReadOnlyList<ContainerHealthCheck> Log { get; init; } = [];

    public override string ToString() => Status.ToString();
}

/// <summary>One run of a health check.</summary>
public sealed class ContainerHealthCheck
{
    public DateTimeOffset? StartedAt { get; init; }
    public DateTimeOffset? FinishedAt { get; init; }

    /// <summary>0 is healthy; null when it could not be run, or took too long.</summary>
    public int? ExitCode { get; init; }

    /// <summary>What it printed, and why it could not be run: the first 4 KiB.</summary>
    public string Output { get; init; } = "";
}

public enum ContainerHealthStatus
{
    /// <summary>No check has succeeded, and not enough have failed.</summary>
    Starting,
    Healthy,
    Unhealthy,
}

/// <summary>What happens when a task becomes unhealthy.</summary>
public enum ContainerHealthAction
{
    None,

    /// <summary>Its program is killed; the restart policy may start it again.</summary>
    Kill,

    /// <summary>It is stopped and started again, whatever the restart policy says.</summary>
    Restart,

    /// <summary>It is stopped for good.</summary>
    Stop,
}

/// <summary>A health check as <c>container.json</c> keeps it; times in milliseconds.</summary>
sealed class HealthRecord
{
    public required List<string> Command { get; set; }
    public int Interval { get; set; } = 30_000;
    public int Timeout { get; set; } = 30_000;
    public int StartPeriod { get; set; }
    public int Retries { get; set; } = 3;
    public string OnFailure { get; set; } = "none";

    /// <summary>What the user said over what the image says; null for no check.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    internal static HealthRecord? Of(ContainerCreateOptions o, ImageHealthRecord? image)
    {
        var said = o.HealthCommand is not null || o.HealthInterval is not null || o.HealthTimeout is not null || o.HealthRetries is not null || o.HealthStartPeriod is not null || o.HealthOnFailure is not null;
        if (o.NoHealthCheck)
        {
            return said ? throw ResourceSpec.Bad("NoHealthCheck", true, "the other Health parameters say that there is one") : null;
        }
        var command = o.HealthCommand is not null ? CommandOf(o.HealthCommand) : OfImage(image?.Test);
        if (command is null) { return said ? throw ResourceSpec.Bad("HealthCommand", null, "the other Health parameters need a command, and the image has none") : null; }
        return new HealthRecord
        {
            Command = command,
            Interval = Milliseconds("HealthInterval", o.HealthInterval, image?.Interval, 30_000, 1),
            Timeout = Milliseconds("HealthTimeout", o.HealthTimeout, image?.Timeout, 30_000, 1),
            StartPeriod = Milliseconds("HealthStartPeriod", o.HealthStartPeriod, image?.StartPeriod, 0, 0),
            Retries = o.HealthRetries switch
            {
                null => image?.Retries is > 0 and <= 1000 ? image.Retries.Value : 3,
                >= 1 and <= 1000 => o.HealthRetries.Value,
                _ => throw ResourceSpec.Bad("HealthRetries", o.HealthRetries, "it is from 1 to 1000"),
            },
            OnFailure = (o.HealthOnFailure ?? ContainerHealthAction.None).ToString().ToLowerInvariant(),
        };
    }

    static List<string> CommandOf(IReadOnlyList<string> words)
    {
        if (words.Count == 0 || words[0].Length == 0) { throw ResourceSpec.Bad("HealthCommand", "", "it names a program; NoHealthCheck turns the image's check off"); }
        foreach (var word in words) { SpecBuilder.RefuseNul("HealthCommand", word); }
        return words.Count == 1 ? ["/bin/sh", "-c", words[0]] : [.. words];
    }

    // image-spec knows no health check; this is docker's: NONE, CMD program arguments…, CMD-SHELL line.
    static List<string>? OfImage(List<string>? test) => test switch
    {
        ["CMD-SHELL", var line, ..] => CommandOf([line]),
        ["CMD", var program, .. var arguments] => [.. arguments.Prepend(program)],
        _ => null,
    };

    static int Milliseconds(string name, TimeSpan? said, long? nanoseconds, int without, int least)
    {
        var time = said?.TotalMilliseconds ?? (nanoseconds is > 0 ? nanoseconds.Value / 1e6 : without);
        return time >= least && time <= int.MaxValue ? (int)time : throw ResourceSpec.Bad(name, said, $"it is from {least} ms to {int.MaxValue} ms");
    }
}
