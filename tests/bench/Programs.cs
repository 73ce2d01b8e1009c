using System.Diagnostics;
using System.Globalization;

namespace Containers.Bench;

/// <summary>Programs that are waited for, and those that go on beside a measurement.</summary>
static class Programs
{
    /// <exception cref="RuntimeRefused">It ended with another status than 0, or is not on this machine.</exception>
    public static void Run(string program, params string[] arguments) => Output(program, arguments);

    /// <summary>What it writes.</summary>
    /// <exception cref="RuntimeRefused">It ended with another status than 0, or is not on this machine.</exception>
    public static string Output(string program, params string[] arguments)
    {
        using Process process = Start(program, arguments);
        Task<string> complaint = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new RuntimeRefused($"{program}: exit status {process.ExitCode}: {complaint.Result.Trim()}");
    }

    /// <summary>Starts one whose streams are the caller's to read.</summary>
    public static Process Start(string program, params string[] arguments)
    {
        string path = Runtime.Find(program) ?? (File.Exists(program) ? program : throw new RuntimeRefused($"{program}: not on this machine"));
        var start = new ProcessStartInfo(path, arguments) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["NO_COLOR"] = "1";
        return Process.Start(start)!;
    }

    public static double Time(Action work)
    {
        long from = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(from).TotalSeconds;
    }

    /// <summary>A script in a pwsh of its own, whose last line is a number of seconds; its arguments are $one and $two, and the store is in a folder of its own.</summary>
    public static double Pwsh(string pwsh, string module, string folder, string script, params string[] arguments)
    {
        string file = Path.Combine(folder, "measure.ps1");
        File.WriteAllText(file, $$"""
            $ErrorActionPreference = 'Stop'
            $env:CONTAINERS_ROOT = '{{folder}}/lib'; $env:CONTAINERS_RUN = '{{folder}}/run'
            Import-Module '{{module}}'
            $one, $two = $args
            function Measure-Seconds([scriptblock] $Work) { (Measure-Command $Work).TotalSeconds.ToString([cultureinfo]::InvariantCulture) }
            {{script}}
            """);
        string[] lines = Output(pwsh, ["-NoProfile", "-NonInteractive", "-File", file, .. arguments]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return double.Parse(lines[^1], CultureInfo.InvariantCulture);
    }
}

/// <summary>A daemon of the bench's own, with all that it keeps in one folder; it is asked to end, and has a minute for that.</summary>
sealed class Daemon(Process process, string address) : IDisposable
{
    /// <summary>A socket, or HOST:PORT.</summary>
    public string Address => address;

    public static Daemon Containerd(string folder)
    {
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
        return Start("containerd", ["--config", configuration, "--log-level", "error"], address, ["ctr", "--address", address, "version"]);
    }

    public static Daemon Docker(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "daemon.json"), "{}");
        string address = $"unix://{folder}/docker.sock";
        return Start("dockerd", ["--config-file", $"{folder}/daemon.json", "--data-root", $"{folder}/docker", "--exec-root", $"{folder}/docker-run", "--pidfile", $"{folder}/docker.pid", "--host", address, "--bridge", "none",
            "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--storage-driver", "overlay2", "--shutdown-timeout", "1"], address, ["docker", "--config", folder, "--host", address, "version"]);
    }

    /// <summary>Debian's docker-registry on a port of loopback that it chooses itself.</summary>
    public static Daemon Registry(string folder)
    {
        string configuration = Path.Combine(folder, "registry.yml");
        File.WriteAllText(configuration, $$"""
            version: 0.1
            log: { level: info }
            storage: { filesystem: { rootdirectory: {{folder}}/registry } }
            http: { addr: '127.0.0.1:0' }
            """);
        Process process = Programs.Start("docker-registry", "serve", configuration);
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        string words = "";
        while (process.StandardError.ReadLine() is { } line)
        {
            words = line;
            int at = line.IndexOf("listening on 127.0.0.1:", StringComparison.Ordinal);
            if (at < 0)
                continue;
            _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
            return new Daemon(process, string.Concat(line[(at + "listening on ".Length)..].TakeWhile(c => char.IsAsciiDigit(c) || c is '.' or ':')));
        }
        process.WaitForExit();
        throw new RuntimeRefused($"docker-registry did not start: {words}");
    }

    // It is there when a client of its gets an answer.
    static Daemon Start(string program, string[] arguments, string address, string[] client)
    {
        Process process = Programs.Start(program, arguments);
        _ = process.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
        _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        var daemon = new Daemon(process, address);
        for (int tries = 0; ; tries++)
        {
            try
            {
                Programs.Run(client[0], client[1..]);
                return daemon;
            }
            catch (RuntimeRefused) when (tries < 300 && !process.HasExited)
            {
                Task.Delay(100).Wait();
            }
            catch (RuntimeRefused)
            {
                daemon.Dispose();
                throw;
            }
        }
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            // Docker's has a containerd of its own, which goes with it when it is asked and not killed.
            Programs.Run("kill", process.Id.ToString(CultureInfo.InvariantCulture));
            if (!process.WaitForExit(60_000))
                process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }
        process.Dispose();
    }
}
