# The journal of events: what is told, in which order, to whom, across full files and cut-off lines.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $journal = "$env:CONTAINERS_ROOT/events/$($store.Mark)/journal"
}

AfterAll { Exit-TestStore }

Describe 'The journal' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'has the life of a container, in order' {
        $null = New-Container life -RootfsPath $root -Label @{ app = 'x' } -ArgumentList sleep, 1000 | Start-ContainerTask
        Suspend-ContainerTask life
        Resume-ContainerTask life
        Invoke-ContainerCommand life -ExecId one -- sh -c 'exit 4'
        Restart-ContainerTask life -TimeoutSec 0
        Set-Container life -Label @{ app = 'y' }
        Stop-ContainerTask life -TimeoutSec 0
        Remove-ContainerTask life
        Rename-Container life later
        Remove-Container later
        $all = Get-ContainerEvent life, later
        $all.Type | Should -Be Created, TaskCreated, Started, Paused, Resumed, ExecStarted, ExecDied, Died, Restarted, TaskRemoved, TaskCreated, Started, Updated, Died, TaskRemoved, Renamed, Removed
        ($all | Where-Object Type -eq ExecDied).ExecId | Should -Be 'one'
        ($all | Where-Object Type -eq ExecDied).ExitCode | Should -Be 4
        ($all | Where-Object Type -eq Died).Signal | Should -Be 9, 9
        ($all | Where-Object Type -eq Renamed).NewId | Should -Be 'later'
        $all[-1].ContainerId | Should -Be 'later'
        ($all | ForEach-Object { $_.Labels['app'] } | Group-Object | ForEach-Object { "$($_.Name)$($_.Count)" }) | Should -Be 'x12', 'y5'
        stat -c %a $journal | Should -Be '600'
    }

    It 'tells of an end that no shim is left to tell of' {
        $task = Start-Sleeper lost $root
        /bin/kill -9 $task.ShimProcessId
        Wait-Until { -not (Test-Path "/proc/$($task.ShimProcessId)") } 'the shim is gone'
        Remove-Container lost -Force
        (Get-ContainerEvent lost).Type | Select-Object -Last 3 | Should -Be Died, TaskRemoved, Removed
    }

    It 'tells of a kill for want of memory' {
        $null = Invoke-Container oom -RootfsPath $root -Memory 16MB -MemorySwap 16MB -- sh -c 'x=a; while :; do x=$x$x; done' 6>$null
        $all = Get-ContainerEvent oom
        if ((Get-ContainerTask oom).OomKilled) { $all.Type | Select-Object -Last 2 | Should -Be OomKilled, Died }
        else { Set-ItResult -Skipped -Because 'the host did not kill for memory' }
    }

    It 'tells every change of the health check, and none that is none' {
        $null = New-Container ill -RootfsPath $root -Overlay -RestartPolicy always -HealthCommand 'test -e /tmp/well' -HealthInterval 100ms -HealthRetries 2 -ArgumentList sleep, 1000 | Start-ContainerTask
        Wait-Until { (Get-ContainerTask ill).Health.Status -eq 'Unhealthy' } 'two failures'
        Invoke-ContainerCommand ill -- touch /tmp/well
        (Wait-ContainerTask ill -For Healthy -TimeoutSec 60).Health.Status | Should -Be 'Healthy'
        Send-ContainerSignal ill -Signal KILL
        Wait-Until { $now = Get-ContainerTask ill; $now.RestartCount -eq 1 -and $now.State -eq 'Running' -and $now.Health.Status -eq 'Healthy' } 'the second run is healthy'
        Wait-Until { @(Get-ContainerEvent ill -Type Health).Count -ge 4 } 'the last of them'
        (Get-ContainerEvent ill -Type Health).Health | Should -Be Unhealthy, Healthy, Starting, Healthy
        (Get-ContainerEvent ill -Type Created).Health | Should -BeNullOrEmpty
        (Get-ContainerEvent ill -Type Health)[2] | Format-Table | Out-String -Width 120 | Should -Match 'Starting'
    }

    It 'is filtered by id, type, time and label' {
        $null = Invoke-Container f1 -RootfsPath $root -Label @{ tier = 'front' } -ArgumentList true
        $between = [datetimeoffset]::UtcNow
        $null = Invoke-Container f2 -RootfsPath $root -Label @{ tier = 'back' } -- sh -c 'exit 3'
        (Get-ContainerEvent f? -Type Died).ContainerId | Should -Be 'f1', 'f2'
        (Get-ContainerEvent f* -Type Died -Since $between).ExitCode | Should -Be 3
        (Get-ContainerEvent f* -Type Died -Until $between).ExitCode | Should -Be 0
        (Get-ContainerEvent -Label @{ tier = 'fr*' } -Type Died).ContainerId | Should -Be 'f1'
        Get-Container f1 | Get-ContainerEvent -Type Created | ForEach-Object ContainerId | Should -Be 'f1'
    }

    It 'outlives a full file, a line that was cut off, and one that nobody understands' {
        $null = New-Container odd -RootfsPath $root -ArgumentList true
        [System.IO.File]::AppendAllText($journal, "{`"time`":`"2026-01-01T00:00:00Z`",`"type`":`"FromTheFuture`",`"id`":`"odd`"}`nnonsense`n{`"time`":`"2026")
        $null = Start-ContainerTask odd
        $null = Wait-ContainerTask odd -TimeoutSec 60
        (Get-ContainerEvent odd).Type | Should -Be Created, TaskCreated, Started, Died
        # 4 MiB of lines, and one more event
        $line = '{"time":"2026-01-02T00:00:00Z","type":"Started","id":"filler"}' + "`n"
        [System.IO.File]::AppendAllText($journal, $line * [Math]::Ceiling(4MB / $line.Length))
        Remove-Container odd
        Test-Path "$journal.1" | Should -BeTrue
        (Get-Item $journal).Length | Should -BeLessThan 10KB
        (Get-ContainerEvent odd).Type | Should -Be Created, TaskCreated, Started, Died, TaskRemoved, Removed
    }
}

