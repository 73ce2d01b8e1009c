using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>
/// A cmdlet whose targets are images of the store: by name with wildcards, by digest, or as objects from the pipeline. An object becomes its
/// name, or its digest where it has none (<see cref="ContainerImage.ToString"/>); by property name it would be nothing then.
/// </summary>
public abstract class ImageCmdlet : TenantCmdlet
{
    /// <summary>What the words name. A word with wildcards is compared with full and with short names; one that names nothing is an error of its own.</summary>
    protected IEnumerable<ContainerImage> FindImages(IReadOnlyList<string>? names, string? platform = null)
    {
        foreach (string name in names ?? ["*"])
        {
            IReadOnlyList<ContainerImage> found = [];
            Try(name, () => found = WildcardPattern.ContainsWildcardCharacters(name) ? Matching(name, platform) : [Engine.Images.Get(name, ContainerNamespace, platform)]);
            foreach (ContainerImage one in found)
                yield return one;
        }
    }

    List<ContainerImage> Matching(string name, string? platform)
    {
        var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
        return Engine.Images.List(ContainerNamespace, platform)
            .Where(image => name == "*" || image.Reference is { } reference && (pattern.IsMatch(reference) || pattern.IsMatch(ImageReference.Parse(reference).Familiar)) || pattern.IsMatch(image.Digest)).ToList();
    }

    /// <summary>Does long work, and shows how far it is: one activity for all of it, one for each layer or item.</summary>
    protected T WithProgress<T>(string activity, Func<ImageProgressView, CancellationToken, Task<T>> work)
    {
        ImageProgressView? view = null;
        PumpedWork<T> begun = Begin((pump, token) => work(view = new ImageProgressView(this, pump, activity), token));
        try
        {
            return begun.Finish();
        }
        finally
        {
            if (!Stopping)
                view?.End();
        }
    }
}

/// <summary>The image to do something with: what has a reference by that, what has none by its digest.</summary>
static class ImageName
{
    public static string Of(ContainerImage image) => image.Reference ?? image.Digest;
}

/// <summary>Turns the engine's progress into PowerShell's, on the pipeline's thread.</summary>
public sealed class ImageProgressView(Cmdlet cmdlet, Pump pump, string activity) : IProgress<ImageProgress>
{
    const int Root = 1000;

    readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    readonly HashSet<string> ended = new(StringComparer.Ordinal);

    /// <summary>Where the work's other words go.</summary>
    public Pump Pump => pump;

    public void Report(ImageProgress value) => pump.TryPost(() => Show(value));

    /// <summary>Takes everything off the screen when the pipeline's thread comes to it.</summary>
    internal void EndLater() => pump.TryPost(End);

    void Show(ImageProgress value)
    {
        string key = value.Activity + value.Item;
        if (ended.Contains(key))
            return;
        if (!ids.TryGetValue(key, out int id))
            ids[key] = id = Root + 1 + ids.Count;
        var record = new ProgressRecord(id, value.Activity, value.Item)
        {
            ParentActivityId = Root,
            PercentComplete = value.Total is > 0 ? (int)Math.Clamp(value.Done * 100 / value.Total.Value, 0, 100) : -1,
        };
        if (value.Finished)
        {
            ended.Add(key);
            record.RecordType = ProgressRecordType.Completed;
        }
        cmdlet.WriteProgress(record);
        cmdlet.WriteProgress(new ProgressRecord(Root, activity, $"{ended.Count} of {ids.Count} done"));
    }

    /// <summary>Takes everything off the screen; on the pipeline's thread.</summary>
    public void End()
    {
        foreach ((string key, int id) in ids)
        {
            if (!ended.Contains(key))
                cmdlet.WriteProgress(new ProgressRecord(id, activity, "ended") { ParentActivityId = Root, RecordType = ProgressRecordType.Completed });
        }
        if (ids.Count > 0)
            cmdlet.WriteProgress(new ProgressRecord(Root, activity, "done") { RecordType = ProgressRecordType.Completed });
    }
}
