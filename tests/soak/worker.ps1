# One of soak's processes: random verbs on the containers of its share, each answer held against a model and against the kernel.
# The model is on disk, for this process may be killed at any moment; the next one of the same share goes on from there.
param([string] $ModulePath, [string] $Folder, [int] $Share, [int] $Shares, [int] $Containers, [int] $Seed)

$ErrorActionPreference = 'Stop'
Import-Module $ModulePath
$random = [Random]::new($Seed)
$mine = 0..($Containers - 1) | Where-Object { $_ % $Shares -eq $Share } | ForEach-Object { "c$_" }
$modelFile = "$Folder/model-$Share.json"
$report = [IO.StreamWriter]::new([IO.FileStream]::new("$Folder/report-$Share", 'Append', 'Write', 'Read'))
$report.AutoFlush = $true

# What is thought of each container: 'none', 'container', 'created', 'running', 'paused', or 'stopped' with the code that must be told;
# 'doubt' while a verb is under way, or when its process or shim was killed in the middle: then the kernel decides, and the model learns.
$model = @{}
foreach ($id in $mine) { $model[$id] = @{ State = 'none'; Code = $null; Kills = 0; Shimless = $false } }
if (Test-Path $modelFile) {
    foreach ($entry in (Get-Content $modelFile -Raw | ConvertFrom-Json -AsHashtable).GetEnumerator()) { $model[$entry.Key] = $entry.Value }
}

function Save {
    [IO.File]::WriteAllText("$modelFile.new", ($model | ConvertTo-Json -Depth 4))
    [IO.File]::Move("$modelFile.new", $modelFile, $true)
}

function Say([string] $Kind, [string] $Text) { $report.WriteLine("$Kind $Text") }

# Shims of it that were killed, by pid: "id pid" lines, written before the signal is sent.
function Get-Killed([string] $Id) {
    $stream = [IO.FileStream]::new("$Folder/killed", 'OpenOrCreate', 'Read', 'ReadWrite')
    $reader = [IO.StreamReader]::new($stream)
    try { @($reader.ReadToEnd().Split("`n") | Where-Object { $_.StartsWith("$Id ") } | ForEach-Object { [int] $_.Split(' ')[1] }) } finally { $reader.Dispose() }
}

# Without the module: is anybody in the container's group, other than who has ended and waits for its parent?
function Get-Alive([string] $Id) {
    foreach ($hierarchy in '/sys/fs/cgroup/pids', '/sys/fs/cgroup/unified', '/sys/fs/cgroup') {
        $file = "$hierarchy/pscontainers/$env:CONTAINERS_NAMESPACE/$Id/cgroup.procs"
        $processes = try { [IO.File]::ReadAllLines($file) } catch { continue }
        foreach ($process in $processes) {
            $stat = try { [IO.File]::ReadAllText("/proc/$process/stat") } catch { continue }
            if ($stat.Substring($stat.LastIndexOf(')') + 2)[0] -notin 'Z', 'X') { return $true }
        }
    }
    $false
}

# What the module tells now.
function Get-Told([string] $Id) {
    $container = Get-Container $Id -ErrorAction SilentlyContinue
    if (-not $container) { return @{ State = 'none' } }
    $task = Get-ContainerTask $Id -ErrorAction SilentlyContinue
    if (-not $task) { return @{ State = 'container' } }
    @{ State = "$($task.State)".ToLowerInvariant(); Code = $task.ExitCode; Reason = $task.StoppedReason; Pid = $task.ProcessId; Shim = $task.ShimProcessId }
}

