// Containers.Bench MODULE [PWSH [FOLDER [FIGURES [FILES]]]]: times psrun beside the other runtimes of this machine, in turns within one run, and prints one
// table. With FOLDER it measures images and tasks there instead, beside the other tools for them: FIGURES are all, or some of gzip, zstd, pull, push, commit,
// memory, log and measure with commas between. FILES is how many files the large image has, 100,000 by default: those are 1 GB, and take minutes and 60 GB for two rounds
// of all figures. BENCH_RUNS says how many rounds, two of images by default.
using System.Globalization;
using Containers.Bench;

if (args.Length is < 1 or > 5)
{
    Console.Error.WriteLine("usage: Containers.Bench MODULE [PWSH [FOLDER [FIGURES [FILES]]]]");
    return 2;
}
string module = Path.GetFullPath(args[0]);
string? pwsh = args.Length >= 2 && args[1].Length > 0 ? args[1] : null;
int runs = Math.Max(3, Number(Environment.GetEnvironmentVariable("BENCH_RUNS"), 50));

if (args.Length >= 3)
{
    int rounds = Number(Environment.GetEnvironmentVariable("BENCH_RUNS"), 2), files = Number(args.ElementAtOrDefault(4), 100_000);
    IReadOnlyList<string> figures = args.ElementAtOrDefault(3) is { Length: > 0 } and not "all" ? args[3].Split(',') : Images.All;
    Images.Measure(pwsh ?? throw new ArgumentException("images are measured in pwsh"), module, Path.GetFullPath(args[2]), rounds, figures, files);
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

static int Number(string? text, int otherwise) => int.TryParse(text, CultureInfo.InvariantCulture, out int number) ? number : otherwise;

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
