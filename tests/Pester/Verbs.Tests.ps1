# The verbs of every day: suspend, resume, restart, rename, set, processes, tenants, and many at once.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
}

AfterAll { Exit-TestStore }

Describe 'Suspend and resume' {
    BeforeAll {
        $null = New-Container ticks -RootfsPath $root -- sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done' | Start-ContainerTask
        Wait-Until { Get-ContainerLog ticks -Tail 1 } 'it counts'
    }
    AfterAll { Remove-Container ticks -Force }

    It 'stops every process and lets it go on' {
        (Suspend-ContainerTask ticks -PassThru).State | Should -Be 'Paused'
        $before = @(Get-ContainerLog ticks).Count
        Start-Sleep -Milliseconds 300
        @(Get-ContainerLog ticks).Count | Should -Be $before
        (Resume-ContainerTask ticks -PassThru).State | Should -Be 'Running'
        Wait-Until { @(Get-ContainerLog ticks).Count -gt $before } 'it goes on'
    }

    It 'is refused where it makes no sense' {
        Get-ErrorIdOf { Resume-ContainerTask ticks } | Should -Be 'TaskNotPaused'
        Suspend-ContainerTask ticks
        Get-ErrorIdOf { Suspend-ContainerTask ticks } | Should -Be 'TaskPaused'
        Resume-ContainerTask ticks
        Get-ErrorIdOf { Suspend-ContainerTask nobody } | Should -Be 'ContainerNotFound'
    }

    It 'does nothing under -WhatIf' {
        Suspend-ContainerTask ticks -WhatIf
        (Get-ContainerTask ticks).State | Should -Be 'Running'
    }

    It 'is ended by a kill also while it is paused' {
        $null = Start-Sleeper frozen $root
        Suspend-ContainerTask frozen
        (Stop-ContainerTask frozen -TimeoutSec 0 -PassThru).Signal | Should -Be 9
        Remove-Container frozen
    }
}

Describe 'Restart' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'ends the program by its stop signal and starts another' {
        $null = New-Container again -RootfsPath $root -StopSignal USR1 -- sh -c 'trap "echo bye; exit 5" USR1; echo up; while :; do sleep 0.02; done' | Start-ContainerTask
        Wait-Until { (Get-ContainerLog again).Text -contains 'up' } 'it listens'
        $first = Get-ContainerTask again
        $second = Restart-ContainerTask again -PassThru
        $second.State | Should -Be 'Running'
        $second.ProcessId | Should -Not -Be $first.ProcessId
        Test-Path "/proc/$($first.ProcessId)" | Should -BeFalse
        Wait-Until { @((Get-ContainerLog again).Text) -join ' ' -eq 'up bye up' } 'one log has both'
    }

    It 'kills what does not listen, by another signal where one is given' {
        $null = Start-Sleeper deaf $root
        $null = Restart-ContainerTask deaf -Signal WINCH -TimeoutSec 0.2
        (Get-ContainerTask deaf).State | Should -Be 'Running'
    }

    It 'starts what has no task, and what has stopped' {
        $null = New-Container idle -RootfsPath $root -ArgumentList sleep, 1000
        (Restart-ContainerTask idle -PassThru).State | Should -Be 'Running'
        Stop-ContainerTask idle -TimeoutSec 0
        (Restart-ContainerTask idle -PassThru).State | Should -Be 'Running'
    }
}

