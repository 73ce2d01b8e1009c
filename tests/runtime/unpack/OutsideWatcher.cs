using System.Collections.Concurrent;

namespace Containers.Tests.Runtime;

/// <summary>Told by the kernel (inotify) of everything that is made, changed, renamed or removed beside a root, also when nothing is to be seen of it afterwards.</summary>
sealed class OutsideWatcher : IDisposable
{
    readonly ConcurrentQueue<string> seen = new();
    readonly List<FileSystemWatcher> watchers = [];
    readonly string end;

    /// <param name="folder">Holds the roots, whose names begin with <c>root</c>, the layers, <c>layer</c>, and what programs say, <c>spawn-</c>.</param>
    /// <param name="outside">Nothing at all may happen here.</param>
    /// <param name="names">What the archives have in them: it may not come to be in the host's own folders, where others make things of other names.</param>
    public OutsideWatcher(string folder, string outside, string[] names)
    {
        end = Path.Combine(outside, "end");
        Watch(outside, deep: true, _ => true);
        Watch(folder, deep: false, name => !name.StartsWith("root", StringComparison.Ordinal) && !name.StartsWith("layer", StringComparison.Ordinal) && !name.StartsWith("spawn-", StringComparison.Ordinal) && name != "outside");
        foreach (var shared in new[] { "/", "/etc", Environment.CurrentDirectory })
            Watch(shared, deep: false, name => Array.IndexOf(names, name) >= 0);
    }

    void Watch(string path, bool deep, Func<string, bool> counts)
    {
        var watcher = new FileSystemWatcher(path)
        {
            IncludeSubdirectories = deep, InternalBufferSize = 64 << 10,
            NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.Attributes | NotifyFilters.Size | NotifyFilters.LastWrite | NotifyFilters.Security,
        };
        void Note(object _, FileSystemEventArgs e)
        {
            if (counts(e.Name ?? "")) { seen.Enqueue($"{e.ChangeType} {e.FullPath}"); }
        }
        watcher.Changed += Note;
        watcher.Created += Note;
        watcher.Deleted += Note;
        watcher.Renamed += Note;
        watcher.Error += (_, e) => seen.Enqueue($"lost events: {e.GetException().Message}");
        watcher.EnableRaisingEvents = true;
        watchers.Add(watcher);
    }

    /// <summary>What has happened, in words; it shows first that it would have been told.</summary>
    public IReadOnlyList<string> Seen()
    {
        File.WriteAllText(end, "");
        Assert.True(SpinWait.SpinUntil(() => seen.Any(what => what.EndsWith(end, StringComparison.Ordinal)), TimeSpan.FromSeconds(60)), "the watcher sees nothing");
        File.Delete(end);
        return [.. seen.Where(what => !what.EndsWith(end, StringComparison.Ordinal))];
    }

    public void Dispose()
    {
        foreach (var watcher in watchers) { watcher.Dispose(); }
    }
}
