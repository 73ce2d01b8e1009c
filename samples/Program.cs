// Containers.Samples demo MODULE MARK STATE: the story of demo.ps1 told through the engine, which is a library of its own.
using Containers.Linux.Cgroups;
using System.Diagnostics;
using System.Text;
using Containers;
using Containers.Samples;

if (args is not ["demo", _, _, _])
{
    Console.Error.WriteLine("usage: Containers.Samples demo MODULE MARK STATE");
    return 2;
}
(string module, string mark, string state) = (args[1], args[2], args[3]);
var engine = new ContainerEngine(new ContainerHostOptions
{
    Root = Path.Combine(state, "lib"),
    RunRoot = Path.Combine(state, "run"),
    ContainerNamespace = mark,
    HelperPath = ContainerHostOptions.FromEnvironment(module).HelperPath,
});
string busybox = Busybox.MakeRoot(Path.Combine(state, "busybox"));
try
{
    Say("two containers: the host's own root under a writable layer, and a root of busybox alone");
    await engine.Containers.CreateAsync(new ContainerCreateOptions { Id = "probe", RootfsPath = "/", Overlay = true, ArgumentList = ["sleep", "1000"] });
    await engine.Containers.CreateAsync(new ContainerCreateOptions
    {
        Id = "web", RootfsPath = busybox, HostName = "web", Memory = 64 << 20,
        ArgumentList = ["sh", "-c", "echo listening; echo no such file >&2; exec sleep 1000"],
    });
    await engine.Tasks.StartAsync("probe");
    await engine.Tasks.StartAsync("web");
    foreach (ContainerTask task in engine.Tasks.List())
        Console.WriteLine($"{task.ContainerId,-8} {task.State,-8} pid {task.ProcessId}, shim {task.ShimProcessId}");
    Check("two tasks run", engine.Tasks.List().Count(task => task.State == ContainerTaskState.Running) == 2);

    Say("a program in web: arguments as they are, its exit code as data");
    ContainerRunResult result = await RunAsync("web", "sh", "-c", "hostname; for word; do echo \"[$word]\"; done; exit 3", "sh", "two  words", "", "it's \"quoted\"");
    Console.WriteLine($"exit code {result.ExitCode}");
    Check("the exit code is 3", result.ExitCode == 3);

    Say("what probe writes goes to its own layer");
    await RunAsync("probe", "sh", "-c", "echo overwritten >/etc/hostname; cat /etc/hostname");
    Check("the host kept its file", !File.Exists("/etc/hostname") || File.ReadAllText("/etc/hostname").Trim() != "overwritten");

    Say("web's namespaces");
    foreach (LinuxNamespace one in engine.Namespaces.List(containerId: "web").Where(one => one.Container == "web"))
        Console.WriteLine($"{one.Type,-7} {one.Id} {one.HolderPath}");

    Say("a limit of 32 MiB, and a program that wants 64");
    CgroupLimit limit = engine.Cgroups.SetLimit(engine.Cgroups.PathOf("web"), new CgroupLimitChange { Memory = 32 << 20, Cpu = 0.5, ProcessLimit = 20 });
    Console.WriteLine($"{limit.Path}: {limit.Memory} bytes, {limit.Cpu} processors, {limit.ProcessLimit} processes");
    result = await RunAsync("web", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1");
    Console.WriteLine($"exit code {result.ExitCode}, signal {result.Signal}");
    Check("the limit stopped it", result.Signal == 9);
    ContainerMeasurement use = await engine.Measurements.MeasureAsync("web");
    Console.WriteLine($"web uses {use.MemoryUsage} bytes of {use.MemoryLimit}, {use.ProcessCount} processes");

    Say("web's log");
    List<ContainerLogEntry> log = engine.Logs.Read("web").ToList();
    log.ForEach(entry => Console.WriteLine($"{entry.Time:HH:mm:ss.fff} {entry.Stream}: {entry.Text}"));
    Check("the log has both lines", log.Count == 2);

    Say("stop, and remove");
    result = await engine.Tasks.StopAsync("web", timeout: TimeSpan.FromSeconds(1));
    Console.WriteLine($"web ended by signal {result.Signal} after {result.Duration}");
}
finally
{
    foreach (string id in engine.Containers.ListIds())
        await engine.Containers.RemoveAsync(id, force: true);
}
Check("no container is left", engine.Containers.ListIds().Count == 0);
Console.WriteLine();
return 0;

async Task<ContainerRunResult> RunAsync(string id, params string[] arguments)
{
    using ContainerAttachment program = await engine.Tasks.ExecAsync(id, new ContainerExecOptions { ArgumentList = arguments });
    while (await program.ReadAsync() is { } part)
        (part.Stream == ContainerLogStream.Stdout ? Console.Out : Console.Error).Write(Encoding.UTF8.GetString(part.Data));
    return program.Result!;
}

static void Say(string what) => Console.WriteLine($"\n== {what}");

static void Check(string what, bool isSo)
{
    if (!isSo)
        throw new UnreachableException($"the demo went wrong: not so: {what}");
}
