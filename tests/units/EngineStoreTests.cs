using System.Text.Json;
using Containers;
using Xunit;

namespace Containers.Tests.Units;

public sealed class EngineStoreTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    Task<Container> New(ContainerCreateOptions options) => f.Engine.Containers.CreateAsync(options, f.Limit);

    static async Task<ContainerException> Refused(string id, Func<Task> work)
    {
        var e = await Assert.ThrowsAsync<ContainerException>(work);
        Assert.True(e.Id == id, $"{e.Id}: {e.Message}");
        return e;
    }

    string FolderOf(string id) => Path.Combine(f.Options.Root, "containers", f.Options.ContainerNamespace, id);

    [Fact]
    public async Task What_was_made_is_read_again_as_it_was()
    {
        var made = await New(new ContainerCreateOptions
        {
            Id = "web.1", RootfsPath = f.Rootfs, ArgumentList = ["/bin/sh", "-c", "ä 'b' \"c\""], Runtime = "/bin/true",
            Label = new Dictionary<string, string> { ["tier"] = "front" }, StopSignal = "hup", StopTimeoutSec = 2.5, Overlay = true,
        });
        var read = f.Engine.Containers.Get("web.1");
        Assert.Equal(made.CreatedAt, read.CreatedAt);
        Assert.Equal("front", read.Labels["tier"]);
        Assert.Equal(("SIGHUP", TimeSpan.FromSeconds(2.5), true), (read.StopSignal, read.StopTimeout, read.Overlay));
        Assert.Equal(["/bin/sh", "-c", "ä 'b' \"c\""], read.Spec.Process!.Args!);
        Assert.Equal(ContainerTaskState.None, read.State);
    }

    [Fact]
    public async Task Files_are_0600_and_folders_0700()
    {
        var c = await New(f.Plain());
        Assert.All(Directory.GetFiles(FolderOf(c.Id)), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        for (var folder = FolderOf(c.Id); folder.Length >= f.Options.Root.Length; folder = Path.GetDirectoryName(folder)!)
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }
    }

    [Fact]
    public async Task An_id_is_taken_once()
    {
        await New(f.Plain("one"));
        var e = await Refused(ErrorIds.ContainerExists, () => New(f.Plain("one")));
        Assert.Equal("one", e.Target);
        Assert.Equal(ContainerErrorCategory.ResourceExists, e.Category);
    }

    [Fact]
    public async Task Of_many_who_want_one_id_at_once_one_gets_it()
    {
        var results = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(async () =>
        {
            try { await New(f.Plain("same")); return true; }
            catch (ContainerException e) when (e.Id == ErrorIds.ContainerExists) { return false; }
        })));
        Assert.Single(results, true);
        Assert.Equal(["same"], f.Engine.Containers.ListIds());
        Assert.DoesNotContain(Directory.GetDirectories(Path.GetDirectoryName(FolderOf("same"))!), d => Path.GetFileName(d).StartsWith('.'));
    }

    [Fact]
    public async Task Made_and_removed_at_once_by_many_the_store_ends_empty()
    {
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 10; i++)
            {
                var c = await New(f.Plain());
                await f.Engine.Containers.RemoveAsync(c.Id, cancel: f.Limit);
            }
        })));
        Assert.Empty(f.Left());
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("../x")]
    [InlineData("a/b")]
    [InlineData("-a")]
    [InlineData("_a")]
    [InlineData("a\0b")]
    [InlineData("a\n")]
    [InlineData("ä")]
    [InlineData("a b")]
    public async Task An_id_that_is_none_is_refused_before_it_is_a_path(string id)
    {
        await Refused(ErrorIds.InvalidId, () => New(f.Plain(id)));
        Assert.Throws<ContainerException>(() => f.Engine.Containers.Get(id));
        Assert.Throws<ContainerException>(() => f.Engine.Tasks.Get(id));
        await Refused(ErrorIds.InvalidId, () => f.Engine.Containers.RemoveAsync(id));
    }

    [Fact]
    public void The_longest_id_has_76_characters_and_ns_is_reserved()
    {
        Assert.True(Names.IsValid(new string('a', 76)));
        Assert.False(Names.IsValid(new string('a', 77)));
        Assert.Equal(ErrorIds.InvalidId, Assert.Throws<ContainerException>(() => f.Engine.Containers.ListIds("ns")).Id);
        Assert.Equal("ns", Names.Id("ns"));
    }

    [Fact]
    public async Task A_container_that_is_not_there_is_told_with_its_id()
    {
        var e = Assert.Throws<ContainerException>(() => f.Engine.Containers.Get("gone"));
        Assert.Equal((ErrorIds.ContainerNotFound, ContainerErrorCategory.ObjectNotFound, "gone"), (e.Id, e.Category, (string)e.Target!));
        await Refused(ErrorIds.ContainerNotFound, () => f.Engine.Containers.RemoveAsync("gone"));
        await Refused(ErrorIds.ContainerNotFound, () => f.Engine.Tasks.StartAsync("gone"));
        await New(f.Plain("idle"));
        Assert.Equal(ErrorIds.TaskNotFound, Assert.Throws<ContainerException>(() => f.Engine.Tasks.Get("idle")).Id);
        await Refused(ErrorIds.TaskNotFound, () => f.Engine.Tasks.WaitAsync("idle"));
    }

    [Fact]
    public async Task A_newer_store_is_refused_and_left_as_it_is()
    {
        await New(f.Plain("a"));
        File.WriteAllText(Path.Combine(f.Options.Root, "format"), "2\n");
        await Refused(ErrorIds.StoreFormatUnsupported, () => New(f.Plain("b")));
        Assert.Equal(ErrorIds.StoreFormatUnsupported, Assert.Throws<ContainerException>(() => f.Engine.Containers.ListIds()).Id);
        File.WriteAllText(Path.Combine(f.Options.Root, "format"), "1\n");
        Assert.Equal(["a"], f.Engine.Containers.ListIds());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"version\":1}")]
    [InlineData("{\"version\":\"x\"}")]
    public async Task A_damaged_record_is_told_by_its_container(string content)
    {
        var c = await New(f.Plain());
        File.WriteAllText(Path.Combine(FolderOf(c.Id), "container.json"), content);
        var e = Assert.Throws<ContainerException>(() => f.Engine.Containers.Get(c.Id));
        Assert.Equal((ErrorIds.StoreDamaged, c.Id), (e.Id, (string)e.Target!));
        File.Delete(Path.Combine(FolderOf(c.Id), "container.json"));
    }

    [Fact]
    public async Task An_empty_record_of_what_goes_with_its_run_is_no_container_and_can_be_removed()
    {
        var options = f.Plain();
        options.Transient = true;
        var c = await New(options);
        File.WriteAllText(Path.Combine(FolderOf(c.Id), "container.json"), "");
        Assert.Equal(ErrorIds.ContainerNotFound, Assert.Throws<ContainerException>(() => f.Engine.Containers.Get(c.Id)).Id);
        Assert.DoesNotContain(f.Engine.Containers.List(), one => one.Id == c.Id);
        await f.Engine.Containers.RemoveAsync(c.Id);
        Assert.False(Directory.Exists(FolderOf(c.Id)));
    }

    [Fact]
    public async Task A_record_of_another_container_is_not_believed()
    {
        var (a, b) = (await New(f.Plain("a")), await New(f.Plain("b")));
        File.Copy(Path.Combine(FolderOf(a.Id), "container.json"), Path.Combine(FolderOf(b.Id), "container.json"), overwrite: true);
        Assert.Equal(ErrorIds.StoreDamaged, Assert.Throws<ContainerException>(() => f.Engine.Containers.Get("b")).Id);
        File.Delete(Path.Combine(FolderOf(b.Id), "container.json"));
    }

    [Fact]
    public async Task What_a_crash_left_half_made_is_never_seen_and_swept_away()
    {
        var c = await New(f.Plain());
        var parent = Path.GetDirectoryName(FolderOf(c.Id))!;
        var half = Directory.CreateDirectory(Path.Combine(parent, ".new-0123456789ab")).FullName;
        File.WriteAllText(Path.Combine(half, "lock"), "");
        File.WriteAllText(Path.Combine(half, "container.json"), "{");
        var empty = Directory.CreateDirectory(Path.Combine(parent, ".new-ba9876543210")).FullName;
        var cut = Directory.CreateDirectory(Path.Combine(parent, ".del-0123456789ab", "overlay")).FullName;
        Assert.Equal([c.Id], f.Engine.Containers.ListIds());
        await New(f.Plain());
        Assert.False(Directory.Exists(half) || Directory.Exists(empty) || Directory.Exists(cut));
    }

    [Fact]
    public async Task A_folder_that_somebody_makes_at_the_moment_is_left_alone()
    {
        var c = await New(f.Plain());
        var half = Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(FolderOf(c.Id))!, ".new-0123456789ab")).FullName;
        using (FileLock.Make(Path.Combine(half, "lock")))
        {
            await New(f.Plain());
            Assert.True(Directory.Exists(half));
        }
        // A program that another test starts at this moment has the descriptor from its fork to its exec.
        for (var tries = 0; tries < 100 && Directory.Exists(half); tries++)
        {
            await New(f.Plain());
            await Task.Delay(20);
        }
        Assert.False(Directory.Exists(half));
    }

    [Fact]
    public async Task Waiting_for_a_lock_ends_at_once_when_cancelled()
    {
        var c = await New(f.Plain());
        using var held = await FileLock.TakeExistingAsync(Path.Combine(FolderOf(c.Id), "lock"), f.Limit);
        Assert.NotNull(held);
        using var cancel = new CancellationTokenSource(100);
        var start = System.Diagnostics.Stopwatch.StartNew();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => f.Engine.Containers.RemoveAsync(c.Id, cancel: cancel.Token));
        // Far below the time that a lock is waited for.
        Assert.InRange(start.ElapsedMilliseconds, 50, 5000);
        Assert.Equal([c.Id], f.Engine.Containers.ListIds());
    }

    [Fact]
    public async Task Who_waits_for_the_lock_of_a_container_that_goes_hears_that_it_is_gone()
    {
        var c = await New(f.Plain());
        var removals = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(async () =>
        {
            try { await f.Engine.Containers.RemoveAsync(c.Id, cancel: f.Limit); return "removed"; }
            catch (ContainerException e) { return e.Id; }
        })));
        Assert.Single(removals, "removed");
        Assert.Equal(5, removals.Count(r => r == ErrorIds.ContainerNotFound));
    }

    [Fact]
    public async Task Labels_are_set_changed_and_taken_away()
    {
        var options = f.Plain("a");
        options.Label = new Dictionary<string, string> { ["keep"] = "1", ["drop"] = "2", ["change"] = "3" };
        await New(options);
        await f.Engine.Containers.SetLabelsAsync("a", new Dictionary<string, string?> { ["drop"] = null, ["change"] = "4", ["new"] = "5" });
        Assert.Equal(["change=4", "keep=1", "new=5"], f.Engine.Containers.Get("a").Labels.Select(l => $"{l.Key}={l.Value}").Order());
    }

    [Fact]
    public async Task Container_namespaces_keep_apart()
    {
        await New(f.Plain("a"));
        var other = f.Plain("a");
        other.ContainerNamespace = f.Options.ContainerNamespace + "b";
        await New(other);
        Assert.Equal(2, f.Engine.Containers.ListNamespaces().Count);
        await f.Engine.Containers.RemoveAsync("a", containerNamespace: other.ContainerNamespace);
        Assert.Equal(["a"], f.Engine.Containers.ListIds());
        Assert.Equal([f.Options.ContainerNamespace], f.Engine.Containers.ListNamespaces());
    }

    [Fact]
    public async Task A_root_that_others_may_write_is_refused()
    {
        Directory.CreateDirectory(f.Options.Root);
        File.SetUnixFileMode(f.Options.Root, (UnixFileMode)Convert.ToInt32("777", 8));
        var e = await Refused(ErrorIds.StoreUnavailable, () => New(f.Plain()));
        Assert.Equal(ContainerErrorCategory.SecurityError, e.Category);
        File.SetUnixFileMode(f.Options.Root, (UnixFileMode)Convert.ToInt32("700", 8));
    }

    [Theory]
    [InlineData("no-such-runtime", ErrorIds.RuntimeNotFound)]
    [InlineData("/no/such/runtime", ErrorIds.RuntimeNotFound)]
    [InlineData("../runc", ErrorIds.RuntimeNotFound)]
    [InlineData("", ErrorIds.RuntimeNotFound)]
    public async Task A_runtime_that_is_not_there_is_told(string runtime, string id)
    {
        var options = f.Plain();
        options.Runtime = runtime;
        await Refused(id, () => New(options));
        Assert.Empty(f.Engine.Containers.ListIds());
    }

    [Theory]
    [InlineData("722", "755", ErrorIds.HelperNotTrusted)]
    [InlineData("757", "755", ErrorIds.HelperNotTrusted)]
    [InlineData("755", "777", ErrorIds.HelperNotTrusted)]
    [InlineData("755", "1777", null)]
    [InlineData("755", "755", null)]
    [InlineData("644", "755", ErrorIds.HelperNotFound)]
    public void A_helper_that_others_may_change_is_not_run(string fileMode, string folderMode, string? refused)
    {
        var folder = Directory.CreateDirectory(Path.Combine(f.Folder, "bin")).FullName;
        var file = Path.Combine(folder, "psrun");
        File.Copy("/bin/true", file);
        File.SetUnixFileMode(file, (UnixFileMode)Convert.ToInt32(fileMode, 8));
        File.SetUnixFileMode(folder, (UnixFileMode)Convert.ToInt32(folderMode, 8));
        var engine = new ContainerEngine(new ContainerHostOptions { Root = f.Options.Root, RunRoot = f.Options.RunRoot, HelperPath = file });
        if (refused is null) { Assert.Equal(file, engine.Host.FindHelper()); }
        else { Assert.Equal(refused, Assert.Throws<ContainerException>(() => engine.Host.FindHelper()).Id); }
    }

    [Fact]
    public void A_helper_of_another_user_is_not_run()
    {
        var file = Path.Combine(f.Folder, "psrun");
        File.Copy("/bin/true", file);
        Assert.Equal(0, Mono.Unix.Native.Syscall.chown(file, 12345, 0));
        var engine = new ContainerEngine(new ContainerHostOptions { Root = f.Options.Root, RunRoot = f.Options.RunRoot, HelperPath = file });
        var e = Assert.Throws<ContainerException>(() => engine.Host.FindHelper());
        Assert.Equal((ErrorIds.HelperNotTrusted, ContainerErrorCategory.SecurityError), (e.Id, e.Category));
    }

    [Fact]
    public async Task A_record_of_a_newer_format_is_refused()
    {
        var c = await New(f.Plain());
        var path = Path.Combine(FolderOf(c.Id), "container.json");
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        Assert.Equal(1, document.RootElement.GetProperty("version").GetInt32());
        File.WriteAllText(path, document.RootElement.GetRawText().Replace("\"version\":1", "\"version\":2"));
        Assert.Equal(ErrorIds.StoreFormatUnsupported, Assert.Throws<ContainerException>(() => f.Engine.Containers.Get(c.Id)).Id);
        File.Delete(path);
    }
}
