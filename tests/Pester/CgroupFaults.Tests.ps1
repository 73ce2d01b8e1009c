# What goes wrong with control groups, each by its own word and with a way out, and the rest of the pipeline goes on.

BeforeDiscovery {
    $v1 = Test-Path /sys/fs/cgroup/memory/memory.limit_in_bytes
    $v2 = [bool] ((Get-Content /proc/self/mountinfo) -match ' - cgroup2 ')
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $top = "/$($store.Mark)"
    $null = New-Cgroup $top
    $pwsh = (Get-Process -Id $PID).Path
    # Runs the steps in a PowerShell, and gives "name: word of the error", or "name: done"; then the message for a person.
    $asking = @'
        $ErrorActionPreference = 'Stop'
        function Step([string] $Name, [scriptblock] $Do) {
            try { $null = & $Do; "$Name`: done" }
            catch { "$Name`: $($_.FullyQualifiedErrorId.Split(',')[0]): $($_.Exception.Message)" }
        }
'@
    function Get-Word([string[]] $Said, [string] $Name) { ($Said | Where-Object { $_ -like "$Name`: *" }) -replace '^[^:]*: ([^:]*).*$', '$1' }
    function Get-Message([string[]] $Said, [string] $Name) { $Said | Where-Object { $_ -like "$Name`: *" } }
}

AfterAll {
    if (Get-Cgroup $top -ErrorAction Ignore) { Remove-Cgroup $top -Recurse -Force }
    Exit-TestStore
}

Describe 'A group that has vanished' {
    It 'is CgroupNotFound for <Name>, and the next one is dealt with' -ForEach @(
        @{ Name = 'Get-Cgroup' }, @{ Name = 'Get-CgroupLimit' }, @{ Name = 'Measure-Cgroup' }
        @{ Name = 'Suspend-Cgroup'; With = @{ PassThru = $true } }, @{ Name = 'Resume-Cgroup'; With = @{ PassThru = $true } }, @{ Name = 'Stop-Cgroup'; With = @{ PassThru = $true } }
        @{ Name = 'Set-CgroupLimit'; With = @{ ProcessLimit = 9; PassThru = $true } }, @{ Name = 'Clear-CgroupLimit'; With = @{ PassThru = $true } }
    ) {
        $gone, $there = "$top/gone", "$top/there" | New-Cgroup
        $gone | Remove-Cgroup
        try {
            $with = $With ?? @{}
            $given = $gone, $there | & $Name @with -ErrorVariable errors -ErrorAction SilentlyContinue
            $errors.Count | Should -Be 1
            $errors[0].FullyQualifiedErrorId | Should -Match '^CgroupNotFound,'
            $errors[0].CategoryInfo.Category | Should -Be 'ObjectNotFound'
            "$($errors[0])" | Should -Match "$top/gone.*Get-Cgroup"
            $given.Path | Should -Be "$top/there"
        }
        finally { Remove-Cgroup "$top/there" }
    }

    It 'is CgroupNotFound for those that give nothing back too' {
        $gone, $there = "$top/gone", "$top/there" | New-Cgroup
        $gone | Remove-Cgroup
        $there, $gone | Get-CgroupProcess -ErrorVariable errors -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
        $errors[0].FullyQualifiedErrorId | Should -Match '^CgroupNotFound,'
        $gone, $there | Watch-Cgroup -TimeoutSec 0.2 -ErrorVariable errors -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
        $errors[0].FullyQualifiedErrorId | Should -Match '^CgroupNotFound,'
        Get-ErrorIdOf { Add-CgroupProcess "$top/gone" -ProcessId $PID } | Should -Be 'CgroupNotFound'
        $gone, $there | Remove-Cgroup -ErrorVariable errors -ErrorAction SilentlyContinue
        $errors[0].FullyQualifiedErrorId | Should -Match '^CgroupNotFound,'
        Get-ErrorIdOf { Get-Cgroup "$top/there" } | Should -Be 'CgroupNotFound'
    }
}

