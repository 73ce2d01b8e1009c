using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Containers;

/// <summary>What happened to containers: a durable journal for each container namespace, written by whoever does it. docs/events.md has its form.</summary>
public sealed class ContainerEvents
{
    // Of something that nobody told, such as a journal that was removed by hand.
    static readonly TimeSpan Reassurance = TimeSpan.FromSeconds(30);

    readonly ContainerEngine engine;

    internal ContainerEvents(ContainerEngine engine) => this.engine = engine;

    /// <summary>Those of the journal, the oldest first: about the last 16 MiB of them.</summary>
    public IEnumerable<ContainerEvent> Read(string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.CheckFormat();
        using var reader = new EventJournalReader(Journal(ns));
        var labels = new LabelMemory(engine, ns);
        foreach (var line in reader.Read())
        {
            if (Parse(ns, line, labels) is { } happened) { yield return happened; }
        }
    }

    /// <summary>Those that come from now on, in the order of the journal, until cancelled. All who watch see the same order.</summary>
    /// <param name="since">Those of the journal from then on, too.</param>
    /// <param name="watching">Told when nothing will be missed any more.</param>
    public async IAsyncEnumerable<ContainerEvent> WatchAsync(string? containerNamespace = null, DateTimeOffset? since = null, Action? watching = null, [EnumeratorCancellation] CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        engine.Containers.OpenForWriting();
        var journal = Journal(ns);
        Folders.Make(journal.Folder);
        // Watched first, read then: what is written between is not missed.
        using var watch = ContainerLogs.Watch(journal.Folder);
        using var reader = new EventJournalReader(journal);
        var labels = new LabelMemory(engine, ns);
        var past = true;
        while (true)
        {
            foreach (var line in reader.Read())
            {
                // Also what is passed over says which labels a container has.
                var happened = Parse(ns, line, labels);
                if (happened is null || past && (since is null || happened.Time < since)) { continue; }
                yield return happened;
            }
            if (past) { watching?.Invoke(); }
            past = false;
            await Waiting.ForAsync(watch, Reassurance, cancel).ConfigureAwait(false);
            ContainerLogs.Drain(watch);
        }
    }

    internal EventJournal Journal(string ns) => new(engine.Paths.EventFolder(ns));

    internal void Tell(string ns, ContainerEventType type, string id, Action<Utf8JsonWriter>? members = null) => Journal(ns).Append(type.ToString(), id, members);

    internal static Action<Utf8JsonWriter> Labels(ContainerRecord record) => json =>
    {
        if (record.Image is not null) { json.WriteString("image", record.Image); }
        json.WriteStartObject("labels");
        foreach (var (name, value) in record.Labels) { json.WriteString(name, value); }
        json.WriteEndObject();
    };

    // A line that cannot be read was cut off, or is of a newer version: it is passed over.
    static ContainerEvent? Parse(string ns, byte[] line, LabelMemory labels)
    {
        EventRecord? record;
        try { record = line.Length == 0 ? null : JsonSerializer.Deserialize(line, EventJson.Default.EventRecord); }
        catch (JsonException) { return null; }
        if (record is not { Time: { } time, Type: { } word, Id: { } id } || !Enum.TryParse(word, out ContainerEventType type) || !Enum.IsDefined(type) || char.IsAsciiDigit(word[0]) || !Names.IsValid(id)) { return null; }
        return new ContainerEvent
        {
            Time = time, Type = type, ContainerId = id, ContainerNamespace = ns, ExecId = record.Exec, ExitCode = record.ExitCode, Signal = record.Signal, NewId = record.NewId, Image = record.Image,
            Health = Enum.TryParse(record.Health, ignoreCase: true, out ContainerHealthStatus health) && Enum.IsDefined(health) ? health : null, Labels = labels.At(type, id, record),
        };
    }

    /// <summary>The labels of each container as the journal goes on.</summary>
    sealed class LabelMemory(ContainerEngine engine, string ns)
    {
        static readonly Dictionary<string, string> none = [];

        readonly Dictionary<string, IReadOnlyDictionary<string, string>> known = new(StringComparer.Ordinal);

        internal IReadOnlyDictionary<string, string> At(ContainerEventType type, string id, EventRecord record)
        {
            if (record.Labels is not null) { known[id] = record.Labels; }
            if (!known.TryGetValue(id, out var labels))
            {
                try { labels = engine.Containers.TryLoadAny(ns, id)?.Labels; }
                catch (ContainerException) { } // a damaged record has none
                known[id] = labels ??= none;
            }
            if (type is ContainerEventType.Removed or ContainerEventType.Renamed) { known.Remove(id); }
            if (record.NewId is { } renamed) { known[renamed] = labels; }
            return labels;
        }
    }
}

/// <summary>One line of the journal. Members may be added.</summary>
sealed class EventRecord
{
    public DateTimeOffset? Time { get; set; }
    public string? Type { get; set; }
    public string? Id { get; set; }
    public string? Exec { get; set; }
    public int? ExitCode { get; set; }
    public int? Signal { get; set; }
    public string? NewId { get; set; }
    public string? Image { get; set; }
    public string? Health { get; set; }
    public Dictionary<string, string>? Labels { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(EventRecord))]
sealed partial class EventJson : JsonSerializerContext;
