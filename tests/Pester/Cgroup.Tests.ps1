# Control groups as a user types them: each cmdlet, each way to name a group, plans, and errors by their ids.

BeforeDiscovery { $v1 = (Test-Path /sys/fs/cgroup/memory/memory.limit_in_bytes) }

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $top = "/$($store.Mark)"
    $v1 = Test-Path /sys/fs/cgroup/memory/memory.limit_in_bytes
    function Start-Idler { Start-Process sleep 1000 -PassThru }
    # What a plan says, as a person sees it.
    function Get-Plan([string] $Command) { (Invoke-FreshPwsh $Command) -join "`n" }
}

AfterAll {
    if (Get-Cgroup $top -ErrorAction Ignore) { Remove-Cgroup $top -Recurse -Force }
    Exit-TestStore
}

Describe 'Get-CgroupController' {
    It 'has all twelve of v1, wherever they are' {
        $all = Get-CgroupController
        $all | Should -BeOfType Containers.CgroupControllerInfo
        foreach ($name in 'cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'net_cls', 'blkio', 'perf_event', 'net_prio', 'hugetlb', 'pids') { $all.Name | Should -Contain $name }
        foreach ($one in $all) { $one.Explanation | Should -Not -BeNullOrEmpty }
    }

    It 'says what /proc/cgroups says' {
        foreach ($line in Get-Content /proc/cgroups | Select-Object -Skip 1) {
            $name, $hierarchy, $null, $enabled = $line.Split("`t")
            $one = Get-CgroupController $name
            $one.HierarchyId | Should -Be $hierarchy
            $one.Enabled | Should -Be ($enabled -eq '1')
            if ($hierarchy -ne '0' -and $one.MountPoint) { $one.State | Should -Be 'V1' }
        }
    }

    It 'names the limits of those that can be used' {
        (Get-CgroupController pids).Limits | Should -Be 'ProcessLimit'
        (Get-CgroupController memory).Limits | Should -Contain 'Memory'
    }

    It 'is CgroupNotSupported for one that nobody knows' { Get-ErrorIdOf { Get-CgroupController nonsense } | Should -Be 'CgroupNotSupported' }
}

Describe 'New-Cgroup and Remove-Cgroup' {
    It 'make and remove a group in every hierarchy' {
        $group = New-Cgroup "$top/a/b"
        $group | Should -BeOfType Containers.Cgroup
        foreach ($folder in $group.Folders) { $folder | Should -Exist }
        Remove-Cgroup "$top/a" -Recurse
        foreach ($folder in $group.Folders) { $folder | Should -Not -Exist }
    }

    It 'show what they would make and remove' {
        Get-Plan "New-Cgroup $top/plan -WhatIf" | Should -Match "mkdir /sys/fs/cgroup\S*$top/plan"
        $null = New-Cgroup "$top/plan"
        Get-Plan "Remove-Cgroup $top/plan -WhatIf" | Should -Match "rmdir /sys/fs/cgroup\S*$top/plan"
        Get-Cgroup "$top/plan" | Should -Not -BeNullOrEmpty
        Get-Cgroup "$top/plan" | Remove-Cgroup
        Get-ErrorIdOf { Get-Cgroup "$top/plan" } | Should -Be 'CgroupNotFound'
    }

    It 'keep to the controllers that are named' -Skip:(-not $v1) {
        $group = New-Cgroup "$top/some" -Controller memory, pids
        $group.Controllers | Sort-Object | Should -Be 'memory', 'pids'
        "/sys/fs/cgroup/cpu$top/some" | Should -Not -Exist
        $group | Remove-Cgroup
        Get-ErrorIdOf { Get-Cgroup "$top/some" } | Should -Be 'CgroupNotFound'
    }

    It 'leave alone what others made, unless forced' {
        $null = New-Cgroup "$top/mine"
        $folder = "$((Get-Cgroup "$top/mine").Hierarchy)$top/mine/theirs"
        $null = New-Item $folder -ItemType Directory
        Get-ErrorIdOf { Remove-Cgroup "$top/mine" -Recurse } | Should -Be 'CgroupNotOurs'
        $folder | Should -Exist
        Remove-Cgroup "$top/mine" -Recurse -Force
        $folder | Should -Not -Exist
    }

    It 'are <Id> for <What>' -ForEach @(
        @{ What = 'a path that is there'; Id = 'CgroupExists'; Try = { $null = New-Cgroup "$top/twice"; New-Cgroup "$top/twice" } }
        @{ What = 'a path that climbs out'; Id = 'InvalidArgument'; Try = { New-Cgroup "$top/../../etc" } }
        @{ What = 'a path that is none'; Id = 'InvalidArgument'; Try = { New-Cgroup relative } }
        @{ What = 'a controller that nobody knows'; Id = 'CgroupNotSupported'; Try = { New-Cgroup "$top/x" -Controller nonsense } }
        @{ What = 'the root'; Id = 'CgroupProtected'; Try = { Remove-Cgroup / -Recurse -Force } }
        @{ What = 'a group with groups below'; Id = 'CgroupBusy'; Try = { $null = New-Cgroup "$top/full/below"; Remove-Cgroup "$top/full" } }
        @{ What = 'a group that is not there'; Id = 'CgroupNotFound'; Try = { Remove-Cgroup "$top/never" } }
        @{ What = 'no group at all'; Id = 'InvalidArgument'; Try = { Remove-Cgroup } }
        @{ What = 'a container that runs'; Id = 'CgroupNotOurs'; Try = { $null = Start-Sleeper held $root; Remove-Cgroup -Container held } }
    ) { Get-ErrorIdOf $Try | Should -Be $Id }

    It 'never take the group of this PowerShell' {
        $own = Get-Cgroup -ProcessId $PID | Where-Object Path -ne '/' | Select-Object -First 1
        if (-not $own) {
            $null = New-Cgroup "$top/own"
            $own = Get-Cgroup "$top/own"
            Add-CgroupProcess "$top/own" -ProcessId $PID
        }
        try {
            foreach ($try in { Remove-Cgroup $own.Path -Recurse -Force -WhatIf }, { Stop-Cgroup $own.Path }, { Suspend-Cgroup $own.Path }) { Get-ErrorIdOf $try | Should -Be 'CgroupProtected' }
        }
        finally { if ($own.Path -like "$top*") { Add-CgroupProcess / -ProcessId $PID } }
    }
}

Describe 'Processes of a group' {
    BeforeAll {
        $null = New-Cgroup "$top/p/below"
        $idler = Start-Idler
    }

    AfterAll { $idler | Stop-Process -Force }

    It 'move in, and are listed' {
        $added = $idler | Add-CgroupProcess "$top/p/below" -PassThru
        $added | Should -BeOfType Containers.CgroupProcess
        $added.ProcessId | Should -Be $idler.Id
        $added.Command | Should -Be 'sleep'
        (Get-CgroupProcess "$top/p" -Recurse).ProcessId | Should -Be $idler.Id
        Get-CgroupProcess "$top/p" | Should -BeNullOrEmpty
        (Get-CgroupProcess "$top/p/below" -Threaded).ThreadId | Should -Be $idler.Id
        ($idler | Get-Cgroup).Path | Should -Contain "$top/p/below"
    }

    It 'show the writes first' { Get-Plan "Add-CgroupProcess $top/p $($idler.Id) -WhatIf" | Should -Match "$top/p/cgroup.procs: -> $($idler.Id)" }

    It 'move as threads' -Skip:(-not $v1) {
        Add-CgroupProcess "$top/p" -ProcessId $idler.Id -Threaded
        (Get-CgroupProcess "$top/p" -Threaded).ThreadId | Should -Be $idler.Id
    }

    It 'go on one by one when one is gone' {
        $errors = $null
        Add-CgroupProcess "$top/p/below" -ProcessId 2147483646, $idler.Id -ErrorVariable errors -ErrorAction SilentlyContinue
        $errors.FullyQualifiedErrorId | Should -Match '^ProcessNotFound'
        (Get-CgroupProcess "$top/p/below").ProcessId | Should -Be $idler.Id
    }

    It 'stand still, and go on' {
        (Suspend-Cgroup "$top/p" -PassThru).Frozen | Should -BeTrue
        (Get-Cgroup "$top/p/below").Frozen | Should -BeTrue
        ("$top/p" | Resume-Cgroup -PassThru).Frozen | Should -BeFalse
        Get-Plan "Suspend-Cgroup $top/p -WhatIf" | Should -Match 'FROZEN|cgroup.freeze'
    }

    It 'are killed, frozen or not, and the group stays' {
        $more = Start-Idler
        $more | Add-CgroupProcess "$top/p/below"
        Suspend-Cgroup "$top/p"
        Get-Plan "Stop-Cgroup $top/p -WhatIf" | Should -Match "kill -KILL $($more.Id)"
        (Stop-Cgroup "$top/p" -PassThru).ProcessCount | Should -Be 0
        $more.WaitForExit(20000) | Should -BeTrue
        Get-CgroupProcess "$top/p" -Recurse | Should -BeNullOrEmpty
    }
}

Describe 'Groups are named' {
    BeforeAll {
        $null = New-Cgroup "$top/n/one"
        $null = New-Cgroup "$top/n/two"
        $task = Start-Sleeper named $root
    }

    It 'by a path, a star, a folder, and folders from the pipeline' {
        (Get-Cgroup "$top/n/*").Path | Should -Be "$top/n/one", "$top/n/two"
        $folder = (Get-Cgroup "$top/n/one").Folders[0]
        (Get-Cgroup $folder).Path | Should -Be "$top/n/one"
        (Get-ChildItem (Split-Path $folder) -Directory | Get-Cgroup).Path | Sort-Object | Should -Be "$top/n/one", "$top/n/two"
    }

    It 'by containers, tasks and processes' {
        $path = "/pscontainers/$($store.Mark)/named"
        foreach ($group in (Get-Cgroup -Container named), (Get-Container named | Get-Cgroup), ($task | Get-Cgroup), (Get-Process -Id $task.ProcessId | Get-Cgroup), (Get-Cgroup -ProcessId $task.ProcessId)) {
            $group.Path | Should -Be $path
            $group.Container | Should -Be 'named'
        }
        (Get-Container named | Measure-Cgroup).Path | Should -Be $path
    }

    It 'with a v2 side on a hybrid host, where a task is too' -Skip:(-not ($v1 -and (Test-Path /sys/fs/cgroup/unified/cgroup.procs))) {
        Get-Content "/sys/fs/cgroup/unified/pscontainers/$($store.Mark)/named/cgroup.procs" | Should -Contain $task.ProcessId
        (Get-Content "/sys/fs/cgroup/unified/pscontainers/$($store.Mark)/named/cgroup.events") | Should -Contain 'populated 1'
    }

    It 'never by a unit where there are none' -Skip:(Test-Path /run/systemd/system) { Get-ErrorIdOf { Get-CgroupLimit -Unit nginx.service } | Should -Be 'SystemdNotRunning' }

    It 'by a unit for good, or until the machine starts anew' {
        foreach ($name in 'Set-CgroupLimit', 'Clear-CgroupLimit') { (Get-Command $name).Parameters.Runtime.ParameterSets.Keys | Should -Be 'Unit' }
    }

    It 'by Tab' {
        $line = "Get-Cgroup $top/n/"
        (TabExpansion2 $line $line.Length).CompletionMatches.CompletionText | Should -Contain "$top/n/one"
        (TabExpansion2 'New-Cgroup /x -Controller mem' 29).CompletionMatches.CompletionText | Should -Be 'memory'
        (TabExpansion2 'Clear-CgroupLimit /x -Limit ProcessL' 36).CompletionMatches.CompletionText | Should -Be 'ProcessLimit'
    }
}

Describe 'Limits of a group' {
    BeforeEach { $null = New-Cgroup "$top/l" }
    AfterEach { Remove-Cgroup "$top/l" -Recurse }

    It 'are set and taken away by name' {
        $limit = Set-CgroupLimit "$top/l" -Memory 64MB -MemorySwap 64MB -Cpu 0.5 -CpuBurst 10ms -CpuWeight 200 -ProcessLimit 20 -CpuSet 0 -PassThru
        $limit.Memory, $limit.Cpu, $limit.CpuWeight, $limit.ProcessLimit, $limit.CpuSet, $limit.CpuBurst.TotalMilliseconds | Should -Be 64MB, 0.5, 200, 20, '0', 10
        $less = Clear-CgroupLimit "$top/l" -Limit Cpu, ProcessLimit -PassThru
        $less.Cpu, $less.ProcessLimit, $less.CpuBurst | Should -Be $null, $null, $null
        $less.Memory | Should -Be 64MB
        $none = Get-CgroupLimit "$top/l" | Clear-CgroupLimit -PassThru
        $none.Memory, $none.MemorySwap | Should -Be $null, $null
        $none.CpuWeight | Should -Be 100
    }

    It 'show the exact writes that are planned' -Skip:(-not $v1) {
        $plan = Get-Plan "Set-CgroupLimit $top/l -Memory 64MB -ProcessLimit 20 -WhatIf"
        $plan | Should -Match "/sys/fs/cgroup/memory$top/l/memory.limit_in_bytes: \d+ -> 67108864"
        $plan | Should -Match "/sys/fs/cgroup/pids$top/l/pids.max: max -> 20"
        $null = Set-CgroupLimit "$top/l" -ProcessLimit 20
        Get-Plan "Clear-CgroupLimit $top/l -WhatIf" | Should -Match 'pids.max: 20 -> max'
    }

    It 'change nothing when one of five is refused, and the error tells which' -Skip:(-not $v1) {
        $null = Set-CgroupLimit "$top/l" -Memory 64MB -Cpu 0.5 -CpuWeight 200 -ProcessLimit 20
        $before = Get-CgroupLimit "$top/l" | ConvertTo-Json
        $failure = Get-ErrorOf { Set-CgroupLimit "$top/l" -Memory 32MB -Cpu 0.25 -CpuWeight 50 -ProcessLimit 10 -Value @{ 'memory.swappiness' = 500 } }
        $failure.FullyQualifiedErrorId | Should -Match '^CgroupLimitRefused'
        foreach ($word in 'memory.swappiness', '500', 'EINVAL') { "$failure" | Should -Match $word }
        Get-CgroupLimit "$top/l" | ConvertTo-Json | Should -Be $before
    }

    It 'go to files by name' {
        Set-CgroupLimit "$top/l" -Value @{ 'pids.max' = 12 }
        (Get-CgroupLimit "$top/l").ProcessLimit | Should -Be 12
    }

    It 'are <Id> for <What>' -ForEach @(
        @{ What = 'more than there is'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -CpuSet 4000 } }
        @{ What = 'a weight out of range'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -CpuWeight 20000 } }
        @{ What = 'swap without memory'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -MemorySwap 1GB } }
        @{ What = 'a device that is none'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -IoLimit @{ Device = '/dev/null'; ReadBytes = 1MB } } }
        @{ What = 'a rule that is none'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -DeviceRule 'allow everything' } }
        @{ What = 'a class that is none'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -NetClass nonsense } }
        @{ What = 'a file that acts'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit "$top/l" -Value @{ 'cgroup.procs' = 1 } } }
        @{ What = 'a file of no controller'; Id = 'CgroupNotSupported'; Try = { Set-CgroupLimit "$top/l" -Value @{ 'nonsense.max' = 1 } } }
        @{ What = 'a controller that this host lacks'; Id = 'CgroupNotSupported'; Try = { Set-CgroupLimit "$top/l" -RdmaLimit @{ mlx5_0 = 'hca_handle=2' } } }
        @{ What = 'the root'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit / -ProcessLimit 5 } }
        @{ What = 'a group that is not there'; Id = 'CgroupNotFound'; Try = { Set-CgroupLimit "$top/none" -ProcessLimit 5 } }
    ) { Get-ErrorIdOf $Try | Should -Be $Id }

    It 'are CgroupLimitRefused below what is in use' {
        # Shared memory stays with the group that wrote it, and cannot be given back while there is no swap.
        $shared = "/dev/shm/$($store.Mark)"
        sh -c "for f in $((Get-Cgroup "$top/l").Folders -join ' '); do echo `$`$ > `$f/cgroup.procs; done; exec dd if=/dev/zero of=$shared bs=1M count=32" 2>$null
        try {
            $failure = Get-ErrorOf { Set-CgroupLimit "$top/l" -Memory 1KB }
            $failure.FullyQualifiedErrorId | Should -Match '^(CgroupLimitRefused)'
            (Get-CgroupLimit "$top/l").Memory | Should -BeNullOrEmpty
        }
        finally { Remove-Item $shared }
    }

    It 'go on with the next when one is refused' {
        $errors = $null
        $null = New-Cgroup "$top/l/sub"
        "$top/none", "$top/l/sub" | Set-CgroupLimit -ProcessLimit 9 -ErrorVariable errors -ErrorAction SilentlyContinue
        $errors.FullyQualifiedErrorId | Should -Match '^CgroupNotFound'
        (Get-CgroupLimit "$top/l/sub").ProcessLimit | Should -Be 9
    }
}

