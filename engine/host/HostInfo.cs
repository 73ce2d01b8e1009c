using System.Diagnostics;
using System.Runtime.InteropServices;
using Containers.Linux.Cgroups;

namespace Containers;

public sealed partial class ContainerHost
{
    static readonly TimeSpan VersionPatience = TimeSpan.FromSeconds(10);

    /// <summary>What this machine is and how containers are kept on it. Nothing is changed.</summary>
    public ContainerHostInfo GetInfo()
    {
        var options = engine.Options;
        var (mode, controllers) = Cgroups();
        var tasks = ContainerStore.RunNamespaces(engine.Paths).SelectMany(ns => engine.Tasks.List(ns)).ToList();
        return new ContainerHostInfo
        {
            ComputerName = Environment.MachineName,
            KernelVersion = First("/proc/sys/kernel/osrelease") ?? Environment.OSVersion.Version.ToString(),
            OperatingSystem = OperatingSystemName(),
            Architecture = RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant(),
            ProcessorCount = Environment.ProcessorCount,
            MemoryTotal = MemoryTotal(),
            CgroupMode = mode,
            CgroupControllers = controllers,
            SecurityModules = (First("/sys/kernel/security/lsm") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries),
            Root = options.Root,
            RunRoot = options.RunRoot,
            ContainerNamespace = options.ContainerNamespace,
            StoreFormat = First(engine.Paths.Format) ?? "1",
            DefaultRuntime = options.Runtime,
            HelperPath = options.HelperPath,
            HelperVersion = HelperVersion(),
            Runtimes = RuntimeLookup.Installed(options),
            ContainerCount = engine.Containers.ListNamespaces().Sum(ns => engine.Containers.ListIds(ns).Count),
            RunningCount = tasks.Count(t => t.State is ContainerTaskState.Running or ContainerTaskState.Paused),
            ModuleVersion = ContainerEngine.Version,
        };
    }

    static (string, IReadOnlyList<string>) Cgroups()
    {
        try
        {
            var host = CgroupHost.Detect();
            return (host.Kind.ToString().ToLowerInvariant(), [.. host.Hierarchies.SelectMany(h => h.Controllers).Distinct().Order(StringComparer.Ordinal)]);
        }
        catch (CgroupException) { return ("none", []); }
    }

    /// <summary>What psrun says of itself; null when it is not there, not trusted or does not answer.</summary>
    string? HelperVersion()
    {
        try
        {
            var (status, words) = RunProgram(FindHelper(), "--version");
            return status == 0 && words.Length > 0 ? words.Split('\n')[0].Trim() : null;
        }
        catch (ContainerException) { return null; }
    }

    internal static (int Status, string Words) RunProgram(string path, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(ClosedProgram.Of(path, arguments))!;
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(VersionPatience))
            {
                process.Kill();
                return (-1, "it did not answer");
            }
            return (process.ExitCode, output.GetAwaiter().GetResult() + error.GetAwaiter().GetResult());
        }
        catch (System.ComponentModel.Win32Exception e) { return (-1, e.Message); }
    }

    static string? First(string path)
    {
        try { return File.ReadLines(path).FirstOrDefault()?.Trim(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { return null; }
    }

    static string OperatingSystemName()
    {
        try
        {
            foreach (var line in File.ReadLines("/etc/os-release"))
            {
                if (line.StartsWith("PRETTY_NAME=", StringComparison.Ordinal)) { return line[12..].Trim('"'); }
            }
        }
        catch (IOException) { }
        return RuntimeInformation.OSDescription;
    }

    static long MemoryTotal()
    {
        foreach (var line in File.ReadLines("/proc/meminfo"))
        {
            if (!line.StartsWith("MemTotal:", StringComparison.Ordinal)) { continue; }
            return long.Parse(line.AsSpan(9).Trim().ToString().Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture) * 1024;
        }
        return 0;
    }
}
