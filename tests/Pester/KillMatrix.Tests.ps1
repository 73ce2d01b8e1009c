# Who is killed, and when: what is told then is the truth, Remove-Container -Force takes everything away, and nothing is left.

BeforeDiscovery {
    $cells = foreach ($round in $env:CONTAINERS_TEST_LONG ? (1..3) : 1) {
        foreach ($moment in 'creating', 'created', 'running', 'paused', 'exec running', 'logging to a full disk', 'stopping') {
            foreach ($who in 'pwsh', 'shim', 'psrun', 'init') {
                # psrun lives while it works: in the other moments there is none.
                if ($who -eq 'psrun' -and $moment -ne 'creating') { continue }
                @{ Who = $who; Moment = $moment; Round = $round }
            }
        }
    }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $modulePath = Get-ModulePath
    $pwsh = (Get-Process -Id $PID).Path
    # The engine itself, for the verbs that pause.
    $engine = [Containers.ContainerEngine]::new([Containers.ContainerHostOptions]::FromEnvironment($modulePath))
    $pause = "[Containers.ContainerEngine]::new([Containers.ContainerHostOptions]::FromEnvironment('$modulePath')).Tasks.PauseAsync('cell', '$($store.Mark)', [System.Threading.CancellationToken]::None).GetAwaiter().GetResult() | Out-Null"
    $small = (New-Item "$($store.Folder)/small" -ItemType Directory).FullName
    mount -t tmpfs -o size=256k,mode=700 small $small

    # A process of the host, given its files while it is held in the middle of creating.
    $hook = [Containers.Linux.Oci.Hook] @{ Path = '/bin/sh'; Args = [string[]] ('sh', '-c', 'cat >"$0/state" && echo $$ >"$0/hook" && echo $PPID >"$0/psrun" && exec sleep 1000', $store.Folder) }

    function New-Held {
        Remove-Item "$($store.Folder)/state", "$($store.Folder)/psrun", "$($store.Folder)/hook" -ErrorAction SilentlyContinue
        $spec = New-ContainerSpec -ArgumentList sleep, 1000
        $spec.Hooks = [Containers.Linux.Oci.Hooks] @{ CreateRuntime = [System.Collections.Generic.List[Containers.Linux.Oci.Hook]] @($hook) }
        New-Container cell -RootfsPath $root -Spec $spec
    }

    # The command in another pwsh, where that one is to be killed, else beside us in this one.
    function Start-Actor([string] $Who, [string] $Script) {
        if ($Who -ne 'pwsh') { return Start-ThreadJob { Import-Module $using:modulePath; & ([scriptblock]::Create($using:Script)) } }
        $file = "$($store.Folder)/actor.ps1"
        Set-Content $file "`$ErrorActionPreference = 'Stop'; Import-Module '$modulePath'; $Script"
        Start-Beside $pwsh @('-NoProfile', '-NonInteractive', '-File', $file)
    }

    function Get-ShimOf { (Get-Content "$env:CONTAINERS_RUN/$($store.Mark)/cell/task.json" -Raw | ConvertFrom-Json).shimPid }

    # Also a process that the kernel holds frozen is told.
    function Stop-Victim([string] $Who, $Actor) {
        switch ($Who) {
            pwsh { $Actor.Kill(); $Actor.WaitForExit() }
            shim { $victim = Get-ShimOf; /bin/kill -KILL $victim; Wait-Until { Test-Ended $victim } 'the end of the shim' }
            psrun { /bin/kill -KILL (Get-Content "$($store.Folder)/psrun") }
            init { /bin/kill -KILL (((Test-Path "$($store.Folder)/state") ? (Get-Content "$($store.Folder)/state" -Raw | ConvertFrom-Json).pid : (Get-ContainerTask cell).ProcessId)) }
        }
    }

    # The error that the actor got, or nothing.
    function Get-Outcome($Job) {
        $null = $Job | Wait-Job -Timeout 60
        $found = @()
        $null = $Job | Receive-Job -ErrorAction SilentlyContinue -ErrorVariable found
        "$(@($found)[0].FullyQualifiedErrorId)".Split(',')[0]
    }
}

AfterAll {
    Stop-Beside
    umount $small
    Exit-TestStore
}

