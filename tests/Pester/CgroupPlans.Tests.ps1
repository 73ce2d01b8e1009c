# Plans of control groups beside what is then done, file by file and call by call; every way to name a group; and ten thousand measurements.

BeforeDiscovery {
    $v1 = Test-Path /sys/fs/cgroup/memory/memory.limit_in_bytes
    $acting = @(
        @{ Name = 'Get-Cgroup'; With = @{}; Gives = $true }
        @{ Name = 'Get-CgroupProcess'; With = @{}; Gives = $false }
        @{ Name = 'Get-CgroupLimit'; With = @{}; Gives = $true }
        @{ Name = 'Set-CgroupLimit'; With = @{ ProcessLimit = 50; PassThru = $true }; Gives = $true }
        @{ Name = 'Clear-CgroupLimit'; With = @{ Limit = 'ProcessLimit'; PassThru = $true }; Gives = $true }
        @{ Name = 'Measure-Cgroup'; With = @{}; Gives = $true }
        @{ Name = 'Watch-Cgroup'; With = @{ TimeoutSec = 0.05 }; Gives = $false }
        @{ Name = 'Suspend-Cgroup'; With = @{ PassThru = $true }; Gives = $true }
        @{ Name = 'Resume-Cgroup'; With = @{ PassThru = $true }; Gives = $true }
        @{ Name = 'Stop-Cgroup'; With = @{ PassThru = $true }; Gives = $true }
        @{ Name = 'Remove-Cgroup'; With = @{}; Gives = $false }
    )
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $top = "/$($store.Mark)"
    $null = New-Cgroup $top
    $pwsh = (Get-Process -Id $PID).Path

    # Every file of a group, in every hierarchy, but for those that count by themselves.
    function Get-GroupFile([string] $Path) {
        $all = [ordered]@{}
        foreach ($folder in (Get-Cgroup $Path).Folders) {
            foreach ($file in [System.IO.Directory]::GetFiles($folder)) {
                if ($file -match 'stat|usage|pressure|current|peak') { continue }
                try { $all[$file] = [System.IO.File]::ReadAllText($file) } catch { $all[$file] = 'unreadable' }
            }
        }
        $all
    }
    function Get-Once([string[]] $Lines) { for ($i = 0; $i -lt $Lines.Count; $i++) { if ($i -eq 0 -or $Lines[$i] -ne $Lines[$i - 1]) { $Lines[$i] } } }
    function Get-Difference($Before, $Now) { foreach ($file in $Before.Keys) { if ($Before[$file] -ne $Now[$file]) { $file } } }
}

AfterAll {
    if (Get-Cgroup $top -ErrorAction Ignore) { Remove-Cgroup $top -Recurse -Force }
    Exit-TestStore
}