Describe 'Rename' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'takes log and writable layer along, and leaves the host name' {
        $null = Invoke-Container old -RootfsPath $root -Overlay -Label @{ a = 'b' } -- sh -c 'echo said; echo kept >/tmp/file; hostname'
        Remove-ContainerTask old
        $renamed = Rename-Container old new -PassThru
        $renamed.Id | Should -Be 'new'
        $renamed.Labels['a'] | Should -Be 'b'
        Get-ErrorIdOf { Get-Container old } | Should -Be 'ContainerNotFound'
        (Get-ContainerLog new).Text | Should -Be 'said', 'old'
        (Get-Cgroup -Container new -ErrorAction SilentlyContinue) | Should -BeNullOrEmpty
        $null = Start-ContainerTask new
        $null = Wait-ContainerTask new -TimeoutSec 60
        (Compare-Container new).Path | Should -Contain '/tmp/file'
        (Get-Container new).Spec.Linux.CgroupsPath | Should -BeLike '*/new'
    }

    It 'is refused while there is a task' {
        $null = Start-Sleeper busy $root
        Get-ErrorIdOf { Rename-Container busy other } | Should -Be 'TaskExists'
        Stop-ContainerTask busy -TimeoutSec 0
        Get-ErrorIdOf { Rename-Container busy other } | Should -Be 'TaskExists'
        (Get-Container).Id | Should -Be 'busy'
    }

    It 'is refused when the new id is taken, is none, or others join by the old one' {
        $null = New-Container one -RootfsPath $root -ArgumentList true
        $null = New-Container two -RootfsPath $root -Network container:one -ArgumentList true
        Get-ErrorIdOf { Rename-Container two one } | Should -Be 'ContainerExists'
        Get-ErrorIdOf { Rename-Container two ../one } | Should -Be 'InvalidId'
        Get-ErrorIdOf { Rename-Container one three } | Should -Be 'ContainerInUse'
        Get-ErrorIdOf { Rename-Container nobody three } | Should -Be 'ContainerNotFound'
        (Get-Container).Id | Should -Be 'one', 'two'
    }

    It 'is whole when it was cut off between its two steps' {
        $null = New-Container cut -RootfsPath $root -Label @{ k = 'v' } -ArgumentList sleep, 1000
        $folder = "$env:CONTAINERS_ROOT/containers/$($store.Mark)"
        $record = "$folder/cut/container.json"
        [System.IO.File]::WriteAllText($record, ((Get-Content $record -Raw) -replace '^\{', '{"renamedTo":"off",'))
        (Get-Container cut).Id | Should -Be 'cut' -Because 'the folder has its old name'
        Move-Item "$folder/cut" "$folder/off"
        (Get-Container off).Labels['k'] | Should -Be 'v'
        (Start-ContainerTask off -PassThru).State | Should -Be 'Running'
        (Get-Cgroup -Container off).Path | Should -BeLike '*/off'
    }
}

Describe 'Set-Container' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'sets and removes labels and leaves the others' {
        $null = New-Container set -RootfsPath $root -Label @{ keep = '1'; drop = '2'; change = '3' } -ArgumentList true
        $null = Set-Container set -Label @{ drop = $null; change = 4; new = 'x' }
        $labels = (Get-Container set).Labels
        $labels.Keys | Sort-Object | Should -Be 'change', 'keep', 'new'
        $labels['change'] | Should -Be '4'
    }

    It 'gives a program that runs another stop signal and another patience' {
        $null = New-Container signals -RootfsPath $root -- sh -c 'trap "exit 3" TERM; trap "exit 4" USR2; echo up; while :; do sleep 0.02; done' | Start-ContainerTask
        Wait-Until { Get-ContainerLog signals } 'it listens'
        $set = Set-Container signals -StopSignal USR2 -StopTimeoutSec 33 -PassThru
        $set.StopSignal | Should -Be 'SIGUSR2'
        $set.StopTimeout.TotalSeconds | Should -Be 33
        (Stop-ContainerTask signals -PassThru).ExitCode | Should -Be 4
    }

    It 'changes nothing when one part of it is wrong' {
        $null = New-Container half -RootfsPath $root -ArgumentList true
        Get-ErrorIdOf { Set-Container half -Label @{ a = 'b' } -StopSignal NONE } | Should -Be 'InvalidArgument'
        (Get-Container half).Labels.Count | Should -Be 0
    }
}

