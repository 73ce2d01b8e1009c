using System.Diagnostics;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>What every driver for snapshots promises: <see cref="ISnapshotter"/>.</summary>
/// <param name="within">An existing folder on the file system that the store is to lie on.</param>
public abstract class SnapshotContract(string driver, string within = "/tmp") : IDisposable
{
    /// <summary>Tests that mount on the host, and those that compare its mounts: one after another.</summary>
    public const string HostMounts = "mounts of the host";

    private protected readonly EngineFixture f = new(within);

    private protected ISnapshotter Snapshots => f.Engine.Snapshots.Snapshotter(driver);

    public virtual void Dispose()
    {
        try
        {
            foreach (var mount in Linux.MountInfo.ReadSelf().Where(m => m.MountPoint.StartsWith(f.Folder, StringComparison.Ordinal)).Reverse()) { _ = Linux.Libc.umount2(mount.MountPoint, 0); }
        }
        finally { f.Dispose(); }
        GC.SuppressFinalize(this);
    }

    private protected async Task<T> Mounted<T>(string key, Func<string, T> work)
    {
        var path = Directory.CreateDirectory(Path.Combine(f.Folder, "mnt-" + key)).FullName;
        var mount = await f.Engine.Snapshots.MountAsync(key, path);
        Assert.Equal((key, path), (mount.Key, mount.Path));
        try { return work(path); }
        finally { f.Engine.Snapshots.Dismount(path); }
    }

    private protected Task Mounted(string key, Action<string> work) => Mounted(key, path =>
    {
        work(path);
        return true;
    });

    private protected static string Shell(string folder, string script)
    {
        using var shell = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", script]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var complaint = shell.StandardError.ReadToEndAsync();
        var output = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        Assert.True(shell.ExitCode == 0, complaint.Result);
        return output.Trim();
    }

    static async Task Failing(string id, Func<Task> work) => Assert.Equal(id, (await Assert.ThrowsAsync<ContainerException>(work)).Id);

    private protected async Task<string> Committed(string name, string? parent, string script)
    {
        var key = "active-" + name;
        await Snapshots.PrepareAsync(key, parent);
        await Mounted(key, path => Shell(path, script));
        await Snapshots.CommitAsync(name, key);
        return name;
    }

    [SnapshotFact]
    public async Task What_is_written_is_committed_and_built_on()
    {
        var made = await Snapshots.PrepareAsync("work", labels: new Dictionary<string, string> { ["a"] = "1" });
        Assert.Equal(("work", ContainerSnapshotKind.Active, null, driver, "1"), (made.Key, made.Kind, made.Parent, made.Snapshotter, made.Labels["a"]));
        await Mounted("work", path => Shell(path, "echo one >file; mkdir -p sub/deep; echo in >sub/deep/in; ln file link; chmod 750 sub; chown 5:6 sub"));
        var committed = await Snapshots.CommitAsync("base", "work");
        Assert.Equal(("base", ContainerSnapshotKind.Committed, "1"), (committed.Key, committed.Kind, committed.Labels["a"]));
        await Failing(ErrorIds.SnapshotNotFound, () => Task.FromResult(Snapshots.Stat("work")));

        // A change above is not seen below.
        await Snapshots.PrepareAsync("child", "base");
        await Mounted("child", path =>
        {
            Assert.Equal("one", File.ReadAllText(Path.Combine(path, "file")).Trim());
            Assert.Equal("750 5 6", Shell(path, "stat -c '%a %u %g' sub"));
            Assert.Equal("same", Shell(path, "[ file -ef link ] && echo same"));
            Shell(path, "echo two >file; rm -r sub; mkdir sub; echo new >sub/new; rm link");
        });
        await Snapshots.CommitAsync("second", "child", new Dictionary<string, string> { ["b"] = "2" });
        Assert.Equal(["b"], Snapshots.Stat("second").Labels.Keys);
        Assert.Equal("base", Snapshots.Stat("second").Parent);
        foreach (var (name, expected) in new[] { ("base", "one|file link sub|deep"), ("second", "two|file sub|new") })
        {
            await Snapshots.ViewAsync("view-" + name, name);
            await Mounted("view-" + name, path =>
            {
                Assert.Equal(expected, Shell(path, "echo \"$(cat file)|$(echo *)|$(ls sub)\""));
                Assert.Equal("read-only", Shell(path, "echo x 2>/dev/null >file || echo read-only"));
            });
            await Snapshots.RemoveAsync("view-" + name);
        }
        Assert.Equal(["base", "second"], Snapshots.Walk().Select(s => s.Key));
    }