# The model's word against what is told, and both against the kernel's. In doubt, whatever the kernel does not gainsay is learnt.
function Confirm-Truth([string] $Id) {
    $expected = $model[$Id]
    $told = Get-Told $Id
    $kills = @(Get-Killed $Id)
    $doubt = $expected.State -eq 'doubt' -or $kills.Count -ne $expected.Kills -or $expected.Shimless
    if (-not $doubt -and ($told.State -ne $expected.State -or $expected.State -eq 'stopped' -and "$($told.Code)" -ne "$($expected.Code)")) {
        # A kill that came between the two looks.
        if (@(Get-Killed $Id).Count -eq $expected.Kills) { Say lie "$Id is $($told.State) $($told.Code) $($told.Reason) where $($expected.State) $($expected.Code) was to be" }
        $doubt = $true
    }
    $alive = Get-Alive $Id
    if ($told.State -in 'running', 'paused' -and -not $alive -and (Get-Told $Id).State -eq $told.State -and -not (Get-Alive $Id)) {
        # What has just ended is told when its record is written: a moment.
        $limit = [datetime]::UtcNow.AddSeconds(30)
        while ((Get-Told $Id).State -eq $told.State -and -not (Get-Alive $Id) -and [datetime]::UtcNow -lt $limit) { Start-Sleep -Milliseconds 50 }
        if ([datetime]::UtcNow -ge $limit) { Say lie "$Id is told $($told.State), and nobody is in it" }
        $told = Get-Told $Id
        $doubt = $true
    }
    if ($told.State -in 'none', 'container', 'stopped' -and $alive) {
        # Killed is not yet gone.
        $limit = [datetime]::UtcNow.AddSeconds(30)
        while ((Get-Alive $Id) -and [datetime]::UtcNow -lt $limit) { Start-Sleep -Milliseconds 50 }
        if ((Get-Alive $Id) -and (Get-Told $Id).State -eq $told.State) { Say lie "$Id is told $($told.State), and somebody is in it" }
    }
    if ($doubt) { $model[$Id] = @{ State = $told.State; Code = $told.Code } }
    $model[$Id].Kills = $kills.Count
    $model[$Id].Shimless = $told.State -in 'created', 'running', 'paused' -and (-not $told.Shim -or $told.Shim -in $kills)
}

