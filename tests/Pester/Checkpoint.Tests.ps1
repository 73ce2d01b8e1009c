# Checkpoint and restore: with a criu that does what is written down for it (tests/runtime/checkpoint/criu.c), and with the host's, where that works.

BeforeDiscovery {
    $compiler = [bool] (Get-Command cc -CommandType Application -ErrorAction Ignore)
    $criu = Get-Command criu -CommandType Application -ErrorAction Ignore | Select-Object -First 1
    $works = $criu -and $(& $criu.Source check *> $null; $LASTEXITCODE -eq 0)
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $before = $env:CONTAINERS_CRIU

    # A criu that is asked once what it can, and then does these steps.
    function Set-Criu([string] $Work) {
        $folder = "$($store.Folder)/criu-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        $null = New-Item $folder -ItemType Directory
        Set-Content "$folder/plan-0" "ask`nversion 3 17 1`nask`nfeatures 1 1"
        Set-Content "$folder/plan-1" $Work
        Set-Content "$folder/criu" "#!/bin/sh`nexport FAKE_CRIU=$folder`nexec $($store.Folder)/fake-criu `"`$@`""
        chmod 0700 "$folder/criu"
        $env:CONTAINERS_CRIU = "$folder/criu"
    }
}

AfterAll {
    $env:CONTAINERS_CRIU = $before
    Exit-TestStore
}

Describe 'Without CRIU' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'nothing is touched, and the error names what is missing' {
        $env:CONTAINERS_CRIU = '/nowhere/criu'
        $task = Start-Sleeper job $root
        $failure = Get-ErrorOf { Checkpoint-Container job }
        "$($failure.FullyQualifiedErrorId)" | Should -BeLike 'CriuNotFound,*'
        $failure.CategoryInfo.Category | Should -Be 'NotInstalled'
        (Get-ContainerTask job).ProcessId | Should -Be $task.ProcessId
        Get-ErrorIdOf { Restore-Container job } | Should -Be 'CheckpointNotFound'
        $null = New-Item "$env:CONTAINERS_ROOT/containers/$($store.Mark)/job/checkpoint" -ItemType Directory
        Get-ErrorIdOf { Restore-Container job } | Should -Be 'CriuNotFound'
        (Get-ContainerTask job).State | Should -Be 'Running'
    }

    It 'what makes no sense is told first' {
        $null = New-Container job -RootfsPath $root -ArgumentList true
        Get-ErrorIdOf { Checkpoint-Container job } | Should -Be 'TaskNotFound'
        Get-ErrorIdOf { Checkpoint-Container nobody } | Should -Be 'ContainerNotFound'
        $null = Start-ContainerTask job -PassThru | Wait-ContainerTask -TimeoutSec 60
        Get-ErrorIdOf { Checkpoint-Container job } | Should -Be 'TaskNotRunning'
    }
}

