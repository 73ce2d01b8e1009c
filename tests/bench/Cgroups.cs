using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Containers.Bench;

/// <summary>A thousand control groups made, limited, listed, measured and removed by the cmdlets, beside a bare loop of the same system calls.</summary>
static partial class Cgroups
{
    const int Many = 1000;

    // Half of them first: a verb that is linear takes half the time.
    const string Script = """
        param($Module, $Path, [int] $Many)
        $ErrorActionPreference = 'Stop'
        Import-Module $Module
        $null = New-Cgroup "$Path/warm"
        Set-CgroupLimit "$Path/warm" -ProcessLimit 100 -Cpu 0.5
        $null = Measure-Cgroup "$Path/warm"
        $null = Get-Cgroup $Path -Recurse
        Remove-Cgroup "$Path/warm"
        foreach ($count in ($Many / 2), $Many) {
            $names = 1..$count | ForEach-Object { "$Path/g$_" }
            $made = (Measure-Command { $null = $names | New-Cgroup }).TotalMilliseconds
            $limited = (Measure-Command { $names | Set-CgroupLimit -ProcessLimit 100 -Cpu 0.5 }).TotalMilliseconds
            $listed = (Measure-Command { $null = Get-Cgroup $Path -Recurse }).TotalMilliseconds
            $measured = (Measure-Command { $null = $names | Measure-Cgroup }).TotalMilliseconds
            $removed = (Measure-Command { $names | Remove-Cgroup }).TotalMilliseconds
            "$made $limited $listed $measured $removed"
        }
        """;

    static readonly string[] Verbs = ["made", "limited", "listed", "measured", "removed"];

    public static void Measure(string pwsh, string module, Bundle bundle)
    {
        string path = string.Create(CultureInfo.InvariantCulture, $"/bench-cgroups-{Environment.ProcessId}");
        List<(string Mount, bool Unified)> hierarchies = Hierarchies();
        Console.WriteLine();
        Console.WriteLine($"{Many:#,0} control groups in {hierarchies.Count} hierarchies, milliseconds; the loop makes the same mkdir, write, read and rmdir calls with nothing around them");
        foreach ((string mount, _) in hierarchies)
            Check(mkdir(mount + path, 0x1ed), mount + path);
        try
        {
            if (File.Exists("/sys/fs/cgroup/cpuset" + path + "/cpuset.cpus"))
                Inherit("/sys/fs/cgroup/cpuset", path);
            // The kernel's own structures grow with the first thousand.
            _ = Loop(hierarchies, path, Many);
            // What does not grow with the number of groups here either takes twice as long for twice as many.
            double[] half = Loop(hierarchies, path, Many / 2), bare = Loop(hierarchies, path, Many);
            List<double[]> ours = Cmdlets(pwsh, module, bundle, path);
            Console.WriteLine("| | cmdlets, half as many | cmdlets | loop, half as many | loop | ratio |");
            for (int i = 0; i < Verbs.Length; i++)
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {Verbs[i]} | {ours[0][i]:0} | {ours[1][i]:0} | {half[i]:0} | {bare[i]:0} | {ours[1][i] / bare[i]:0.00} |"));
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| in all | {ours[0].Sum():0} | {ours[1].Sum():0} | {half.Sum():0} | {bare.Sum():0} | {ours[1].Sum() / bare.Sum():0.00} |"));
        }
        finally
        {
            foreach ((string mount, _) in hierarchies)
            {
                foreach (string left in Directory.EnumerateDirectories(mount + path).ToList())
                    _ = rmdir(left);
                _ = rmdir(mount + path);
            }
        }
    }

    static List<(string Mount, bool Unified)> Hierarchies()
        => File.ReadLines("/proc/self/mountinfo").Select(line => line.Split(' ')).Where(fields => fields[3] == "/" && fields.Any(field => field is "cgroup" or "cgroup2") && fields[4].StartsWith("/sys/fs/cgroup", StringComparison.Ordinal))
            .Select(fields => (fields[4], fields.Contains("cgroup2"))).Distinct().ToList();

    static void Inherit(string mount, string path)
    {
        foreach (string file in new[] { "cpuset.cpus", "cpuset.mems" })
            File.WriteAllText($"{mount}{path}/{file}", File.ReadAllText($"{mount}/{file}"));
    }

