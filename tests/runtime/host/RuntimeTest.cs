using System.Security.Cryptography;

namespace Containers.Tests.Runtime;

/// <summary>
/// One test's own folder, state root and ids. At its end every container is deleted by force, and the test fails when a mount, a cgroup, a
/// process, a namespace or a state folder of it is still on the host.
/// </summary>
public abstract class RuntimeTest : IDisposable
{
    readonly List<string> ids = [];
    readonly HashSet<string> namespaces = [];
    int bundles;

    protected RuntimeTest()
    {
        Tag = "psrt" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(5));
        Folder = Directory.CreateTempSubdirectory(Tag + "-").FullName;
        File.SetUnixFileMode(Folder, Permission.WorldSearchable);
        Runtime = new Runtime(UnderTest.Program, Path.Combine(Folder, "state"), Folder);
    }

    protected string Tag { get; }

    protected string Folder { get; }

    private protected Runtime Runtime { get; }

    /// <summary>An id that no other test has and that is deleted at the end.</summary>
    protected string NewId()
    {
        var id = $"{Tag}-{ids.Count}";
        ids.Add(id);
        return id;
    }

    private protected Bundle NewBundle()
    {
        var number = bundles++;
        return new Bundle(Path.Combine(Folder, $"bundle{number}"), $"/{Tag}-group{number}");
    }

    private protected Bundle Sleeper() => NewBundle().Args("sleep", "1000");

    /// <summary>Runs the bundle to its end.</summary>
    private protected Result Run(Bundle bundle, params string[] flags) => Runtime.Run(NewId(), bundle, flags);

    /// <summary>Starts the bundle in the background.</summary>
    private protected (string Id, int Pid) Start(Bundle bundle, params string[] flags)
    {
        var id = NewId();
        Runtime.Run(id, bundle, ["--detach", .. flags]).Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        return (id, pid);
    }

    private protected (string Id, int Pid) Create(Bundle bundle, params string[] flags)
    {
        var id = NewId();
        Runtime.Create(id, bundle, flags).Ends(0);
        var pid = Runtime.Pid(id);
        Watch(pid);
        return (id, pid);
    }

    /// <summary>Notes the namespaces of a container's process: nobody may hold them when the test is over.</summary>
    protected void Watch(int pid)
    {
        foreach (var name in HostState.PrivateNamespaces(pid))
            namespaces.Add(name);
    }

    /// <summary>Fails when anything of this test is on the host. Dying processes get a moment.</summary>
    protected void AssertNothingLeft()
    {
        var until = Environment.TickCount64 + 5000;
        using var pause = new ManualResetEventSlim();
        List<string> left;
        do
        {
            left = HostState.Leftovers(Tag, Runtime.Root, namespaces);
            if (left.Count == 0)
                return;
            pause.Wait(20);
        }
        while (Environment.TickCount64 < until);
        Assert.Fail("left behind:\n" + string.Join('\n', left));
    }

    /// <summary>Waits for something that a container does and nobody announces; fails after 30 seconds.</summary>
    protected static void Until(Func<bool> condition)
    {
        var until = Environment.TickCount64 + 30_000;
        using var pause = new ManualResetEventSlim();
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < until, "it did not happen within 30 s");
            pause.Wait(5);
        }
    }

    protected virtual void CleanUp()
    {
    }

    public void Dispose()
    {
        GC.SuppressFinalize(this);
        try
        {
            CleanUp();
            foreach (var id in ids)
            {
                if (Directory.Exists(Path.Combine(Runtime.Root, id)))
                    Runtime.Do("delete", "--force", id).Ends(0);
            }
            AssertNothingLeft();
        }
        finally
        {
            // A mount that was left would be emptied with the folder: then the folder stays.
            if (!File.ReadAllText("/proc/self/mountinfo").Contains(Tag))
                Directory.Delete(Folder, recursive: true);
        }
    }
}