    [SnapshotFact]
    public async Task Everything_that_a_file_has_comes_along()
    {
        const string list = "find . -mindepth 1 \\( -type d -printf '%P %y %#m %U:%G %T@\\n' -o -printf '%P %y %#m %U:%G %s %T@ %n %l\\n' \\) | LC_ALL=C sort; getfattr -R -h -d -m '^(user|security)' -e hex . 2>/dev/null; cat sub/* 2>/dev/null";
        var before = "";
        await Snapshots.PrepareAsync("odd");
        await Mounted("odd", path => before = Shell(path, $"""
            mkdir sub; echo x >sub/x; ln sub/x y; ln -s /nowhere dangling; mkfifo fifo; truncate -s 5M hole; chmod 4711 y; chown 70000:4000000000 sub; touch -d @1.5 sub
            setfattr -n user.k -v v sub/x; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 y; touch -d '2001-01-01 00:00:00.123456789 UTC' y
            touch -d @1.5 sub
            {list}
            """));
        await Snapshots.CommitAsync("odd-one", "odd");
        await Snapshots.PrepareAsync("odd-child", "odd-one");
        await Mounted("odd-child", path =>
        {
            Assert.Equal(before, Shell(path, list));
            Assert.Equal("0", Shell(path, "stat -c %b hole"));
        });
    }

