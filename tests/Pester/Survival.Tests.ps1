# What outlives a PowerShell, and what does not grow in one.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $pwsh = (Get-Process -Id $PID).Path
    function Wait-Until([scriptblock] $Condition) {
        $deadline = [DateTime]::UtcNow.AddSeconds(20)
        while (-not (& $Condition)) {
            if ([DateTime]::UtcNow -gt $deadline) { throw "not so after 20 seconds: $Condition" }
            Start-Sleep -Milliseconds 20
        }
    }
}

AfterAll { Exit-TestStore }

Describe 'A task' {
    It 'lives on when the PowerShell that started it is killed with all of its session and cgroup' {
        $group = "/sys/fs/cgroup/freezer/$($store.Mark)-caller"
        if (-not (Test-Path /sys/fs/cgroup/freezer)) { $group = "/sys/fs/cgroup/$($store.Mark)-caller" }
        $null = New-Item $group -ItemType Directory
        try {
            $script = "Import-Module '$(Get-ModulePath)'; New-Container kept -RootfsPath '$root' -- sh -c 'echo first; while echo tick; do sleep 0.1; done' | Start-ContainerTask; 'started'; Start-Sleep 1000"
            $start = [System.Diagnostics.ProcessStartInfo]::new('setsid')
            foreach ($argument in 'sh', '-c', "echo `$`$ >$group/cgroup.procs; exec `"`$@`"", 'sh', $pwsh, '-NoProfile', '-Command', $script) { $start.ArgumentList.Add($argument) }
            $start.RedirectStandardOutput = $true
            $caller = [System.Diagnostics.Process]::Start($start)
            $caller.StandardOutput.ReadLine() | Should -Be 'started'
            $task = Get-ContainerTask kept

            # every process in the caller's group and in its session
            $session = (Get-Content "/proc/$($caller.Id)/stat").Split(') ')[-1].Split(' ')[3]
            $doomed = @(Get-Content "$group/cgroup.procs")
            $doomed += Get-ChildItem /proc -Directory | Where-Object Name -Match '^\d+$' | Where-Object {
                $stat = Get-Content "$_/stat" -ErrorAction Ignore
                $stat -and $stat.Substring($stat.LastIndexOf(')') + 2).Split(' ')[3] -eq $session
            } | ForEach-Object Name
            $doomed | Should -Not -Contain "$($task.ShimProcessId)"
            $doomed | Should -Not -Contain "$($task.ProcessId)"
            foreach ($process in $doomed | Sort-Object -Unique) { kill -KILL $process }
            $caller.WaitForExit()

            (Get-ContainerTask kept).State | Should -Be 'Running'
            (Get-ContainerTask kept).ProcessId | Should -Be $task.ProcessId
            (Get-ContainerLog kept)[0].Line | Should -Be 'first'
            $lines = (Get-ContainerLog kept).Count
            Wait-Until { (Get-ContainerLog kept).Count -gt $lines }
            Invoke-ContainerCommand kept -- echo 'still here' | Should -Be 'still here'
            (Stop-ContainerTask kept -TimeoutSec 0 -PassThru).State | Should -Be 'Stopped'
            Remove-Container kept
        }
        finally { Wait-Until { -not (Get-Content "$group/cgroup.procs") }; rmdir $group }
    }

    It 'is Stopped, and says why, when its shim was killed and its program after it' {
        $task = Start-Sleeper orphan $root
        kill -KILL $task.ShimProcessId
        Wait-Until { -not (Test-Path "/proc/$($task.ShimProcessId)") }
        (Get-ContainerTask orphan).State | Should -Be 'Running'
        Stop-ContainerTask orphan -TimeoutSec 0
        $stopped = Get-ContainerTask orphan
        $stopped.State | Should -Be 'Stopped'
        $stopped.StoppedReason | Should -Be 'ShimLost'
        $stopped.ExitCode | Should -BeNullOrEmpty
        Remove-Container orphan
    }
}

Describe 'Many' {
    It 'containers in a loop leave the descriptors of this process level' {
        $count = $env:CONTAINERS_TEST_LONG ? 100 : 30
        $open = { (Get-ChildItem "/proc/$PID/fd").Count }
        $readings = foreach ($number in 1..$count) {
            New-Container "loop-$number" -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 30 | Remove-Container
            & $open
        }
        $first = ($readings | Select-Object -First 10 | Measure-Object -Average).Average
        $last = ($readings | Select-Object -Last 10 | Measure-Object -Average).Average
        $last | Should -BeLessOrEqual ($first + 5)
        Get-Container loop-* | Should -BeNullOrEmpty
    }

    It 'containers in parallel runspaces' {
        $count = $env:CONTAINERS_TEST_LONG ? 20 : 8
        $module = Get-ModulePath
        $codes = 1..$count | ForEach-Object -ThrottleLimit $count -Parallel {
            Import-Module $using:module
            $result = Invoke-Container "par-$_" -RootfsPath $using:root -Remove -PassThru -- sh -c "echo $_; exit $_"
            "$($result.StandardOutput.Trim()) $($result.ExitCode)"
        }
        $codes | Sort-Object { [int] $_.Split(' ')[0] } | Should -Be (1..$count | ForEach-Object { "$_ $_" })
        Get-Container par-* | Should -BeNullOrEmpty
    }
}
