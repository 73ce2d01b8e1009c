# Many containers, one after another and at once: no error, and the caller does not grow.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $module = Get-ModulePath
    $count = $env:CONTAINERS_TEST_LONG ? 1000 : 100

    function Get-Usage {
        [GC]::Collect(); [GC]::WaitForPendingFinalizers(); [GC]::Collect()
        $status = Get-Content "/proc/$PID/status"
        [pscustomobject]@{
            Descriptors = (Get-ChildItem "/proc/$PID/fd").Count
            Threads = [int] (($status -match '^Threads:') -split '\s+')[1]
            ResidentKB = [int] (($status -match '^VmRSS:') -split '\s+')[1]
            ManagedKB = [GC]::GetTotalMemory($true) / 1KB
            # Zombies of ours too: whoever starts a process has to collect it.
            Children = @(Get-Content "/proc/$PID/task/*/children").Where{ $_ }.Count
        }
    }
    function Get-Median([double[]] $Values) { ($Values | Sort-Object)[[int][Math]::Floor($Values.Count / 2)] }
}

AfterAll { Exit-TestStore }

Describe 'A hundred containers made, started and removed in a loop' {
    BeforeAll {
        $problems = [System.Collections.Generic.List[object]]::new()
        $results = [System.Collections.Generic.List[object]]::new()
        # What is loaded and compiled once is not growth.
        foreach ($i in 1..10) { New-Container "warm-$i" -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container }
        $usage = foreach ($i in 1..$count) {
            $failed = $null
            $made = New-Container "loop-$i" -RootfsPath $root -ArgumentList sh, -c, "echo $i; exit $($i % 100)" -ErrorVariable +failed
            $result = $made | Start-ContainerTask -PassThru -ErrorVariable +failed | Wait-ContainerTask -TimeoutSec 60 -ErrorVariable +failed
            $line = (Get-ContainerLog "loop-$i" -ErrorVariable +failed).Text
            $results.Add([pscustomobject]@{ Wanted = $i; ExitCode = $result.ExitCode; Line = $line })
            Remove-Container "loop-$i" -ErrorVariable +failed
            foreach ($problem in $failed) { $problems.Add($problem) }
            if ($i -le 10 -or $i -gt $count - 10) { Get-Usage }
        }
        $first, $last = ($usage | Select-Object -First 10), ($usage | Select-Object -Last 10)
    }

    It 'make no error' { $problems | Should -BeNullOrEmpty }

    It 'have each its own exit code and its own output' {
        $results.Count | Should -Be $count
        $results | Where-Object { $_.ExitCode -ne $_.Wanted % 100 -or $_.Line -ne "$($_.Wanted)" } | Should -BeNullOrEmpty
    }

    It 'leave no descriptor open' {
        # .NET opens some for each thread that it adds to its pool, and stops; one for each tenth container would be a leak.
        (Get-Median $last.Descriptors) - (Get-Median $first.Descriptors) | Should -BeLessThan ($count / 10)
    }

    It 'leave no child uncollected' { $last[-1].Children | Should -Be 0 }

    It 'leave no thread' { (Get-Median $last.Threads) - (Get-Median $first.Threads) | Should -BeLessOrEqual 5 }

    It 'leave the managed memory level' { (Get-Median $last.ManagedKB) - (Get-Median $first.ManagedKB) | Should -BeLessThan 2048 }

    It 'leave the resident memory level' { (Get-Median $last.ResidentKB) - (Get-Median $first.ResidentKB) | Should -BeLessThan 32768 }

    It 'leave nothing behind' {
        Get-Container | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }
}

