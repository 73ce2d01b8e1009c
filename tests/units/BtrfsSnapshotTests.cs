using System.Diagnostics;
using Containers.Linux;
using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace Containers.Tests.Units;

/// <summary>The contract on a btrfs of the test's own, and what only this driver promises.</summary>
[Collection(SnapshotContract.HostMounts)]
[NeedsBtrfs]
public sealed class BtrfsSnapshotTests(BtrfsDisk disk) : SnapshotContract("btrfs", disk.Folder), IClassFixture<BtrfsDisk>
{
    string Named(string key) => Path.Combine(f.Options.Root, "snapshots/named", f.Options.ContainerNamespace, key);

    string Layer() => Directory.GetDirectories(Path.Combine(f.Options.Root, "snapshots")).Single(folder => Path.GetFileName(folder).Length == 32);

    [SnapshotFact]
    public async Task Layers_are_copied_once_and_then_shared_by_all()
    {
        await f.Engine.Images.ImportRootfsAsync(f.Rootfs, new ImageImportOptions { Reference = "base:1" }, cancel: f.Limit);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Task.Run(() => new ContainerEngine(f.Options).Snapshots.MakeFromImageAsync(Snapshots, $"s{i}", "base:1", view: i == 3))));
        var layer = Layer();
        Assert.Equal(["fs", "merged", "snapshot.json"], Directory.GetFileSystemEntries(layer).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.True(Subvolume.Is($"{layer}/merged") && Subvolume.Is(Named("s0/upper")));
        // Nobody changes what all others begin with, nor a view.
        foreach (var folder in new[] { $"{layer}/merged", Named("s3/upper") }) { Assert.ThrowsAny<IOException>(() => File.WriteAllText($"{folder}/x", "")); }
        // Files share their blocks with the layer.
        Assert.Equal("shared", Shell(layer, "btrfs filesystem du -s --raw merged | awk 'NR == 2 && $1 > 500000 && $2 < 100000 { print \"shared\" }'"));
        Assert.Equal("750 5 6", await Mounted("s0", path => Shell(path, "chmod 750 etc; chown 5:6 etc; rm bin/busybox; stat -c '%a %u %g' etc")));
        await Mounted("s1", path => Assert.Equal("755 0 0", Shell(path, "test -s bin/busybox && stat -c '%a %u %g' etc")));
        foreach (var key in new[] { "s0", "s1", "s2", "s3" }) { await Snapshots.RemoveAsync(key); }
        f.Engine.Images.Remove("base:1");
        f.Engine.Storage.Collect();
        Assert.False(Directory.Exists(layer));
        Assert.DoesNotContain(Path.GetFileName(f.Folder), Shell("/", $"btrfs subvolume list '{disk.Folder}'"));
    }

    [SnapshotFact]
    public async Task A_committed_snapshot_is_built_on_without_a_copy()
    {
        await Committed("one", null, "echo 1 >f");
        await Snapshots.PrepareAsync("two", "one");
        Assert.False(Directory.Exists(Named("one/merged")));
        // One of another driver is copied, once, and the copy goes with it.
        await f.Engine.Snapshots.Snapshotter("overlayfs").PrepareAsync("over", "one");
        await Mounted("over", path => Shell(path, "echo 2 >f; rm -f g"));
        await f.Engine.Snapshots.Snapshotter("overlayfs").CommitAsync("over-one", "over");
        await Snapshots.PrepareAsync("three", "over-one");
        await Mounted("three", path => Assert.Equal("2", Shell(path, "cat f")));
        Assert.True(Subvolume.Is(Named("over-one/merged")));
        await Snapshots.RemoveAsync("three");
        await Snapshots.RemoveAsync("over-one");
        Assert.False(Directory.Exists(Named("over-one")));
    }

    /// <summary>Whoever may write may make subvolumes, and close them: removal takes them all the same, also where a kernel's rmdir does not.</summary>
    [SnapshotFact]
    public async Task Subvolumes_that_somebody_made_inside_go_too()
    {
        foreach (var other in new[] { "btrfs", "native" })
        {
            await f.Engine.Snapshots.Snapshotter(other).PrepareAsync("deep-" + other);
            Shell(Named($"deep-{other}/upper"), "btrfs -q subvolume create a && mkdir a/b && btrfs -q subvolume create a/b/c && echo x >a/b/c/x && btrfs property set a ro true && btrfs -q subvolume snapshot -r a d");
            await Snapshots.RemoveAsync("deep-" + other);
            Assert.False(Directory.Exists(Named("deep-" + other)));
        }
        Assert.Empty(Directory.GetFileSystemEntries(Path.GetDirectoryName(Named("x"))!));
    }

    [SnapshotFact]
    public async Task A_copy_that_was_killed_is_made_anew_or_swept()
    {
        await f.Engine.Images.ImportRootfsAsync(f.Rootfs, new ImageImportOptions { Reference = "base:1" }, cancel: f.Limit);
        await f.Engine.Snapshots.MakeFromImageAsync(Snapshots, "one", "base:1", view: false);
        var layer = Layer();
        var merged = Path.Combine(layer, "merged");
        Directory.Move(merged, Path.Combine(layer, ".new-merged"));
        f.Engine.Storage.Collect();
        Assert.False(Directory.Exists(Path.Combine(layer, ".new-merged")));
        Shell(layer, "btrfs -q subvolume create .new-merged && echo half >.new-merged/half");
        await f.Engine.Snapshots.MakeFromImageAsync(Snapshots, "two", "base:1", view: false);
        await Mounted("two", path => Assert.Equal("hi", Shell(path, "test ! -e half && bin/busybox echo hi")));
        Assert.Equal(["fs", "merged", "snapshot.json"], Directory.GetFileSystemEntries(layer).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [SnapshotFact]
    public async Task It_is_chosen_where_overlays_cannot_be()
    {
        // Which is where ids are mapped: an overlay cannot be mounted so.
        Assert.Equal("overlayfs", f.Engine.Snapshots.Snapshotter().Name);
        await f.Engine.Containers.CreateAsync(new ContainerCreateOptions { Id = "m", RootfsPath = f.Rootfs, Overlay = true, ArgumentList = ["/bin/true"], UidMap = [new NamespaceIdMap(0, 100000, 65536)] });
        var folder = Path.Combine(f.Options.Root, "containers", f.Options.ContainerNamespace, "m");
        Assert.True(Subvolume.Is(Path.Combine(folder, "overlay/upper")));
        Assert.True(File.Exists(Path.Combine(folder, "overlay/upper/bin/busybox")));
        await f.Engine.Containers.RemoveAsync("m");
        Assert.False(Directory.Exists(folder));
    }
}

/// <summary>A file system of btrfs in a file of 256 MB, of which little is used.</summary>
public sealed class BtrfsDisk : IDisposable
{
    public BtrfsDisk()
    {
        Folder = Directory.CreateTempSubdirectory("btrfs-").FullName;
        if (NeedsBtrfsAttribute.Reason is not null) { return; }
        File = Folder + ".img";
        using (var file = System.IO.File.Create(File)) { file.SetLength(256 << 20); }
        Run(NeedsBtrfsAttribute.Mkfs!, "-q", File);
        Run("mount", "-o", "loop", File, Folder);
    }

    public string Folder { get; }

    string? File { get; }

    public void Dispose()
    {
        if (File is not null)
        {
            Run("umount", Folder);
            System.IO.File.Delete(File);
        }
        Directory.Delete(Folder);
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var said = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) { throw new InvalidOperationException($"{program}: {said.Result}"); }
    }
}

