# What runs does not depend on who started it: the pwsh that did is killed with SIGKILL, together with everything in its cgroups and
# its session, and the next one takes over.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $pwsh = (Get-Process -Id $PID).Path
    $modulePath = Get-ModulePath
    $callers = [System.Collections.Generic.List[object]]::new()
    # Each hierarchy of the host, whatever its version.
    $hierarchies = Get-Content /proc/mounts | ForEach-Object { , $_.Split(' ') } | Where-Object { $_[2] -in 'cgroup', 'cgroup2' } | ForEach-Object { $_[1] }

    # A pwsh in a session and in cgroups of its own, in every hierarchy. Its script writes to $said; $name is unique.
    function Start-Caller([string] $Script) {
        $name = "caller-$($store.Mark)-$([guid]::NewGuid().ToString('N').Substring(0, 6))"
        $folder = (New-Item "$($store.Folder)/$name" -ItemType Directory).FullName
        Set-Content "$folder/script.ps1" "`$ErrorActionPreference = 'Stop'; `$said = '$folder'; Import-Module '$(Get-ModulePath)'; `$root = '$root'`n$Script"
        foreach ($hierarchy in $hierarchies) {
            $null = New-Item "$hierarchy/$name" -ItemType Directory
            # A group of v1's cpuset takes nobody before it has processors and nodes.
            foreach ($file in 'cpuset.cpus', 'cpuset.mems') {
                if ((Test-Path "$hierarchy/$name/$file") -and -not (Get-Content "$hierarchy/$name/$file")) { Set-Content "$hierarchy/$name/$file" (Get-Content "$hierarchy/$file") }
            }
        }
        $enter = ($hierarchies | ForEach-Object { "echo `$`$ >'$_/$name/cgroup.procs'" }) -join ' && '
        Set-Content "$folder/enter.sh" "$enter && echo `$`$ >'$folder/pid' && exec '$pwsh' -NoProfile -NonInteractive -File '$folder/script.ps1' >'$folder/out' 2>'$folder/err' </dev/null"
        setsid --fork sh "$folder/enter.sh"
        Wait-Until { (Test-Path "$folder/pid") -and (Get-Content "$folder/pid") } "the caller's start"
        $caller = [pscustomobject]@{ Name = $name; Folder = $folder; ProcessId = [int] (Get-Content "$folder/pid") }
        $callers.Add($caller)
        $caller
    }

    function Wait-Said($Caller, [string] $Word) {
        Wait-Until { (Test-Path "$($Caller.Folder)/$Word") -or -not (Test-Path "/proc/$($Caller.ProcessId)/stat") } $Word
        if (-not (Test-Path "$($Caller.Folder)/$Word")) { throw "the caller ended: $(Get-Content "$($Caller.Folder)/err" -Raw)" }
    }

    function Get-CallerProcess($Caller) {
        $members = foreach ($hierarchy in $hierarchies) { Get-Content "$hierarchy/$($Caller.Name)/cgroup.procs" -ErrorAction SilentlyContinue }
        # proc_pid_stat(5): the session is the fourth field after the name in parentheses.
        $session = Get-ChildItem /proc -Directory | Where-Object Name -match '^\d+$' | ForEach-Object {
            $stat = try { [IO.File]::ReadAllText("$_/stat") } catch { return }
            $fields = $stat.Substring($stat.LastIndexOf(')') + 2).Split(' ')
            if ($fields[3] -eq $Caller.ProcessId -and $fields[0] -ne 'Z') { $_.Name }
        }
        @($members) + @($session) | Where-Object { $_ } | Sort-Object -Unique
    }

    # Everything at once, and again until there is nobody; then the groups can be removed, which proves that nobody is in them.
    function Stop-Caller($Caller) {
        $killed = while ($all = Get-CallerProcess $Caller) {
            $all
            /bin/kill -KILL $all 2>/dev/null
            Start-Sleep -Milliseconds 10
        }
        foreach ($hierarchy in $hierarchies) {
            Wait-Until { $null = rmdir "$hierarchy/$($Caller.Name)" 2>/dev/null; -not (Test-Path "$hierarchy/$($Caller.Name)") } "the end of $hierarchy/$($Caller.Name)"
        }
        $killed | Sort-Object -Unique
    }

    # Another process, which knows nothing but the store.
    function Invoke-Next([string] $Script) {
        $answer = Invoke-FreshPwsh "`$ErrorActionPreference = 'Stop'; & { $Script } | ConvertTo-Json -Depth 32 -EnumsAsStrings"
        if ($LASTEXITCODE -ne 0) { throw "the next pwsh ended with $LASTEXITCODE" }
        $answer | Join-String -Separator "`n" | ConvertFrom-Json
    }

    # Lines with numbers, without end: whoever loses one is found out.
    $counting = 'i=0; trap "exit 5" TERM; while :; do i=$((i+1)); echo "line $i"; sleep 0.02; done'
}