    [SnapshotFact]
    public async Task What_is_asked_wrongly_is_refused_by_name()
    {
        await Committed("one", null, "echo 1 >f");
        await Failing(ErrorIds.SnapshotExists, () => Snapshots.PrepareAsync("one"));
        await Failing(ErrorIds.SnapshotNotFound, () => Snapshots.PrepareAsync("x", "nowhere"));
        await Failing(ErrorIds.SnapshotNotFound, () => Snapshots.PrepareAsync("x", "sha256:" + new string('a', 64)));
        foreach (var bad in new[] { "", "../x", "a/b", ".new-x", "sha256:x", new string('k', 77), "a\nb" }) { await Failing(ErrorIds.InvalidId, () => Snapshots.PrepareAsync(bad)); }
        await Snapshots.PrepareAsync("two", "one");
        await Failing(ErrorIds.SnapshotKindWrong, () => Snapshots.PrepareAsync("three", "two"));
        await Failing(ErrorIds.SnapshotKindWrong, () => Snapshots.CommitAsync("four", "one"));
        await Failing(ErrorIds.SnapshotExists, () => Snapshots.CommitAsync("one", "two"));
        await Failing(ErrorIds.SnapshotExists, () => Snapshots.CommitAsync("two", "two"));
        await Failing(ErrorIds.SnapshotNotFound, () => Snapshots.CommitAsync("four", "nowhere"));
        await Failing(ErrorIds.SnapshotNotFound, () => Snapshots.RemoveAsync("nowhere"));
        await Failing(ErrorIds.SnapshotKindWrong, () => Task.FromResult(Snapshots.Mounts("one")));
        await Snapshots.ViewAsync("view", "one");
        await Failing(ErrorIds.SnapshotKindWrong, () => Snapshots.CommitAsync("four", "view"));
        await Failing(ErrorIds.SnapshotInUse, () => Snapshots.RemoveAsync("one"));
        var path = Directory.CreateDirectory(Path.Combine(f.Folder, "m")).FullName;
        await f.Engine.Snapshots.MountAsync("two", path);
        await Failing(ErrorIds.MountExists, () => f.Engine.Snapshots.MountAsync("view", path));
        await Failing(ErrorIds.SnapshotInUse, () => Snapshots.RemoveAsync("two"));
        await Failing(ErrorIds.SnapshotInUse, () => Snapshots.CommitAsync("four", "two"));
        await Failing(ErrorIds.MountNotFound, () => Task.Run(() => f.Engine.Images.Dismount(path)));
        f.Engine.Snapshots.Dismount(path);
        await Failing(ErrorIds.MountNotFound, () => Task.Run(() => f.Engine.Snapshots.Dismount(path)));
        await Snapshots.RemoveAsync("two");
        await Snapshots.RemoveAsync("view");
        await Snapshots.RemoveAsync("one");
        Assert.Empty(Snapshots.Walk());
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(f.Options.Root, "snapshots/named", f.Options.ContainerNamespace)));
        // Nothing of another container namespace is seen.
        await Snapshots.PrepareAsync("mine");
        Assert.Empty(f.Engine.Snapshots.Snapshotter(driver, "other").Walk());
    }

    [SnapshotFact]
    public async Task Usage_is_what_it_has_over_its_parent()
    {
        await Committed("large", null, "dd if=/dev/zero of=zeros bs=1M count=3 2>/dev/null; mkdir d; ln zeros d/again");
        var large = Snapshots.Usage("large");
        Assert.InRange(large.Bytes, 3 << 20, 4 << 20);
        Assert.Equal(3, large.Entries);
        Assert.Equal((large.Bytes, large.Entries), (Snapshots.Stat("large").Size, Snapshots.Stat("large").Entries));
        await Snapshots.PrepareAsync("small", "large");
        Assert.Null(Snapshots.Stat("small").Size);
        var before = Snapshots.Usage("small");
        await Mounted("small", path => Shell(path, "dd if=/dev/zero of=more bs=1M count=1 2>/dev/null"));
        var after = Snapshots.Usage("small");
        Assert.InRange(after.Bytes - before.Bytes, 1 << 20, (1 << 20) + (64 << 10));
        Assert.Equal(before.Entries + 1, after.Entries);
        Assert.Equal(after.Bytes, f.Engine.Snapshots.Measure(Snapshots.Stat("small")).Size);
    }

    [SnapshotFact]
    public async Task A_snapshot_keeps_the_layers_of_an_image_and_gives_them_back()
    {
        await f.Engine.Images.ImportRootfsAsync(f.Rootfs, new ImageImportOptions { Reference = "base:1" }, cancel: f.Limit);
        var made = await f.Engine.Snapshots.MakeFromImageAsync(Snapshots, "of-image", "base:1", view: false);
        var layer = Assert.Single(Snapshots.Walk(), s => s.IsImageLayer);
        Assert.Equal((layer.Key, ContainerSnapshotKind.Committed), (made.Parent, layer.Kind));
        Assert.Equal(layer.Size, Snapshots.Usage(layer.Key).Bytes);
        await Failing(ErrorIds.SnapshotInUse, () => Snapshots.RemoveAsync(layer.Key));
        f.Engine.Images.Remove("base:1");
        Assert.Equal(["Snapshots 2"], f.Engine.Storage.Measure().Where(m => m.Type == "Snapshots").Select(m => $"{m.Type} {m.Active}"));
        await Mounted("of-image", path => Assert.Equal("hi", Shell(path, "bin/busybox echo hi")));
        await Snapshots.CommitAsync("of-image-2", "of-image");
        f.Engine.Storage.Collect();
        Assert.Equal(layer.Key, Assert.Single(Snapshots.Walk(), s => s.IsImageLayer).Key);
        await Snapshots.RemoveAsync("of-image-2");
        Assert.Equal([layer.Key], f.Engine.Storage.Collect().Where(g => g.Type == "Snapshot").Select(g => f.Engine.Snapshots.Snapshotter().Walk().Any() ? "still there" : layer.Key));
    }

    [SnapshotFact]
    public async Task Of_several_at_once_one_makes_it()
    {
        await Committed("one", null, "echo 1 >f");
        var work = Enumerable.Range(0, 8).Select(_ => Task.Run(() => new ContainerEngine(f.Options).Snapshots.Snapshotter(driver).PrepareAsync("same", "one"))).ToList();
        foreach (var one in work)
        {
            try { await one; }
            catch (ContainerException e) { Assert.Equal(ErrorIds.SnapshotExists, e.Id); }
        }
        _ = Assert.Single(work, w => w.IsCompletedSuccessfully);
        var commits = Enumerable.Range(0, 4).Select(i => Task.Run(() => new ContainerEngine(f.Options).Snapshots.Snapshotter(driver).CommitAsync($"name{i}", "same"))).ToList();
        foreach (var one in commits)
        {
            try { await one; }
            catch (ContainerException e) { Assert.Equal(ErrorIds.SnapshotNotFound, e.Id); }
        }
        _ = Assert.Single(commits, c => c.IsCompletedSuccessfully);
        Assert.Equal(2, Snapshots.Walk().Count());
    }

    [SnapshotFact]
    public async Task What_was_killed_half_way_is_whole_or_swept()
    {
        await Snapshots.PrepareAsync("work");
        await Mounted("work", path => Shell(path, "echo 1 >f"));
        var parent = Path.Combine(f.Options.Root, "snapshots/named", f.Options.ContainerNamespace);
        // A commit that was killed after its new record was written has done nothing; after its rename, all.
        File.WriteAllText(Path.Combine(parent, "work/committed.json"), File.ReadAllText(Path.Combine(parent, "work/snapshot.json")).Replace("\"Active\"", "\"Committed\"").Replace("\"key\":\"work\"", "\"key\":\"done\""));
        Assert.Equal(ContainerSnapshotKind.Active, Snapshots.Stat("work").Kind);
        Directory.Move(Path.Combine(parent, "work"), Path.Combine(parent, "done"));
        Assert.Equal((ContainerSnapshotKind.Committed, "done"), (Snapshots.Stat("done").Kind, Assert.Single(Snapshots.Walk()).Key));
        await Snapshots.PrepareAsync("on-it", "done");
        await Mounted("on-it", path => Assert.Equal("1", Shell(path, "cat f")));

        Directory.CreateDirectory(Path.Combine(parent, ".new-half/upper/x"));
        Directory.CreateDirectory(Path.Combine(parent, ".del-gone/upper"));
        Assert.Equal(["done", "on-it"], Snapshots.Walk().Select(s => s.Key));
        f.Engine.Storage.Collect();
        Assert.Equal(["done", "on-it"], Directory.GetFileSystemEntries(parent).Select(Path.GetFileName).Order());
        // What is damaged is said, not guessed.
        File.WriteAllText(Path.Combine(parent, "on-it/snapshot.json"), "{");
        await Failing(ErrorIds.StoreDamaged, () => Task.FromResult(Snapshots.Stat("on-it")));
    }
}

[Collection(SnapshotContract.HostMounts)]
public sealed class OverlaySnapshotTests() : SnapshotContract("overlayfs");

[Collection(SnapshotContract.HostMounts)]
public sealed class NativeSnapshotTests() : SnapshotContract("native");