Describe 'Limits of a container' {
    It 'are kept for its next task, and shown' {
        $null = Start-Sleeper kept $root
        Set-CgroupLimit kept -Memory 48MB -MemorySwap 48MB -Cpu 0.5 -ProcessLimit 33
        $resources = (Get-Container kept).Spec.Linux.Resources
        $resources.Memory.Limit, $resources.Pids.Limit, $resources.Cpu.Quota | Should -Be 48MB, 33, 50000
        Stop-ContainerTask kept -TimeoutSec 0
        Start-ContainerTask kept
        $limit = Get-CgroupLimit kept
        $limit.Memory, $limit.Cpu, $limit.ProcessLimit | Should -Be 48MB, 0.5, 33
        Clear-CgroupLimit kept -Limit ProcessLimit
        (Get-Container kept).Spec.Linux.Resources.Pids | Should -BeNullOrEmpty
    }

    It 'are kept by the names of their files too' {
        $null = Start-Sleeper files $root
        $file = $v1 ? 'memory.swappiness' : 'memory.oom.group'
        Set-CgroupLimit files -Value @{ $file = 1 }
        Stop-ContainerTask files -TimeoutSec 0
        Start-ContainerTask files
        $folder = (Get-Cgroup -Container files).Folders | Where-Object { Test-Path "$_/$file" }
        Get-Content "$folder/$file" | Should -Be 1
    }

    It 'are not recorded when the kernel refuses' -Skip:(-not $v1) {
        $null = Start-Sleeper refused $root
        $before = (Get-Container refused).Spec | ConvertTo-Json -Depth 32
        Get-ErrorIdOf { Set-CgroupLimit refused -ProcessLimit 5 -Value @{ 'memory.swappiness' = 500 } } | Should -Be 'CgroupLimitRefused'
        (Get-Container refused).Spec | ConvertTo-Json -Depth 32 | Should -Be $before
    }
}

