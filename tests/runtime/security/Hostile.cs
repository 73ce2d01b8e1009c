using System.Collections.Concurrent;

namespace Containers.Tests.Runtime;

/// <summary>Small programs of the tests' own, most of which attack, compiled once for a run of the suite and put where a test wants them.</summary>
static class Hostile
{
    static readonly ConcurrentDictionary<string, Lazy<string>> Compiled = new();
    static readonly Lazy<string> Folder = new(() =>
    {
        var folder = Directory.CreateTempSubdirectory("psrt-hostile-").FullName;
        File.SetUnixFileMode(folder, Permission.WorldSearchable);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(folder, recursive: true);
        return folder;
    });

    /// <summary>The program's path on the host.</summary>
    /// <param name="name">Of its source in security/hostile, or with the source's folder.</param>
    public static string Program(string name) => Compiled.GetOrAdd(name, _ => new Lazy<string>(() => Compile(name))).Value;

    /// <summary>Puts a copy into a bundle's root.</summary>
    public static void Install(string name, Bundle bundle, string path)
    {
        var target = bundle.InRootfs(path);
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
        File.Copy(Program(name), target, overwrite: true);
        File.SetUnixFileMode(target, Permission.Program);
    }

    static string Compile(string name)
    {
        var source = Path.Combine(AppContext.BaseDirectory, name.Contains('/') ? "" : "security/hostile", name + ".c");
        var target = Path.Combine(Folder.Value, Path.GetFileName(name));
        // A loader is started before anything that libc needs is there.
        string[] how = name == "loader" ? ["-nostdlib", "-static-pie", "-fPIE", "-fno-stack-protector"] : ["-static"];
        var result = Spawn.Run(Folder.Value, "/usr/bin/gcc", ["-O2", .. how, "-o", target, source], new SpawnOptions { Timeout = SpawnOptions.Limit(120) });
        Assert.True(result.ExitCode == 0, result.ToString());
        return target;
    }
}

/// <summary>Exchanges two names of a folder for as long as it lives.</summary>
sealed class Swapper : IDisposable
{
    readonly Spawn program;

    public Swapper(string scratch, string one, string other) => program = Spawn.Start(scratch, Hostile.Program("swap"), [one, other]);

    /// <summary>Fails the test when the exchange has stopped by itself: then nothing was tried.</summary>
    public void AssertRuns() => Assert.True(HostState.ProcessState(program.Pid) is not (null or "Z"), "the swapper has ended: " + program.Stderr);

    public void Dispose() => program.Dispose();
}

/// <summary>How often the tests that try many times do it: <c>CONTAINERS_TEST_LONG</c> asks for the whole size.</summary>
static class Rounds
{
    public static bool Long { get; } = Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") is { Length: > 0 };

    public static int Of(int small, int whole) => Long ? whole : small;
}
