<#
.SYNOPSIS
Random verbs from eight processes on fifty containers, with random SIGKILLs of those processes and of shims. Every answer is held against a model and
against the kernel; at the end nothing may be left. Ends with 0 when there were no errors, no lies and no leaks.
#>
param([string] $ModulePath = "$PSScriptRoot/../../out/Containers", [double] $Seconds = 600, [int] $Processes = 8, [int] $Containers = 50, [int] $Seed = [Environment]::TickCount)

$ErrorActionPreference = 'Stop'
$ModulePath = (Resolve-Path $ModulePath).Path
$mark = "soak-$([guid]::NewGuid().ToString('N').Substring(0, 10))"
$folder = (New-Item "/tmp/$mark" -ItemType Directory).FullName
chmod 0700 $folder
$env:CONTAINERS_ROOT = "$folder/lib"
$env:CONTAINERS_RUN = "$folder/run"
$env:CONTAINERS_NAMESPACE = $mark
Import-Module $ModulePath
foreach ($name in 'bin', 'dev', 'etc', 'proc', 'sys', 'tmp') { $null = New-Item "$folder/rootfs/$name" -ItemType Directory -Force }
Copy-Item (Get-Command busybox -CommandType Application | Select-Object -First 1).Source "$folder/rootfs/bin/busybox"
foreach ($name in 'sh', 'sleep', 'echo') { $null = [IO.File]::CreateSymbolicLink("$folder/rootfs/bin/$name", 'busybox') }

$random = [Random]::new($Seed)
$pwsh = (Get-Process -Id $PID).Path
$workers = [System.Diagnostics.Process[]]::new($Processes)
$kills = @{ process = 0; shim = 0 }
$ended = 0

function Start-Worker([int] $Share) {
    $arguments = '-NoProfile', '-NonInteractive', '-File', "$PSScriptRoot/worker.ps1", $ModulePath, $folder, $Share, $Processes, $Containers, $random.Next()
    $workers[$Share] = [System.Diagnostics.Process]::Start([System.Diagnostics.ProcessStartInfo]::new($pwsh, [string[]] $arguments))
}

# A shim of any container; it is on record as killed before it is.
function Stop-Shim {
    $folders = @([IO.Directory]::GetDirectories("$folder/run/$mark") | Where-Object { [IO.Path]::GetFileName($_) -ne '.runtime' })
    if (-not $folders) { return }
    $chosen = $folders[$random.Next($folders.Count)]
    $task = try { [IO.File]::ReadAllText("$chosen/task.json") | ConvertFrom-Json } catch { return }
    if (-not (Test-Path "/proc/$($task.shimPid)/cmdline") -or [IO.File]::ReadAllText("/proc/$($task.shimPid)/cmdline") -notlike "*$chosen*") { return }
    [IO.File]::AppendAllText("$folder/killed", "$([IO.Path]::GetFileName($chosen)) $($task.shimPid)`n")
    /bin/kill -KILL $task.shimPid 2>/dev/null
    $kills.shim++
}

try {
    [IO.File]::WriteAllText("$folder/killed", '')
    0..($Processes - 1) | ForEach-Object { Start-Worker $_ }
    $until = [datetime]::UtcNow.AddSeconds($Seconds)
    while ([datetime]::UtcNow -lt $until) {
        Start-Sleep -Milliseconds $random.Next(100, 1500)
        if ($random.Next(3) -eq 0) {
            $share = $random.Next($Processes)
            $workers[$share].Kill()
            $workers[$share].WaitForExit()
            $kills.process++
            Start-Worker $share
        }
        elseif (Test-Path "$folder/run/$mark") { Stop-Shim }
        foreach ($share in 0..($Processes - 1)) {
            if ($workers[$share].HasExited) {
                $ended++
                Start-Worker $share
            }
        }
    }
    Set-Content "$folder/stop" x
    foreach ($worker in $workers) {
        if (-not $worker.WaitForExit(180000)) {
            $ended++
            $worker.Kill()
            $worker.WaitForExit()
        }
    }
    $lines = Get-ChildItem "$folder/report-*" | Get-Content
    $errors = @($lines -like 'error *') + @(if ($ended) { "error $ended processes ended by themselves, or did not end" })
    $lies = @($lines -like 'lie *')
    try { Get-Container | Remove-Container -Force } catch { $errors += "error at the end: $_" }
}
finally {
    foreach ($worker in $workers) { if ($worker -and -not $worker.HasExited) { $worker.Kill(); $worker.WaitForExit() } }
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
}

# Also what a process that was killed has left beside its place: the next that makes a container sweeps it away.
New-Container last -RootfsPath "$folder/rootfs" -ArgumentList true | Remove-Container
$limit = [datetime]::UtcNow.AddSeconds(30)
do {
    $leaks = @(sh "$PSScriptRoot/../../samples/leftovers.sh" $mark | Where-Object { $_ -notlike 'left behind:*' -and $_ -notlike "*file $folder" })
} while ($leaks -and [datetime]::UtcNow -lt $limit -and -not (Start-Sleep -Milliseconds 200))
$leaks += @(Get-ChildItem "$folder/lib/containers", "$folder/run" -Recurse -Force -ErrorAction SilentlyContinue | ForEach-Object FullName)

$errors + $lies + ($leaks | ForEach-Object { "leak $_" }) | Select-Object -First 50 | ForEach-Object { Write-Host $_ }
$verbs = @($lines -like 'verb *')
Write-Host "soak: $($verbs.Count) verbs ($(($verbs | Group-Object | Sort-Object Count -Descending | ForEach-Object { "$($_.Name.Substring(5)) $($_.Count)" }) -join ', '))"
Write-Host "soak: seed $Seed, $($kills.process) processes and $($kills.shim) shims killed, $($errors.Count) errors, $($lies.Count) lies, $($leaks.Count) leaks"
Remove-Item $folder -Recurse -Force
exit ($errors.Count + $lies.Count + $leaks.Count -gt 0 ? 1 : 0)
