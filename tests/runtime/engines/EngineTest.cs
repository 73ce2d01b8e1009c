namespace Containers.Tests.Runtime;

/// <summary>A test with engines of others that start the runtime under test. Skipped by name where one of the programs is not installed.</summary>
sealed class EngineFactAttribute : FactAttribute
{
    public EngineFactAttribute(params string[] programs)
    {
        if (Native.geteuid() != 0)
            Skip = "needs root";
        foreach (var program in programs)
        {
            if (UnderTest.InPath(program) is null)
                Skip = $"{program} is not installed";
        }
    }

    /// <summary>Only in <c>test --long</c>.</summary>
    public bool Long
    {
        get;
        set
        {
            field = value;
            if (value && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG")))
                Skip ??= "only with --long";
        }
    }
}

/// <summary>
/// An engine with its store, sockets and records in the test's own folder and its containers in control groups below the test's tag; no
/// registry and no network. Nothing of it is left when the test is over.
/// </summary>
public abstract class EngineTest : RuntimeTest
{
    protected const string Image = "psrt";

    /// <summary>Engines give the terminal its size a moment after the start.</summary>
    protected const string TellTerminal = "tty; until [ \"$(stty size)\" = '31 97' ]; do sleep 0.1; done; stty size";

    private protected Result Do(string program, params string[] arguments) => Do(program, [], arguments);

    private protected Result Do(string program, Dictionary<string, string> environment, params string[] arguments) =>
        Spawn.Run(Folder, UnderTest.InPath(program)!, arguments, new SpawnOptions { Environment = environment, Timeout = TimeSpan.FromSeconds(120) });

    /// <summary>The same with a terminal of 97 columns and 31 rows for all three streams.</summary>
    private protected Result DoInTerminal(string program, Dictionary<string, string> environment, params string[] arguments)
    {
        var words = string.Join(' ', ((string[])[UnderTest.InPath(program)!, .. arguments]).Select(word => $"'{word.Replace("'", "'\\''")}'"));
        return Do("script", environment, "-qec", $"stty rows 31 cols 97; {words}", "/dev/null");
    }

    /// <summary>A root filesystem as a tar archive.</summary>
    protected string RootfsArchive()
    {
        var rootfs = Path.Combine(Folder, "image");
        Rootfs.Make(rootfs);
        var archive = Path.Combine(Folder, "image.tar");
        System.Formats.Tar.TarFile.CreateFromDirectory(rootfs, archive, includeBaseDirectory: false);
        return archive;
    }

    static bool Removed(string folder)
    {
        try
        {
            Directory.Delete(folder);
        }
        catch (IOException)
        {
        }
        return !Directory.Exists(folder);
    }

    /// <summary>Engines leave the parent of their containers' groups, and a monitor may still be in it for a moment.</summary>
    protected override void CleanUp()
    {
        foreach (var group in HostState.Cgroups(Tag).OrderByDescending(path => path.Length))
            Until(() => Removed(group));
    }
}

/// <summary>A daemon in the foreground of nobody: ended by SIGTERM, by force when that does not end it.</summary>
sealed class Daemon(string scratch, string program, string[] arguments, Func<bool> answers) : IDisposable
{
    Spawn? spawn;

    public void Start()
    {
        spawn = Spawn.Start(scratch, UnderTest.InPath(program)!, arguments);
        var until = Environment.TickCount64 + 60_000;
        using var pause = new ManualResetEventSlim();
        while (!answers())
        {
            Assert.True(Environment.TickCount64 < until, $"{program} does not answer\n{spawn.Stdout}\n{spawn.Stderr}");
            pause.Wait(100);
        }
    }

    public void Stop()
    {
        if (spawn is null)
            return;
        Native.kill(spawn.Pid, Native.SIGTERM);
        Native.WaitForEnd(spawn.Pid, TimeSpan.FromSeconds(30));
        spawn.Kill();
        spawn = null;
    }

    public void Dispose() => Stop();
}
