# Restart policies and health checks: the shim runs them, whoever has started the task.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs

    # The task in a pause after so many further runs, of which so many seconds are left: time for what is done next, also on a slow machine.
    function Wait-Pause([int] $Runs, [double] $Left = 0) {
        $seen = @{}
        Wait-Until { $seen.Task = Get-ContainerTask job; $seen.Task.State -eq 'Restarting' -and $seen.Task.RestartCount -ge $Runs -and $seen.Task.NextRestartAt -and ($seen.Task.NextRestartAt - [DateTimeOffset]::UtcNow).TotalSeconds -gt $Left } "a pause after $Runs runs" 120
        $seen.Task
    }

    function Start-Policy([string] $Policy, [string] $Script, [hashtable] $More = @{}) {
        New-Container job -RootfsPath $root -RestartPolicy $Policy @More -- sh -c $Script | Start-ContainerTask -PassThru
    }
}

AfterAll { Exit-TestStore }

Describe 'A restart policy' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'on-failure starts a program again until it succeeds, in the same log' {
        $null = Start-Policy on-failure 'n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/tmp/n; echo run $n; [ $n -ge 3 ]' @{ Overlay = $true }
        (Wait-ContainerTask job -TimeoutSec 60).ExitCode | Should -Be 0
        $task = Get-ContainerTask job
        $task.State, $task.RestartCount, $task.StoppedReason | Should -Be 'Stopped', 2, 'Exited'
        (Get-ContainerLog job).Text | Should -Be 'run 1', 'run 2', 'run 3'
    }

    It 'on-failure:N gives up after N further runs' {
        $null = Start-Policy on-failure:2 'echo run; exit 7'
        $end = Wait-ContainerTask job -TimeoutSec 60
        $end.ExitCode | Should -Be 7
        (Get-ContainerTask job).RestartCount | Should -Be 2
        (Get-ContainerLog job).Count | Should -Be 3
        (Get-Container job).RestartPolicy | Should -Be 'on-failure:2'
    }

    It '<_> starts again what succeeded, waits ever longer, and shows it' -ForEach 'always', 'unless-stopped' {
        $null = Start-Policy $_ 'exit 0'
        $now = Wait-Pause 3
        $now.ExitCode | Should -Be 0
        $now.NextRestartAt | Should -Not -BeNullOrEmpty
        ($now.NextRestartAt - $now.FinishedAt).TotalMilliseconds | Should -BeGreaterThan 700
            }

    It 'is ended by Stop-ContainerTask between two runs, with the last one''s end' {
        $null = Start-Policy always 'exit 4'
        $null = Wait-Pause 3 8
        $end = Stop-ContainerTask job -PassThru
        $end.State, $end.ExitCode, $end.StoppedReason | Should -Be 'Stopped', 4, 'Exited'
        $end.NextRestartAt | Should -BeNullOrEmpty
        # It stays so: there is nobody who could start it.
        Wait-Until { $null -eq (Get-ContainerTask job).ShimProcessId } 'the end of the shim'
        (Get-ContainerTask job).State | Should -Be 'Stopped'
        (Get-ContainerTask job).RestartCount | Should -Be $end.RestartCount
    }

    It 'is ended by Stop-ContainerTask while the program runs' {
        $null = Start-Policy always 'trap "exit 5" TERM; echo ready; while :; do sleep 0.05; done'
        Wait-Until { (Get-ContainerLog job).Text -eq 'ready' } 'the program'
        (Stop-ContainerTask job -PassThru).ExitCode | Should -Be 5
        Start-Sleep -Seconds 1
        (Get-ContainerTask job).State | Should -Be 'Stopped'
    }

    It 'brings back a program that was killed' {
        $first = Start-Policy always 'echo up; exec sleep 1000'
        Send-ContainerSignal job -Signal KILL
        Wait-Until { ($now = Get-ContainerTask job).State -eq 'Running' -and $now.RestartCount -eq 1 } 'the second run'
        (Get-ContainerTask job).ProcessId | Should -Not -Be $first.ProcessId
        (Get-ContainerTask job).ShimProcessId | Should -Be $first.ShimProcessId
        Invoke-ContainerCommand job -- echo inside | Should -Be 'inside'
        Get-ErrorIdOf { Start-ContainerTask job } | Should -Be 'TaskRunning'
    }

    It 'does not keep Remove-Container -Force from its work between two runs' {
        $null = Start-Policy always 'exit 4'
        Wait-Until { (Get-Container job).State -eq 'Restarting' } 'a pause'
        Get-ErrorIdOf { Remove-Container job } | Should -Be 'TaskRunning'
        Remove-Container job -Force
        Get-Container | Should -BeNullOrEmpty
    }

    It 'ends with its shim, and that is told with the last run''s end' {
        $null = Start-Policy always 'exit 4'
        $null = Wait-Pause 3 8
        /bin/kill -KILL (Get-ContainerTask job).ShimProcessId
        Wait-Until { (Get-ContainerTask job).State -eq 'Stopped' } 'the end'
        $end = Get-ContainerTask job
        $end.StoppedReason, $end.ExitCode | Should -Be 'ShimLost', 4
        (Start-ContainerTask job -PassThru).RestartCount | Should -Be 0
    }

    It 'keeps limits that were changed meanwhile' {
        $null = Start-Policy always 'exec sleep 1000' @{ Memory = 64MB }
        Get-Container job | Set-CgroupLimit -Memory 32MB
        Send-ContainerSignal job -Signal KILL
        Wait-Until { ($now = Get-ContainerTask job).State -eq 'Running' -and $now.RestartCount -eq 1 } 'the second run'
        (Get-Container job | Get-CgroupLimit).Memory | Should -Be 32MB
    }

    It 'keeps the last line of a run, without an end, apart from the next run''s first' {
        $null = Start-Policy on-failure:1 'printf "half out"; printf "half err" >&2; exit 1'
        $null = Wait-ContainerTask job -TimeoutSec 60
        (Get-ContainerLog job -Stream Stdout).Text | Should -Be 'half out', 'half out'
        (Get-ContainerLog job -Stream Stderr).Text | Should -Be 'half err', 'half err'
        # And from the next task's.
        $null = Start-ContainerTask job -PassThru | Wait-ContainerTask -TimeoutSec 60
        (Get-ContainerLog job -Stream Stdout).Text | Should -Be (@('half out') * 4)
    }

    It 'is changed by Set-Container for a task that runs' {
        $null = Start-Policy no 'echo up; exec sleep 1000'
        (Set-Container job -RestartPolicy on-failure:1 -PassThru).RestartPolicy | Should -Be 'on-failure:1'
        Send-ContainerSignal job -Signal KILL
        Wait-Until { ($now = Get-ContainerTask job).State -eq 'Running' -and $now.RestartCount -eq 1 } 'the second run'
        Set-Container job -RestartPolicy no
        Send-ContainerSignal job -Signal KILL
        (Wait-ContainerTask job -TimeoutSec 60).Signal | Should -Be 9
        Set-Container job -RestartPolicy always
        # Of the next task, too.
        $null = Start-ContainerTask job
        Send-ContainerSignal job -Signal KILL
        Wait-Until { ($now = Get-ContainerTask job).State -eq 'Running' -and $now.RestartCount -eq 1 } 'the second run'
        Get-ErrorIdOf { Set-Container job -RestartPolicy sometimes } | Should -Be 'InvalidArgument'
        (Get-Container job).RestartPolicy | Should -Be 'always'
    }

    It 'that is taken away between two runs ends the task with the last one''s end' {
        $null = Start-Policy always 'exit 4'
        $null = Wait-Pause 3 8
        Set-Container job -RestartPolicy no
        $end = Wait-ContainerTask job -TimeoutSec 60
        $end.ExitCode | Should -Be 4
        (Get-ContainerTask job).State | Should -Be 'Stopped'
    }

    It 'that is given to a task keeps limits that were changed before' {
        $null = Start-Policy no 'exec sleep 1000' @{ Memory = 64MB }
        Get-Container job | Set-CgroupLimit -Memory 32MB
        Set-Container job -RestartPolicy always
        Send-ContainerSignal job -Signal KILL
        Wait-Until { ($now = Get-ContainerTask job).State -eq 'Running' -and $now.RestartCount -eq 1 } 'the second run'
        (Get-Container job | Get-CgroupLimit).Memory | Should -Be 32MB
    }

    It 'is refused: <_>' -ForEach 'sometimes', 'on-failure:0', 'on-failure:x', 'always:3' {
        Get-ErrorIdOf { New-Container job -RootfsPath $root -RestartPolicy $_ -ArgumentList true } | Should -Be 'InvalidArgument'
        Get-Container | Should -BeNullOrEmpty
    }

    It 'is refused with another container''s namespace, and without -Detach' {
        $null = Start-Sleeper other $root
        Get-ErrorIdOf { New-Container job -RootfsPath $root -RestartPolicy always -Network container:other -ArgumentList true } | Should -Be 'NotSupported'
        Get-ErrorIdOf { Invoke-Container job -RootfsPath $root -RestartPolicy always -ArgumentList true } | Should -Be 'InvalidArgument'
        (Invoke-Container job -RootfsPath $root -RestartPolicy always -Detach -ArgumentList sleep, 1000).State | Should -Be 'Running'
    }
}

