namespace Containers.Tests.Runtime;

/// <summary>The runtime that a test's shims call. Where crun needs a view of its own of the control groups, the shims have it too.</summary>
sealed class ShimRuntime
{
    /// <summary>Why a test under crun has nothing to say: another's group, be it a dying one, keeps the controller.</summary>
    public const string CrunRefuses = "crun refuses this host: hugetlb is no v1 hierarchy, and a group of the unified tree keeps it from becoming one";

    readonly string scratch;
    CrunView? view;

    ShimRuntime(string program, string scratch)
    {
        Program = program;
        this.scratch = scratch;
    }

    public string Program { get; }

    public static string Default { get; } = Environment.GetEnvironmentVariable("SHIM_RUNTIME") is { Length: > 0 } named ? named : "psrun";

    /// <summary>Those that are installed.</summary>
    public static IEnumerable<string> Installed => ((string[])["psrun", "runc", "crun"]).Where(name => name == "psrun" || UnderTest.InPath(name) is not null);

    /// <param name="name">A name or a path.</param>
    /// <returns>null for a crun that cannot work here</returns>
    public static ShimRuntime? Open(string name, string scratch)
    {
        var program = name == "psrun" ? ShimTask.Psrun : name.Contains('/') ? Path.GetFullPath(name) : UnderTest.InPath(name) ?? throw new FileNotFoundException(name);
        var runtime = new ShimRuntime(program, scratch);
        return Path.GetFileName(program) != "crun" || (runtime.view = Crun.Open(scratch)) is not null ? runtime : null;
    }

    /// <summary>The words before a command of a shell that is to run where the runtime can work.</summary>
    public string Way => string.Join(' ', view?.Way ?? []);

    /// <summary>Runs a program where the runtime can work.</summary>
    public Result Run(string program, params string[] arguments) => view?.Run(program, arguments) ?? Spawn.Run(scratch, program, arguments);

    /// <param name="tag">What the paths of groups have that a killed shim may have left.</param>
    public void Close(string tag)
    {
        view?.RemoveGroups(tag);
        view?.Dispose();
        view = null;
    }
}
