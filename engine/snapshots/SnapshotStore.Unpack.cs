using System.Runtime.ExceptionServices;
using System.Text.Json;
using Mono.Unix.Native;

namespace Containers;

public sealed partial class SnapshotStore
{
    /// <summary>Unpacks what is not unpacked yet, several layers at a time, each when its content is there. What fails leaves whole layers, or none.</summary>
    /// <param name="arrival">Ends when a layer's content is in the store; null where all of it is.</param>
    internal async Task EnsureAsync(IReadOnlyList<Layer> layers, Func<Layer, Task>? arrival, Action<Layer, long, bool>? progress, CancellationToken cancel)
    {
        Folders.Make(paths.Snapshots);
        for (var next = 0; next < layers.Count;)
        {
            // Nothing is held while a download is waited for: it may take hours, and others may want the layers below.
            if (arrival is not null && !Use(layers[next])) { await arrival(layers[next]).WaitAsync(cancel).ConfigureAwait(false); }
            using var batch = new Batch(this, layers, progress, cancel);
            next = await batch.RunAsync(next, arrival).ConfigureAwait(false);
        }
    }

    /// <summary>Layers that are unpacked beside one another and get their names together: all of them or none.</summary>
    sealed class Batch(SnapshotStore store, IReadOnlyList<Layer> layers, Action<Layer, long, bool>? progress, CancellationToken cancel) : IDisposable
    {
        readonly SemaphoreSlim turns = new(Math.Max(2, Environment.ProcessorCount));
        readonly CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        readonly List<FileLock> locks = [];
        readonly List<int> missing = [];
        readonly List<Task> work = [];
        readonly UnpackAnswer?[] answers = new UnpackAnswer?[layers.Count];
        bool published;

        /// <summary>Takes the layers from this one up, as long as the next is there or comes while others are unpacked.</summary>
        /// <returns>The first that it has left.</returns>
        internal async Task<int> RunAsync(int next, Func<Layer, Task>? arrival)
        {
            try
            {
                // From the lowest up, in every process: images that share layers share the lowest ones, so nobody waits in a circle.
                for (; next < layers.Count && await HasComeAsync(layers[next], arrival).ConfigureAwait(false); next++) { await BeginAsync(next).ConfigureAwait(false); }
                await Task.WhenAll(work).ConfigureAwait(false);
            }
            catch
            {
                await stop.CancelAsync().ConfigureAwait(false);
                await Task.WhenAll(work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                // The first real failure, not the cancellation that it caused.
                foreach (var task in work)
                {
                    if (task.Exception?.InnerException is { } failure and not OperationCanceledException) { ExceptionDispatchInfo.Throw(failure); }
                }
                throw;
            }
            // What builds on lower layers comes when they are there.
            foreach (var i in missing)
            {
                if (answers[i] is not null) { continue; }
                var lowers = Enumerable.Range(0, i).Reverse().Select(FolderNow).ToList();
                answers[i] = await OneAsync(i, lowers, cancel).ConfigureAwait(false);
            }
            Publish();
            return next;
        }

        async Task<bool> HasComeAsync(Layer layer, Func<Layer, Task>? arrival)
        {
            if (arrival is null || store.Use(layer)) { return true; }
            var coming = arrival(layer);
            var working = Task.WhenAll(work);
            await Task.WhenAny(coming, working).WaitAsync(stop.Token).ConfigureAwait(false);
            if (!coming.IsCompleted) { return false; }
            await coming.ConfigureAwait(false);
            return true;
        }

        async Task BeginAsync(int i)
        {
            if (store.Use(layers[i])) { return; }
            var held = await FileLock.TakeAsync(Path.Combine(store.paths.Snapshots, ".lock-" + layers[i].Key), stop.Token).ConfigureAwait(false);
            if (store.Use(layers[i]))
            {
                held.RemoveAndDispose();
                return;
            }
            locks.Add(held);
            missing.Add(i);
            work.Add(InTurnAsync(i));
        }

        async Task InTurnAsync(int i)
        {
            await turns.WaitAsync(stop.Token).ConfigureAwait(false);
            try { answers[i] = await OneAsync(i, i == 0 ? [] : null, stop.Token).ConfigureAwait(false); }
            catch
            {
                await stop.CancelAsync().ConfigureAwait(false);
                throw;
            }
            finally { turns.Release(); }
        }

        async Task<UnpackAnswer?> OneAsync(int i, IReadOnlyList<string>? lowers, CancellationToken token)
        {
            var layer = layers[i];
            var folder = store.Unfinished(layer.Key);
            RemoveUnfinished(folder);
            Folders.Make(folder);
            var fs = Path.Combine(folder, "fs");
            Directory.CreateDirectory(fs);
            // Whatever the umask is: any user of a container passes through its root.
            File.SetUnixFileMode(fs, (UnixFileMode)0x1ed);
            var answer = await Unpacker.RunAsync(store.engine, layer.Blob, layer.DiffId, fs, lowers, read => progress?.Invoke(layer, read, false), token).ConfigureAwait(false);
            if (answer is not null) { progress?.Invoke(layer, layer.Size, true); }
            return answer;
        }

        string FolderNow(int i) => missing.Contains(i) ? Path.Combine(store.Unfinished(layers[i].Key), "fs") : store.LayerFolder(layers[i].Key);

        void Publish()
        {
            if (missing.Count == 0) { return; }
            foreach (var i in missing)
            {
                var (layer, answer) = (layers[i], answers[i]!);
                var folder = store.Unfinished(layer.Key);
                if (!answer.Root && i > 0) { CopyRoot(FolderNow(i - 1), Path.Combine(folder, "fs")); }
                var record = new SnapshotRecord
                {
                    ChainId = layer.ChainId.ToString(), Parent = layer.Parent?.ToString(), DiffId = layer.DiffId.ToString(),
                    Bytes = answer.Bytes, Entries = answer.Entries, CreatedAt = DateTimeOffset.UtcNow,
                };
                var path = Path.Combine(folder, "snapshot.json");
                using var file = new FileStream(path, new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Folders.PrivateFile, BufferSize = 0 });
                file.Write(JsonSerializer.SerializeToUtf8Bytes(record, ImageJson.Default.SnapshotRecord));
            }
            // One wait for the disk for a hundred thousand files; only then do the folders get their names.
            SyncFileSystem(store.paths.Snapshots);
            foreach (var i in missing)
            {
                if (Stdlib.rename(store.Unfinished(layers[i].Key), store.Folder(layers[i].Key)) != 0) { throw Folders.Unavailable(store.Folder(layers[i].Key), null); }
            }
            Folders.Sync(store.paths.Snapshots);
            published = true;
        }

        public void Dispose()
        {
            foreach (var i in published ? [] : missing) { RemoveUnfinished(store.Unfinished(layers[i].Key)); }
            foreach (var held in locks) { held.RemoveAndDispose(); }
            turns.Dispose();
            stop.Dispose();
        }
    }
}