Describe 'A plan' {
    It 'has every call that is then made, and no other' {
        if (-not (Get-Command strace -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'strace is not installed'; return }
        $trace = "$($store.Folder)/trace"
        $idler = Start-Process sleep 1000 -PassThru
        $steps = @(
            "New-Cgroup $top/s/a", "New-Cgroup $top/s/b", "Set-CgroupLimit $top/s/a -ProcessLimit 40 -CpuSet 0 -Memory 64MB -MemorySwap 64MB -Cpu 0.5 -CpuBurst 5ms"
            "Set-CgroupLimit $top/s/a -Memory 32MB -MemorySwap 48MB -Cpu 0.1 -CpuBurst 0ms -ProcessLimit 40", "Set-CgroupLimit $top/s/b -DeviceRule 'allow c 1:* rwm', 'deny c 1:8 w'"
            "Add-CgroupProcess $top/s/a -ProcessId $($idler.Id)", "Suspend-Cgroup $top/s/a", "Resume-Cgroup $top/s/a", "Clear-CgroupLimit $top/s/a", "Stop-Cgroup $top/s/a", "Remove-Cgroup $top/s/b", "Remove-Cgroup $top/s -Recurse -Force"
        )
        $script = "Import-Module '$(Get-ModulePath)'; " + (($steps | ForEach-Object { "$_ -WhatIf; `$null = $_" }) -join '; ')
        $said = strace -f -qq -y -s 4096 --seccomp-bpf -e trace=mkdir,mkdirat,rmdir,unlinkat,write -o $trace $pwsh -NoProfile -NonInteractive -Command $script 2>&1
        $planned = foreach ($line in $said) {
            if ($line -match '^  (mkdir|rmdir) (\S+)$') { "$($Matches[1]) $($Matches[2])" }
            elseif ($line -match '^  (/\S+): (?:.* )?-> (.*)$') { "$($Matches[1]) <- $($Matches[2])" }
        }
        $done = foreach ($line in Get-Content $trace) {
            if ($line -match '(mkdir|rmdir)\("(/sys/fs/cgroup[^"]*)".*= 0') { "$($Matches[1]) $($Matches[2])" }
            elseif ($line -match 'unlinkat\(\d+<([^>]*)>, "([^"]*)", AT_REMOVEDIR\) = 0') { "rmdir $($Matches[1])/$($Matches[2])" }
            elseif ($line -match 'write\(\d+<(/sys/fs/cgroup[^>]*)>, "(.*)", \d+\) = \d') { "$($Matches[1]) <- $($Matches[2] -replace '\\n$')" }
        }
        @($planned).Count | Should -BeGreaterThan 60 -Because "$said"
        # The order is the plan's but for removals, which take each hierarchy by itself; the freezer is told again until all have heard it.
        Get-Once (@($done) -notmatch '^rmdir') | Should -Be (Get-Once (@($planned) -notmatch '^rmdir'))
        @($done) -match '^rmdir' | Sort-Object | Should -Be (@($planned) -match '^rmdir' | Sort-Object)
        $idler.WaitForExit(20000) | Should -BeTrue
    }

    It 'changes nothing by itself, with any of the cmdlets' {
        $null = New-Cgroup "$top/still"
        Set-CgroupLimit "$top/still" -ProcessLimit 30 -Memory 64MB
        $process = Start-InCgroup "$top/still" 'exec sleep 1000'
        $before = Get-GroupFile "$top/still"
        $said = Invoke-FreshPwsh (@(
                "Set-CgroupLimit $top/still -ProcessLimit 20 -Memory 32MB -WhatIf", "Clear-CgroupLimit $top/still -WhatIf", "Suspend-Cgroup $top/still -WhatIf", "Resume-Cgroup $top/still -WhatIf"
                "Stop-Cgroup $top/still -WhatIf", "Remove-Cgroup $top/still -Recurse -Force -WhatIf", "New-Cgroup $top/still/more -WhatIf", "Add-CgroupProcess $top/still -ProcessId $PID -WhatIf"
                "Mount-CgroupHierarchy $($store.Folder) -Name still -WhatIf") -join '; ')
        @($said -like 'What if:*').Count | Should -Be 9
        $said | Should -Contain "What if: Performing the operation `"mount -t cgroup -o none,name=still`" on target `"$($store.Folder)`"."
        Get-Difference $before (Get-GroupFile "$top/still") | Should -BeNullOrEmpty
        $process.HasExited | Should -BeFalse
        Get-ErrorIdOf { Get-Cgroup "$top/still/more" } | Should -Be 'CgroupNotFound'
        Get-Content /proc/self/mountinfo | Where-Object { $_ -match $store.Mark } | Should -BeNullOrEmpty
        Remove-Cgroup "$top/still" -Force
    }
}

Describe 'Five values of which one is refused' {
    # The refused one stands in the middle or at the end of the order of writes, whatever the host has.
    It 'change no file of v1' -Skip:(-not $v1) {
        $null = New-Cgroup "$top/five"
        Set-CgroupLimit "$top/five" -Memory 64MB -MemorySwap 96MB -Cpu 0.5 -CpuWeight 300 -ProcessLimit 50
        $before = Get-GroupFile "$top/five"
        $before.Count | Should -BeGreaterThan 50
        foreach ($refused in @{ 'memory.swappiness' = 500 }, @{ 'cpu.shares' = 'x' }, @{ 'pids.max' = -7 }, @{ 'cpuset.mems' = '4000' }) {
            $failure = Get-ErrorOf { Set-CgroupLimit "$top/five" -Memory 32MB -MemorySwap 32MB -Cpu 0.25 -ProcessLimit 20 -Value $refused }
            $failure.FullyQualifiedErrorId | Should -Match '^CgroupLimitRefused'
            "$failure" | Should -Match "$($refused.Keys).*$($refused.Values).*(EINVAL|ERANGE|EACCES)"
            Get-Difference $before (Get-GroupFile "$top/five") | Should -BeNullOrEmpty
        }
        # The same without the refused one is taken.
        Set-CgroupLimit "$top/five" -Memory 32MB -MemorySwap 32MB -Cpu 0.25 -ProcessLimit 20
        @(Get-Difference $before (Get-GroupFile "$top/five")).Count | Should -BeGreaterOrEqual 4
        Remove-Cgroup "$top/five"
    }

    It 'change no file of the v2 tree' {
        $null = New-Cgroup "$top/two"
        if (-not (Get-Cgroup "$top/two").Folders.Where({ Test-Path "$_/cgroup.max.depth" })) { Set-ItResult -Skipped -Because 'this host has no v2 tree'; return }
        $good = [ordered]@{ 'cgroup.max.descendants' = 50; 'cgroup.max.depth' = 5 }
        if ((Get-CgroupController memory).Version -eq 2) { $good['memory.max'] = 64MB; $good['pids.max'] = 50 }
        Set-CgroupLimit "$top/two" -Value $good
        $before = Get-GroupFile "$top/two"
        foreach ($refused in 'cgroup.max.descendants', 'cgroup.max.depth') {
            $values = [ordered]@{}
            foreach ($file in $good.Keys) { $values[$file] = $file -eq $refused ? -5 : $good[$file] / 2 -as [int] }
            $failure = Get-ErrorOf { Set-CgroupLimit "$top/two" -Value $values }
            $failure.FullyQualifiedErrorId | Should -Match '^CgroupLimitRefused'
            "$failure" | Should -Match "$refused.*-5.*(EINVAL|ERANGE)"
            Get-Difference $before (Get-GroupFile "$top/two") | Should -BeNullOrEmpty
        }
        Remove-Cgroup "$top/two"
    }
}

Describe '<Name> takes a group' -ForEach $acting {
    BeforeEach { $with = $With.Clone() }
    AfterEach { if (Get-Cgroup "$top/n" -ErrorAction Ignore) { Remove-Cgroup "$top/n" -Recurse -Force } }

    It 'by path, folder, process, and objects of each from the pipeline' {
        $ways = @(
            { & $Name -Path "$top/n" @with }, { & $Name "$top/n" @with }, { & $Name -Path $group.Folders[0] @with }, { & $Name -ProcessId $process.Id @with }
            { $group | & $Name @with }, { & $Name -InputObject $group @with }, { Get-Process -Id $process.Id | & $Name @with }, { Get-ChildItem (Split-Path $group.Folders[0]) -Directory -Filter n | & $Name @with }
            { "$top/n" | & $Name @with }, { Get-CgroupLimit "$top/n" | & $Name @with }, { Measure-Cgroup "$top/n" | & $Name @with }, { Get-CgroupProcess "$top/n" | & $Name @with }
        )
        if ($Name -eq 'Remove-Cgroup') { $with.Force = $true }
        foreach ($way in $ways) {
            if (-not (Get-Cgroup "$top/n" -ErrorAction Ignore)) { $null = New-Cgroup "$top/n" }
            $process = Start-InCgroup "$top/n" 'exec sleep 1000'
            $group = Get-Cgroup "$top/n"
            $given = & $way
            if ($Gives) { $given.Path | Should -Be "$top/n" -Because "$way" }
            if ($Name -eq 'Suspend-Cgroup') { Resume-Cgroup "$top/n" }
            if ($Name -eq 'Remove-Cgroup') { Get-ErrorIdOf { Get-Cgroup "$top/n" } | Should -Be 'CgroupNotFound' -Because "$way" }
            if ($Name -in 'Stop-Cgroup', 'Remove-Cgroup') { $process.WaitForExit(20000) | Should -BeTrue -Because "$way" }
            else {
                $process.HasExited | Should -BeFalse -Because "$way"
                Stop-Cgroup "$top/n"
            }
        }
    }

    It 'of a container, and of a container from the pipeline' {
        $null = Start-Sleeper web $root
        try {
            if ($Name -in 'Stop-Cgroup', 'Remove-Cgroup', 'Suspend-Cgroup') {
                # That would end it; the plan is told to nobody here.
                $quiet = [powershell]::Create().AddScript("Import-Module '$(Get-ModulePath)'; $Name -Container web -WhatIf $($Name -eq 'Remove-Cgroup' ? '-Force -Recurse' : ''); Get-Container web | $Name -WhatIf $($Name -eq 'Remove-Cgroup' ? '-Force -Recurse' : '')")
                $quiet.Invoke() | Should -BeNullOrEmpty
                $quiet.Streams.Error | Should -BeNullOrEmpty
                $quiet.Dispose()
                (Get-ContainerTask web).State | Should -Be 'Running'
                return
            }
            foreach ($way in { & $Name -Container web @with }, { Get-Container web | & $Name @with }, { Get-ContainerTask web | & $Name @with }, { 'web' | & $Name @with }) {
                $given = & $way
                if ($Gives) { $given.Container | Should -Be 'web' -Because "$way" }
            }
        }
        finally { Remove-Container web -Force }
    }

    It 'by no unit where systemd does not run, and says so' -Skip:(Test-Path /run/systemd/system) {
        $failure = Get-ErrorOf { & $Name -Unit nginx @with }
        $failure.FullyQualifiedErrorId | Should -Match '^SystemdNotRunning,'
        $failure.CategoryInfo.Category | Should -Be 'ResourceUnavailable'
        $failure.TargetObject | Should -Be 'nginx.service'
        "$failure" | Should -Match 'nginx.service.*systemd.*-Path'
        Get-ErrorIdOf { & $Name -Unit '../nginx' @with } | Should -Be 'InvalidArgument'
    }

    It 'in these ways and no others' {
        (Get-Command $Name).ParameterSets.Name | Sort-Object | Should -BeIn 'Path', 'Container', 'Process', 'InputObject', 'Unit', 'Id'
    }
}

Describe 'Ten thousand measurements' {
    It 'leave no descriptor and no memory behind' {
        $null = New-Cgroup "$top/many"
        $count = $env:CONTAINERS_TEST_LONG ? 30000 : 10000
        function Get-State {
            [GC]::Collect()
            [GC]::WaitForPendingFinalizers()
            [GC]::Collect()
            [pscustomobject]@{ Descriptors = [System.IO.Directory]::GetFileSystemEntries('/proc/self/fd').Count; Managed = [GC]::GetTotalMemory($true); Resident = [Environment]::WorkingSet }
        }
        foreach ($one in 1..1000) { $null = Measure-Cgroup "$top/many" }
        $before = Get-State
        $time = Measure-Command { foreach ($one in 1..$count) { $null = Measure-Cgroup "$top/many" } }
        $after = Get-State
        Write-Host ('    figure: {0:#,0} of Measure-Cgroup in {1:0.0} s: {2} descriptors, {3:0.0} MiB managed, {4:0.0} MiB resident more' -f $count, $time.TotalSeconds,
            ($after.Descriptors - $before.Descriptors), (($after.Managed - $before.Managed) / 1MB), (($after.Resident - $before.Resident) / 1MB))
        $after.Descriptors | Should -BeLessOrEqual ($before.Descriptors + 3)
        # A hundred bytes kept of each would be a megabyte, a page forty.
        $after.Managed - $before.Managed | Should -BeLessThan 4MB
        $after.Resident - $before.Resident | Should -BeLessThan 40MB
    }
}
