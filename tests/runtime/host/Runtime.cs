using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>An OCI runtime program on its command line, with a state folder of its own.</summary>
sealed class Runtime(string program, string root, string scratch)
{
    public string Program { get; } = program;

    public string Root { get; } = root;

    public Result Do(params string[] arguments) => Do(new SpawnOptions(), arguments);

    public Result Do(SpawnOptions options, params string[] arguments) =>
        Spawn.Run(scratch, Program, ["--root", Root, .. arguments], options);

    public Spawn Begin(SpawnOptions options, params string[] arguments) =>
        Spawn.Start(scratch, Program, ["--root", Root, .. arguments], options);

    public Result Create(string id, Bundle bundle, params string[] flags) => Do(["create", .. flags, "--bundle", bundle.Folder, id]);

    public Result Run(string id, Bundle bundle, params string[] flags) => Do(["run", .. flags, "--bundle", bundle.Folder, id]);

    public Result Exec(string id, params string[] arguments) => Do(["exec", .. arguments.Length > 0 && arguments[0].StartsWith('-')
        ? (string[])[.. arguments.TakeWhile(a => a != "--"), id, .. arguments.SkipWhile(a => a != "--").Skip(1)]
        : [id, .. arguments]]);

    /// <summary>The state that <c>state</c> prints; fails the test when there is none.</summary>
    public JsonObject State(string id) => JsonNode.Parse(Do("state", id).Ends(0).Stdout)!.AsObject();

    public string Status(string id) => (string)State(id)["status"]!;

    public int Pid(string id) => (int)State(id)["pid"]!;

    /// <summary>Waits for the end of the container's init, whoever its parent is.</summary>
    public void WaitForEnd(int pid) => Assert.True(Native.WaitForEnd(pid, TimeSpan.FromSeconds(30)), $"process {pid} still runs");
}

/// <summary>Which program the suite is about: <c>CONTAINERS_TEST_RUNTIME</c> (a name or a path), else <c>PSRUN</c>, else the built module's psrun.</summary>
static class UnderTest
{
    public static string Program { get; } = Find();

    public static bool IsRunc => Path.GetFileName(Program) == "runc";

    public static bool IsCrun => Path.GetFileName(Program) == "crun";

    static string Find()
    {
        if (Environment.GetEnvironmentVariable("CONTAINERS_TEST_RUNTIME") is { Length: > 0 } named)
            return named.Contains('/') ? Path.GetFullPath(named) : InPath(named) ?? throw new FileNotFoundException(named);
        if (Environment.GetEnvironmentVariable("PSRUN") is { Length: > 0 } psrun)
            return Path.GetFullPath(psrun);
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Containers.slnx")))
            folder = folder.Parent;
        return Path.Combine(folder?.FullName ?? "/", "out/Containers/bin/linux-x64/psrun");
    }

    public static string? InPath(string name)
    {
        foreach (var folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
        {
            var candidate = Path.Combine(folder, name);
            if (File.Exists(candidate))
                return candidate;
        }
        return null;
    }
}

/// <summary>A test against the kernel. It needs root; the suite itself is checked with runc and with crun in psrun's place (docs/runtime-differences.md).</summary>
sealed class RuntimeFactAttribute : FactAttribute
{
    /// <summary>Why runc 1.1 cannot take psrun's place in this test.</summary>
    public string? NotUnderRunc
    {
        get;
        set => Skip = UnderTest.IsRunc ? "runc: " + (field = value) : Skip;
    }

    /// <summary>Why crun 1.8 cannot take psrun's place in this test.</summary>
    public string? NotUnderCrun
    {
        get;
        set => Skip = UnderTest.IsCrun ? "crun: " + (field = value) : Skip;
    }

    public RuntimeFactAttribute([CallerFilePath] string file = "", [CallerMemberName] string test = "") =>
        Skip = Native.geteuid() == 0 ? Differences.Reason(file, test) : "needs root";
}

sealed class RuntimeTheoryAttribute : TheoryAttribute
{
    /// <summary>The test compares with another runtime.</summary>
    public bool NeedsPeer
    {
        get;
        set => Skip ??= (field = value) && UnderTest.InPath("runc") is null && UnderTest.InPath("crun") is null ? "neither runc nor crun is installed" : null;
    }

    public string? NotUnderRunc
    {
        get;
        set => Skip = UnderTest.IsRunc ? "runc: " + (field = value) : Skip;
    }

    public string? NotUnderCrun
    {
        get;
        set => Skip = UnderTest.IsCrun ? "crun: " + (field = value) : Skip;
    }

    public RuntimeTheoryAttribute([CallerFilePath] string file = "", [CallerMemberName] string test = "") =>
        Skip = Native.geteuid() == 0 ? Differences.Reason(file, test) : "needs root";
}
