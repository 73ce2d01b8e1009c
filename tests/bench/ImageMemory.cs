using System.Diagnostics;
using System.Globalization;

namespace Containers.Bench;

/// <summary>
/// How much memory the import of one layer takes at its most, for a layer and for one ten times as large: what pwsh grows by (VmHWM of
/// proc_pid_status(5) less what it had before), and psrun beside it. Other tools are processes for that alone, and count whole.
/// </summary>
static class ImageMemory
{
    const string Script = """
        $null = Get-ContainerImage; [GC]::Collect()
        [Console]::Out.WriteLine('ready'); $null = [Console]::In.ReadLine()
        $null = Import-ContainerImage $args[0] -Reference large:1
        """;

    public static void Measure(ImageBench bench, int files)
    {
        int[] sizes = [files / 10, files];
        var images = sizes.Select(size => new LargeImage(bench.Folder("image"), size, layers: 1)).ToList();
        var tools = new List<(string Name, Func<LargeImage, string> Run)>
        {
            ("Import-ContainerImage", image => Ours(bench, bench.Folder("run"), image)),
            ("umoci unpack", image => Theirs("umoci", "unpack", "--image", $"{image.Layout}:{LargeImage.Tag}", Path.Combine(bench.Folder("run"), "bundle"))),
            ("skopeo copy to containers-storage", image => Theirs("skopeo", "--insecure-policy", "copy", "-q", $"oci:{image.Layout}:{LargeImage.Tag}", ImageBench.Storage(bench.Folder("run"), "localhost/large:1"))),
        };
        Console.WriteLine();
        Console.WriteLine($"the most memory of an import of one layer of {sizes[0]} files, and of {sizes[1]}, MiB");
        foreach ((string name, Func<LargeImage, string> run) in tools)
        {
            try
            {
                Console.WriteLine($"| {name,-34} | {string.Join(" | ", images.Select(run))} |");
            }
            catch (RuntimeRefused e)
            {
                Console.Error.WriteLine($"{name}: {e.Message}; it is left out");
            }
        }
        Console.Out.Flush();
    }

    static string Ours(ImageBench bench, string to, LargeImage image)
    {
        string file = Path.Combine(to, "measure.ps1");
        File.WriteAllText(file, $"$ErrorActionPreference = 'Stop'; $env:CONTAINERS_ROOT = '{to}/lib'; $env:CONTAINERS_RUN = '{to}/run'; Import-Module '{bench.Module}'\n{Script}");
        using Process process = Programs.Start(bench.Shell, "-NoProfile", "-NonInteractive", "-File", file, image.Layout);
        if (process.StandardOutput.ReadLine() != "ready")
            throw new RuntimeRefused($"pwsh: {process.StandardError.ReadToEnd().Trim()}");
        // proc_pid_clear_refs(5): the peak begins anew from here.
        File.WriteAllText($"/proc/{process.Id}/clear_refs", "5");
        double before = Peak(process.Id);
        process.StandardInput.WriteLine();
        // A child that is still pwsh has pwsh's memory, which it shares.
        string? shell = Program(process.Id);
        (double own, double children) = Watch(process, child => Program(child) != shell);
        return string.Create(CultureInfo.InvariantCulture, $"{own - before + children:0} (pwsh {own - before:0} over {before:0}, psrun {children:0})");
    }

    static string Theirs(string program, params string[] arguments)
    {
        using Process process = Programs.Start(program, arguments);
        (double own, double children) = Watch(process, _ => true);
        return string.Create(CultureInfo.InvariantCulture, $"{own + children:0}");
    }

    // The largest of a process, and of all its children at one time. A peak only grows, so the last look before the end has nearly all of it.
    static (double Own, double Children) Watch(Process process, Func<int, bool> counts)
    {
        Task<string> complaint = process.StandardError.ReadToEndAsync(), output = process.StandardOutput.ReadToEndAsync();
        double own = 0, children = 0;
        while (!process.WaitForExit(10))
        {
            own = Math.Max(own, Peak(process.Id));
            children = Math.Max(children, Children(process.Id).Where(counts).Sum(Peak));
        }
        _ = output.Result;
        return process.ExitCode == 0 ? (own, children) : throw new RuntimeRefused($"exit status {process.ExitCode}: {complaint.Result.Trim()}");
    }

    static IEnumerable<int> Children(int pid)
    {
        var found = new List<int>();
        try
        {
            foreach (string task in Directory.GetDirectories($"/proc/{pid}/task"))
            {
                foreach (string child in File.ReadAllText($"{task}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
                {
                    int own = int.Parse(child, CultureInfo.InvariantCulture);
                    found.Add(own);
                    found.AddRange(Children(own));
                }
            }
        }
        catch (IOException) { } // it has ended
        return found;
    }

    static string? Program(int pid)
    {
        try
        {
            return File.ResolveLinkTarget($"/proc/{pid}/exe", returnFinalTarget: false)?.FullName;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>MiB; 0 of a process that has ended.</summary>
    static double Peak(int pid)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{pid}/status").FirstOrDefault(l => l.StartsWith("VmHWM:", StringComparison.Ordinal));
            return line is null ? 0 : int.Parse(line.AsSpan(6, line.Length - 9), CultureInfo.InvariantCulture) / 1024.0;
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