Describe 'Get-ContainerProcess' {
    BeforeAll {
        $null = New-Container crowd -RootfsPath $root -Overlay -- sh -c 'sleep 1001 & exec sleep 1000' | Start-ContainerTask
        $null = Invoke-ContainerCommand crowd -Detach -ExecId side -User web -- sleep 1002
        Wait-Until { @(Get-ContainerProcess crowd).Command -contains 'sleep 1000' -and @(Get-ContainerProcess crowd).Command -contains 'sleep 1001' } 'they run'
    }
    AfterAll { Remove-Container crowd -Force }

    It 'knows every process by both of its numbers' {
        $all = Get-ContainerProcess crowd
        $all.Command | Sort-Object | Should -Be 'sleep 1000', 'sleep 1001', 'sleep 1002'
        $first = $all[0]
        $first.Command | Should -Be 'sleep 1000'
        $first.ContainerProcessId | Should -Be 1
        $first.ProcessId | Should -Be (Get-ContainerTask crowd).ProcessId
        $first.ParentProcessId | Should -Be (Get-ContainerTask crowd).ShimProcessId
        ($all | Where-Object Command -eq 'sleep 1001').ParentProcessId | Should -Be $first.ProcessId
        foreach ($one in $all) {
            Invoke-ContainerCommand crowd -- sh -c "tr '\0' ' ' </proc/$($one.ContainerProcessId)/cmdline" | Should -Be "$($one.Command) "
            (Get-Process -Id $one.ProcessId).StartTime.ToUniversalTime().Subtract($one.StartTime.UtcDateTime).Duration().TotalSeconds | Should -BeLessThan 3
        }
    }

    It 'has users by the names of the container, states and exec ids' {
        $side = Get-ContainerProcess crowd | Where-Object ExecId -eq side
        $side.User | Should -Be 'web'
        $side.UserId | Should -Be 1000
        $side.State | Should -Be 'Sleeping'
        $side.MemoryUsage | Should -BeGreaterThan 0
        (Get-ContainerProcess crowd | Where-Object User -eq root) | Should -HaveCount 2
    }

    It 'maps users of a user namespace' {
        # Its root is not the host's, and has to get to where its root filesystem is.
        chmod 0711 $store.Folder
        $null = New-Container mapped -RootfsPath $root -UserNamespace private -UidMap 0:200000:65536 -User 1000 -ArgumentList sleep, 1000 | Start-ContainerTask
        $process = Get-ContainerProcess mapped
        $process.User | Should -Be 'web'
        $process.UserId | Should -Be 201000
        Remove-Container mapped -Force
    }

    It 'is an error by name, and nothing for those that have ended where none is named' {
        $null = Invoke-Container over -RootfsPath $root -ArgumentList true
        Get-ErrorIdOf { Get-ContainerProcess over } | Should -Be 'TaskNotRunning'
        (Get-ContainerProcess).ContainerId | Sort-Object -Unique | Should -Be 'crowd'
        Remove-Container over
    }

    It 'fits the screen' {
        $Error.Clear()
        ($objects = Get-ContainerProcess crowd | Format-Table | Out-String -Width 120) | Should -Match 'sleep 1000'
        $Error | Should -BeNullOrEmpty
    }
}