AfterAll {
    foreach ($caller in $callers) { $null = Stop-Caller $caller }
    Exit-TestStore
}

Describe 'A pwsh that was killed with its session and its cgroups' {
    BeforeAll {
        $caller = Start-Caller @"
            `$task = New-Container survivor -RootfsPath `$root -- sh -c '$counting' | Start-ContainerTask -PassThru
            `$null = Invoke-ContainerCommand survivor -Detach -ExecId side -- sleep 1000
            `$task.ProcessId, `$task.ShimProcessId | Set-Content "`$said/pids"
            Set-Content "`$said/ready" x
            Wait-ContainerTask survivor
"@
        Wait-Said $caller ready
        $init, $shim = [int[]] (Get-Content "$($caller.Folder)/pids")
        $killed = Stop-Caller $caller
        $before = (Get-ContainerLog survivor).Count
    }

    It 'was really killed' {
        $killed | Should -Contain $caller.ProcessId
        # One that nobody has collected yet has no program any more.
        (Get-Content "/proc/$($caller.ProcessId)/cmdline" -Raw -ErrorAction SilentlyContinue) | Should -BeNullOrEmpty
    }

    It 'took neither shim nor program with it' {
        $killed | Should -Not -Contain $init
        $killed | Should -Not -Contain $shim
        (Get-ContainerTask survivor).ProcessId | Should -Be $init
        (Get-ContainerTask survivor).ShimProcessId | Should -Be $shim
    }

    It 'leaves a task that the next one lists as running' {
        $seen = Invoke-Next 'Get-Container; Get-ContainerTask'
        $seen[0].Id | Should -Be 'survivor'
        $seen[0].State | Should -Be 'Running'
        $seen[1].State | Should -Be 'Running'
        $seen[1].ProcessId | Should -Be $init
    }

    It 'leaves a log that is whole, from the first byte on, and goes on' {
        $lines = Invoke-Next '@((Get-ContainerLog survivor).Text)'
        $lines.Count | Should -BeGreaterThan 10
        $lines | Should -Be (1..$lines.Count | ForEach-Object { "line $_" })
        Wait-Until { (Get-ContainerLog survivor).Count -gt $before + 10 } 'more lines after the kill'
    }

    It 'leaves a log that the next one can follow' {
        $lines = Invoke-Next '@((Get-ContainerLog survivor -Follow -Tail 0 | Select-Object -First 5).Text)'
        $first = [int] $lines[0].Split(' ')[1]
        $lines | Should -Be ($first..($first + 4) | ForEach-Object { "line $_" })
    }

    It 'leaves its further programs running' {
        $exec = (Invoke-Next 'Get-ContainerTask survivor').Execs | Where-Object Id -eq side
        $exec.State | Should -Be 'Running'
        (Get-Content "/proc/$($exec.ProcessId)/cmdline").Split("`0")[0] | Should -Be 'sleep'
    }

    It 'leaves a task that the next one runs programs in' {
        (Invoke-Next 'Invoke-ContainerCommand survivor -PassThru -- sh -c "echo inside; exit 3"') |
            ForEach-Object { $_.StandardOutput, $_.ExitCode } | Should -Be "inside`n", 3
    }

    It 'leaves a task that the next one stops, with the truth about its end, and removes' {
        $task = Invoke-Next 'Stop-ContainerTask survivor -PassThru'
        $task.State | Should -Be 'Stopped'
        $task.ExitCode | Should -Be 5
        $task.StoppedReason | Should -Be 'Exited'
        (Invoke-Next 'Wait-ContainerTask survivor').ExitCode | Should -Be 5
        Invoke-Next 'Remove-Container survivor'
        Get-Container | Should -BeNullOrEmpty
        Get-Leftover | Where-Object { $_ -notlike "*/caller-*" } | Should -BeNullOrEmpty
    }
}