    // One verb after another over all groups, as the cmdlets do.
    static double[] Loop(List<(string Mount, bool Unified)> hierarchies, string path, int many)
    {
        bool v1 = File.Exists("/sys/fs/cgroup/pids" + path + "/cgroup.procs");
        string cpuset = "/sys/fs/cgroup/cpuset" + path;
        byte[] cpus = v1 ? File.ReadAllBytes(cpuset + "/cpuset.cpus") : [], nodes = v1 ? File.ReadAllBytes(cpuset + "/cpuset.mems") : [];
        string cpu = v1 ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup", pids = v1 ? "/sys/fs/cgroup/pids" : "/sys/fs/cgroup";
        if (!v1)
            Write("/sys/fs/cgroup" + path + "/cgroup.subtree_control", "+cpu +pids"u8);
        var times = new double[Verbs.Length];
        times[0] = Each(group =>
        {
            foreach ((string mount, _) in hierarchies)
                Check(mkdir(mount + group, 0x1ed), mount + group);
            if (!v1)
                return;
            Write("/sys/fs/cgroup/cpuset" + group + "/cpuset.cpus", cpus);
            Write("/sys/fs/cgroup/cpuset" + group + "/cpuset.mems", nodes);
        });
        times[1] = Each(group =>
        {
            if (v1)
                Write(cpu + group + "/cpu.cfs_quota_us", "50000"u8);
            else
                Write(cpu + group + "/cpu.max", "50000 100000"u8);
            Write(pids + group + "/pids.max", "100"u8);
        });
        times[2] = Each(group =>
        {
            foreach ((string mount, _) in hierarchies)
                Read(mount + group + "/cgroup.procs");
        });
        string[] counters = v1
            ? ["memory|memory.usage_in_bytes", "memory|memory.memsw.usage_in_bytes", "memory|memory.stat", "memory|memory.limit_in_bytes", "memory|memory.max_usage_in_bytes", "memory|memory.oom_control", "memory|memory.failcnt", "cpu|cpu.stat",
                "cpuacct|cpuacct.usage", "cpuacct|cpuacct.usage_user", "cpuacct|cpuacct.usage_sys", "pids|pids.current", "pids|pids.max", "pids|pids.events", "blkio|blkio.throttle.io_service_bytes_recursive", "blkio|blkio.throttle.io_serviced_recursive"]
            : ["|memory.current", "|memory.stat", "|memory.max", "|memory.peak", "|memory.swap.current", "|memory.events", "|cpu.stat", "|pids.current", "|pids.max", "|pids.events", "|io.stat"];
        string? unified = hierarchies.Where(one => one.Unified).Select(one => one.Mount).FirstOrDefault();
        times[3] = Each(group =>
        {
            foreach (string counter in counters)
            {
                string[] parts = counter.Split('|');
                Read($"/sys/fs/cgroup{(parts[0].Length > 0 ? "/" : "")}{parts[0]}{group}/{parts[1]}");
            }
            foreach (string kind in new[] { "cpu", "memory", "io" })
            {
                if (unified is not null)
                    Read($"{unified}{group}/{kind}.pressure");
            }
        });
        times[4] = Each(group =>
        {
            foreach ((string mount, _) in hierarchies)
                Check(rmdir(mount + group), mount + group);
        });
        return times;

        double Each(Action<string> work)
        {
            long from = Stopwatch.GetTimestamp();
            for (int i = 1; i <= many; i++)
                work(string.Create(CultureInfo.InvariantCulture, $"{path}/g{i}"));
            return Stopwatch.GetElapsedTime(from).TotalMilliseconds;
        }
    }

    static List<double[]> Cmdlets(string pwsh, string module, Bundle bundle, string path)
    {
        string script = Path.Combine(bundle.Folder, "cgroups.ps1");
        File.WriteAllText(script, Script);
        var start = new ProcessStartInfo(pwsh) { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (string argument in new[] { "-NoProfile", "-File", script, module, path, Many.ToString(CultureInfo.InvariantCulture) })
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        List<double[]> times = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' ').Select(number => double.Parse(number, CultureInfo.InvariantCulture)).ToArray()).ToList();
        process.WaitForExit();
        return process.ExitCode == 0 && times.Count == 2 ? times : throw new RuntimeRefused($"the measurement in pwsh ended with exit status {process.ExitCode}");
    }

    static void Check(int result, string what)
    {
        if (result < 0)
            throw new RuntimeRefused($"{what}: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    static unsafe void Write(string file, ReadOnlySpan<byte> text)
    {
        int fd = open(file, O_WRONLY);
        Check(fd, file);
        fixed (byte* p = text)
            Check((int)write(fd, p, text.Length), file);
        _ = close(fd);
    }

    // What is not there on this host costs the failing call alone, here as there.
    static unsafe void Read(string file)
    {
        int fd = open(file, 0);
        if (fd < 0)
            return;
        byte* buffer = stackalloc byte[4096];
        while (read(fd, buffer, 4096) > 0) { }
        _ = close(fd);
    }

    const int O_WRONLY = 1;

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int mkdir(string path, uint mode);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int rmdir(string path);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int open(string path, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint read(int fd, byte* buffer, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static unsafe partial nint write(int fd, byte* buffer, nint count);

    [LibraryImport("libc")]
    private static partial int close(int fd);
}
