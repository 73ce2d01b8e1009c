using System.Globalization;

namespace Containers.Bench;

/// <summary>A runtime did not do what was asked, so that its times would mean nothing.</summary>
sealed class RuntimeRefused(string message) : Exception(message);

/// <summary>One OCI runtime, driven by its command line as an engine would drive it.</summary>
sealed class Runtime(string name, string path, Bundle bundle)
{
    readonly string root = Path.Combine(bundle.Folder, "state-" + name);
    int number;
    string? kept;

    public string Name => name;

    public static string? Find(string name)
        => (Environment.GetEnvironmentVariable("PATH") + ":/usr/sbin:/sbin").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public void Do(params string[] arguments)
    {
        int status = Spawn.Run(path, [name, .. arguments]);
        if (status != 0)
            throw new RuntimeRefused($"{name} {string.Join(' ', arguments)}: exit status {status}; it is left out of that row");
    }

    public void Run(string folder) => Do("--root", root, "run", "--bundle", folder, Next());

    /// <summary>Runs a bundle as many times at once.</summary>
    public void RunAtOnce(int count)
    {
        var running = Enumerable.Range(0, count).Select(_ => Spawn.Start(path, [name, "--root", root, "run", "--bundle", bundle.True, Next()])).ToList();
        foreach (int status in running.Select(Spawn.Wait).ToList())
        {
            if (status != 0)
                throw new RuntimeRefused($"{name}: one of {count} at once ended with exit status {status}");
        }
    }

    public string Create()
    {
        string id = Next();
        Do("--root", root, "create", "--bundle", bundle.True, id);
        return id;
    }

    public void List() => Do("--root", root, "list");

    public void Delete(string id) => Do("--root", root, "delete", "-f", id);

    public void Steps()
    {
        string id = Create();
        Do("--root", root, "start", id);
        Do("--root", root, "state", id);
        Delete(id);
    }

    /// <summary>Leaves a container running, for exec.</summary>
    public void Keep()
    {
        string id = Next();
        try
        {
            Do("--root", root, "run", "-d", "--bundle", bundle.Sleep, id);
            kept = id;
        }
        catch (RuntimeRefused e)
        {
            Console.Error.WriteLine(e.Message);
        }
    }

    public void Exec() => Do("--root", root, "exec", kept ?? throw new RuntimeRefused($"{name}: no container to exec in"), "/bin/true");

    public void Drop()
    {
        if (kept is not null)
            Delete(kept);
        kept = null;
    }

    string Next() => string.Create(CultureInfo.InvariantCulture, $"bench-{name}-{Environment.ProcessId}-{++number}");
}