Describe 'Watching' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'gives what happens, and ends with the pipeline' {
        $null = Start-Sleeper seen $root
        $since = [datetimeoffset]::UtcNow
        $stop = Start-ThreadJob { param($path) Import-Module $path; Start-Sleep -Milliseconds 500; Stop-ContainerTask seen -TimeoutSec 0 } -ArgumentList (Get-ModulePath)
        $died = Watch-ContainerEvent seen -Type Died -Since $since -TimeoutSec 60 | Select-Object -First 1
        $died.Signal | Should -Be 9
        $stop | Receive-Job -Wait -AutoRemoveJob
    }

    It 'ends when its time is over, with nothing' {
        $clock = [System.Diagnostics.Stopwatch]::StartNew()
        Watch-ContainerEvent nobody -TimeoutSec 0.3 | Should -BeNullOrEmpty
        $clock.Elapsed.TotalSeconds | Should -BeGreaterThan 0.2
        $clock.Elapsed.TotalSeconds | Should -BeLessThan 20
    }

    It 'begins with the journal where that is asked for' {
        $since = [datetimeoffset]::UtcNow
        $null = Invoke-Container past -RootfsPath $root -ArgumentList true
        (Watch-ContainerEvent past -Since $since -TimeoutSec 20 | Select-Object -First 4).Type | Should -Be Created, TaskCreated, Started, Died
    }

    It 'is the same for all who watch, across a full file' {
        $path = Get-ModulePath
        $watchers = 1..2 | ForEach-Object {
            Start-ThreadJob { param($path) Import-Module $path; Watch-ContainerEvent many-* -TimeoutSec 120 | ForEach-Object { "$($_.Type) $($_.ContainerId)"; if ($_.ContainerId -eq 'many-last') { break } } } -ArgumentList $path
        }
        # Each says that it watches by the first event it gives.
        Wait-Until { $null = New-Container many-first -RootfsPath $root -ArgumentList true; Remove-Container many-first; -not ($watchers | Where-Object { -not (Receive-Job $_ -Keep) }) } 'both watch'
        1..6 | ForEach-Object -Parallel { Import-Module $using:path; $null = Invoke-Container "many-$_" -RootfsPath $using:root -Remove -ArgumentList true } -ThrottleLimit 6
        $line = '{"time":"2026-01-02T00:00:00Z","type":"Started","id":"filler"}' + "`n"
        [System.IO.File]::AppendAllText($journal, $line * [Math]::Ceiling(4MB / $line.Length))
        1..4 | ForEach-Object -Parallel { Import-Module $using:path; $null = Invoke-Container "many-b$_" -RootfsPath $using:root -Remove -ArgumentList true } -ThrottleLimit 4
        $null = New-Container many-last -RootfsPath $root -ArgumentList true
        $one, $two = $watchers | ForEach-Object { , ($_ | Wait-Job -Timeout 90 | Receive-Job | Where-Object { $_ -notlike '*many-first' }) }
        $watchers | Remove-Job -Force
        $one.Count | Should -Be 61 -Because 'ten lives of six events, and the last'
        $two | Should -Be $one
        $one | Should -Be (Get-ContainerEvent many-* | ForEach-Object { "$($_.Type) $($_.ContainerId)" } | Where-Object { $_ -notlike '*many-first' })
    }
}
