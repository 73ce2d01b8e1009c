# The parameters that recur: what each does inside the container. Those that Lifecycle.Tests.ps1 has are not here again.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs

    # What a shell says in a container of these parameters.
    function Invoke-With([hashtable] $Parameters, [string] $Script) { Invoke-Container -RootfsPath $root -Remove @Parameters -- sh -c $Script }

    # A file of the container's own control group, by its v1 or its v2 name; nothing where neither is there.
    function Get-GroupFile([hashtable] $Parameters, [string[]] $Files) {
        $null = New-Container grouped -RootfsPath $root @Parameters -ArgumentList sleep, 1000 | Start-ContainerTask
        try {
            foreach ($folder in (Get-Cgroup -Container grouped).Folders) { foreach ($file in $Files) { if (Test-Path "$folder/$file") { return Get-Content "$folder/$file" } } }
        }
        finally { Remove-Container grouped -Force }
    }
}

AfterAll { Exit-TestStore }

Describe 'A parameter' {
    It '-Environment and -EnvironmentFile' {
        Set-Content "$($store.Folder)/vars" "# a comment`nA=of the file`nB=two words"
        Invoke-With @{ EnvironmentFile = "$($store.Folder)/vars"; Environment = @{ A = 'said'; N = 5 } } 'echo "$A|$B|$N"' | Should -Be 'said|two words|5'
    }
    It '-Entrypoint and -ArgumentList' {
        Invoke-Container -RootfsPath $root -Remove -Entrypoint echo, one -ArgumentList 'two  three', '*' | Should -Be 'one two  three *'
        Invoke-Container -RootfsPath $root -Remove -Entrypoint @() -ArgumentList echo, alone | Should -Be 'alone'
    }
    It '-User as numbers that nobody has a name for' { Invoke-With @{ User = '1234:4321' } 'id -u; id -g' | Should -Be '1234', '4321' }
    It '-MemorySwap and -MemoryReservation' {
        $files = Get-GroupFile @{ Memory = 32MB; MemorySwap = 48MB } 'memory.memsw.limit_in_bytes', 'memory.swap.max'
        if ($null -ne $files) { [long]$files | Should -BeIn 48MB, 16MB }
        [long](Get-GroupFile @{ MemoryReservation = 16MB } 'memory.soft_limit_in_bytes', 'memory.low') | Should -Be 16MB
    }
    It '-Memory -1 is no limit' { (Get-GroupFile @{ Memory = -1 } 'memory.limit_in_bytes', 'memory.max') | Should -BeIn 'max', '9223372036854771712' }
    It '-Cpu slows a program down' {
        $null = New-Container slow -RootfsPath $root -Cpu 0.1 -- sh -c 'while :; do :; done' | Start-ContainerTask
        Wait-Until { (Measure-Container slow).Throttled -gt [timespan]::Zero } 'it is held up'
        Remove-Container slow -Force
    }
    It '-CpuWeight' { [int](Get-GroupFile @{ CpuWeight = 50 } 'cpu.shares', 'cpu.weight') | Should -BeIn 512, 50 }
    It '-CpuSet and -MemorySet' { Invoke-With @{ CpuSet = '0'; MemorySet = '0' } 'grep -E "^(Cpus|Mems)_allowed_list" /proc/self/status | cut -f2' | Should -Be '0', '0' }
    It '-CgroupParent' {
        $null = New-Container child -RootfsPath $root -CgroupParent "/$($store.Mark)" -ArgumentList sleep, 1000 | Start-ContainerTask
        (Get-Cgroup -Container child).Path | Should -Be "/$($store.Mark)/child"
        Remove-Container child -Force
        Remove-Cgroup "/$($store.Mark)" -Force -Confirm:$false -ErrorAction Ignore
    }
    It '-CgroupNamespace' {
        Invoke-With @{ CgroupNamespace = 'host' } 'readlink /proc/self/ns/cgroup' | Should -Be (readlink /proc/self/ns/cgroup)
        Invoke-With @{} 'readlink /proc/self/ns/cgroup' | Should -Not -Be (readlink /proc/self/ns/cgroup)
    }
    It '-<Parameter> container:ID' -ForEach @(
        @{ Parameter = 'Network'; File = 'net' }, @{ Parameter = 'IpcNamespace'; File = 'ipc' }, @{ Parameter = 'UtsNamespace'; File = 'uts' }, @{ Parameter = 'ProcessNamespace'; File = 'pid' }
    ) {
        $null = Start-Sleeper other $root
        Invoke-With @{ $Parameter = 'container:other' } "readlink /proc/self/ns/$File" | Should -Be (Invoke-ContainerCommand other -- readlink "/proc/self/ns/$File")
        Remove-Container other -Force
    }
    It '-UserNamespace private with -UidMap and -GidMap' {
        chmod 0711 $store.Folder
        Invoke-With @{ UserNamespace = 'private'; UidMap = '0:300000:1000'; GidMap = '0:400000:1000' } 'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "' | Should -Be ' 0 300000 1000', ' 0 400000 1000'
    }
    It '-AddCapability' {
        $bit = 1uL -shl 12
        ([ulong]"0x$(Invoke-With @{} 'grep CapEff /proc/self/status | cut -f2')" -band $bit) | Should -Be 0
        ([ulong]"0x$(Invoke-With @{ AddCapability = 'NET_ADMIN' } 'grep CapEff /proc/self/status | cut -f2')" -band $bit) | Should -Be $bit
    }
    It '-NoNewPrivileges' { Invoke-With @{ NoNewPrivileges = $true } 'grep NoNewPrivs /proc/self/status | cut -f2' | Should -Be '1' }
    It '-SeccompProfile' {
        Invoke-With @{} 'grep Seccomp: /proc/self/status | cut -f2' | Should -Be '2'
        Invoke-With @{ SeccompProfile = 'unconfined' } 'grep Seccomp: /proc/self/status | cut -f2' | Should -Be '0'
    }
    It '-Privileged' { Invoke-With @{ Privileged = $true } 'grep -E "^(CapEff|Seccomp:)" /proc/self/status | cut -f2; test -e /dev/kmsg && echo devices' | Should -Contain '0' }
    It '-AppArmorProfile' {
        $here = (Get-Content /sys/module/apparmor/parameters/enabled -ErrorAction Ignore) -eq 'Y'
        Invoke-With @{ AppArmorProfile = 'unconfined' } 'echo ran' | Should -Be 'ran'
        if ($here) {
            Invoke-With @{ AppArmorProfile = 'unconfined' } 'cat /proc/self/attr/current' | Should -BeLike 'unconfined*'
            Get-ErrorIdOf { Invoke-With @{ AppArmorProfile = "none-of-$($store.Mark)" } true } | Should -Be 'RuntimeFailed'
        }
        else { Get-ErrorIdOf { Invoke-With @{ AppArmorProfile = 'docker-default' } true } | Should -Be 'NotSupported' }
        Get-ErrorIdOf { Invoke-With @{ AppArmorProfile = "two`nlines" } true } | Should -Be 'InvalidArgument'
    }
    It '-SELinuxLabel' {
        if (Test-Path /sys/fs/selinux/enforce) { Invoke-With @{ SELinuxLabel = (Get-Content /proc/self/attr/current -Raw).Trim("`0") } 'cat /proc/self/attr/current' | Should -BeLike "$((Get-Content /proc/self/attr/current -Raw).Trim("`0"))*" }
        else { Get-ErrorIdOf { Invoke-With @{ SELinuxLabel = 'system_u:system_r:container_t:s0' } true } | Should -Be 'NotSupported' }
        Get-ErrorIdOf { Invoke-With @{ SELinuxLabel = "two`nlines" } true } | Should -Be 'InvalidArgument'
    }
    It '-Init is the first process, hands signals on, and reaps what others leave' {
        $init = '/usr/bin/tini-static', '/usr/libexec/podman/catatonit', '/usr/bin/catatonit' | Where-Object { Test-Path $_ } | Select-Object -First 1
        if (-not $init) { Set-ItResult -Skipped -Because 'neither tini-static nor catatonit is installed'; return }
        Invoke-With @{ Init = $init } 'tr "\0" " " </proc/1/cmdline; echo; echo $$' | Should -Not -Contain '1'
        Invoke-With @{ Init = $init } 'tr "\0" " " </proc/1/cmdline; echo' | Should -BeLike '/dev/init -- sh -c *'
        Invoke-With @{ Init = $init } 'exit 7'
        $LASTEXITCODE | Should -Be 7
        $null = New-Container inited -RootfsPath $root -Init $init -- sh -c 'trap "exit 5" TERM; (sleep 0.1 &); echo ready; while :; do sleep 0.05; done' | Start-ContainerTask
        $null = Wait-ContainerTask inited -For LogMatch -Pattern ready -TimeoutSec 60
        Wait-Until { -not (Get-ContainerProcess inited | Where-Object State -eq 'Z') } 'nothing is left unreaped'
        (Stop-ContainerTask inited -TimeoutSec 30 -PassThru).ExitCode | Should -Be 5
        Remove-Container inited
        # Nothing was made in the root.
        Test-Path "$root/dev/init" | Should -BeFalse
    }
    It '-Init is refused where it could not work' {
        Get-ErrorIdOf { Invoke-With @{ Init = "no-such-$($store.Mark)" } true } | Should -Be 'InitNotFound'
        Get-ErrorIdOf { Invoke-With @{ Init = '/nowhere/init' } true } | Should -Be 'InitNotFound'
        Get-ErrorIdOf { Invoke-With @{ Init = '/etc/passwd' } true } | Should -Be 'InvalidArgument'
        # Linked to libraries of the host.
        Get-ErrorIdOf { Invoke-With @{ Init = (Get-Command bash -CommandType Application | Select-Object -First 1).Source } true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-With @{ Init = 'tini-static'; ProcessNamespace = 'host' } true } | Should -Be 'InvalidArgument'
    }
    It '-TimeoutSec of Invoke-Container kills what takes longer, and leaves nothing' {
        $failure = Get-ErrorOf { Invoke-Container late -RootfsPath $root -Remove -TimeoutSec 0.5 -ArgumentList sleep, 1000 }
        "$($failure.FullyQualifiedErrorId)" | Should -BeLike 'WaitTimeout,*'
        $failure.CategoryInfo.Category | Should -Be 'OperationTimeout'
        Get-Container | Should -BeNullOrEmpty
        Invoke-Container -RootfsPath $root -Remove -TimeoutSec 300 -ArgumentList echo, 'in time' | Should -Be 'in time'
        Get-ErrorIdOf { Invoke-Container late -RootfsPath $root -TimeoutSec 10 -ArgumentList sleep, 1000 } | Should -Be 'WaitTimeout'
        # One that had not even begun by then is gone.
        $left = Get-ContainerTask late -ErrorAction Ignore
        if ($left) {
            $left.Signal | Should -Be 9
            Remove-Container late
        }
        Get-ErrorIdOf { Invoke-Container late -RootfsPath $root -Detach -TimeoutSec 5 -ArgumentList true } | Should -Be 'InvalidArgument'
    }
    It '-TimeoutSec and -AsJob of Invoke-ContainerCommand' {
        $null = Start-Sleeper timed $root
        try {
            Get-ErrorIdOf { Invoke-ContainerCommand timed -ExecId late -TimeoutSec 10 -- sleep 1000 } | Should -Be 'WaitTimeout'
            Wait-Until { ((Get-ContainerTask timed).Execs | Where-Object Id -eq late).Signal -eq 9 } 'it was killed'
            (Get-ContainerTask timed).State | Should -Be 'Running'
            Invoke-ContainerCommand timed -TimeoutSec 300 -- echo 'in time' | Should -Be 'in time'
            Invoke-ContainerCommand timed -AsJob -- hostname | Wait-Job -Timeout 60 | Receive-Job | Should -Be 'timed'
            Get-Container timed | Invoke-ContainerCommand -AsJob -- echo 'of the pipeline' | Wait-Job -Timeout 60 | Receive-Job | Should -Be 'of the pipeline'
            'b', 'a' | Invoke-ContainerCommand timed -AsJob -- sort | Wait-Job -Timeout 60 | Receive-Job | Should -Be 'a', 'b'
        }
        finally {
            Get-Job | Where-Object PSJobTypeName -eq ContainerJob | Remove-Job -Force
            Remove-Container timed -Force
        }
    }
    It '-AsJob of Invoke-Container' {
        try {
            $job = Invoke-Container -RootfsPath $root -Remove -AsJob -- sh -c 'echo one; echo two >&2; exit 3'
            $said = $job | Wait-Job -Timeout 60 | Receive-Job 6>&1
            $said | Where-Object { $_ -is [string] } | Should -Be 'one'
            "$($said | Where-Object { $_ -is [System.Management.Automation.InformationRecord] })" | Should -Match 'two'
            $job.State | Should -Be 'Completed'
            # An id that is none, arguments as they were typed, and input from the pipeline.
            $job = 'b', 'a' | Invoke-Container named -RootfsPath $root -PassThru -AsJob -- sort -r
            $result = $job | Wait-Job -Timeout 60 | Receive-Job
            $result.ContainerId, $result.ExitCode, $result.StandardOutput | Should -Be 'named', 0, "b`na`n"
            Remove-Container named
            $job = Invoke-Container long -RootfsPath $root -Remove -AsJob -- sleep 1000
            Wait-Until { (Get-Container long -ErrorAction Ignore).State -eq 'Running' } 'it runs'
            Stop-Job $job
            Wait-Until { -not (Get-Container) } 'it is removed'
            Get-ErrorIdOf { Invoke-Container -RootfsPath $root -Interactive -Tty -AsJob -ArgumentList true } | Should -Be 'InvalidArgument'
            Invoke-Container none -RootfsPath $root -AsJob -WhatIf -ArgumentList true | Should -BeNullOrEmpty
        }
        finally { Get-Job | Where-Object PSJobTypeName -eq ContainerJob | Remove-Job -Force }
    }
    It '-Device' {
        Invoke-With @{ Device = '/dev/full:/dev/brim' } 'echo x 2>/dev/null >/dev/brim || echo full' | Should -Be 'full'
    }
    It '-ShmSize' { Invoke-With @{ ShmSize = 1MB } 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2' | Should -Be '1024' }
    It '-OomScoreAdjust' { Invoke-With @{ OomScoreAdjust = 321 } 'cat /proc/self/oom_score_adj' | Should -Be '321' }
    It '-Annotation and -Label are on record' {
        $made = New-Container notes -RootfsPath $root -Annotation @{ a = 'b' } -Label @{ c = 'd' } -ArgumentList true
        $made.Spec.Annotations['a'] | Should -Be 'b'
        $made.Labels['c'] | Should -Be 'd'
        Remove-Container notes
    }
    It '-Tty' { Invoke-With @{ Tty = $true } 'test -t 0 && test -t 1 && test -t 2 && echo terminal' | Should -Be 'terminal' }
    It '-Interactive with input from the pipeline' { 'one', 'two' | Invoke-Container -RootfsPath $root -Remove -Interactive -ArgumentList cat | Should -Be 'one', 'two' }
    It '-RedirectStandard… and -NullIO' {
        Set-Content "$($store.Folder)/in" 'given'
        Invoke-Container -RootfsPath $root -Remove -RedirectStandardInput "$($store.Folder)/in" -RedirectStandardOutput "$($store.Folder)/out" -RedirectStandardError "$($store.Folder)/err" -- sh -c 'cat; echo wrong >&2' | Should -BeNullOrEmpty
        Get-Content "$($store.Folder)/out", "$($store.Folder)/err" | Should -Be 'given', 'wrong'
        Invoke-Container -RootfsPath $root -Remove -NullIO -- sh -c 'readlink /proc/self/fd/1 >/dev/stderr; echo x' | Should -BeNullOrEmpty
    }
    It '-Spec' {
        $spec = New-ContainerSpec -RootfsPath $root -ArgumentList sh, -c, 'hostname; echo $A'
        $spec.Hostname = 'changed'
        $spec.Process.Env.Add('A=by hand')
        Invoke-Container -RootfsPath $root -Remove -Spec $spec | Should -Be 'changed', 'by hand'
    }
    It '-Bundle' {
        $null = New-Item "$($store.Folder)/bundle" -ItemType Directory
        New-TestBundle "$($store.Folder)/bundle" hostname $root
        Invoke-Container -Bundle "$($store.Folder)/bundle" -Remove | Should -Be 'bundled'
    }
    It '-<Name> of Invoke-ContainerCommand' -ForEach @(
        @{ Name = 'User'; With = @{ User = 'web' }; Script = 'id -un'; Says = 'web' }
        @{ Name = 'GroupAdd'; With = @{ GroupAdd = '55' }; Script = 'id -G'; Says = '0 55' }
        @{ Name = 'WorkingDirectory'; With = @{ WorkingDirectory = '/var' }; Script = 'pwd'; Says = '/var' }
        @{ Name = 'Environment'; With = @{ Environment = @{ A = 'x y' } }; Script = 'echo "$A"'; Says = 'x y' }
        @{ Name = 'Tty'; With = @{ Tty = $true }; Script = 'test -t 1 && echo terminal'; Says = 'terminal' }
        @{ Name = 'AddCapability'; With = @{ DropCapability = 'ALL'; AddCapability = 'CHOWN' }; Script = 'grep CapEff /proc/self/status | cut -f2'; Says = '0000000000000001' }
        @{ Name = 'DropCapability'; With = @{ DropCapability = 'ALL' }; Script = 'grep CapEff /proc/self/status | cut -f2'; Says = '0000000000000000' }
    ) {
        if (-not (Get-Container exec -ErrorAction Ignore)) { $null = Start-Sleeper exec $root }
        Invoke-ContainerCommand exec @With -- sh -c $Script | Should -Be $Says
    }
}
