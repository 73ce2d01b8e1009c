using System.Diagnostics;

namespace Containers.Bench;

/// <summary>The whole way, from a PowerShell that runs already: Invoke-Container and Invoke-ContainerCommand.</summary>
static class Cmdlets
{
    const string Script = """
        param($Module, $Rootfs, $Runs)
        $ErrorActionPreference = 'Stop'
        Import-Module $Module
        function Measure-Median([scriptblock] $Work) {
            & $Work
            $times = foreach ($run in 1..$Runs) { (Measure-Command $Work).TotalMilliseconds }
            $sorted = @($times | Sort-Object)
            '{0:0.00}' -f $sorted[[int][Math]::Floor($sorted.Count / 2)]
        }
        "| Invoke-Container -Remove -- true | $(Measure-Median { Invoke-Container -RootfsPath $Rootfs -Remove -- true }) |"
        $id = "bench-$PID"
        $null = New-Container $id -RootfsPath $Rootfs -ArgumentList sleep, 3600 | Start-ContainerTask
        try { "| Invoke-ContainerCommand -- true  | $(Measure-Median { Invoke-ContainerCommand $id -- true }) |" }
        finally { Remove-Container $id -Force }
        """;

    public static void Measure(string pwsh, string module, Bundle bundle, int runs)
    {
        string script = Path.Combine(bundle.Folder, "cmdlets.ps1");
        File.WriteAllText(script, Script);
        Console.WriteLine();
        Console.WriteLine("from a running pwsh, the same root filesystem, milliseconds");
        Console.Out.Flush();
        var start = new ProcessStartInfo(pwsh) { UseShellExecute = false };
        foreach (string argument in new[] { "-NoProfile", "-File", script, module, bundle.Rootfs, runs.ToString(System.Globalization.CultureInfo.InvariantCulture) })
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new RuntimeRefused($"the measurement in pwsh ended with exit status {process.ExitCode}");
    }
}