Describe 'Measure-Cgroup' {
    It 'gives raw counters at once, and rates between two readings' {
        $null = New-Cgroup "$top/m"
        $busy = Start-Process sh '-c', '"while :; do :; done"' -PassThru
        try {
            $busy | Add-CgroupProcess "$top/m"
            $first = Measure-Cgroup "$top/m"
            $first | Should -BeOfType Containers.CgroupMeasurement
            $first.CpuPercent | Should -BeNullOrEmpty
            $first.CpuTime | Should -BeOfType timespan
            $two = Measure-Cgroup "$top/m" -IntervalSec 1
            $two.CpuPercent | Should -BeGreaterThan 5
            $times = (Measure-Cgroup "$top/m" -Watch -Interval 0.1 | Select-Object -First 3).Time
            $times.Count | Should -Be 3
        }
        finally { Stop-Cgroup "$top/m" }
    }

    It 'counts forks that were refused' {
        $null = New-Cgroup "$top/forks"
        Set-CgroupLimit "$top/forks" -ProcessLimit 2
        sh -c "for f in $((Get-Cgroup "$top/forks").Folders -join ' '); do echo `$`$ > `$f/cgroup.procs; done; for i in 1 2 3; do sleep 2 & done; wait" 2>$null
        (Measure-Cgroup "$top/forks").Events.ProcessMax | Should -BeGreaterThan 0
    }

    It 'ends its watch with the group' {
        $null = New-Cgroup "$top/short"
        $remover = Start-Process sh '-c', "`"sleep 1; for f in $((Get-Cgroup "$top/short").Folders -join ' '); do rmdir `$f; done`"" -PassThru
        @(Measure-Cgroup "$top/short" -Watch -IntervalSec 0.1).Count | Should -BeGreaterOrEqual 0
        $remover.WaitForExit()
    }
}

