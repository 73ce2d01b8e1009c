using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Containers;

public sealed partial class ContainerTasks
{
    const int LongestKernelFile = 64 * 1024, LongestShimLog = 16 * 1024, MostThreads = 10_000;
    static readonly TimeSpan DebugAnswer = TimeSpan.FromSeconds(3);

    /// <summary>What a shim and the processes of its task are doing. What the shim does not answer, /proc tells.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>TaskNotFound</c>.</exception>
    public async Task<ContainerShimDump> DebugAsync(string id, string? containerNamespace = null, CancellationToken cancel = default)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var truth = files.Read(ns, Names.Id(id)) ?? throw Missing(ns, id);
        var record = engine.Containers.Load(ns, id);
        var shim = truth.ShimLives ? truth.Record!.ShimPid : (int?)null;
        var (inside, why) = shim is null ? (null, "the shim is gone") : await AskInsideAsync(ns, id, cancel).ConfigureAwait(false);
        return new ContainerShimDump
        {
            ContainerId = id,
            ContainerNamespace = ns,
            Time = DateTimeOffset.UtcNow,
            State = truth.Task.State,
            ShimProcessId = shim,
            Inside = inside,
            Unanswered = why,
            Threads = shim is { } pid ? Threads(pid) : [],
            Descriptors = shim is { } holder ? Descriptors(holder) : new Dictionary<int, string>(),
            Processes = engine.Cgroups.ProcessesOf(record).SelectMany(Threads).Take(MostThreads).ToArray(),
            ShimLog = ShimLog(Path.Combine(paths.RunFolder(ns, id), "shim.log")),
        };
    }

    async Task<(ContainerShimInside?, string?)> AskInsideAsync(string ns, string id, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(DebugAnswer);
        try
        {
            using var answer = await AskAsync(ns, id, "debug", null, limit.Token).ConfigureAwait(false);
            return (answer.RootElement.Deserialize(TaskJson.Default.ContainerShimInside), null);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { return (null, $"the shim did not answer within {DebugAnswer.TotalSeconds} s"); }
        catch (ContainerException e) { return (null, e.Message); }
    }

    static List<ContainerThreadDump> Threads(int pid)
    {
        var threads = new List<ContainerThreadDump>();
        foreach (var name in Numbers($"/proc/{pid}/task"))
        {
            var folder = $"/proc/{pid}/task/{name}";
            // "pid (name) state …": the name may hold anything.
            if (KernelText(folder + "/stat") is not { } stat || stat.LastIndexOf(')') is var end && (end < 0 || end + 2 >= stat.Length)) { continue; }
            threads.Add(new ContainerThreadDump
            {
                ProcessId = pid,
                ThreadId = name,
                Name = ShimErrors.Printable(KernelText(folder + "/comm") ?? ""),
                State = stat[end + 2],
                WaitChannel = KernelText(folder + "/wchan")?.Trim() is { Length: > 0 } channel && channel != "0" ? channel : null,
                SystemCall = KernelText(folder + "/syscall")?.Trim(),
                Stack = (KernelText(folder + "/stack") ?? "").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries),
            });
        }
        return threads;
    }

    static SortedDictionary<int, string> Descriptors(int pid)
    {
        var found = new SortedDictionary<int, string>();
        foreach (var number in Numbers($"/proc/{pid}/fd"))
        {
            try { found[number] = new FileInfo($"/proc/{pid}/fd/{number}").LinkTarget ?? "?"; }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
        }
        return found;
    }

    static List<int> Numbers(string folder)
    {
        try { return [.. Directory.GetFileSystemEntries(folder).Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).Order()]; }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return []; }
    }

    // Files of the kernel have no length; who ends meanwhile has none of them any more.
    static string? KernelText(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
            var buffer = new byte[LongestKernelFile];
            int length = 0, n;
            while (length < buffer.Length && (n = file.Read(buffer, length, buffer.Length - length)) > 0) { length += n; }
            return Encoding.UTF8.GetString(buffer, 0, length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    static string? ShimLog(string path)
    {
        if (Folders.Read(path, 64 << 20) is not { Length: > 0 } content) { return null; }
        return Encoding.UTF8.GetString(content.AsSpan(Math.Max(0, content.Length - LongestShimLog)));
    }
}
