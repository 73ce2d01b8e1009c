# Limits of control groups by what happens, not by what their files say. The figures are told as they are measured.
# What a busy host disturbs is tried three times; where the host left no time to measure in, the test is skipped and says so.

BeforeDiscovery {
    $runs = $env:CONTAINERS_TEST_LONG ? 1..3 : @(1)
    $long = [bool] $env:CONTAINERS_TEST_LONG
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $top = "/$($store.Mark)"
    $null = New-Cgroup $top
    # Before the rest of a busy host, which would leave too little to measure.
    Set-CgroupLimit $top -CpuWeight 10000
    # The processors that this process may use, so that a test can choose one.
    $processors = foreach ($part in ((Get-Content /proc/self/status) -match '^Cpus_allowed_list' -replace '.*:\s*').Split(',')) {
        $from, $to = $part.Split('-')
        [int] $from..[int] ($to ?? $from)
    }
    $spin = 'while :; do :; done'

    function Write-Figure([string] $What, [string] $Value) { Write-Host "    figure: $What`: $Value" }
    # The first figure that is good, else the last of three.
    function Measure-Best([scriptblock] $Measure, [scriptblock] $Good) {
        foreach ($try in 1..3) {
            $figure = & $Measure
            if (& $Good $figure) { break }
        }
        $figure
    }
    function Remove-All([string] $Path) { Remove-Cgroup $Path -Recurse -Force }
}

AfterAll {
    if (Get-Cgroup $top -ErrorAction Ignore) { Remove-Cgroup $top -Recurse -Force }
    Exit-TestStore
}

