using System.Globalization;

namespace Containers.Bench;

/// <summary>
/// Images and tasks beside other tools, in turns, each run into a new folder and nothing deleted in between: ext4 avoids inodes that were freed in the last
/// minutes, and a run after a removal takes two to four times as long for everybody. What is not on this machine is told and left out.
/// </summary>
static class Images
{
    /// <summary>The figures, in the order in which they are measured.</summary>
    public static readonly string[] All = ["gzip", "zstd", "pull", "push", "commit", "memory", "log", "measure"];

    /// <param name="files">How many files the large image has: 100,000 are 1 GB.</param>
    public static void Measure(string pwsh, string module, string under, int rounds, IReadOnlyList<string> figures, int files)
    {
        string folder = Directory.CreateDirectory(Path.Combine(under, $"containers-bench-{Environment.ProcessId}")).FullName;
        Programs.Run("chmod", "700", folder);
        // Of a user's own configuration nothing counts: neither mirrors nor credentials.
        foreach (string variable in new[] { "DOCKER_CONFIG", "CONTAINERS_CERTS_DIR" })
            Environment.SetEnvironmentVariable(variable, folder);
        Environment.SetEnvironmentVariable("CONTAINERS_REGISTRIES_CONF", Path.Combine(folder, "registries.conf"));
        var bench = new ImageBench(pwsh, module, folder, rounds);
        try
        {
            LargeImage? gzip = null;
            LargeImage Gzip() => gzip ??= new LargeImage(bench.Folder("image"), files);
            foreach (string figure in figures)
            {
                try
                {
                    switch (figure)
                    {
                        case "gzip": Import(bench, Gzip(), files, "gzip"); break;
                        case "zstd": Import(bench, new LargeImage(bench.Folder("image-zstd"), files, zstd: true), files, "zstd"); break;
                        case "pull": ImageTraffic.Pull(bench, Gzip(), files); break;
                        case "push": ImageTraffic.Push(bench, Gzip(), files); break;
                        case "commit": ImageCommit.Measure(bench, files / 10, files / 100); break;
                        case "memory": ImageMemory.Measure(bench, files); break;
                        case "log": Tasks.Log(bench); break;
                        case "measure": Tasks.Measure(bench); break;
                        default: throw new ArgumentException($"no figure '{figure}': {string.Join(", ", All)}");
                    }
                }
                catch (RuntimeRefused e)
                {
                    Console.Error.WriteLine($"{e.Message}; the figure '{figure}' is left out");
                }
            }
        }
        finally
        {
            // containers-storage leaves its own folder mounted on itself.
            foreach (string mounted in File.ReadLines("/proc/self/mounts").Select(line => line.Split(' ')[1]).Where(path => path.StartsWith(folder + "/", StringComparison.Ordinal)).Reverse().ToList())
                Programs.Run("umount", mounted);
            Programs.Run("rm", "-rf", "--one-file-system", folder);
        }
    }

    static void Import(ImageBench bench, LargeImage image, int files, string compression) => bench.Rows($"{files} files in four {compression} layers, imported and unpacked",
    [
        ("Import-ContainerImage", to => bench.Pwsh(to, "Measure-Seconds { $null = Import-ContainerImage $one -Reference large:1 }", image.Layout)),
        ("tar, one after another", to => Programs.Time(() =>
        {
            foreach (string layer in image.LayerFiles)
                Programs.Run("tar", "-C", Directory.CreateDirectory(Path.Combine(to, Path.GetFileName(layer)[..8])).FullName, $"--{compression}", "-xf", layer);
        })),
        ("umoci unpack", to => Programs.Time(() => Programs.Run("umoci", "unpack", "--image", $"{image.Layout}:{LargeImage.Tag}", Path.Combine(to, "bundle")))),
        ("umoci raw unpack", to => Programs.Time(() => Programs.Run("umoci", "raw", "unpack", "--image", $"{image.Layout}:{LargeImage.Tag}", Path.Combine(to, "rootfs")))),
        ("skopeo copy to containers-storage", to => Programs.Time(() => Programs.Run("skopeo", "--insecure-policy", "copy", "-q", $"oci:{image.Layout}:{LargeImage.Tag}", ImageBench.Storage(to, "localhost/large:1")))),
        ("ctr image import", to =>
        {
            using Daemon containerd = Daemon.Containerd(to);
            return Programs.Time(() => Programs.Run("ctr", "--address", containerd.Address, "image", "import", "--base-name", "example.org/large", image.Archive));
        }),
    ]);
}

/// <summary>Where figures of images are measured, and how they are shown.</summary>
sealed class ImageBench(string pwsh, string module, string folder, int rounds)
{
    int number;

    public string Shell => pwsh;
    public string Module => module;

    /// <summary>A new one, which stays until all is measured.</summary>
    public string Folder(string name) => Directory.CreateDirectory(Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{++number}-{name}"))).FullName;

    /// <summary>containers-storage in a folder, as skopeo names it.</summary>
    public static string Storage(string to, string image) => $"containers-storage:[overlay@{to}/lib+{to}/run]{image}";

    public double Pwsh(string to, string script, params string[] arguments) => Programs.Pwsh(pwsh, module, to, script, arguments);

    /// <summary>Measures in turns, the best of each, and prints. The first is ours.</summary>
    /// <param name="tools">Each gives its seconds for a folder of its own.</param>
    public void Rows(string title, IReadOnlyList<(string Name, Func<string, double> Run)> tools)
    {
        var times = tools.Select(_ => new List<double>()).ToList();
        var refused = new HashSet<int>();
        for (int round = 0; round < rounds; round++)
        {
            for (int tool = 0; tool < tools.Count; tool++)
            {
                if (refused.Contains(tool))
                    continue;
                // What the last one has left to be written is not this one's time.
                Programs.Run("sync");
                try
                {
                    times[tool].Add(tools[tool].Run(Folder("run")));
                }
                catch (RuntimeRefused e)
                {
                    Console.Error.WriteLine($"{tools[tool].Name}: {e.Message}; it is left out");
                    refused.Add(tool);
                }
            }
        }
        Console.WriteLine();
        Console.WriteLine($"{title}; seconds, the best of each, ours in its, and all");
        double ours = times[0].DefaultIfEmpty(double.NaN).Min();
        for (int tool = 0; tool < tools.Count; tool++)
        {
            if (times[tool].Count > 0)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {tools[tool].Name,-34} | {times[tool].Min(),7:0.00} | {ours / times[tool].Min(),5:0.00} | {string.Join(' ', times[tool].Select(t => t.ToString("0.00", CultureInfo.InvariantCulture)))} |"));
        }
        Console.Out.Flush();
    }
}