Describe 'Twenty runspaces at once' {
    It 'make, start, use and remove their own (ForEach-Object -Parallel)' {
        $results = 1..20 | ForEach-Object -ThrottleLimit 20 -Parallel {
            $ErrorActionPreference = 'Stop'
            try {
                Import-Module $using:module
                $id = "par-$_"
                $task = New-Container $id -RootfsPath $using:root -Overlay -Environment @{ N = "$_" } -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
                $seen = Invoke-ContainerCommand $id -- sh -c 'echo $N >/mine; cat /mine; exit 4'
                $state = (Get-ContainerTask $id).State
                $stopped = Stop-ContainerTask $id -TimeoutSec 0 -PassThru
                Remove-Container $id
                [pscustomobject]@{ N = $_; Seen = $seen; State = $state; ExitCode = $stopped.ExitCode; ProcessId = $task.ProcessId; Problem = $null }
            }
            catch { [pscustomobject]@{ N = $_; Problem = $_ } }
        }
        $results.Problem | Where-Object { $_ } | Should -BeNullOrEmpty
        $results | Should -HaveCount 20
        $results | Where-Object { $_.Seen -ne "$($_.N)" -or $_.State -ne 'Running' -or $_.ExitCode -ne 137 } | Should -BeNullOrEmpty
        $results.ProcessId | Sort-Object -Unique | Should -HaveCount 20
        Get-Container | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'do the same as jobs (Start-ThreadJob)' {
        $jobs = 1..20 | ForEach-Object {
            Start-ThreadJob -ThrottleLimit 20 -ArgumentList $_, $module, $root -ScriptBlock {
                param($N, $Module, $Root)
                $ErrorActionPreference = 'Stop'
                Import-Module $Module
                Invoke-Container "job-$N" -RootfsPath $Root -Remove -PassThru -- sh -c "echo out $N; echo err $N >&2; exit $N"
            }
        }
        try { $results = $jobs | Receive-Job -Wait -ErrorVariable problems -ErrorAction SilentlyContinue }
        finally { $jobs | Remove-Job -Force }
        $problems | Should -BeNullOrEmpty
        $results | Should -HaveCount 20
        foreach ($result in $results) {
            $result.StandardOutput | Should -Be "out $($result.ExitCode)`n"
            $result.StandardError | Should -Be "err $($result.ExitCode)`n"
        }
        $results.ExitCode | Sort-Object | Should -Be (1..20)
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'that want the same id: one has it, the others are ContainerExists' {
        $results = 1..20 | ForEach-Object -ThrottleLimit 20 -Parallel {
            Import-Module $using:module
            New-Container same -RootfsPath $using:root -ArgumentList "runspace-$_" -ErrorVariable problem -ErrorAction SilentlyContinue | ForEach-Object { "made $_" }
            $problem | ForEach-Object { $_.FullyQualifiedErrorId.Split(',')[0] }
        }
        $results -like 'made*' | Should -HaveCount 1
        $results -eq 'ContainerExists' | Should -HaveCount 19
        (Get-Container).Id | Should -Be 'same'
        Remove-Container same
    }

    It 'that start the same one: one starts it, the others are TaskRunning, and it runs once' {
        $null = New-Container same -RootfsPath $root -RedirectStandardOutput "$($store.Folder)/starts" -- sh -c 'echo started; sleep 1000'
        $results = 1..12 | ForEach-Object -ThrottleLimit 12 -Parallel {
            Import-Module $using:module
            Start-ContainerTask same -PassThru -ErrorVariable problem -ErrorAction SilentlyContinue | ForEach-Object { "pid $($_.ProcessId)" }
            $problem | ForEach-Object { $_.FullyQualifiedErrorId.Split(',')[0] }
        }
        $results -like 'pid *' | Should -HaveCount 1
        $results -eq 'TaskRunning' | Should -HaveCount 11
        $results -like 'pid *' | Should -Be "pid $((Get-ContainerTask same).ProcessId)"
        Get-Content "$($store.Folder)/starts" | Should -Be 'started'
        Remove-Container same -Force
    }

    It 'that remove the same one: it is gone once, and no other error than that it is gone' {
        $null = Start-Sleeper same $root
        $results = 1..12 | ForEach-Object -ThrottleLimit 12 -Parallel {
            Import-Module $using:module
            Remove-Container same -Force -ErrorVariable problem -ErrorAction SilentlyContinue
            $problem | ForEach-Object { $_.FullyQualifiedErrorId.Split(',')[0] }
        }
        $results | Where-Object { $_ -ne 'ContainerNotFound' } | Should -BeNullOrEmpty
        @($results).Count | Should -BeLessOrEqual 11
        Get-Container | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
    }

    It 'that run programs in the same one: each has its own output and exit code' {
        $null = Start-Sleeper same $root
        $results = 1..20 | ForEach-Object -ThrottleLimit 20 -Parallel {
            Import-Module $using:module
            Invoke-ContainerCommand same -PassThru -- sh -c "for i in 1 2 3 4 5; do echo $_; done; exit $_"
        }
        $results.ExitCode | Sort-Object | Should -Be (1..20)
        foreach ($result in $results) { $result.StandardOutput | Should -Be ("$($result.ExitCode)`n" * 5) }
        Remove-Container same -Force
    }

    It 'that wait for the same one hear all the same' {
        $null = New-Container same -RootfsPath $root -- sh -c 'sleep 1; exit 6' | Start-ContainerTask
        $results = 1..20 | ForEach-Object -ThrottleLimit 20 -Parallel {
            Import-Module $using:module
            Wait-ContainerTask same -TimeoutSec 60
        }
        $results.ExitCode | Should -Be (@(6) * 20)
        $results.Duration | Sort-Object -Unique | Should -HaveCount 1
        Remove-Container same
    }
}
