# What people do by hand with the kernel's control groups, line by line, by the cmdlets.

BeforeDiscovery {
    $v1 = Test-Path /sys/fs/cgroup/memory/memory.limit_in_bytes
    $twelve = 'cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'net_cls', 'blkio', 'perf_event', 'net_prio', 'hugetlb', 'pids'
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $top = "/$($store.Mark)"
    $point = "$($store.Folder)/hierarchy"
    $null = New-Item $point -ItemType Directory
}

AfterAll {
    if (Get-Cgroup $top -ErrorAction Ignore) { Remove-Cgroup $top -Recurse -Force }
    Exit-TestStore
}

Describe 'cat /proc/cgroups' {
    It 'is Get-CgroupController, with every number' {
        foreach ($line in Get-Content /proc/cgroups | Select-Object -Skip 1) {
            $name, $hierarchy, $null, $enabled = $line.Split("`t")
            $one = Get-CgroupController $name
            $one.HierarchyId, [int] $one.Enabled | Should -Be ([int] $hierarchy), ([int] $enabled)
        }
    }

    It 'with hierarchy 0 is told apart: not mounted, in the v2 tree, switched off' {
        $unified = @((Get-Content /proc/self/mountinfo) -match ' - cgroup2 ' | ForEach-Object { $_.Split(' ')[4] })[0]
        # Somebody may mount one between two looks.
        foreach ($try in 1..20) {
            $before = Get-Content /proc/cgroups -Raw
            $inTree = $unified ? "$(Get-Content "$unified/cgroup.controllers")".Split(' ') : @()
            $all = Get-CgroupController
            if (((Get-Content /proc/cgroups -Raw) -replace '\d+(?=\t\d$)') -eq ($before -replace '\d+(?=\t\d$)')) { break }
        }
        foreach ($one in $all | Where-Object { $_.HierarchyId -eq 0 -and $_.Name -ne 'io' }) {
            # v2's io is called blkio there.
            if ($one.Name -eq 'blkio' -and 'io' -in $inTree) { continue }
            $expected = $one.Name -in $inTree ? 'V2' : $before -match "(?m)^$($one.Name)\t" ? ($one.Enabled ? 'NotMounted' : 'Disabled') : 'NotInKernel'
            $one.State | Should -Be $expected -Because $one.Name
            $one.Explanation | Should -Not -BeNullOrEmpty
        }
    }
}

Describe 'cat /proc/PID/cgroup' {
    It 'is Get-Cgroup -ProcessId: every line that is mounted here, with its controllers and its path' {
        $null = New-Cgroup "$top/lines"
        $process = Start-InCgroup "$top/lines" 'exec sleep 1000'
        $groups = Get-Cgroup -ProcessId $process.Id
        $hierarchies = @{}
        foreach ($line in (Get-Content /proc/self/mountinfo) -match ' - cgroup2? ') {
            $fields = $line.Split(' ')
            $words = $fields[-1].Split(',')
            $key = $line -match ' - cgroup2 ' ? '' : (Get-Content "/proc/$($process.Id)/cgroup" | ForEach-Object { $_.Split(':', 3)[1] } | Where-Object { $_ -and -not ($_.Split(',') | Where-Object { $_ -notin $words }) } | Select-Object -First 1)
            if ($null -ne $key -and $fields[3] -eq '/') { $hierarchies[$key] = $fields[4] }
        }
        $hierarchies.Count | Should -BeGreaterThan 0
        foreach ($line in Get-Content "/proc/$($process.Id)/cgroup") {
            $null, $controllers, $path = $line.Split(':', 3)
            if (-not $hierarchies.ContainsKey($controllers)) { continue }
            $group = $groups | Where-Object Path -eq $path
            $group | Should -Not -BeNullOrEmpty -Because $line
            if ($controllers -and $controllers -notlike 'name=*') { foreach ($one in $controllers.Split(',')) { $group.Controllers | Should -Contain $one } }
            $group.Folders | Should -Contain ($hierarchies[$controllers] + ($path -eq '/' ? '' : $path))
        }
        Remove-Cgroup "$top/lines" -Force
    }
}

