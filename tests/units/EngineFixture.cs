using Containers;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>An engine with a store and a run root of its own; whatever a test leaves behind is removed, and counted.</summary>
public sealed class EngineFixture : IDisposable
{
    /// <param name="within">An existing folder on the file system that the store is to lie on.</param>
    public EngineFixture(string within = "/tmp")
    {
        Folder = Directory.CreateDirectory($"{within}/containers-engine-{Guid.NewGuid():n}", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        Options = new ContainerHostOptions
        {
            Root = Path.Combine(Folder, "root"),
            RunRoot = Path.Combine(Folder, "run"),
            // The container namespace is part of cgroup paths: tests that run at once must not share one.
            ContainerNamespace = "t" + Guid.NewGuid().ToString("n")[..12],
            HelperPath = Psrun.Path,
            Runtime = Psrun.Runtime,
        };
        Engine = new ContainerEngine(Options);
        Rootfs = MakeRootfs();
    }

    public string Folder { get; }
    public ContainerHostOptions Options { get; }
    public ContainerEngine Engine { get; }
    public string Rootfs { get; }
    public CancellationToken Limit { get; } = new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    /// <summary>Options whose runtime is always there: what is tested does not run anything.</summary>
    public ContainerCreateOptions Plain(string? id = null) => new() { Id = id, RootfsPath = Rootfs, ArgumentList = ["/bin/true"], Runtime = "/bin/true" };

    public ContainerCreateOptions Shell(string script, string? id = null) => new() { Id = id, RootfsPath = Rootfs, ArgumentList = ["/bin/sh", "-c", script] };

    /// <summary>Cgroups, run folders and containers that are left, as paths.</summary>
    public List<string> Left()
    {
        var left = new List<string>();
        foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup"))
        {
            foreach (var parent in new[] { "pscontainers", "pscontainers-shim" })
            {
                var group = Path.Combine(hierarchy, parent, Options.ContainerNamespace);
                if (Directory.Exists(group)) { left.Add(group); }
            }
        }
        if (Directory.Exists(Options.RunRoot)) { left.AddRange(Directory.GetFileSystemEntries(Options.RunRoot)); }
        var containers = Path.Combine(Options.Root, "containers");
        if (Directory.Exists(containers)) { left.AddRange(Directory.GetFileSystemEntries(containers)); }
        return left;
    }

    string MakeRootfs()
    {
        var rootfs = Path.Combine(Folder, "rootfs");
        foreach (var folder in new[] { "bin", "etc", "proc", "sys", "dev", "tmp", "root" }) { Directory.CreateDirectory(Path.Combine(rootfs, folder)); }
        File.Copy("/bin/busybox", Path.Combine(rootfs, "bin/busybox"));
        foreach (var name in new[] { "sh", "true", "sleep", "cat", "echo", "id", "hostname", "seq", "grep", "kill", "env", "printf", "dd", "head" })
        {
            File.CreateSymbolicLink(Path.Combine(rootfs, "bin", name), "busybox");
        }
        File.WriteAllText(Path.Combine(rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001:Web:/srv/web:/bin/sh\n12:x:77:77::/x:/bin/sh\nbroken\n");
        File.WriteAllText(Path.Combine(rootfs, "etc/group"), "root:x:0:\nweb:x:1001:\nwheel:x:10:web\nextra:x:2000:other,web\n");
        return rootfs;
    }

    public void Dispose()
    {
        foreach (var id in Engine.Containers.ListIds())
        {
            try { Engine.Containers.RemoveAsync(id, force: true).GetAwaiter().GetResult(); }
            catch (ContainerException) { }
        }
        Folders.RemoveTree(Folder);
    }
}

static class Psrun
{
    /// <summary>CONTAINERS_PSRUN, or the one of the built module.</summary>
    public static string? Path { get; } = Find();

    /// <summary>CONTAINERS_TEST_RUNTIME, else psrun itself.</summary>
    public static string Runtime { get; } = Environment.GetEnvironmentVariable("CONTAINERS_TEST_RUNTIME") ?? "psrun";

    static string? Find()
    {
        if (Environment.GetEnvironmentVariable("CONTAINERS_PSRUN") is { Length: > 0 } named) { return named; }
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = System.IO.Path.GetDirectoryName(folder))
        {
            var path = System.IO.Path.Combine(folder, "out/Containers/bin/linux-x64/psrun");
            if (File.Exists(path)) { return path; }
        }
        return null;
    }
}

/// <summary>A test that runs containers: it needs root and a built psrun.</summary>
sealed class RunsContainersFactAttribute : FactAttribute
{
    public RunsContainersFactAttribute()
    {
        if (Psrun.Path is null) { Skip = "no psrun: build the module, or set CONTAINERS_PSRUN"; }
        else if (Environment.UserName != "root") { Skip = "needs root"; }
        else if (!File.Exists("/bin/busybox")) { Skip = "needs a static /bin/busybox"; }
    }
}