Describe 'Container namespaces' {
    BeforeAll { $other = "$($store.Mark)-b" }
    AfterEach { Get-ContainerNamespace "$other*" | Remove-ContainerNamespace -Force -Confirm:$false }

    It 'are there while something is in them, or when they were made' {
        Get-ErrorIdOf { Get-ContainerNamespace $other } | Should -Be 'ContainerNamespaceNotFound'
        $null = New-Container x -RootfsPath $root -ContainerNamespace $other -ArgumentList true
        (Get-ContainerNamespace $other).Containers | Should -Be 1
        Remove-Container x -ContainerNamespace $other
        Get-ErrorIdOf { Get-ContainerNamespace $other } | Should -Be 'ContainerNamespaceNotFound'

        (New-ContainerNamespace $other -Label @{ owner = 'me' }).Labels['owner'] | Should -Be 'me'
        $null = New-Container x -RootfsPath $root -ContainerNamespace $other -ArgumentList true
        Remove-Container x -ContainerNamespace $other
        (Get-ContainerNamespace $other).Labels['owner'] | Should -Be 'me'
        (Get-ContainerNamespace $other).CreatedAt | Should -BeGreaterThan ([datetimeoffset]::UtcNow.AddHours(-1))
    }

    It 'are made once' {
        $null = New-ContainerNamespace $other
        Get-ErrorIdOf { New-ContainerNamespace $other } | Should -Be 'ContainerNamespaceExists'
        Get-ErrorIdOf { New-ContainerNamespace '../x' } | Should -Be 'InvalidId'
        Get-ErrorIdOf { New-ContainerNamespace ns } | Should -Be 'InvalidId'
    }

    It 'keep equal ids apart' {
        $null = New-Container same -RootfsPath $root -ArgumentList sleep, 1000 | Start-ContainerTask
        $null = New-Container same -RootfsPath $root -ContainerNamespace $other -ArgumentList sleep, 1000 | Start-ContainerTask
        Stop-ContainerTask same -TimeoutSec 0 -ContainerNamespace $other
        (Get-ContainerTask same).State | Should -Be 'Running'
        Remove-Container same -Force
        (Get-Container same -ContainerNamespace $other).State | Should -Be 'Stopped'
    }

    It 'are refused while not empty, and go with all by -Force' {
        $null = New-ContainerNamespace $other
        $task = New-Container x -RootfsPath $root -ContainerNamespace $other -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
        $null = Import-ContainerImage -RootfsPath $root -Reference tenant:1 -ContainerNamespace $other
        $null = New-ContainerSnapshot base -ContainerNamespace $other
        Get-ErrorIdOf { Remove-ContainerNamespace $other -Confirm:$false } | Should -Be 'ContainerNamespaceNotEmpty'
        (Get-ContainerTask x -ContainerNamespace $other).State | Should -Be 'Running'
        Remove-ContainerNamespace $other -Force -WhatIf
        (Get-ContainerTask x -ContainerNamespace $other).State | Should -Be 'Running'
        Remove-ContainerNamespace $other -Force -Confirm:$false
        Test-Path "/proc/$($task.ProcessId)" | Should -BeFalse
        Get-ErrorIdOf { Get-ContainerNamespace $other } | Should -Be 'ContainerNamespaceNotFound'
    }

    It 'complete' {
        $null = New-ContainerNamespace $other
        (TabExpansion2 "Get-ContainerNamespace $($store.Mark)").CompletionMatches.CompletionText | Should -Contain $other
        (TabExpansion2 "Get-Container -ContainerNamespace $($store.Mark)").CompletionMatches.CompletionText | Should -Contain $other
    }
}

Describe 'Many at once' {
    AfterEach { Get-Container | Remove-Container -Force -ThrottleLimit 8 }

    It 'takes about the time of the slowest, and answers in order' {
        $ids = 1..12 | ForEach-Object { 'many-{0:00}' -f $_ }
        # Deaf to the first signal: each stop takes its two seconds.
        $null = $ids | ForEach-Object { New-Container $_ -RootfsPath $root -StopSignal WINCH -ArgumentList sleep, 1000 } | Start-ContainerTask -ThrottleLimit 4
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        $stopped = Get-Container * | Stop-ContainerTask -TimeoutSec 2 -ThrottleLimit 12 -PassThru
        $clock.Elapsed.TotalSeconds | Should -BeLessThan 20 -Because 'one after another would be 24 seconds'
        $stopped.ContainerId | Should -Be $ids
        $stopped.Signal | Sort-Object -Unique | Should -Be 9
    }

    It 'is never more than the limit' {
        $null = 1..6 | ForEach-Object { New-Container "few-$_" -RootfsPath $root -StopSignal WINCH -ArgumentList sleep, 1000 } | Start-ContainerTask -ThrottleLimit 3
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        Get-ContainerTask few-* | Stop-ContainerTask -TimeoutSec 0.5 -ThrottleLimit 2
        $clock.Elapsed.TotalSeconds | Should -BeGreaterThan 1.4 -Because 'three turns of two, half a second each'
    }

    It 'tells each failure by itself and goes on' {
        $null = 'a', 'b' | ForEach-Object { New-Container $_ -RootfsPath $root -ArgumentList sleep, 1000 }
        $started = 'a', 'nobody', 'b' | Start-ContainerTask -ThrottleLimit 3 -PassThru -ErrorVariable problems -ErrorAction SilentlyContinue
        $started.ContainerId | Should -Be 'a', 'b'
        $problems.FullyQualifiedErrorId | Should -BeLike 'ContainerNotFound*'
        $null = 'a', 'b' | Start-ContainerTask -ThrottleLimit 2 -ErrorVariable +twice -ErrorAction SilentlyContinue
        $twice | Should -HaveCount 2
        $twice[0].FullyQualifiedErrorId | Should -BeLike 'TaskRunning*'
        'a', 'b' | Remove-Container -Force -ThrottleLimit 2
        Get-Container | Should -BeNullOrEmpty
    }
}