Describe 'Watch-Cgroup' {
    It 'tells when the first process comes and the last one goes' {
        $null = New-Cgroup "$top/w"
        $folders = (Get-Cgroup "$top/w").Folders -join ' '
        $script = Start-Process sh '-c', "`"sleep 1; for f in $folders; do echo `$`$ > `$f/cgroup.procs; done; sleep 1`"" -PassThru
        $events = Watch-Cgroup "$top/w" -Event Populated -TimeoutSec 60 | Select-Object -First 2
        $events | Should -BeOfType Containers.CgroupEvent
        $events.State | Should -Be $true, $false
        $script.WaitForExit()
    }

    It 'tells of a freeze' {
        $null = New-Cgroup "$top/f"
        $other = [powershell]::Create().AddScript("Import-Module '$(Get-ModulePath)'; Start-Sleep 1; Suspend-Cgroup $top/f; Start-Sleep 1; Resume-Cgroup $top/f")
        $running = $other.BeginInvoke()
        (Watch-Cgroup "$top/f" -Event Frozen -TimeoutSec 60 | Select-Object -First 2).State | Should -Be $true, $false
        $other.EndInvoke($running)
        $other.Dispose()
    }

    It 'tells when the memory of a container runs out' {
        $null = New-Container hungry -RootfsPath $root -Memory 24MB -MemorySwap 24MB -ArgumentList sh, -c, 'sleep 2; tail -c 200000000 /dev/zero; sleep 1000' | Start-ContainerTask
        $event = Watch-Cgroup -Container hungry -Event OutOfMemory -TimeoutSec 60 | Select-Object -First 1
        $event.Event | Should -Be 'OutOfMemory'
        $event.Container | Should -Be 'hungry'
    }

    It 'ends after its time without an error' { Watch-Cgroup "$top/w" -TimeoutSec 0.2 | Should -BeNullOrEmpty }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'a group that is not there'; Id = 'CgroupNotFound'; Try = { Watch-Cgroup "$top/none" -TimeoutSec 1 } }
        @{ What = 'a window out of range'; Id = 'InvalidArgument'; Try = { Watch-Cgroup "$top/w" -Event PressureStall -Window 20s -TimeoutSec 1 } }
    ) { Get-ErrorIdOf $Try | Should -Be $Id }
}