Describe 'A path or a controller that cannot be' {
    It 'is <Id> for <What> with <Name>' -ForEach @(
        foreach ($name in 'Get-Cgroup', 'New-Cgroup', 'Remove-Cgroup', 'Get-CgroupLimit', 'Measure-Cgroup', 'Stop-Cgroup', 'Suspend-Cgroup', 'Clear-CgroupLimit') {
            @{ Id = 'InvalidArgument'; What = 'a path with ..'; Name = $name; With = @{ Path = '/a/../../etc' } }
        }
        @{ Id = 'InvalidArgument'; What = 'a path with a line feed'; Name = 'New-Cgroup'; With = @{ Path = "/a`nb" } }
        @{ Id = 'InvalidArgument'; What = 'a name of 300 letters'; Name = 'New-Cgroup'; With = @{ Path = '/' + 'x' * 300 } }
        @{ Id = 'CgroupNotSupported'; What = 'an unknown controller'; Name = 'Get-CgroupController'; With = @{ Name = 'nonsense' } }
        @{ Id = 'CgroupNotSupported'; What = 'an unknown controller'; Name = 'New-Cgroup'; With = @{ Path = '/x'; Controller = 'nonsense' } }
        @{ Id = 'CgroupNotSupported'; What = 'an unknown controller'; Name = 'Mount-CgroupHierarchy'; With = @{ Path = '/tmp'; Controller = 'nonsense' } }
        @{ Id = 'InvalidArgument'; What = 'a name that carries options'; Name = 'Mount-CgroupHierarchy'; With = @{ Path = '/tmp'; Name = 'a,release_agent=/bin/sh' } }
        @{ Id = 'InvalidArgument'; What = 'neither controller nor name'; Name = 'Mount-CgroupHierarchy'; With = @{ Path = '/tmp' } }
    ) { Get-ErrorIdOf { & $Name @With } | Should -Be $Id }

    It 'is InvalidArgument for <_>' -ForEach @(
        '-Cpu 0', '-Cpu 0.001', '-Cpu 10000', '-CpuWeight 0', '-CpuWeight 10001', '-CpuBurst 2h', '-CpuBurst 10ms', '-CpuSet 4000', '-CpuSet x', '-MemorySet 99', '-Memory 0', '-ProcessLimit 0', '-NetClass x', '-DeviceRule x'
    ) {
        $null = New-Cgroup "$top/range"
        try { Get-ErrorIdOf ([scriptblock]::Create("Set-CgroupLimit $top/range $_")) | Should -BeIn 'InvalidArgument', 'ParameterArgumentTransformationError' }
        finally { Remove-Cgroup "$top/range" }
    }
}

Describe 'A process that is gone' {
    It 'is ProcessNotFound, be it that nobody has collected it yet, and the next one is moved' {
        $null = New-Cgroup "$top/p"
        $ended = [System.Diagnostics.Process]::Start([System.Diagnostics.ProcessStartInfo]::new('/bin/sh', [string[]] ('-c', 'sleep 0 & exec sleep 1000')))
        $lives = Start-Process sleep 1000 -PassThru
        try {
            # the second sleep never asks for the end of the first
            $first = $ended.Id
            Wait-Until { (Get-Content "/proc/$first/task/$first/children") -and (Get-Content "/proc/$((Get-Content "/proc/$first/task/$first/children").Trim())/stat") -match '\) Z ' } 'the end of the first'
            $zombie = (Get-Content "/proc/$first/task/$first/children").Trim()
            Add-CgroupProcess "$top/p" -ProcessId $zombie, 2147483646, $lives.Id -ErrorVariable errors -ErrorAction SilentlyContinue
            $errors.FullyQualifiedErrorId -replace ',.*' | Should -Be 'ProcessNotFound', 'ProcessNotFound'
            $errors.TargetObject | Should -Be $zombie, 2147483646
            (Get-CgroupProcess "$top/p").ProcessId | Should -Be $lives.Id
        }
        finally {
            $ended, $lives | Stop-Process -Force
            $lives.WaitForExit()
            Remove-Cgroup "$top/p" -Force
        }
    }
}

Describe 'A domain of threads' -Skip:(-not $v2) {
    It 'takes threads alone, and what stands beside it no process' {
        $threads = New-Cgroup "$top/d/threads" -Threaded
        $threads.Type | Should -Be 'threaded'
        (Get-Cgroup "$top/d").Type | Should -Be 'domain threaded'
        $beside = New-Cgroup "$top/d/beside"
        $beside.Type | Should -Be 'domain invalid'
        $process = Start-InCgroup "$top/d" 'exec sleep 1000'
        try {
            $failure = Get-ErrorOf { Add-CgroupProcess "$top/d/beside" -ProcessId $process.Id }
            $failure.FullyQualifiedErrorId | Should -Match '^CgroupThreaded,'
            "$failure" | Should -Match 'domain invalid'
            # refused by one hierarchy, it is where it was in all
            (Get-Cgroup -ProcessId $process.Id).Path | Where-Object { $_ -like "$top/*" } | Should -Be "$top/d"
            Add-CgroupProcess "$top/d/threads" -ProcessId $process.Id -Threaded
            (Get-CgroupProcess "$top/d/threads" -Threaded).ThreadId | Should -Be $process.Id
        }
        finally { Remove-Cgroup "$top/d" -Recurse -Force }
    }
}