Describe 'When <Moment>, <Who> is killed (round <Round>)' -ForEach $cells {
    BeforeEach {
        $on = @{ Actor = $null }
        $before = $env:CONTAINERS_ROOT
        if ($Moment -eq 'logging to a full disk') { $env:CONTAINERS_ROOT = "$small/lib" }
    }

    AfterEach {
        if ($on.Actor -is [System.Management.Automation.Job]) { $on.Actor | Remove-Job -Force }
        Stop-Beside
        Remove-Item "$($store.Folder)/state", "$($store.Folder)/psrun", "$($store.Folder)/hook" -ErrorAction SilentlyContinue
        Get-Container | Remove-Container -Force
        $env:CONTAINERS_ROOT = $before
    }

    It 'tells the truth, and everything can be removed' {
        $begin = { param($Script) if ($Who -eq 'pwsh') { $on.Actor = Start-Actor pwsh "$Script; Set-Content '$($store.Folder)/ready' x; Start-Sleep 600"; Wait-Until { Test-Path "$($store.Folder)/ready" } 'the other pwsh'; Remove-Item "$($store.Folder)/ready" } else { & ([scriptblock]::Create($Script)) } }
        switch ($Moment) {
            'creating' {
                $null = New-Held
                $on.Actor = Start-Actor $Who 'Start-ContainerTask cell'
                Wait-Until { Test-Path "$($store.Folder)/psrun" } 'the hook'
                (Get-ContainerTask cell).State | Should -Be 'Creating'
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'pwsh') {
                    # The shim goes on: what is told is that.
                    (Get-ContainerTask cell).State | Should -Be 'Creating'
                    (Stop-ContainerTask cell -PassThru).State | Should -Be 'Stopped'
                    (Get-ContainerTask cell).StoppedReason | Should -Be 'ShimLost'
                }
                else {
                    # The runtime waits for its hook, whatever has become of the init.
                    if ($Who -eq 'init') { /bin/kill -KILL (Get-Content "$($store.Folder)/hook") }
                    Get-Outcome $on.Actor | Should -Be ($Who -eq 'shim' ? 'ShimFailed' : 'RuntimeFailed')
                    Get-ContainerTask | Should -BeNullOrEmpty
                    (Get-Container cell).State | Should -Be 'None'
                }
            }
            'created' {
                & $begin "`$null = New-Container cell -RootfsPath '$root' -ArgumentList sleep, 1000 | New-ContainerTask"
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'init') {
                    Wait-Until { (Get-ContainerTask cell).State -eq 'Stopped' } 'the end'
                    (Get-ContainerTask cell).StoppedReason | Should -Be 'NotStarted'
                }
                else {
                    (Get-ContainerTask cell).State | Should -Be 'Created'
                    $null -eq (Get-ContainerTask cell).ShimProcessId | Should -Be ($Who -eq 'shim')
                }
                # A task that was never started is made anew where it has to be.
                (Start-ContainerTask cell -PassThru).State | Should -Be 'Running'
            }
            'running' {
                & $begin "`$null = New-Container cell -RootfsPath '$root' -ArgumentList sleep, 1000 | Start-ContainerTask"
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'init') {
                    $end = Wait-ContainerTask cell -TimeoutSec 60
                    $end.ExitCode, $end.Signal, $end.StoppedReason | Should -Be 137, 9, 'Exited'
                }
                else {
                    (Get-ContainerTask cell).State | Should -Be 'Running'
                    Get-ErrorIdOf { Start-ContainerTask cell } | Should -Be 'TaskRunning'
                    Get-ErrorIdOf { Remove-Container cell } | Should -Be 'TaskRunning'
                    $end = Stop-ContainerTask cell -TimeoutSec 0 -PassThru
                    $end.State | Should -Be 'Stopped'
                    $end.StoppedReason | Should -Be ($Who -eq 'shim' ? 'ShimLost' : 'Exited')
                    $end.ExitCode | Should -Be ($Who -eq 'shim' ? $null : 137)
                }
            }
            'paused' {
                & $begin "`$null = New-Container cell -RootfsPath '$root' -ArgumentList sleep, 1000 | Start-ContainerTask; $pause"
                (Get-ContainerTask cell).State | Should -Be 'Paused'
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'init') {
                    # On v1 it takes the signal when it goes on, elsewhere at once.
                    $null = Get-ErrorOf { $engine.Tasks.ResumeAsync('cell', $store.Mark, [System.Threading.CancellationToken]::None).GetAwaiter().GetResult() }
                    (Wait-ContainerTask cell -TimeoutSec 60).ExitCode | Should -Be 137
                }
                else {
                    (Get-ContainerTask cell).State | Should -Be 'Paused'
                    $null = $engine.Tasks.ResumeAsync('cell', $store.Mark, [System.Threading.CancellationToken]::None).GetAwaiter().GetResult()
                    (Get-ContainerTask cell).State | Should -Be 'Running'
                    $null = $engine.Tasks.PauseAsync('cell', $store.Mark, [System.Threading.CancellationToken]::None).GetAwaiter().GetResult()
                    (Get-ContainerTask cell).State | Should -Be 'Paused'
                    (Stop-ContainerTask cell -TimeoutSec 1 -PassThru).State | Should -Be 'Stopped'
                }
            }
            'exec running' {
                & $begin "`$null = New-Container cell -RootfsPath '$root' -ArgumentList sleep, 1000 | Start-ContainerTask; `$null = Invoke-ContainerCommand cell -Detach -ExecId side -- sleep 1000"
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'init') {
                    (Wait-ContainerTask cell -TimeoutSec 60).ExitCode | Should -Be 137
                    $side = (Get-ContainerTask cell).Execs[0]
                    $side.State, $side.ExitCode | Should -Be 'Stopped', 137
                }
                else {
                    $side = (Get-ContainerTask cell).Execs[0]
                    $side.State | Should -Be 'Running'
                    (Get-Content "/proc/$($side.ProcessId)/cmdline").Split("`0")[0] | Should -Be 'sleep'
                    $null = Stop-ContainerTask cell -TimeoutSec 0
                    (Get-ContainerTask cell).Execs[0].State | Should -Be 'Stopped'
                }
            }
            'logging to a full disk' {
                & $begin "`$null = New-Container cell -RootfsPath '$root' -- sh -c 'yes | head -c 1000000; sleep 1000' | Start-ContainerTask"
                Wait-Until { (Get-ContainerTask cell).DroppedLogBytes -gt 500000 } 'output that is dropped'
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'init') {
                    (Wait-ContainerTask cell -TimeoutSec 60).ExitCode | Should -Be 137
                    (Get-ContainerTask cell).State | Should -Be 'Stopped'
                }
                else { (Get-ContainerTask cell).State | Should -Be 'Running' }
                (Get-ContainerTask cell).DroppedLogBytes | Should -BeGreaterThan 500000
                (Get-ContainerTask cell).DroppedLogBytes | Should -BeLessOrEqual 1000000
            }
            'stopping' {
                $null = New-Container cell -RootfsPath $root -- sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done' | Start-ContainerTask
                Wait-Until { (Get-ContainerLog cell).Text -eq 'ready' } 'the program'
                $on.Actor = Start-Actor $Who "Stop-ContainerTask cell -TimeoutSec $($Who -eq 'shim' ? 3 : 600)"
                Wait-Until { (Debug-ContainerShim cell).Inside.Processes[0].Waiters -eq 1 } 'the stop'
                Stop-Victim $Who $on.Actor
                if ($Who -eq 'pwsh') { (Get-ContainerTask cell).State | Should -Be 'Running' }
                else {
                    Get-Outcome $on.Actor | Should -BeNullOrEmpty
                    $end = Get-ContainerTask cell
                    $end.State, $end.StoppedReason | Should -Be 'Stopped', ($Who -eq 'shim' ? 'ShimLost' : 'Exited')
                    $end.ExitCode | Should -Be ($Who -eq 'shim' ? $null : 137)
                }
            }
        }
        Remove-Container cell -Force
        Get-Container | Should -BeNullOrEmpty
        Get-ContainerTask | Should -BeNullOrEmpty
        Stop-Beside
        Wait-Until { -not (Get-Leftover | Where-Object { $_ -notlike "*$small*" }) } "nothing left: $(Get-Leftover)" 20
    }
}