Describe 'mount -t cgroup' -Skip:(-not $v1) {
    It 'of all at once is Mount-CgroupHierarchy -Controller all; where some are mounted apart, it says which and where' {
        $failure = Get-ErrorOf { Mount-CgroupHierarchy $point -Controller all }
        if (-not $failure) { Dismount-CgroupHierarchy $point; return }
        $failure.FullyQualifiedErrorId | Should -Match '^CgroupBusy,'
        "$failure" | Should -Match 'memory is mounted as "memory" at /sys/fs/cgroup/memory'
    }

    It '-o cpuset shows the same groups at a second place, and goes without harm to the first' {
        $null = New-Cgroup "$top/second" -Controller cpuset
        $said = Invoke-Apart @'
            $mounted = Mount-CgroupHierarchy $point -Controller cpuset
            try {
                "$($mounted.Version) $($mounted.Hierarchy)"
                Test-Path "$point$top/second"
            }
            finally { Dismount-CgroupHierarchy $point }
            Test-Path "/sys/fs/cgroup/cpuset$top/second"
'@
        $said | Should -Be '1 cpuset', 'True', 'True'
        Remove-Cgroup "$top/second"
    }

    It '-o cpu,cpuacct is refused with what is mounted where, or shows both' {
        $failure = Get-ErrorOf { Mount-CgroupHierarchy $point -Controller cpu, cpuacct }
        if (-not $failure) {
            (Get-CgroupController cpuacct).Hierarchy | Should -BeIn 'cpu,cpuacct', 'cpuacct,cpu'
            Dismount-CgroupHierarchy $point
            return
        }
        $failure.FullyQualifiedErrorId | Should -Match '^CgroupBusy,'
        foreach ($one in 'cpu', 'cpuacct') { "$failure" | Should -Match "$one is mounted as `"$one`" at /sys/fs/cgroup/$one" }
    }

    It '-o none,name=systemd: a hierarchy that only keeps track, with processes in it' {
        $said = Invoke-Apart @'
            $mounted = Mount-CgroupHierarchy $point -Name "track$PID"
            try {
                $mounted.Hierarchy -replace '\d+'
                $null = New-Item $point/jobs -ItemType Directory
                $sleep = Start-Process sleep 1000 -PassThru
                Set-Content $point/jobs/cgroup.procs $sleep.Id
                (Get-Content "/proc/$($sleep.Id)/cgroup") -match 'name=track' -replace '^.*:'
                $sleep.Kill()
                $sleep.WaitForExit()
                foreach ($try in 1..100) { rmdir $point/jobs 2>$null; if (-not (Test-Path $point/jobs)) { break }; Start-Sleep -Milliseconds 50 }
            }
            finally { Dismount-CgroupHierarchy $point }
            'gone'
'@
        $said | Should -Be 'name=track', '/jobs', 'gone'
    }

    It '-t cgroup2 is -Unified' {
        $said = Invoke-Apart @'
            $mounted = Mount-CgroupHierarchy $point -Unified
            try { "$($mounted.Version) $(Test-Path $point/cgroup.procs)" }
            finally { Dismount-CgroupHierarchy $point }
'@
        $said | Should -Be '2 True'
    }
}

Describe 'Each of the twelve of v1' -Skip:(-not $v1) {
    It '<_> does its work' -ForEach $twelve {
        $work = @{
            cpu = '(Set-CgroupLimit $path -CpuWeight 300 -Cpu 0.25 -PassThru | ForEach-Object { "$($_.CpuWeight) $($_.Cpu)" })'
            cpuacct = '$busy = Start-Process sh -ArgumentList "-c", "`"while :; do :; done`"" -PassThru; Add-CgroupProcess $path $busy.Id; Start-Sleep 1; (Measure-Cgroup $path).CpuTime -gt [timespan]::Zero'
            cpuset = '(Set-CgroupLimit $path -CpuSet 0 -MemorySet 0 -PassThru | ForEach-Object { "$($_.CpuSet) $($_.MemorySet)" })'
            memory = '(Set-CgroupLimit $path -Memory 64MB -PassThru).Memory / 1MB'
            devices = '(Set-CgroupLimit $path -DeviceRule "allow c 10:229 rw" -PassThru).DeviceRule -contains "c 10:229 rw"'
            freezer = '(Suspend-Cgroup $path -PassThru).Frozen; (Resume-Cgroup $path -PassThru).Frozen'
            net_cls = '"{0:x}" -f (Set-CgroupLimit $path -NetClass 10:1 -PassThru).NetClass'
            blkio = '(Measure-Cgroup $path).WrittenBytes -ge 0'
            perf_event = '$idle = Start-Process sleep 1000 -PassThru; Add-CgroupProcess $path $idle.Id; (Get-CgroupProcess $path).ProcessId -eq $idle.Id'
            net_prio = '(Set-CgroupLimit $path -NetPriority @{ lo = 5 } -PassThru).NetPriority["lo"]'
            # Where the machine has no huge pages there is a group and nothing to limit.
            hugetlb = '$files = @((Get-Cgroup $path).Folders | ForEach-Object { Get-ChildItem "$_/hugetlb.*.limit_in_bytes" }); if (-not $files) { return "$((Get-Cgroup $path).Controllers)" }; $size = $files[0].Name.Split(".")[1]; (Set-CgroupLimit $path -HugePageLimit @{ $size = 2GB } -PassThru).HugePageLimit[$size] / 1GB'
            pids = '(Set-CgroupLimit $path -ProcessLimit 20 -PassThru).ProcessLimit'
        }[$_]
        $expected = @{ cpu = '300 0.25'; cpuacct = $true; cpuset = '0 0'; memory = 64; devices = $true; freezer = $true, $false; net_cls = '100001'; blkio = $true; perf_event = $true; net_prio = 5; hugetlb = (Test-Path /sys/kernel/mm/hugepages/*) ? 2 : "hugetlb"; pids = 20 }[$_]
        $path = "$top-$_"
        $script = "`$path = '$path'; `$null = New-Cgroup `$path -Controller $_; try { $work } finally { Remove-Cgroup `$path -Force }"
        $state = (Get-CgroupController $_).State
        if ($state -notin 'V1', 'NotMounted', 'V2') { Set-ItResult -Skipped -Because "the kernel does not have $_"; return }
        $said = if ($state -eq 'V1') { & ([scriptblock]::Create($script)) }
        else {
            $lock = $_ -eq 'hugetlb' ? '/run/lock/containers-hugetlb' : '/run/lock/containers-hierarchies.lock'
            Invoke-Apart -Lock $lock @"
                try { `$null = Mount-CgroupHierarchy `$point -Controller $_ }
                catch { "busy: `$(`$_.FullyQualifiedErrorId)"; return }
                try { $script }
                finally {
                    # Groups die a moment after their folder; a hierarchy that has some when it is unmounted stays bound until they have.
                    foreach (`$try in 1..200) { if ((Get-CgroupController $_).GroupCount -le 1) { break }; Start-Sleep -Milliseconds 50 }
                    # One that another has mounted too, in a mount namespace of its own, has groups that are not ours, and stays bound by that.
                    try { Dismount-CgroupHierarchy `$point }
                    catch { Dismount-CgroupHierarchy `$point -Force }
                }
"@
        }
        # Somebody else of this host may hold it, or groups of it may still be dying.
        if ("$said" -like 'busy: CgroupBusy*') { Set-ItResult -Skipped -Because "$_ is held by another at the moment"; return }
        "$said" | Should -Be "$expected"
    }
}