Describe 'Wait-ContainerTask -For' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'LogMatch: a line that is there, and one that comes' {
        $null = New-Container talks -RootfsPath $root -- sh -c 'echo begun; sleep 0.5; printf "half "; sleep 0.2; echo "of it" >&2; echo "whole 42"; sleep 1000' | Start-ContainerTask
        (Wait-ContainerTask talks -For LogMatch -Pattern '^begun$' -TimeoutSec 60).State | Should -Be 'Running'
        (Wait-ContainerTask talks -For LogMatch -Pattern 'half whole \d+' -TimeoutSec 60).ContainerId | Should -Be 'talks'
        (Wait-ContainerTask talks -For LogMatch -Pattern '^of it$' -TimeoutSec 60).ContainerId | Should -Be 'talks'
        Get-ErrorIdOf { Wait-ContainerTask talks -For LogMatch -Pattern 'never' -TimeoutSec 0.3 } | Should -Be 'WaitTimeout'
    }

    It 'LogMatch: lines of an earlier run do not count, and an end without is an error' {
        $null = Invoke-Container again -RootfsPath $root -Overlay -- sh -c 'test -e /second || echo ready; touch /second'
        Get-ErrorIdOf { $null = Start-ContainerTask again; Wait-ContainerTask again -For LogMatch -Pattern ready -TimeoutSec 60 } | Should -Be 'TaskNotRunning'
    }

    It 'PortOpen: in the container''s network namespace, not in the host''s' {
        $null = New-Container listens -RootfsPath $root -- sh -c 'sleep 0.7; exec nc -ll -p 8080 -e true' | Start-ContainerTask
        Get-ErrorIdOf { Wait-ContainerTask listens -For PortOpen -Port 9 -TimeoutSec 0.3 } | Should -Be 'WaitTimeout'
        (Wait-ContainerTask listens -For PortOpen -Port 8080 -TimeoutSec 60).State | Should -Be 'Running'
        $null = New-Container ends -RootfsPath $root -ArgumentList sleep, 0.5 | Start-ContainerTask
        Get-ErrorIdOf { Wait-ContainerTask ends -For PortOpen -Port 8080 -TimeoutSec 60 } | Should -Be 'TaskNotRunning'
    }

    It 'Healthy: not before the check succeeds, and an end without is an error' {
        $null = New-Container talks -RootfsPath $root -Overlay -HealthCommand 'test -e /tmp/well' -HealthInterval 100ms -HealthRetries 1 -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask talks).Health.Status -eq 'Unhealthy' } 'a failure'
        Get-ErrorIdOf { Wait-ContainerTask talks -For Healthy -TimeoutSec 0.3 } | Should -Be 'WaitTimeout'
        $path = Get-ModulePath
        $wait = Start-ThreadJob { Import-Module $using:path; Wait-ContainerTask talks -For Healthy -TimeoutSec 60 }
        Invoke-ContainerCommand talks -- touch /tmp/well
        ($wait | Receive-Job -Wait -AutoRemoveJob).Health.Status | Should -Be 'Healthy'
        Invoke-ContainerCommand talks -- rm /tmp/well
        Wait-Until { (Get-ContainerTask talks).Health.Status -eq 'Unhealthy' } 'a failure'
        $wait = Start-ThreadJob { Import-Module $using:path; try { Wait-ContainerTask talks -For Healthy -TimeoutSec 60 -ErrorAction Stop } catch { "$($_.FullyQualifiedErrorId)" } }
        Start-Sleep -Milliseconds 300
        Stop-ContainerTask talks -TimeoutSec 0
        $wait | Receive-Job -Wait -AutoRemoveJob | Should -BeLike 'TaskNotRunning,*'
        $null = Start-Sleeper simple $root
        Get-ErrorIdOf { Wait-ContainerTask simple -For Healthy -TimeoutSec 60 } | Should -Be 'HealthCheckNotFound'
    }

    It '-Any gives the first alone' {
        $null = New-Container slow -RootfsPath $root -ArgumentList sleep, 1000 | Start-ContainerTask
        $null = New-Container quick -RootfsPath $root -- sh -c 'sleep 0.3; exit 6' | Start-ContainerTask
        $first = Get-Container | Wait-ContainerTask -Any -TimeoutSec 60
        $first.ContainerId | Should -Be 'quick'
        $first.ExitCode | Should -Be 6
    }

    It 'is refused without what it needs' {
        Get-ErrorIdOf { Wait-ContainerTask x -For LogMatch } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Wait-ContainerTask x -Port 80 } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Wait-ContainerTask x -For LogMatch -Pattern '(' } | Should -Be 'InvalidArgument'
    }
}