Describe 'With a criu of our own' -Skip:(-not $compiler -or [bool] $env:CONTAINERS_TEST_RUNTIME) {
    BeforeAll {
        cc -o "$($store.Folder)/fake-criu" "$PSScriptRoot/../runtime/checkpoint/criu.c"
        $LASTEXITCODE | Should -Be 0
        $images = "$env:CONTAINERS_ROOT/containers/$($store.Mark)/job/checkpoint"
    }

    AfterEach {
        Get-Container | Remove-Container -Force
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'a task ends as checkpointed, in spite of its restart policy, and goes on from its files' {
        $first = New-Container job -RootfsPath $root -RestartPolicy always -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
        Set-Criu "ask`nnotice post-dump`ndone 1"
        $end = Checkpoint-Container job -PassThru
        $end.State, $end.StoppedReason | Should -Be 'Stopped', 'Checkpointed'
        $end.ProcessId | Should -BeNullOrEmpty
        Test-Path "/proc/$($first.ProcessId)" | Should -BeFalse
        Test-Path "$images/descriptors.json" | Should -BeTrue
        stat -c %a $images | Should -Be '700'

        Set-Criu "ask`nspawn`nnotice setup-namespaces`nnotice post-restore`ndone 2"
        $second = Restore-Container job -PassThru
        $second.State | Should -Be 'Running'
        $second.StartedAt | Should -Not -BeNullOrEmpty
        (Get-Content "/proc/$($second.ProcessId)/cmdline" -Raw).Split("`0")[1..2] | Should -Be 'sleep', '1000'
        ((Get-Content "/proc/$($second.ProcessId)/status") -match '^PPid:')[0] -replace '\D' | Should -Be "$($second.ShimProcessId)"
        Get-ErrorIdOf { Restore-Container job } | Should -Be 'TaskRunning'
        Stop-ContainerTask job -TimeoutSec 0
        (Get-ContainerTask job).ExitCode, (Get-ContainerTask job).StoppedReason | Should -Be 137, 'Exited'
        (Get-ContainerEvent job).Type | Select-Object -Last 9 | Should -Be Created, TaskCreated, Started, Checkpointed, Died, TaskRemoved, TaskCreated, Restored, Died
    }

    It 'a container that is left running runs on, with its files elsewhere' {
        $task = Start-Sleeper job $root
        Set-Criu "ask`ndone 1"
        Checkpoint-Container job -LeaveRunning -Path "$($store.Folder)/kept"
        (Get-ContainerTask job).ProcessId | Should -Be $task.ProcessId
        Test-Path "$($store.Folder)/kept/descriptors.json" | Should -BeTrue
        Test-Path $images | Should -BeFalse
        Get-ErrorIdOf { Checkpoint-Container job -LeaveRunning -Path "$($store.Folder)/kept" } | Should -Be 'InvalidArgument'
        Checkpoint-Container job -WhatIf
        (Get-ContainerTask job).State | Should -Be 'Running'
    }

    It 'a dump that fails leaves the task as it was, and a restore that fails none' {
        $task = Start-Sleeper job $root
        Set-Criu "ask`nfail 1 no such luck"
        $failure = Get-ErrorOf { Checkpoint-Container job }
        "$($failure.FullyQualifiedErrorId)" | Should -BeLike 'CheckpointFailed,*'
        "$failure" | Should -Match 'no such luck'
        (Get-ContainerTask job).ProcessId | Should -Be $task.ProcessId
        Invoke-ContainerCommand job -- echo alive | Should -Be 'alive'
        Set-Criu "ask`ndone 1"
        Checkpoint-Container job
        Set-Criu "ask`nfail 2 nor here"
        $failure = Get-ErrorOf { Restore-Container job }
        "$($failure.FullyQualifiedErrorId)" | Should -BeLike 'CheckpointFailed,*'
        "$failure" | Should -Match 'nor here'
        (Get-Container job).State | Should -Be 'None'
        (Start-ContainerTask job -PassThru).State | Should -Be 'Running'
    }
}

Describe 'With the CRIU of this host' -Skip:(-not $works) {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'a program goes on where it was' {
        $env:CONTAINERS_CRIU = $null
        $null = New-Container job -RootfsPath $root -Overlay -- sh -c 'i=0; while :; do i=$((i + 1)); echo $i; sleep 0.1; done' | Start-ContainerTask
        $null = Wait-ContainerTask job -For LogMatch -Pattern '^5$' -TimeoutSec 60
        Checkpoint-Container job
        (Get-ContainerTask job).StoppedReason | Should -Be 'Checkpointed'
        $last = [int] (Get-ContainerLog job)[-1].Text
        Restore-Container job
        $null = Wait-ContainerTask job -For LogMatch -Pattern "^$($last + 5)$" -TimeoutSec 60
        (Get-ContainerLog job).Text | Should -Be (1..[int] (Get-ContainerLog job)[-1].Text)
    }
}
