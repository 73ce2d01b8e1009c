using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>
/// A test of <c>psrun shim</c>: run folders, orders, and at the end the same count of what is left as for the runtime. The shim works with any
/// OCI runtime: <c>SHIM_RUNTIME</c> names it (a name or a path), psrun itself where nothing is said. <see cref="ShimRuntimesTests"/> goes over all that are here.
/// </summary>
public abstract class ShimTest : RuntimeTest
{
    readonly List<ShimTask> tasks = [];
    ShimRuntime? runtime;

    /// <summary>What tasks of this test are made with.</summary>
    private protected ShimRuntime Under => runtime ??= ShimRuntime.Open(ShimRuntime.Default, Folder) ?? throw new IOException(ShimRuntime.CrunRefuses);

    /// <summary>In place of what the suite's tasks are made with; false where it cannot work on this host just now.</summary>
    private protected bool Use(string name) => (runtime = ShimRuntime.Open(name, Folder)) is not null;

    private protected ShimTask NewTask(Action<Bundle> bundle, Action<JsonObject>? orders = null)
    {
        var task = new ShimTask(Folder, Tag, tasks.Count, NewBundle().Change(bundle), orders, Under);
        tasks.Add(task);
        return task;
    }

    private protected ShimTask NewTask(string script, Action<JsonObject>? orders = null) => NewTask(b => b.Shell(script), orders);

    /// <summary>A task in state created.</summary>
    private protected ShimTask Created(string script, Action<JsonObject>? orders = null) => NewTask(script, orders).Launch();

    private protected ShimTask Running(string script, Action<JsonObject>? orders = null)
    {
        var task = Created(script, orders);
        task.Start();
        return task;
    }

    private protected static void WithTerminal(Bundle b) => b.Process["terminal"] = true;

    protected override void CleanUp()
    {
        foreach (var task in tasks)
            task.Kill();
        runtime?.Close(Tag);
    }
}

/// <summary>One task's run folder and its shim.</summary>
sealed class ShimTask
{
    readonly ShimRuntime runtime;

    public string Id { get; }
    public string RunDir { get; set; }
    public string LogPath { get; }
    public string RuntimeRoot { get; }
    public string ShimCgroup { get; }
    public Bundle Bundle { get; }
    public JsonObject Orders { get; }
    public int ShimPid { get; private set; }
    public int Pid { get; private set; }

    public ShimTask(string folder, string tag, int number, Bundle bundle, Action<JsonObject>? change, ShimRuntime runtime)
    {
        this.runtime = runtime;
        bundle.Config["root"]!["readonly"] = false;
        bundle.Save();
        Id = $"{tag}-task{number}";
        RunDir = Directory.CreateDirectory(Path.Combine(folder, "run" + number)).FullName;
        File.SetUnixFileMode(RunDir, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        LogPath = Path.Combine(folder, $"log{number}");
        RuntimeRoot = Path.Combine(folder, "runtime" + number);
        ShimCgroup = $"/{tag}-shim/t/{Id}";
        Bundle = bundle;
        Orders = new JsonObject
        {
            ["version"] = 1, ["id"] = Id, ["namespace"] = "t", ["runtime"] = runtime.Program, ["runtimeRoot"] = RuntimeRoot, ["bundle"] = bundle.Folder,
            ["mounts"] = new JsonArray(), ["cgroup"] = ShimCgroup, ["log"] = LogPath, ["terminal"] = false, ["stdin"] = false,
            ["stdout"] = null, ["stderr"] = null, ["stdinPath"] = null, ["plain"] = true,
        };
        change?.Invoke(Orders);
    }

    /// <summary>The shim is always psrun's own, also when the suite's runtime is another.</summary>
    public static string Psrun { get; } = FindPsrun();

    static string FindPsrun()
    {
        if (Environment.GetEnvironmentVariable("PSRUN") is { Length: > 0 } named)
            return Path.GetFullPath(named);
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Containers.slnx")))
            folder = folder.Parent;
        var built = Path.Combine(folder?.FullName ?? "/", "out/Containers/bin/linux-x64/psrun");
        return File.Exists(built) ? built : throw new FileNotFoundException("psrun is not built: build it, or name it in PSRUN", built);
    }

    public void WriteOrders() => File.WriteAllText(Path.Combine(RunDir, "shim.json"), Orders.ToJsonString());

    /// <summary>Runs the launcher and gives its one line and its exit status.</summary>
    public (int Status, JsonObject Line) TryLaunch()
    {
        WriteOrders();
        var result = runtime.Run(Psrun, "shim", "--run-dir", RunDir);
        Assert.True(result.Lines.Length == 1, $"not exactly one line: {result}");
        var line = JsonNode.Parse(result.Stdout)!.AsObject();
        ShimPid = (int?)line["pid"] ?? 0;
        Pid = (int?)line["taskPid"] ?? 0;
        return (result.ExitCode, line);
    }

    public ShimTask Launch()
    {
        var (status, line) = TryLaunch();
        Assert.True(status == 0, line.ToJsonString());
        return this;
    }

    public ShimClient Connect() => new(Path.Combine(RunDir, "shim.sock"));

    public void Start()
    {
        using var client = Connect();
        client.Call("start");
    }

    /// <summary>The exit record, when the shim is gone: whoever connects too late finds nobody to ask.</summary>
    public JsonObject Wait()
    {
        WaitForShim();
        return Record("exit.json");
    }

    public void WaitForShim() => Assert.True(Native.WaitForEnd(ShimPid, TimeSpan.FromSeconds(30)), "the shim still runs");

    public bool ShimAlive => HostState.ProcessState(ShimPid) is not (null or "Z" or "X");

    public JsonObject Record(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(RunDir, name)))!.AsObject();

    public bool Has(string name) => File.Exists(Path.Combine(RunDir, name));

    public string ShimLog => File.ReadAllText(Path.Combine(RunDir, "shim.log"));

    /// <summary>Whatever still lives of it, without the shim's help.</summary>
    public void Kill()
    {
        if (ShimPid > 0 && ShimAlive)
            Native.kill(ShimPid, Native.SIGKILL);
        if (Directory.Exists(Path.Combine(RuntimeRoot, Id)))
            runtime.Run(runtime.Program, "--root", RuntimeRoot, "delete", "--force", Id);
        if (ShimPid > 0)
            WaitForShim();
        // The v2 tree alone is that folder itself.
        foreach (var hierarchy in Directory.GetDirectories("/sys/fs/cgroup").Append("/sys/fs/cgroup"))
            for (var group = ShimCgroup; group.Length > 1; group = Path.GetDirectoryName(group)!)
                if (Directory.Exists(hierarchy + group))
                    try { Directory.Delete(hierarchy + group); } catch (IOException) { break; }
    }

    /// <summary>One stream's bytes out of the log, each record checked on the way.</summary>
    public byte[] Logged(string stream)
    {
        var log = File.ReadAllBytes(LogPath).AsSpan();
        var bytes = new MemoryStream();
        while (log.Length > 0)
        {
            var end = log.IndexOf((byte)'\n');
            Assert.True(end > 0, "the log's last record has no end");
            var record = log[..end];
            log = log[(end + 1)..];
            var head = Encoding.ASCII.GetString(record[..40]);
            Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z std(out|err) [FP] $", head);
            Assert.True(record.Length - 40 <= 16 * 1024, $"a record of {record.Length} bytes");
            if (head[31..37] != stream)
                continue;
            bytes.Write(record[40..]);
            if (head[38] == 'F')
                bytes.WriteByte((byte)'\n');
        }
        return bytes.ToArray();
    }
}