# A verb, the errors that it may answer with in this state, and the state that follows.
function Invoke-Verb([string] $Id) {
    $now = $model[$Id]
    $killed = $now.Kills
    $verbs = switch ($now.State) {
        none { 'new' }
        container { 'start', 'start', 'create', 'remove' }
        created { 'start', 'start', 'stop', 'force' }
        running { 'exec', 'exec', 'exec', 'log', 'start', 'stop', 'kill', 'end', 'remove', 'force', 'pause' }
        paused { 'resume', 'resume', 'exec', 'stop', 'force' }
        stopped { 'wait', 'log', 'start', 'start', 'remove', 'force', 'task' }
        default { 'force' }
    }
    $verb = $verbs[$random.Next($verbs.Count)]
    if ($verbs -is [string]) { $verb = $verbs }
    $before = $now.State
    $model[$Id] = @{ State = 'doubt'; Kills = $killed }
    Save
    $after = @{ State = $before; Code = $now.Code }
    $refusal = $null
    $answer = $null
    $problem = $null
    try {
        switch ($verb) {
            new {
                $null = New-Container $Id -RootfsPath "$Folder/rootfs" -ArgumentList sh, -c, 'trap "exit 7" TERM; trap "exit 5" USR1; echo up; while :; do sleep 0.2; done'
                $after = @{ State = 'container' }
            }
            create { $null = New-ContainerTask $Id; $after = @{ State = 'created' } }
            start {
                if ($before -eq 'running') { $refusal = 'TaskRunning' } else { $after = @{ State = 'running' } }
                $null = Start-ContainerTask $Id
            }
            stop {
                # A program that has not yet set its traps is killed by the kernel's own rules: init ignores what it does not handle.
                $answer = Stop-ContainerTask $Id -TimeoutSec 2 -PassThru
                $after = @{ State = 'stopped'; Code = $answer.ExitCode }
                if ($before -eq 'created') { if ($answer.StoppedReason -notin 'NotStarted', 'ShimLost') { Say lie "$Id was never started and is told $($answer.StoppedReason)" } }
                elseif ($answer.ExitCode -notin 7, 137, $null) { Say lie "$Id was stopped and ended with $($answer.ExitCode)" }
            }
            kill {
                Send-ContainerSignal $Id -Signal KILL
                $end = Wait-ContainerTask $Id -TimeoutSec 60
                $after = @{ State = 'stopped'; Code = 137 }
                if ($end.ExitCode -notin 137, $null) { Say lie "$Id was killed and ended with $($end.ExitCode)" }
            }
            end {
                # Only what has said that it is up handles the signal.
                if ((Get-ContainerLog $Id -ErrorAction SilentlyContinue | Select-Object -Last 1).Line -eq 'up' -and (Get-Container $Id).State -eq 'Running') { $null = Stop-ContainerTask $Id -Signal USR1 -TimeoutSec 60 }
                else { $null = Stop-ContainerTask $Id -TimeoutSec 0 }
                $code = (Get-ContainerTask $Id).ExitCode
                $after = @{ State = 'stopped'; Code = $code }
                if ($code -notin 5, 137, $null) { Say lie "$Id was ended and ended with $code" }
            }
            exec {
                $token = "t$($random.Next())"
                if ($before -eq 'paused') { $refusal = 'TaskPaused' }
                $answer = Invoke-ContainerCommand $Id -PassThru -- sh -c "echo $token; exit 3"
                if ($answer.ExitCode -ne 3 -or $answer.StandardOutput -ne "$token`n") {
                    if (@(Get-Killed $Id).Count -eq $killed) { Say lie "exec in $Id said '$($answer.StandardOutput)' and $($answer.ExitCode)" }
                }
            }
            log { foreach ($line in (Get-ContainerLog $Id -ErrorAction SilentlyContinue).Line) { if ($line -ne 'up') { Say lie "the log of $Id has '$line'" } } }
            wait {
                $end = Wait-ContainerTask $Id -TimeoutSec 60
                if ("$($end.ExitCode)" -ne "$($now.Code)") { Say lie "wait for $Id says $($end.ExitCode), not $($now.Code)" }
            }
            pause { $null = $engine.Tasks.PauseAsync($Id, $env:CONTAINERS_NAMESPACE, [System.Threading.CancellationToken]::None).GetAwaiter().GetResult(); $after = @{ State = 'paused' } }
            resume { $null = $engine.Tasks.ResumeAsync($Id, $env:CONTAINERS_NAMESPACE, [System.Threading.CancellationToken]::None).GetAwaiter().GetResult(); $after = @{ State = 'running' } }
            task { Remove-ContainerTask $Id; $after = @{ State = 'container' } }
            remove {
                if ($before -in 'running', 'paused') { $refusal = 'TaskRunning' } else { $after = @{ State = 'none' } }
                Remove-Container $Id
            }
            force {
                Remove-Container $Id -Force
                $after = @{ State = 'none' }
            }
        }
        if ($refusal -and @(Get-Killed $Id).Count -eq $killed -and -not $now.Shimless -and $before -ne 'doubt') { Say lie "$verb of $Id ($before) was not refused with $refusal" }
    }
    catch {
        $problem = "$($_.FullyQualifiedErrorId)".Split(',')[0]
        if ($_.Exception.InnerException.Id) { $problem = $_.Exception.InnerException.Id }
        $after = @{ State = 'doubt' }
        $excused = $problem -eq $refusal -or @(Get-Killed $Id).Count -ne $killed -or $now.Shimless -or $before -eq 'doubt'
        if ($problem -eq $refusal) { $after = @{ State = $before; Code = $now.Code } }
        # With its shim gone a verb may be refused, but only by one of these words.
        if (-not $excused -or $problem -notin 'TaskRunning', 'TaskPaused', 'TaskNotPaused', 'TaskNotRunning', 'TaskNotFound', 'ContainerNotFound', 'ShimLost', 'ShimFailed', 'RuntimeFailed', 'TaskExists', 'ExecNotFound') {
            Say error "$verb of $Id ($before): $problem $($_.Exception.Message)"
        }
    }
    Say verb $verb
    $after.Kills = $killed
    $after.Shimless = $now.Shimless -and $after.State -ne 'none'
    $model[$Id] = $after
    Confirm-Truth $Id
    Save
}

$engine = [Containers.ContainerEngine]::new([Containers.ContainerHostOptions]::FromEnvironment($ModulePath))
while (-not (Test-Path "$Folder/stop")) {
    $id = $mine[$random.Next($mine.Count)]
    if ($model[$id].State -eq 'doubt') { Confirm-Truth $id; Save }
    Invoke-Verb $id
    # Somebody else's containers are there to be listed, in whatever state they are.
    if ($random.Next(20) -eq 0) {
        try { $null = Get-Container; $null = Get-ContainerTask; Say verb list } catch { Say error "list: $($_.FullyQualifiedErrorId) $($_.Exception.Message)" }
    }
}
