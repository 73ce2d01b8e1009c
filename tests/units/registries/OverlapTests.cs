using System.Formats.Tar;
using System.Text;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>A pull unpacks a layer while the next ones are still on their way; whatever ends it in the middle leaves nothing.</summary>
public sealed class OverlapTests : RegistryTest
{
    readonly TaskCompletionSource unpacking = new(TaskCreationOptions.RunContinuationsAsynchronously);
    readonly TaskCompletionSource going = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [RunsContainersFact]
    public async Task A_layer_is_there_for_all_while_the_next_is_on_its_way()
    {
        var registry = Http();
        var (lower, upper) = (Layer("lower", 10), Layer("upper", 10));
        var made = registry.AddImage("a", "1", [lower, upper]);
        registry.AddImage("b", "1", [lower]);
        registry.Hook = request => request.Path.EndsWith(made.Layers[1]) ? Later(going.Task, upper) : null;
        var pull = UnpackAsync(registry, "a:1");
        await Until(() => Keys().Count == 1);
        Assert.False(pull.IsCompleted);
        // Nobody waits for another's download.
        await UnpackAsync(registry, "b:1");
        Assert.False(pull.IsCompleted);
        going.SetResult();
        var image = await pull;
        Assert.Equal(2, Keys().Count);
        Assert.Empty(Unfinished());
        Assert.True((await Engine.Images.TestAsync(image.Reference!, read: true, "t", Limit)).IsComplete);
        var keys = SnapshotStore.Chain([.. made.Layers.Select(l => (Digest.Parse(l), 0L))], [.. made.Layers.Select(Digest.Parse)]).ConvertAll(l => l.Key);
        foreach (var (key, name) in keys.Zip(["lower", "upper"])) { Assert.Equal(10, Directory.GetFiles(Path.Combine(Engine.Snapshots.LayerFolder(key), name)).Length); }
    }

    [RunsContainersFact]
    public async Task A_layer_waits_for_its_own_content_and_not_for_what_comes_above()
    {
        var registry = Http();
        var made = registry.AddImage("a", "1", [Layer("one", 10), Layer("two", 10), Layer("three", 10)]);
        var third = Encoding.UTF8.GetBytes(Layer("three", 10));
        registry.Hook = request => request.Path.EndsWith(made.Layers[2]) ? Later(going.Task, Layer("three", 10)) : null;
        var pull = UnpackAsync(registry, "a:1");
        await Until(() => Keys().Count == 2);
        Assert.Null(Engine.Content.Find(Digest.Of(third)));
        Assert.Empty(Engine.Images.List("t"));
        going.SetResult();
        await pull;
        Assert.Equal(3, Keys().Count);
    }

    [RunsContainersFact]
    public async Task A_later_layer_that_is_not_what_was_asked_for_ends_the_unpacking_of_an_earlier_one()
    {
        var registry = Http();
        var upper = Layer("upper", 10);
        var made = registry.AddImage("a", "1", [Layer("lower", 40_000), upper]);
        registry.Hook = request => request.Path.EndsWith(made.Layers[1]) ? Later(unpacking.Task, upper.Replace('x', 'y')) : null;
        await Failing(ErrorIds.DigestMismatch, UnpackAsync(registry, "a:1"));
        Assert.True(unpacking.Task.IsCompleted);
        NothingIsLeft();
        // And the way is free for the next one.
        registry.Hook = null;
        await UnpackAsync(registry, "a:1");
        Assert.Equal(2, Keys().Count);
    }

    [RunsContainersFact]
    public async Task A_layer_that_does_not_unpack_is_told_before_the_next_has_come()
    {
        var registry = Http();
        var upper = Layer("upper", 10);
        var made = registry.AddImage("a", "1", ["this is no archive", upper]);
        registry.Hook = request => request.Path.EndsWith(made.Layers[1]) ? Later(going.Task, upper) : null;
        await Failing(ErrorIds.LayerInvalid, UnpackAsync(registry, "a:1"));
        NothingIsLeft();
        going.SetResult();
    }

    [RunsContainersFact]
    public async Task It_can_be_stopped_while_it_does_both()
    {
        var registry = Http();
        var upper = Layer("upper", 10);
        var made = registry.AddImage("a", "1", [Layer("lower", 40_000), upper]);
        registry.Hook = request => request.Path.EndsWith(made.Layers[1]) ? Later(going.Task, upper) : null;
        using var stop = new CancellationTokenSource();
        var pull = UnpackAsync(registry, "a:1", stop.Token);
        await unpacking.Task.WaitAsync(Limit);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pull);
        NothingIsLeft();
        going.SetResult();
    }

    Task<ContainerImage> UnpackAsync(TestRegistry registry, string name, CancellationToken? cancel = null) => Engine.Images.ReceiveAsync($"{registry.Host}/{name}", Pull(http: true, o =>
    {
        o.NoUnpack = false;
        o.Platform = "linux/amd64";
        o.Progress = new Told(p =>
        {
            if (p.Activity == "Unpacking") { unpacking.TrySetResult(); }
        });
    }), cancel ?? Limit);

    List<string> Keys() => Engine.Snapshots.Entries().Keys;

    IEnumerable<string> Unfinished() => Folders.Entries(Engine.Paths.Snapshots).Where(name => name.StartsWith('.'));

    void NothingIsLeft()
    {
        NothingIsStored();
        Assert.Empty(Keys());
        Assert.Empty(Unfinished());
    }

    static async Task Until(Func<bool> so)
    {
        for (var tries = 0; !so(); tries++)
        {
            Assert.True(tries < 600, "it has not come to that within a minute");
            await Task.Delay(100);
        }
    }

    // All of it is ASCII, so that it is a text too.
    static string Layer(string folder, int files)
    {
        var archive = new MemoryStream();
        using (var tar = new TarWriter(archive, TarEntryFormat.Ustar, leaveOpen: true))
        {
            tar.WriteEntry(new UstarTarEntry(TarEntryType.Directory, folder + "/"));
            for (var i = 0; i < files; i++) { tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, $"{folder}/{i}") { DataStream = new MemoryStream(Encoding.ASCII.GetBytes(new string('x', 100))) }); }
        }
        return Encoding.ASCII.GetString(archive.ToArray());
    }

    static TestResponse Later(Task gate, string content) => new(0)
    {
        Raw = async stream =>
        {
            await gate;
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {content.Length}\r\n\r\n{content}"));
            await stream.FlushAsync();
        },
    };

    sealed class Told(Action<ImageProgress> tell) : IProgress<ImageProgress>
    {
        public void Report(ImageProgress value) => tell(value);
    }
}