Describe 'A host that was restarted' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'lists what ran as stopped by it, and starts it again' {
        $null = New-Container ran -RootfsPath $root -- sh -c 'echo line; exec sleep 1000' | Start-ContainerTask
        $null = New-Container never -RootfsPath $root -ArgumentList true
        Wait-Until { (Get-ContainerLog ran).Count -eq 1 } 'its line'
        Restart-Host
        $task = Get-ContainerTask
        $task.ContainerId | Should -Be 'ran'
        $task.State, $task.StoppedReason | Should -Be 'Stopped', 'HostRestarted'
        $task.ExitCode | Should -BeNullOrEmpty
        (Get-Container ran).State | Should -Be 'Stopped'
        (Get-Container never).State | Should -Be 'None'
        (Wait-ContainerTask ran -TimeoutSec 60).StoppedReason | Should -Be 'HostRestarted'
        (Stop-ContainerTask ran -PassThru).StoppedReason | Should -Be 'HostRestarted'
        (Start-ContainerTask ran -PassThru).State | Should -Be 'Running'
        Wait-Until { (Get-ContainerLog ran).Count -eq 2 } 'its second line'
    }

    It 'knows how what had ended before ended' {
        $null = New-Container ended -RootfsPath $root -- sh -c 'exit 3' | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
        Restart-Host
        $task = Get-ContainerTask ended
        $task.State, $task.StoppedReason, $task.ExitCode | Should -Be 'Stopped', 'Exited', 3
        Remove-ContainerTask ended
        Get-ContainerTask | Should -BeNullOrEmpty
        (Get-Container ended).State | Should -Be 'None'
    }
}
