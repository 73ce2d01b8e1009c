using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;

namespace Containers.Bench;

/// <summary>What runs: how fast a task may print into its log, and how long it takes to measure many of them.</summary>
static class Tasks
{
    const int Files = 50, FileBytes = 10_000_000, Many = 200;

    /// <summary>A container that prints half a gigabyte of lines as fast as it can, which all are in its log when it is over.</summary>
    public static void Log(ImageBench bench)
    {
        string rootfs = Rootfs(bench);
        foreach ((string name, int length) in new[] { ("lines of 100 bytes", 100), ("lines of 1,000 bytes", 1000) })
        {
            string file = $"/lines-{length}";
            File.WriteAllText(rootfs + file, string.Concat(Enumerable.Repeat(new string('x', length - 1) + "\n", FileBytes / length)));
            bench.Rows(string.Create(CultureInfo.InvariantCulture, $"{Files * FileBytes / 1_000_000} MB in {name} to standard output and into the log"),
            [
                ("Start-ContainerTask", to => bench.Pwsh(to, $$"""
                    $env:CONTAINERS_NAMESPACE = "bench$PID"
                    $null = New-Container log -RootfsPath $one -ArgumentList (@('cat') + @($two) * {{Files}})
                    $seconds = Measure-Seconds { $null = Start-ContainerTask log; $null = Wait-ContainerTask log }
                    if ((Get-Item "$env:CONTAINERS_ROOT/containers/bench$PID/log/log").Length -le {{(long)Files * FileBytes}}) { throw 'the log is not whole' }
                    Remove-Container log -Force
                    $seconds
                    """, rootfs, file)),
                ("conmon", to => Conmon(bench, to, rootfs, file)),
            ]);
        }
    }

    // With the same runtime: what differs is who reads the pipe.
    static double Conmon(ImageBench bench, string to, string rootfs, string file)
    {
        string psrun = Path.Combine(bench.Module, "bin", Bundle.Platform, "psrun"), id = string.Create(CultureInfo.InvariantCulture, $"bench-conmon-{Environment.ProcessId}-{Path.GetFileName(to)}");
        string bundle = Directory.CreateDirectory(Path.Combine(to, "bundle")).FullName, log = Path.Combine(to, "log"), pid = Path.Combine(to, "pid"), state = Path.Combine(to, "state");
        Programs.Run(psrun, "spec", "--bundle", bundle);
        string config = Path.Combine(bundle, "config.json");
        JsonNode spec = JsonNode.Parse(File.ReadAllText(config))!;
        spec["process"]!["terminal"] = false;
        spec["process"]!["args"] = new JsonArray([JsonValue.Create("cat"), .. Enumerable.Repeat(file, Files).Select(name => JsonValue.Create(name))]);
        spec["root"]!["path"] = rootfs;
        File.WriteAllText(config, spec.ToJsonString());
        Directory.CreateDirectory(Path.Combine(to, "exits"));
        Directory.CreateDirectory(Path.Combine(to, "sockets"));
        long from = Stopwatch.GetTimestamp();
        using Process conmon = Programs.Start("conmon", "--sync", "--cid", id, "--cuuid", id, "--name", id, "--runtime", psrun, "--runtime-arg", "--root", "--runtime-arg", state, "--bundle", bundle, "--container-pidfile", pid,
            "--log-path", "k8s-file:" + log, "--exit-dir", Path.Combine(to, "exits"), "--socket-dir-path", Path.Combine(to, "sockets"), "--log-level", "error");
        Task<string> complaint = conmon.StandardError.ReadToEndAsync();
        try
        {
            while (!File.Exists(pid) || new FileInfo(pid).Length == 0)
            {
                if (conmon.WaitForExit(1))
                    throw new RuntimeRefused($"conmon: {complaint.Result.Trim()}");
            }
            Programs.Run(psrun, "--root", state, "start", id);
            conmon.WaitForExit();
            double seconds = Stopwatch.GetElapsedTime(from).TotalSeconds;
            return new FileInfo(log).Length > (long)Files * FileBytes ? seconds : throw new RuntimeRefused("conmon: its log is not whole");
        }
        finally
        {
            Programs.Run(psrun, "--root", state, "delete", "-f", id);
            conmon.WaitForExit();
            File.Delete(log);
        }
    }

    /// <summary>What Measure-Container takes for two hundred at once.</summary>
    public static void Measure(ImageBench bench)
    {
        string rootfs = Rootfs(bench);
        double best = bench.Pwsh(bench.Folder("run"), $$"""
            $env:CONTAINERS_NAMESPACE = "bench$PID"
            try {
                $null = 1..{{Many}} | ForEach-Object { New-Container "m$_" -RootfsPath $one -ArgumentList sleep, 3600 } | Start-ContainerTask -ThrottleLimit 8
                $times = foreach ($run in 0..10) {
                    $seconds = Measure-Seconds { $script:measured = @(Measure-Container) }
                    if ($measured.Count -ne {{Many}}) { throw "$($measured.Count) were measured" }
                    if ($run -gt 0) { [double]::Parse($seconds, [cultureinfo]::InvariantCulture) }
                }
            } finally { Get-Container | Remove-Container -Force -ThrottleLimit 8 }
            ($times | Sort-Object)[5].ToString([cultureinfo]::InvariantCulture)
            """, rootfs);
        Console.WriteLine();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Measure-Container of {Many} running containers, the median of ten: {best * 1000:0} ms"));
    }

    static string Rootfs(ImageBench bench)
    {
        string rootfs = bench.Folder("rootfs");
        foreach (string folder in new[] { "bin", "proc", "sys", "dev", "tmp", "etc" })
            Directory.CreateDirectory(Path.Combine(rootfs, folder));
        File.Copy(Runtime.Find("busybox") ?? throw new RuntimeRefused("busybox is not on the PATH: install busybox-static"), Path.Combine(rootfs, "bin/busybox"));
        foreach (string link in new[] { "cat", "sleep" })
            File.CreateSymbolicLink(Path.Combine(rootfs, "bin", link), "busybox");
        return rootfs;
    }
}
