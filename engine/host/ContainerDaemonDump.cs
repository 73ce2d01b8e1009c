namespace Containers;

/// <summary>What the goroutines of a daemon (dockerd, containerd, kubelet) were doing at one moment.</summary>
public sealed class ContainerDaemonDump
{
    /// <summary>The daemon's program.</summary>
    public required string Name { get; init; }

    public required int ProcessId { get; init; }
    public required DateTimeOffset Time { get; init; }

    /// <summary>Where the daemon has put it, as the daemon sees it; <c>journal</c> for the host's journal.</summary>
    public required string Path { get; init; }

    /// <summary>The signal has ended the daemon.</summary>
    public required bool Ended { get; init; }

    public required IReadOnlyList<ContainerGoroutine> Goroutines { get; init; }

    /// <summary>All of it, as the daemon wrote it.</summary>
    public required string Text { get; init; }

    public override string ToString() => $"{Name} {ProcessId}";
}

/// <summary>One goroutine of a dump.</summary>
public sealed class ContainerGoroutine
{
    public required long Id { get; init; }

    /// <summary>What it does or waits for: <c>running</c>, <c>select</c>, <c>chan receive</c>, <c>semacquire</c>, <c>IO wait</c> …</summary>
    public required string State { get; init; }

    /// <summary>For how long, in whole minutes; null for less than one.</summary>
    public TimeSpan? Waiting { get; init; }

    /// <summary>Functions and their places, innermost first, as Go writes them.</summary>
    public required IReadOnlyList<string> Stack { get; init; }

    public override string ToString() => $"{Id} {State}";

    /// <summary>Reads blocks of <c>goroutine 7 [select, 5 minutes]:</c> and what follows up to an empty line.</summary>
    internal static List<ContainerGoroutine> Parse(string text)
    {
        var found = new List<ContainerGoroutine>();
        List<string>? stack = null;
        foreach (var raw in text.Split('\n'))
        {
            var line = raw.TrimEnd('\r');
            if (TryHead(line, out var id, out var state))
            {
                stack = [];
                var parts = state.Split(", ");
                var minutes = parts.FirstOrDefault(part => part.EndsWith(" minutes", StringComparison.Ordinal));
                found.Add(new ContainerGoroutine
                {
                    Id = id, State = parts[0], Stack = stack,
                    Waiting = minutes is not null && int.TryParse(minutes.AsSpan(0, minutes.IndexOf(' ')), out var number) ? TimeSpan.FromMinutes(number) : null,
                });
            }
            else if (line.Length == 0) { stack = null; }
            else { stack?.Add(line.Trim()); }
        }
        return found;
    }

    static bool TryHead(string line, out long id, out string state)
    {
        const string Begin = "goroutine ";
        (id, state) = (0, "");
        var bracket = line.IndexOf('[');
        if (!line.StartsWith(Begin, StringComparison.Ordinal) || bracket < 0 || !line.EndsWith("]:", StringComparison.Ordinal)) { return false; }
        state = line[(bracket + 1)..^2];
        // Newer ones say more between the number and the bracket.
        return long.TryParse(line.AsSpan(Begin.Length, bracket - Begin.Length).TrimEnd().ToString().Split(' ')[0], out id);
    }
}