Describe 'A pwsh that was killed in the middle of' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'streaming its container''s output: the task runs on, and its log is whole' {
        $caller = Start-Caller "Invoke-Container streamed -RootfsPath `$root -- sh -c '$counting' | ForEach-Object { if (`$_ -eq 'line 10') { Set-Content `"`$said/ready`" x } }"
        Wait-Said $caller ready
        $null = Stop-Caller $caller
        (Get-ContainerTask streamed).State | Should -Be 'Running'
        $before = (Get-ContainerLog streamed).Count
        Wait-Until { (Get-ContainerLog streamed).Count -gt $before + 5 } 'more lines'
        $lines = (Get-ContainerLog streamed).Text
        $lines | Should -Be (1..$lines.Count | ForEach-Object { "line $_" })
    }

    It 'giving input: the task runs on, with what it was given' {
        $caller = Start-Caller "& { 1..3; Set-Content `"`$said/ready`" x; Start-Sleep 600 } | Invoke-Container fed -RootfsPath `$root -- sh -c 'cat; echo end'"
        Wait-Said $caller ready
        Wait-Until { (Get-ContainerLog fed -ErrorAction SilentlyContinue).Count -ge 3 } 'the input'
        $null = Stop-Caller $caller
        # The container's own input stays open for the next who attaches: the program waits, and can be stopped.
        (Get-ContainerTask fed).State | Should -Be 'Running'
        (Get-ContainerLog fed).Text | Should -Be '1', '2', '3'
        (Stop-ContainerTask fed -TimeoutSec 0 -PassThru).State | Should -Be 'Stopped'
    }

    It 'a program that reads its input: the task runs on' {
        $null = Start-Sleeper host $root
        $caller = Start-Caller "& { 1; Set-Content `"`$said/ready`" x; Start-Sleep 600 } | Invoke-ContainerCommand host -ExecId fed -- cat"
        Wait-Said $caller ready
        Wait-Until { (Get-ContainerTask host).Execs.Count -eq 1 } 'the program'
        $null = Stop-Caller $caller
        # The input of a further program ends with its client.
        Wait-Until { (Get-ContainerTask host).Execs[0].State -eq 'Stopped' } 'the end of its input'
        (Get-ContainerTask host).Execs[0].ExitCode | Should -Be 0
        (Get-ContainerTask host).State | Should -Be 'Running'
    }

    It 'making, starting and removing: whatever was half made can be removed (<_> ms on)' -ForEach ($env:CONTAINERS_TEST_LONG ? (0..99 | ForEach-Object { $_ * 7 }) : (0, 50, 100, 150, 230, 330)) {
        $caller = Start-Caller @'
            Set-Content "$said/ready" x
            while ($true) {
                $null = New-Container half -RootfsPath $root -Overlay -ArgumentList sleep, 1000 | Start-ContainerTask
                $null = Invoke-ContainerCommand half -- true
                Remove-Container half -Force
            }
'@
        Wait-Said $caller ready
        Start-Sleep -Milliseconds $_
        $null = Stop-Caller $caller
        $problems = Invoke-Next '$found = @(); Get-Container | Remove-Container -Force -ErrorAction SilentlyContinue -ErrorVariable found; @($found.FullyQualifiedErrorId)'
        $problems | Should -BeNullOrEmpty
        Get-Container | Should -BeNullOrEmpty
        # A container is made and removed beside its place: the next that is made sweeps that away.
        New-Container next -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container
        Get-Leftover | Where-Object { $_ -notlike "*/caller-*" } | Should -BeNullOrEmpty
    }
}

Describe 'A shim that was killed' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'leaves a program that runs, is told so, and can be signalled and stopped' {
        $task = Start-Sleeper orphan $root
        /bin/kill -KILL $task.ShimProcessId
        Wait-Until { $null -eq (Get-ContainerTask orphan).ShimProcessId } 'the end of the shim'
        $now = Get-ContainerTask orphan
        $now.State | Should -Be 'Running'
        $now.ProcessId | Should -Be $task.ProcessId
        Get-ErrorIdOf { Invoke-ContainerCommand orphan -- true } | Should -Be 'ShimLost'
        $now = Stop-ContainerTask orphan -TimeoutSec 1 -PassThru
        $now.State | Should -Be 'Stopped'
        $now.StoppedReason | Should -Be 'ShimLost'
        $now.ExitCode | Should -BeNullOrEmpty
        Remove-Container orphan
        Get-Leftover | Where-Object { $_ -notlike "*/caller-*" } | Should -BeNullOrEmpty
    }

    It 'ends a wait with the truth once the program has ended' {
        $task = Start-Sleeper orphan $root
        $job = Start-ThreadJob { Import-Module $using:modulePath; Wait-ContainerTask orphan -TimeoutSec 30 } -ErrorAction Stop
        try {
            /bin/kill -KILL $task.ShimProcessId
            Start-Sleep -Milliseconds 200
            $job.State | Should -BeIn 'NotStarted', 'Running'
            /bin/kill -KILL $task.ProcessId
            $result = $job | Receive-Job -Wait
            $result.StoppedReason | Should -Be 'ShimLost'
            $result.ExitCode | Should -BeNullOrEmpty
        }
        finally { Remove-Job $job -Force }
    }
}

Describe 'A program that was killed from outside' {
    It 'has ended by that signal' {
        $task = Start-Sleeper hit $root
        /bin/kill -KILL $task.ProcessId
        $result = Wait-ContainerTask hit -TimeoutSec 30
        $result.Signal, $result.ExitCode, $result.StoppedReason | Should -Be 9, 137, 'Exited'
        Remove-Container hit
    }
}