/// <summary>A class whose tests need a btrfs, which they make themselves.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NeedsBtrfsAttribute : Attribute
{
    internal static string? Mkfs { get; } = $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/sbin".Split(':').Select(folder => Path.Combine(folder, "mkfs.btrfs")).FirstOrDefault(System.IO.File.Exists);

    /// <summary>Why it cannot be; null when it can.</summary>
    public static string? Reason { get; } = Mkfs is null ? "needs mkfs.btrfs (btrfs-progs)" : !System.IO.File.ReadAllText("/proc/filesystems").Contains("btrfs") ? "this kernel has no btrfs" : null;
}

/// <summary>A test of the contract, which every class that has it runs for its own driver.</summary>
[XunitTestCaseDiscoverer("Containers.Tests.Units." + nameof(SnapshotFactDiscoverer), "Containers.Tests.Units")]
sealed class SnapshotFactAttribute : FactAttribute;

/// <summary>Skips where containers cannot be run, and where the class needs what is not here.</summary>
public sealed class SnapshotFactDiscoverer(IMessageSink sink) : IXunitTestCaseDiscoverer
{
    public IEnumerable<IXunitTestCase> Discover(ITestFrameworkDiscoveryOptions options, ITestMethod method, IAttributeInfo fact) =>
        [new SnapshotTestCase(sink, options.MethodDisplayOrDefault(), options.MethodDisplayOptionsOrDefault(), method)];
}

/// <summary>One test that may be skipped by what its class needs.</summary>
public sealed class SnapshotTestCase : XunitTestCase
{
    [Obsolete("for the deserializer alone")]
    public SnapshotTestCase() { }

    public SnapshotTestCase(IMessageSink sink, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method) : base(sink, display, options, method) { }

    protected override string? GetSkipReason(IAttributeInfo factAttribute) =>
        new RunsContainersFactAttribute().Skip ?? (TestMethod.TestClass.Class.GetCustomAttributes(typeof(NeedsBtrfsAttribute)).Any() ? NeedsBtrfsAttribute.Reason : null);
}