Describe 'A health check' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Get-Leftover | Where-Object { $_ -notlike '*/lib/images/*' } | Should -BeNullOrEmpty
    }

    It 'follows the program from starting over healthy to unhealthy and back' {
        $null = New-Container job -RootfsPath $root -Overlay -HealthCommand 'echo looked; test -e /tmp/well' -HealthInterval 100ms -HealthRetries 2 -ArgumentList sleep, 1000 | Start-ContainerTask
        (Get-ContainerTask job).Health.Status | Should -BeIn 'Starting', 'Unhealthy'
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Unhealthy' } 'two failures'
        $check = (Get-ContainerTask job).Health.Log[-1]
        $check.ExitCode, $check.Output | Should -Be 1, "looked`n"
        Invoke-ContainerCommand job -- touch /tmp/well
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Healthy' } 'a success'
        (Get-ContainerTask job).Health.FailingStreak | Should -Be 0
        Wait-Until { (Get-ContainerTask job).Health.Log.Count -eq 5 } 'five checks'
        Start-Sleep -Milliseconds 500
        (Get-ContainerTask job).Health.Log.Count | Should -Be 5
        # A check is none of the user's programs.
        (Get-ContainerTask job).Execs | Where-Object Id -like '*health*' | Should -BeNullOrEmpty
    }

    It 'takes arguments as they are' {
        $null = New-Container job -RootfsPath $root -HealthCommand echo, 'a  b', '$HOME' -HealthInterval 100ms -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Healthy' } 'a success'
        (Get-ContainerTask job).Health.Log[0].Output | Should -Be "a  b `$HOME`n"
    }

    It 'that takes too long is killed, and has failed' {
        $null = New-Container job -RootfsPath $root -HealthCommand sleep, 999 -HealthInterval 50ms -HealthTimeout 200ms -HealthRetries 1 -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Unhealthy' } 'a failure'
        (Get-ContainerTask job).Health.Log[0].ExitCode | Should -BeNullOrEmpty
        (Get-ContainerTask job).Health.Log[0].Output | Should -Match '200 ms'
    }

    It 'whose program is not there has failed, and says why' {
        $null = New-Container job -RootfsPath $root -HealthCommand /no/such, program -HealthInterval 50ms -HealthRetries 1 -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Unhealthy' } 'a failure'
        (Get-ContainerTask job).Health.Log[0].Output | Should -Match 'no such file'
    }

    It 'keeps at most 4 KiB of output' {
        $null = New-Container job -RootfsPath $root -HealthCommand 'yes | head -c 100000' -HealthInterval 50ms -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Healthy' } 'a success'
        (Get-ContainerTask job).Health.Log[0].Output.Length | Should -Be 4096
    }

    It 'does not count failures in its start period' {
        $null = New-Container job -RootfsPath $root -HealthCommand false, '' -HealthInterval 50ms -HealthRetries 1 -HealthStartPeriod 600s -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Log.Count -eq 5 } 'five checks'
        (Get-ContainerTask job).Health.Status | Should -Be 'Starting'
    }

    It 'with kill and a policy, gives a new run' {
        $null = New-Container job -RootfsPath $root -RestartPolicy on-failure:1 -HealthCommand 'false' -HealthInterval 50ms -HealthRetries 1 -HealthOnFailure Kill -ArgumentList sleep, 1000 | Start-ContainerTask
        $end = Wait-ContainerTask job -TimeoutSec 60
        $end.ExitCode, $end.Signal | Should -Be 137, 9
        (Get-ContainerTask job).RestartCount | Should -Be 1
    }

    It 'with restart gives a new run without a policy' {
        $null = New-Container job -RootfsPath $root -HealthCommand 'false' -HealthInterval 50ms -HealthRetries 1 -HealthOnFailure Restart -- sh -c 'trap "exit 0" TERM; while :; do sleep 0.05; done' | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).RestartCount -ge 2 } 'a third run'
        Stop-ContainerTask job -TimeoutSec 0
        (Get-ContainerTask job).State | Should -Be 'Stopped'
    }

    It 'with stop ends the task, whatever its policy' {
        $null = New-Container job -RootfsPath $root -RestartPolicy always -HealthCommand 'false' -HealthInterval 50ms -HealthRetries 1 -HealthOnFailure Stop -- sh -c 'trap "exit 6" TERM; while :; do sleep 0.05; done' | Start-ContainerTask
        (Wait-ContainerTask job -TimeoutSec 60).ExitCode | Should -Be 6
        (Get-ContainerTask job).RestartCount | Should -Be 0
    }

    It 'is not there where none was asked for' {
        $task = Start-Sleeper job $root
        $task.Health | Should -BeNullOrEmpty
        Get-ErrorIdOf { New-Container bad -RootfsPath $root -HealthInterval 5s -ArgumentList true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { New-Container bad -RootfsPath $root -HealthCommand true -NoHealthCheck -ArgumentList true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { New-Container bad -RootfsPath $root -HealthCommand true -HealthInterval 0s -ArgumentList true } | Should -Be 'InvalidArgument'
    }

    It 'is the image''s, unless another is said, or none' {
        $folder = (New-Item "$($store.Folder)/image" -ItemType Directory).FullName
        tar -C $root -cf "$folder/layer.tar" .
        $config = @{ architecture = (uname -m) -eq 'aarch64' ? 'arm64' : 'amd64'; os = 'linux'; rootfs = @{ type = 'layers'; diff_ids = @("sha256:$((Get-FileHash "$folder/layer.tar").Hash.ToLowerInvariant())") } }
        $config.config = @{ Cmd = 'sleep', '1000'; Healthcheck = @{ Test = 'CMD-SHELL', 'echo of the image'; Interval = 50000000; Retries = 1 } }
        [IO.File]::WriteAllText("$folder/config.json", ($config | ConvertTo-Json -Depth 9))
        [IO.File]::WriteAllText("$folder/manifest.json", (ConvertTo-Json -Depth 9 @(, @{ Config = 'config.json'; RepoTags = @('healthy:latest'); Layers = @('layer.tar') })))
        tar -C $folder -cf "$folder/image.tar" manifest.json config.json layer.tar
        $null = Import-ContainerImage "$folder/image.tar"
        $null = New-Container job -Image healthy | Start-ContainerTask
        Wait-Until { (Get-ContainerTask job).Health.Status -eq 'Healthy' } 'a success'
        (Get-ContainerTask job).Health.Log[0].Output | Should -Be "of the image`n"
        (New-Container none -Image healthy -NoHealthCheck | Start-ContainerTask -PassThru).Health | Should -BeNullOrEmpty
        $null = New-Container other -Image healthy -HealthCommand echo, other | Start-ContainerTask
        Wait-Until { (Get-ContainerTask other).Health.Status -eq 'Healthy' } 'a success'
        (Get-ContainerTask other).Health.Log[0].Output | Should -Be "other`n"
    }
}
