using System.Diagnostics;
using System.Globalization;

namespace Containers.Bench;

/// <summary>
/// Import and unpacking of a large image beside other tools, in turns, each run into a new folder and nothing deleted in between: ext4 avoids
/// inodes that were freed in the last minutes, and a run after a removal takes two to four times as long for everybody.
/// </summary>
static class Images
{
    const string Script = """
        param($Module, $Layout, $Folder)
        $ErrorActionPreference = 'Stop'
        $env:CONTAINERS_ROOT = "$Folder/lib"; $env:CONTAINERS_RUN = "$Folder/run"
        Import-Module $Module
        (Measure-Command { $null = Import-ContainerImage $Layout -Reference large:1 }).TotalSeconds.ToString([cultureinfo]::InvariantCulture)
        """;

    public static void Measure(string pwsh, string module, string under, int rounds)
    {
        string folder = Directory.CreateDirectory(Path.Combine(under, $"containers-bench-{Environment.ProcessId}")).FullName;
        Run("chmod", "700", folder);
        Containerd? containerd = null;
        try
        {
            var image = new LargeImage(Directory.CreateDirectory(Path.Combine(folder, "image")).FullName);
            string script = Path.Combine(folder, "images.ps1");
            File.WriteAllText(script, Script);
            containerd = Containerd.Start(folder);
            var tools = new List<(string Name, Func<string, double?> Run)>
            {
                ("Import-ContainerImage", to => double.Parse(Output(pwsh, "-NoProfile", "-File", script, module, image.Layout, to), CultureInfo.InvariantCulture)),
                ("tar xzf, one after another", to => Time(() =>
                {
                    foreach (string layer in image.LayerFiles)
                        Run("tar", "-C", Directory.CreateDirectory(Path.Combine(to, Path.GetFileName(layer)[..8])).FullName, "-xzf", layer);
                })),
                ("umoci unpack", to => Time(() => Run("umoci", "unpack", "--image", $"{image.Layout}:{LargeImage.Tag}", Path.Combine(to, "bundle")))),
                ("umoci raw unpack", to => Time(() => Run("umoci", "raw", "unpack", "--image", $"{image.Layout}:{LargeImage.Tag}", Path.Combine(to, "rootfs")))),
                ("skopeo copy to containers-storage", to => Time(() => Run("skopeo", "--insecure-policy", "copy", "-q", $"oci:{image.Layout}:{LargeImage.Tag}", $"containers-storage:[overlay@{to}/lib+{to}/run]localhost/large:1"))),
                ("ctr image import", to => containerd is null ? null : Time(() => Run("ctr", "--address", containerd.Address, "--namespace", Path.GetFileName(to), "image", "import", "--base-name", "example.org/large", image.Archive))),
            };
            var times = tools.ToDictionary(tool => tool.Name, _ => new List<double>());
            for (int round = 0; round < rounds; round++)
            {
                foreach ((string name, Func<string, double?> run) in tools)
                {
                    // What the last one has left to be written is not this one's time.
                    Run("sync");
                    // One store for containerd's runs: the second one would find everything there.
                    if (name.StartsWith("ctr", StringComparison.Ordinal) && round > 0)
                        continue;
                    try
                    {
                        if (run(Directory.CreateDirectory(Path.Combine(folder, $"run-{round}-{times.Keys.ToList().IndexOf(name)}")).FullName) is { } seconds)
                            times[name].Add(seconds);
                    }
                    catch (Exception e) when (e is RuntimeRefused or System.ComponentModel.Win32Exception)
                    {
                        Console.Error.WriteLine($"{name}: {e.Message}; it is left out");
                    }
                }
            }
            Print(times);
        }
        finally
        {
            containerd?.Dispose();
            // containers-storage leaves its own folder mounted on itself.
            foreach (string mounted in File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')[1]).Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal)).Reverse().ToList())
                Run("umount", mounted);
            Run("rm", "-rf", "--one-file-system", folder);
        }
    }

    static void Print(Dictionary<string, List<double>> times)
    {
        Console.WriteLine();
        Console.WriteLine("1 GB, 100,000 files, four gzip layers, imported and unpacked; seconds, the best of each, and ours in its");
        double ours = times.First().Value.DefaultIfEmpty(double.NaN).Min();
        foreach ((string name, List<double> all) in times)
        {
            if (all.Count > 0)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name,-34} | {all.Min(),6:0.0} | {ours / all.Min(),5:0.00} | {string.Join(' ', all.Select(t => t.ToString("0.0", CultureInfo.InvariantCulture)))} |"));
        }
    }

    static double Time(Action work)
    {
        long from = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(from).TotalSeconds;
    }

    static void Run(string program, params string[] arguments) => Output(program, arguments);

    static string Output(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        Task<string> complaint = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new RuntimeRefused($"{program}: exit status {process.ExitCode}: {complaint.Result.Trim()}");
    }

    /// <summary>A containerd of our own, without the parts that are not needed.</summary>
    sealed class Containerd(Process process, string address) : IDisposable
    {
        public string Address => address;

        public static Containerd? Start(string folder)
        {
            if (Runtime.Find("containerd") is not { } program || Runtime.Find("ctr") is null)
                return null;
            string address = Path.Combine(folder, "containerd.sock"), configuration = Path.Combine(folder, "containerd.toml");
            File.WriteAllText(configuration, $"""
                version = 2
                root = "{folder}/containerd"
                state = "{folder}/containerd-state"
                disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
                [grpc]
                  address = "{address}"
                [ttrpc]
                  address = "{address}.ttrpc"
                """);
            var start = new ProcessStartInfo(program, ["--config", configuration, "--log-level", "error"]) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
            Process process = Process.Start(start)!;
            process.ErrorDataReceived += (_, _) => { };
            process.OutputDataReceived += (_, _) => { };
            process.BeginErrorReadLine();
            process.BeginOutputReadLine();
            for (int tries = 0; tries < 100 && !File.Exists(address); tries++)
                Task.Delay(100).Wait();
            return new Containerd(process, address);
        }

        public void Dispose()
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }
    }
}