Describe 'Hierarchies that are mounted read-only' {
    It 'are CgroupReadOnly by name for all that writes, and are read' {
        $null = New-Cgroup "$top/ro/below"
        Set-CgroupLimit "$top/ro" -ProcessLimit 500
        $idler = Start-InCgroup "$top/ro" 'exec sleep 1000'
        $script = @"
            foreach (`$line in Get-Content /proc/self/mountinfo) {
                if (`$line -match '^\d+ \d+ \S+ \S+ (\S+) .* - cgroup2? ') { mount -o bind,remount,ro `$Matches[1] }
            }
            $asking
            Import-Module '$(Get-ModulePath)'
            Step new { New-Cgroup $top/ro/more }
            Step remove { Remove-Cgroup $top/ro/below }
            Step set { Set-CgroupLimit $top/ro -ProcessLimit 400 }
            Step clear { Clear-CgroupLimit $top/ro -Limit ProcessLimit }
            Step add { Add-CgroupProcess $top/ro -ProcessId `$PID }
            Step suspend { Suspend-Cgroup $top/ro }
            Step read { Get-Cgroup $top/ro; Get-CgroupLimit $top/ro; Measure-Cgroup $top/ro; Get-CgroupProcess $top/ro }
"@
        $said = unshare -m --propagation private $pwsh -NoProfile -NonInteractive -Command $script
        foreach ($name in 'new', 'remove', 'set', 'clear', 'add', 'suspend') {
            Get-Word $said $name | Should -Be 'CgroupReadOnly' -Because "$said"
            Get-Message $said $name | Should -Match 'remount,rw'
        }
        Get-Word $said 'read' | Should -Be 'done'
        (Get-CgroupLimit "$top/ro").ProcessLimit | Should -Be 500
        $idler.HasExited | Should -BeFalse
        Remove-Cgroup "$top/ro" -Recurse -Force
    }
}

