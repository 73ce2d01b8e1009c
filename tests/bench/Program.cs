// Containers.Bench MODULE [PWSH [FOLDER]]: times psrun beside the other runtimes of this machine, in turns within one run, and prints one table.
// With FOLDER it times the import of a large image there instead, beside the other tools for images; that takes 25 GB and some minutes.
using System.Globalization;
using Containers.Bench;

if (args.Length is < 1 or > 3)
{
    Console.Error.WriteLine("usage: Containers.Bench MODULE [PWSH [FOLDER]]");
    return 2;
}
string module = Path.GetFullPath(args[0]);
string? pwsh = args.Length >= 2 && args[1].Length > 0 ? args[1] : null;
int runs = int.TryParse(Environment.GetEnvironmentVariable("BENCH_RUNS"), CultureInfo.InvariantCulture, out int asked) ? Math.Max(3, asked) : 50;

if (args.Length == 3)
{
    Images.Measure(pwsh ?? throw new ArgumentException("the import of images is measured in pwsh"), module, Path.GetFullPath(args[2]), int.TryParse(Environment.GetEnvironmentVariable("BENCH_RUNS"), CultureInfo.InvariantCulture, out int rounds) ? rounds : 2);
    return 0;
}

using var bundle = new Bundle();
using var hierarchy = HugetlbHierarchy.MountIfMissing();
var runtimes = new List<Runtime> { new("psrun", Path.Combine(module, "bin", Bundle.Platform, "psrun"), bundle) };
foreach (string peer in new[] { "crun", "runc" })
{
    if (Runtime.Find(peer) is { } path)
        runtimes.Add(new Runtime(peer, path, bundle));
}

var table = new Table(runtimes.Select(runtime => runtime.Name).ToList());
table.Add("start of the program (--version)", Measure(runtime => runtime.Do("--version")));
table.Add("run /bin/true, six new namespaces", Measure(runtime => runtime.Run(bundle.True)));
table.Add("the same, default system call filter", Measure(runtime => runtime.Run(bundle.Filtered)));
table.Add("the same, 50 bind mounts", Measure(runtime => runtime.Run(bundle.Mounts)));
table.Add("the same, id-mapped user namespace", Measure(runtime => runtime.Run(bundle.UserNamespace)));
table.Add("create, start, state, delete -f", Measure(runtime => runtime.Steps()));
foreach (Runtime runtime in runtimes)
    runtime.Keep();
table.Add("exec /bin/true", Measure(runtime => runtime.Exec()));
foreach (Runtime runtime in runtimes)
    runtime.Drop();
table.Add("50 at once, run /bin/true", Measure(runtime => runtime.RunAtOnce(50), Math.Min(runs, 5)));
Console.WriteLine($"medians of {runs} runs each, in turns, in milliseconds; the last columns are psrun's time in a peer's");
table.Print(Console.Out);
Memory.Measure(runtimes, bundle);
if (Environment.GetEnvironmentVariable("CONTAINERS_TEST_LONG") == "1")
    Thousand.Measure(runtimes);
if (pwsh is not null)
{
    Cmdlets.Measure(pwsh, module, bundle, runs);
    Namespaces.Measure(pwsh, module, bundle);
    Cgroups.Measure(pwsh, module, bundle);
}
return 0;

// In turns: what disturbs the machine disturbs all alike. The first turn warms up and does not count.
Dictionary<string, List<double>> Measure(Action<Runtime> work, int? fewer = null)
{
    var times = runtimes.ToDictionary(runtime => runtime.Name, _ => new List<double>());
    var refused = new HashSet<string>();
    for (int run = 0; run <= (fewer ?? runs); run++)
    {
        foreach (Runtime runtime in runtimes)
        {
            if (refused.Contains(runtime.Name))
                continue;
            long from = System.Diagnostics.Stopwatch.GetTimestamp();
            try
            {
                work(runtime);
            }
            catch (RuntimeRefused e)
            {
                Console.Error.WriteLine(e.Message);
                refused.Add(runtime.Name);
                times[runtime.Name].Clear();
                continue;
            }
            if (run > 0)
                times[runtime.Name].Add(System.Diagnostics.Stopwatch.GetElapsedTime(from).TotalMilliseconds);
        }
    }
    return times;
}