Describe 'Hierarchies by hand' {
    BeforeAll {
        $point = "$($store.Folder)/hierarchy"
        $null = New-Item $point -ItemType Directory -Force
    }

    It 'are mounted by name, used, and taken down' {
        $said = Invoke-Apart @'
            $mounted = Mount-CgroupHierarchy $point -Name "t$PID"
            try {
                $mounted.Version, $mounted.Hierarchy -join ' '
                $null = New-Item $point/group -ItemType Directory
                try { Dismount-CgroupHierarchy $point } catch { $_.FullyQualifiedErrorId.Split(',')[0] }
                rmdir $point/group
            }
            finally { Dismount-CgroupHierarchy $point }
            try { Dismount-CgroupHierarchy $point } catch { $_.FullyQualifiedErrorId.Split(',')[0] }
'@
        $said[0] | Should -Match '^1 name=t\d+$'
        $said[1..2] | Should -Be 'CgroupBusy', 'CgroupUnavailable'
    }

    It 'are CgroupBusy, with what is mounted where, for another set' -Skip:(-not ($v1 -and (Test-Path /sys/fs/cgroup/cpuacct))) {
        $failure = Get-ErrorOf { Mount-CgroupHierarchy $point -Controller cpu, cpuset }
        $failure.FullyQualifiedErrorId | Should -Match '^CgroupBusy'
        "$failure" | Should -Match 'cpu is mounted as "cpu'
    }

    It 'are not taken from under others' -Skip:(-not $v1) { Get-ErrorIdOf { Dismount-CgroupHierarchy /sys/fs/cgroup/memory -WhatIf } | Should -Be 'CgroupNotOurs' }
}