Describe 'A limit holds, run <_>' -ForEach $runs {
    BeforeEach { $null = New-Cgroup "$top/g" }
    AfterEach { Remove-All "$top/g" }

    It 'a memory hog dies at its limit, and not before' {
        # One MiB more with each line, until the kernel ends it.
        $hog = 'BEGIN { s = sprintf("%1048575s", ""); while (1) { a[n++] = s "x"; print n; fflush() } }'
        $null = New-Container hog -RootfsPath $root -Memory 48MB -MemorySwap 48MB -ArgumentList awk, $hog | Start-ContainerTask
        $result = Wait-ContainerTask hog -TimeoutSec 120
        $task = Get-ContainerTask hog
        $held = [int] (Get-ContainerLog hog | Select-Object -Last 1).Text
        Write-Figure 'a memory hog with 48 MiB dies at' "$held MiB"
        Remove-Container hog -Force
        $result.Signal, $result.ExitCode | Should -Be 9, 137
        $task.OomKilled, $task.StoppedReason | Should -Be $true, 'OomKilled'
        $held | Should -BeGreaterThan 36
        $held | Should -BeLessOrEqual 48
    }

    It 'a hog that keeps below its limit lives' {
        $modest = 'BEGIN { s = sprintf("%1048575s", ""); while (n < 24) a[n++] = s "x"; print n }'
        Invoke-Container -RootfsPath $root -Memory 48MB -MemorySwap 48MB -Remove -- awk $modest | Should -Be 24
    }

    It 'a fork bomb stops at the process limit, and the host answers' {
        Set-CgroupLimit "$top/g" -ProcessLimit 24 -Cpu 0.5
        $null = Start-InCgroup "$top/g" 'b() { while :; do b & done; }; b'
        $most = 0
        $slowest = [timespan]::Zero
        foreach ($look in 1..20) {
            $most = [Math]::Max($most, (Measure-Cgroup "$top/g").ProcessCount)
            $time = Measure-Command { true }
            if ($time -gt $slowest) { $slowest = $time }
            Start-Sleep -Milliseconds 50
        }
        $refused = (Measure-Cgroup "$top/g").Events.ProcessMax
        Stop-Cgroup "$top/g" -TimeoutSec 60
        Write-Figure 'a fork bomb with 24 processes' "$most at most, $refused forks refused, a program beside it starts in $([int] $slowest.TotalMilliseconds) ms"
        $most | Should -BeLessOrEqual 24
        $refused | Should -BeGreaterThan 0
        $slowest.TotalSeconds | Should -BeLessThan 15
        Get-CgroupProcess "$top/g" -Recurse | Should -BeNullOrEmpty
    }

    It 'a spinner gets half a processor within 6 %' {
        Set-CgroupLimit "$top/g" -Cpu 0.5
        $null = Start-InCgroup "$top/g" $spin
        $measured = Measure-Best { Measure-Cgroup "$top/g" -IntervalSec 5 } { [Math]::Abs($args[0].CpuPercent - 50) -le 3 }
        Write-Figure 'a spinner with 0.5 processors' ('{0:0.000}, its limit used up in {1:0} % of the periods' -f ($measured.CpuPercent / 100), $measured.ThrottledPercent)
        $measured.CpuPercent | Should -BeLessOrEqual 53
        if ($measured.CpuPercent -lt 47 -and $measured.ThrottledPercent -lt 90) { Set-ItResult -Skipped -Because "the host is too busy to give it as much as its limit: $($measured.CpuPercent) %"; return }
        $measured.CpuPercent | Should -BeGreaterOrEqual 47
    }

    It 'weights share one processor 1:3 within 15 %' {
        Set-CgroupLimit "$top/g" -CpuSet $processors[0]
        $null = "$top/g/one", "$top/g/three" | New-Cgroup
        Set-CgroupLimit "$top/g/one" -CpuWeight 100
        Set-CgroupLimit "$top/g/three" -CpuWeight 300
        $null = Start-InCgroup "$top/g/one" $spin
        $null = Start-InCgroup "$top/g/three" $spin
        $ratio = Measure-Best {
            $one, $three = Measure-Cgroup "$top/g/one", "$top/g/three" -IntervalSec 4
            $script:share = $one.CpuPercent + $three.CpuPercent
            $three.CpuPercent / $one.CpuPercent
        } { [Math]::Abs($args[0] - 3) -le 0.45 }
        Write-Figure 'weights 100 and 300 share 1 to' ('{0:0.00}' -f $ratio)
        if ($share -lt 20) { Set-ItResult -Skipped -Because "the host is too busy: both together got $share % of a processor"; return }
        $ratio | Should -BeGreaterOrEqual 2.55
        $ratio | Should -BeLessOrEqual 3.45
    }

    It 'a pinned process never runs elsewhere' {
        $one = $processors[-1]
        Set-CgroupLimit "$top/g" -CpuSet $one
        $process = Start-InCgroup "$top/g" $spin
        $end = [datetime]::UtcNow.AddSeconds(2)
        $looks = 0
        $seen = while ([datetime]::UtcNow -lt $end) {
            # field 39 of proc_pid_stat(5), counted behind the name
            ([System.IO.File]::ReadAllText("/proc/$($process.Id)/stat") -replace '^.*\) ').Split(' ')[36]
            $looks++
        }
        Write-Figure "pinned to processor $one, seen in $looks looks on" (($seen | Sort-Object -Unique) -join ', ')
        $seen | Sort-Object -Unique | Should -Be $one
        ((Get-Content "/proc/$($process.Id)/status") -match '^Cpus_allowed_list' -replace '.*:\s*') | Should -Be $one
        # v1 counts for each processor apart.
        $counter = (Get-Cgroup "$top/g").Folders | ForEach-Object { "$_/cpuacct.usage_percpu" } | Where-Object { Test-Path $_ }
        if ($counter) {
            $times = (Get-Content $counter).Trim().Split(' ')
            $used = 0..($times.Count - 1) | Where-Object { [long] $times[$_] -gt 100000000 }
            $used | Should -Be $one
        }
    }

    It 'a writer stays under its byte rate on a loop device' {
        $image = "$($store.Folder)/disk"
        truncate -s 64M $image
        $device = losetup --find --show $image 2>$null
        if (-not $device) { Set-ItResult -Skipped -Because 'no loop device is to be had here'; return }
        try {
            $write = "exec dd if=/dev/zero of=$device bs=1M count=12 oflag=direct"
            function Measure-Writer {
                $process = Start-InCgroup "$top/g" $write
                $clock = [System.Diagnostics.Stopwatch]::StartNew()
                $process.WaitForExit(120000) | Should -BeTrue
                $process.ExitCode | Should -Be 0
                $clock.Elapsed.TotalSeconds
            }
            $free = Measure-Best { Measure-Writer } { $args[0] -lt 1.5 }
            Set-CgroupLimit "$top/g" -IoLimit @{ Device = $device; WriteBytes = 4MB }
            $seconds = Measure-Writer
            Write-Figure 'a writer with 4 MiB a second' ('{0:0.00} MiB a second, without the limit {1:0}' -f (12 / $seconds), (12 / $free))
            12 / $seconds | Should -BeLessOrEqual 4.4
            if ($free -ge $seconds) { Set-ItResult -Skipped -Because "the disk is no faster than the limit: $(12 / $free) MiB a second"; return }
            (Measure-Cgroup "$top/g").WrittenBytes | Should -BeGreaterOrEqual 12MB
        }
        finally { losetup --detach $device }
    }

    It 'a frozen tree does not move for 2 s' {
        $null = New-Cgroup "$top/g/below/deep"
        $null = Start-InCgroup "$top/g/below/deep" $spin
        $null = Start-InCgroup "$top/g" "$spin & $spin"
        Suspend-Cgroup "$top/g"
        $before = (Measure-Cgroup "$top/g").CpuTime
        Start-Sleep 2
        $moved = (Measure-Cgroup "$top/g").CpuTime - $before
        Write-Figure 'a frozen tree of three spinners used in 2 s' "$($moved.TotalMilliseconds) ms"
        $moved | Should -Be ([timespan]::Zero)
        Resume-Cgroup "$top/g"
        Start-Sleep 1
        (Measure-Cgroup "$top/g").CpuTime | Should -BeGreaterThan $before
    }

    It 'a refused device is EPERM, the others are not' {
        Set-CgroupLimit "$top/g" -DeviceRule 'allow a', 'deny c 1:5 rwm'
        $process = Start-InCgroup "$top/g" 'LC_ALL=C head -c 1 /dev/zero; echo $?; head -c 1 /dev/urandom >/dev/null; echo $?'
        $process.WaitForExit(60000) | Should -BeTrue
        $process.StandardError.ReadToEnd() | Should -Match 'Operation not permitted'
        $process.StandardOutput.ReadToEnd().Trim() -split "`n" | Should -Be 1, 0
    }

    It 'a burst allows what it says' -Skip:(-not $long) {
        # 75 ms of work after each rest: more than a period of 100 ms gives (50), less than that and the burst (100).
        $calibrate = 'dd if=/dev/zero of=/dev/null bs=64K count=8000 2>/dev/null'
        $process = Start-InCgroup "$top/g" $calibrate
        $process.WaitForExit(60000) | Should -BeTrue
        $count = [int] (8000 * 75 / (Measure-Cgroup "$top/g").CpuTime.TotalMilliseconds)
        $work = "for i in 1 2 3 4 5 6; do sleep 0.6; dd if=/dev/zero of=/dev/null bs=64K count=$count 2>/dev/null; done"
        function Measure-Throttled {
            $before = Measure-Cgroup "$top/g"
            $process = Start-InCgroup "$top/g" $work
            $process.WaitForExit(120000) | Should -BeTrue
            $after = Measure-Cgroup "$top/g"
            $script:spent = ($after.CpuTime - $before.CpuTime).TotalMilliseconds / 6
            $after.ThrottledPeriods - $before.ThrottledPeriods
        }
        Set-CgroupLimit "$top/g" -Cpu 0.5
        $without = Measure-Best { Measure-Throttled } { $args[0] -ge 3 }
        Set-CgroupLimit "$top/g" -CpuBurst 50ms
        $with = Measure-Best { Measure-Throttled } { $args[0] -eq 0 }
        Write-Figure ('{0:0} ms of work in a period of 50' -f $spent) "held back $without times of 6, with a burst of 50 ms $with times"
        if ($without -lt 3) { Set-ItResult -Skipped -Because 'the host is too busy for the work to fall into one period'; return }
        $with | Should -BeLessThan $without
        $with | Should -BeLessOrEqual 1
    }

    It 'an OOM group is killed as one' {
        if ((Get-CgroupController memory).Limits -notcontains 'OomGroup') { Set-ItResult -Skipped -Because 'memory.oom.group is v2''s, and the memory controller is not there'; return }
        Set-CgroupLimit "$top/g" -Memory 32MB -MemorySwap 32MB -OomGroup $true
        $bystander = Start-InCgroup "$top/g" 'exec sleep 1000'
        $null = Start-InCgroup "$top/g" 'exec tail -c 200000000 /dev/zero'
        $bystander.WaitForExit(60000) | Should -BeTrue
        $bystander.ExitCode | Should -Be 137
        Get-CgroupProcess "$top/g" -Recurse | Should -BeNullOrEmpty
    }
    It 'pressure is told while processes wait for one another' {
        if (-not (Get-Cgroup "$top/g").Folders.Where({ Test-Path "$_/cpu.pressure" })) { Set-ItResult -Skipped -Because 'this host tells of no pressure'; return }
        Set-CgroupLimit "$top/g" -CpuSet $processors[0]
        $null = Start-InCgroup "$top/g" "$spin & $spin & $spin"
        $told = Watch-Cgroup "$top/g" -Event PressureStall -Resource cpu -Stall 300ms -Window 2s -TimeoutSec 60 | Select-Object -First 1
        $told.Event, $told.Resource | Should -Be 'PressureStall', 'cpu'
        (Measure-Cgroup "$top/g").CpuPressure.SomeTotal.TotalMilliseconds | Should -BeGreaterOrEqual 300
    }
}