Describe 'A plain user' {
    BeforeAll {
        # The module where that user can read it; PowerShell itself may not be for everybody.
        $user = 64000 + $PID % 1000
        $copy = "/tmp/$($store.Mark)-user"
        $null = New-Item $copy -ItemType Directory
        Copy-Item (Get-ModulePath) "$copy/Containers" -Recurse
        chmod -R u=rwX,go=rX $copy
        $null = New-Item "$copy/home" -ItemType Directory
        chown "${user}:$user" "$copy/home"
        function Invoke-AsUser([string] $Script) {
            setpriv --reuid $user --regid $user --clear-groups --inh-caps=-all env -i "HOME=$copy/home" PATH=/usr/bin:/bin POWERSHELL_TELEMETRY_OPTOUT=1 "CONTAINERS_ROOT=$copy/home/lib" "CONTAINERS_RUN=$copy/home/run" $pwsh -NoProfile -NonInteractive -Command "$asking; Import-Module '$copy/Containers'; $Script" 2>&1
        }
        setpriv --reuid $user --regid $user --clear-groups test -x $pwsh 2>$null
        $closed = $LASTEXITCODE -eq 0 ? $null : 'a plain user cannot run this PowerShell'
    }

    AfterAll { Remove-Item $copy -Recurse -Force }

    It 'is CgroupNotPermitted for all that writes, and reads' {
        if ($closed) { Set-ItResult -Skipped -Because $closed; return }
        $null = New-Cgroup "$top/u/below"
        $idler = Start-InCgroup "$top/u" 'exec sleep 1000'
        $said = Invoke-AsUser @"
            Step new { New-Cgroup $top/u/more }
            Step remove { Remove-Cgroup $top/u/below }
            Step set { Set-CgroupLimit $top/u -ProcessLimit 400 }
            Step clear { Set-CgroupLimit $top/u -Cpu 0.5 }
            Step add { Add-CgroupProcess $top/u -ProcessId `$PID }
            Step suspend { Suspend-Cgroup $top/u }
            Step resume { Resume-Cgroup $top/u }
            Step stop { Stop-Cgroup $top/u }
            Step mount { Mount-CgroupHierarchy '$copy/home' -Name t$PID }
            Step read { Get-CgroupController; Get-Cgroup $top/u; Get-CgroupLimit $top/u; Measure-Cgroup $top/u; Get-CgroupProcess $top/u }
"@
        foreach ($name in 'new', 'remove', 'set', 'clear', 'add', 'suspend', 'resume', 'stop', 'mount') {
            Get-Word $said $name | Should -Be 'CgroupNotPermitted' -Because "$said"
            Get-Message $said $name | Should -Match 'root'
        }
        Get-Word $said 'read' | Should -Be 'done' -Because "$said"
        $idler.HasExited | Should -BeFalse
        (Get-CgroupLimit "$top/u").ProcessLimit | Should -BeNullOrEmpty
        Remove-Cgroup "$top/u" -Recurse -Force
    }

    It 'has its way below a group that was delegated, and not beyond' {
        if ($closed) { Set-ItResult -Skipped -Because $closed; return }
        $group = New-Cgroup "$top/own"
        foreach ($folder in $group.Folders) {
            chown $user $folder
            foreach ($file in 'cgroup.procs', 'cgroup.threads', 'cgroup.subtree_control', 'tasks') { if (Test-Path "$folder/$file") { chown $user "$folder/$file" } }
        }
        $null = New-Cgroup "$top/others"
        $process = [System.Diagnostics.Process]::Start([System.Diagnostics.ProcessStartInfo]::new('setpriv', [string[]] ('--reuid', $user, '--regid', $user, '--clear-groups', 'sleep', '1000')))
        try {
            Add-CgroupProcess "$top/own" -ProcessId $process.Id
            $said = Invoke-AsUser @"
                Step new { New-Cgroup $top/own/a; New-Cgroup $top/own/b }
                Step set { Set-CgroupLimit $top/own/a -ProcessLimit 20 }
                Step keep { if ((Get-CgroupLimit $top/own/a).ProcessLimit -ne 20) { throw 'not set' } }
                Step move { Add-CgroupProcess $top/own/a -ProcessId $($process.Id) }
                Step freeze { Suspend-Cgroup $top/own/a; Resume-Cgroup $top/own/a }
                Step remove { Remove-Cgroup $top/own/b }
                Step raise { Set-CgroupLimit $top/own -ProcessLimit 5000 }
                Step foreign { Add-CgroupProcess $top/own/a -ProcessId $PID }
                Step outside { Add-CgroupProcess $top/others -ProcessId $($process.Id) }
"@
            foreach ($name in 'new', 'set', 'keep', 'move', 'freeze', 'remove') { Get-Word $said $name | Should -Be 'done' -Because "$said" }
            foreach ($name in 'raise', 'foreign', 'outside') {
                Get-Word $said $name | Should -Be 'CgroupNotPermitted' -Because "$said"
                Get-Message $said $name | Should -Match 'root'
            }
            (Get-CgroupProcess "$top/own/a").ProcessId | Should -Be $process.Id
        }
        finally {
            $process.Kill()
            $process.WaitForExit()
            Remove-Cgroup "$top/own", "$top/others" -Recurse -Force
        }
    }
}

Describe 'What others made' {
    It 'stays without -Force, one by one, and the rest goes' {
        $null = "$top/x/ours", "$top/x/mixed" | New-Cgroup
        foreach ($folder in (Get-Cgroup "$top/x").Folders) { $null = New-Item "$folder/theirs", "$folder/mixed/theirs" -ItemType Directory }
        Remove-Cgroup "$top/x/theirs", "$top/x/mixed", "$top/x/ours" -Recurse -ErrorVariable errors -ErrorAction SilentlyContinue
        $errors.FullyQualifiedErrorId -replace ',.*' | Should -Be 'CgroupNotOurs', 'CgroupNotOurs'
        "$($errors[0])" | Should -Match '-Force'
        (Get-Cgroup "$top/x" -Recurse).Path | Should -Be "$top/x", "$top/x/mixed", "$top/x/mixed/theirs", "$top/x/theirs"
        Remove-Cgroup "$top/x" -Recurse -Force
    }

    It 'is CgroupProtected at and above process 1, whatever is asked' {
        foreach ($path in (Get-Cgroup -ProcessId 1).Path) {
            # For its plan alone: what would not refuse must not do it either.
            foreach ($do in { Remove-Cgroup $path -Recurse -Force -WhatIf }, { Stop-Cgroup $path -WhatIf }, { Suspend-Cgroup $path -WhatIf }) { Get-ErrorIdOf $do | Should -Be 'CgroupProtected' }
        }
    }
}
