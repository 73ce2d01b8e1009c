using System.Diagnostics;

namespace Containers.Bench;

/// <summary>Get-Namespace beside lsns on a host with many processes, and a thousand namespaces made, listed and removed.</summary>
static class Namespaces
{
    const string Script = """
        param($Module, $Busybox, $Folder)
        $ErrorActionPreference = 'Stop'
        $env:CONTAINERS_RUN = "$Folder/run"
        Import-Module $Module
        function Get-Median([scriptblock] $Work, [int] $Runs = 5) {
            $null = & $Work
            $times = foreach ($run in 1..$Runs) { (Measure-Command $Work).TotalMilliseconds }
            @($times | Sort-Object)[[int][Math]::Floor($Runs / 2)]
        }
        # In a pid namespace of their own: they end with its first process.
        $many = [System.Diagnostics.Process]::Start([System.Diagnostics.ProcessStartInfo]::new('unshare',
            [string[]] ('--pid', '--fork', '--kill-child', $Busybox, 'sh', '-c', "i=0; while [ `$i -lt 5000 ]; do $Busybox sleep 3600 & i=`$((i+1)); done; : > $Folder/ready; wait")))
        try {
            while (-not (Test-Path "$Folder/ready")) { Start-Sleep -Milliseconds 200 }
            # In turns: what disturbs the machine disturbs both alike.
            $null = Get-Namespace; $null = lsns
            $turns = foreach ($run in 1..9) {
                [pscustomobject]@{ Ours = (Measure-Command { Get-Namespace }).TotalMilliseconds; Lsns = (Measure-Command { lsns }).TotalMilliseconds }
            }
            $ours = ($turns.Ours | Sort-Object)[4]
            $lsns = ($turns.Lsns | Sort-Object)[4]
            '| Get-Namespace, {0} processes | {1:0} | lsns {2:0} | {3:0.00} |' -f (Get-ChildItem /proc -Directory | Where-Object Name -Match '^\d+$').Count, $ours, $lsns, ($ours / $lsns)
        }
        finally { $many.Kill(); $many.WaitForExit() }
        $names = 1..250 | ForEach-Object { "bench-$PID-$_" }
        $make = (Measure-Command { $null = $names | New-Namespace -Type Net, Uts, Ipc, User }).TotalMilliseconds
        $list = Get-Median { Get-Namespace -Name "bench-$PID-*" }
        $remove = (Measure-Command { Get-Namespace -Name "bench-$PID-*" | Remove-Namespace }).TotalMilliseconds
        '| 1,000 namespaces of four types: made {0:0}, listed {1:0}, removed {2:0} |' -f $make, $list, $remove
        """;

    public static void Measure(string pwsh, string module, Bundle bundle)
    {
        string script = Path.Combine(bundle.Folder, "namespaces.ps1");
        File.WriteAllText(script, Script);
        Console.WriteLine();
        Console.WriteLine("namespaces, milliseconds");
        Console.Out.Flush();
        var start = new ProcessStartInfo(pwsh) { UseShellExecute = false };
        foreach (string argument in new[] { "-NoProfile", "-File", script, module, Path.Combine(bundle.Rootfs, "bin/busybox"), bundle.Folder })
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new RuntimeRefused($"the measurement in pwsh ended with exit status {process.ExitCode}");
    }
}