Describe '-AsJob' {
    AfterEach { Get-Job | Where-Object PSJobTypeName -eq ContainerJob | Remove-Job -Force; Get-Container | Remove-Container -Force }

    It 'gives a job whose output is the command''s' {
        $null = New-Container job -RootfsPath $root -- sh -c 'sleep 0.3; exit 5' | Start-ContainerTask
        $job = Wait-ContainerTask job -AsJob
        $job.PSJobTypeName | Should -Be 'ContainerJob'
        (Get-Job).Id | Should -Contain $job.Id
        ($job | Wait-Job -Timeout 60 | Receive-Job).ExitCode | Should -Be 5
        $job.State | Should -Be 'Completed'
    }

    It 'takes the pipeline, relative paths and errors' {
        $null = 'a', 'b' | ForEach-Object { Start-Sleeper $_ $root }
        ((Get-Container | Stop-ContainerTask -TimeoutSec 0 -ThrottleLimit 2 -PassThru -AsJob | Wait-Job -Timeout 60 | Receive-Job).ContainerId | Sort-Object) | Should -Be 'a', 'b'
        Push-Location $store.Folder
        try { (Export-Container a ./job.tar -PassThru -AsJob | Wait-Job -Timeout 60 | Receive-Job).FullName | Should -Be "$($store.Folder)/job.tar" }
        finally { Pop-Location }
        $job = Stop-ContainerTask nobody -AsJob | Wait-Job -Timeout 60
        { $job | Receive-Job -ErrorAction Stop } | Should -Throw -ErrorId 'ContainerNotFound*'
    }

    It 'can be stopped, and leaves nothing' {
        $null = Start-Sleeper long $root
        $job = Wait-ContainerTask long -AsJob
        Wait-Until { $job.State -eq 'Running' } 'it runs'
        Stop-Job $job
        $job.State | Should -Be 'Stopped'
        (Get-ContainerTask long).State | Should -Be 'Running'
    }

    It 'does nothing under -WhatIf' {
        $null = Start-Sleeper still $root
        Stop-ContainerTask still -AsJob -WhatIf | Should -BeNullOrEmpty
        (Get-ContainerTask still).State | Should -Be 'Running'
    }
}
