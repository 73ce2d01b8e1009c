# Namespaces made, entered, used by containers, and removed.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $mark = $store.Mark
    $own = Get-Namespace -ProcessId $PID

    # What is mounted under a name of this run, in any mount namespace. Numbers of removed namespaces are soon those of others.
    function Get-Mounted { @(Get-Namespace | Where-Object { "$($_.BindMounts)" -like "*$mark*" }) }

    # Everything that is kept by a name of this run.
    function Get-Kept { @(Get-Namespace -Name "$mark*") }
}

AfterAll {
    Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    Exit-TestStore
}

Describe 'New-Namespace' {
    AfterEach { Get-Namespace -Name "$mark*" | Remove-Namespace -Force }

    It 'makes <Type>, kept by a bind mount alone' -ForEach @(
        @{ Type = 'Cgroup' }, @{ Type = 'Ipc' }, @{ Type = 'Mnt' }, @{ Type = 'Net' }, @{ Type = 'Time' }, @{ Type = 'User' }, @{ Type = 'Uts' }
    ) {
        $made = New-Namespace "$mark-one" -Type $Type
        $made | Should -BeOfType Containers.LinuxNamespace
        $made.Type, $made.Holder, $made.ProcessCount, $made.Name | Should -Be $Type, 'BindMount', 0, "$mark-one"
        $made.Id | Should -Not -BeIn $own.Id
        $made.HolderPath | Should -Be ($Type -eq 'Net' ? "/run/netns/$mark-one" : "$env:CONTAINERS_RUN/ns/$($Type.ToLower())/$mark-one")
        (stat -f -c %T $made.HolderPath) | Should -Be 'nsfs'
        nsenter "--$($Type -eq 'Mnt' ? 'mount' : $Type.ToLower())=$($made.HolderPath)" readlink "/proc/self/ns/$($Type.ToLower())" | Should -Be "$($Type.ToLower()):[$($made.Id)]"
        Remove-Namespace "$mark-one" -WarningVariable warnings
        $warnings | Should -BeNullOrEmpty
        Get-Mounted | Should -BeNullOrEmpty
    }

    It 'makes several at once, owned by the user namespace among them' {
        $made = New-Namespace "$mark-all" -Type User, Net, Uts, Ipc, Cgroup, Time, Mnt -HostName inside -UidMap 0:1000:1, 1:100000:1000 -GidMap 0:1000:1 -TimeOffset @{ BootTime = 86400; Monotonic = '1.00:00:00' }
        $made.Type | Should -Be 'User', 'Net', 'Uts', 'Ipc', 'Cgroup', 'Time', 'Mnt'
        $user = $made | Where-Object Type -eq User
        ($made | Where-Object Type -ne User).OwnerId | Sort-Object -Unique | Should -Be $user.Id
        $user.ParentId | Should -Be ($own | Where-Object Type -eq User).Id
        $lines = Invoke-NamespaceCommand "$mark-all" -- sh -c 'hostname; cat /proc/self/uid_map; cut -d. -f1 /proc/uptime'
        $lines[0] | Should -Be 'inside'
        ($lines[1] -split '\s+' -ne '') | Should -Be 0, 1000, 1
        ($lines[2] -split '\s+' -ne '') | Should -Be 1, 100000, 1000
        [long] $lines[3] - [long] ((Get-Content /proc/uptime) -split '\.')[0] | Should -BeGreaterThan 86390
        hostname | Should -Not -Be 'inside'
    }

    It 'makes its maker the root of a user namespace without a map' {
        $null = New-Namespace "$mark-u" -Type User
        Invoke-NamespaceCommand "$mark-u" -- id -u | Should -Be 0
        (Invoke-NamespaceCommand "$mark-u" -- cat /proc/self/uid_map) -split '\s+' -ne '' | Should -Be 0, 0, 1
    }

    It 'leaves a first process in a pid namespace, and in no other' {
        $made = New-Namespace "$mark-p" -Type Pid, Net -KeepInit
        ($made | Where-Object Type -eq Pid).ProcessCount | Should -Be 1
        ($made | Where-Object Type -eq Net).ProcessCount | Should -Be 0
        # What is told at once is what is found then.
        foreach ($one in $made) { (Get-Namespace -Id $one.Id | ConvertTo-Json) | Should -Be ($one | ConvertTo-Json) }
        $init = ($made | Where-Object Type -eq Pid).ProcessId
        # It reaps what comes to it, and no signal from inside ends it.
        Invoke-NamespaceCommand "$mark-p" -Type Pid -- sh -c 'kill -TERM 1; kill -KILL 1; (true &) ; echo $$' | Should -BeGreaterThan 1
        Get-Process -Id $init | Should -Not -BeNullOrEmpty
        (Get-ChildItem "/proc/$init/fd").LinkTarget | Sort-Object -Unique | Should -Be '/dev/null'
        Remove-Namespace "$mark-p" -WarningVariable warnings
        $warnings | Should -BeNullOrEmpty
        Get-Mounted | Should -BeNullOrEmpty
        # Ended, and perhaps not yet waited for.
        (Get-Content "/proc/$init/stat" -ErrorAction Ignore) -replace '^.*\) (.).*$', '$1' | Should -BeIn $null, 'Z'
    }

    It 'makes none when the last of five cannot be made' {
        $null = New-Namespace "$mark-five" -Type Ipc
        Get-ErrorIdOf { New-Namespace "$mark-five" -Type Net, Uts, Cgroup, Time, Ipc } | Should -Be 'NamespaceExists'
        (Get-Kept).Type | Should -Be 'Ipc'
        "/run/netns/$mark-five" | Should -Not -Exist
        "$env:CONTAINERS_RUN/ns/uts/$mark-five" | Should -Not -Exist
        Get-Namespace | Where-Object { "$($_.BindMounts) $($_.Command)" -like "*$mark-five*" } | ForEach-Object Type | Should -Be 'Ipc'
    }

    It 'makes none when psrun is killed over the third of four' -Skip:(-not (Get-Command strace -CommandType Application -ErrorAction Ignore)) {
        $before, $program = $env:CONTAINERS_PSRUN, "$($store.Folder)/killed"
        Set-Content $program "#!/bin/sh`nexec strace -f -qq -o $program.trace -e trace=mount -e inject=mount:signal=KILL:when=3 '$((Get-Item "$(Get-ModulePath)/bin/linux-*/psrun").FullName)' `"`$@`""
        chmod 0700 $program
        # The folders are ready then: mounts are those of psrun alone.
        $null = New-Namespace "$mark-there" -Type Net, Uts, Ipc, Cgroup
        $env:CONTAINERS_PSRUN = $program
        try { Get-ErrorIdOf { New-Namespace "$mark-killed" -Type Net, Uts, Ipc, Cgroup } | Should -Be 'HostRefused' }
        finally { $env:CONTAINERS_PSRUN = $before }
        if (-not ((Get-Content "$program.trace") -match 'killed')) { Set-ItResult -Skipped -Because 'nothing can be traced here' }
        Get-Mounted | Where-Object { "$($_.BindMounts)" -like "*$mark-killed*" } | Should -BeNullOrEmpty
        "/run/netns/$mark-killed" | Should -Not -Exist
        (Get-Kept).Name | Sort-Object -Unique | Should -Be "$mark-there"
    }

    It 'makes none when the kernel refuses a part' {
        # An id map may not map an id twice.
        Get-ErrorIdOf { New-Namespace "$mark-map" -Type Net, User -UidMap 0:0:10, 5:100:10 } | Should -Be 'HostRefused'
        Get-Kept | Should -BeNullOrEmpty
        Get-ErrorIdOf { New-Namespace "$mark-time" -Type Uts, Time -TimeOffset @{ Monotonic = -1e9 } } | Should -Be 'HostRefused'
        Get-Kept | Should -BeNullOrEmpty
        Test-Path "$env:CONTAINERS_RUN/ns" | Should -BeFalse
    }

    It 'keeps them in a folder' {
        $made = New-Namespace -Path "$($store.Folder)/kept" -Type Net, Uts, Mnt
        $made.HolderPath | Should -Be "$($store.Folder)/kept/net", "$($store.Folder)/kept/uts", "$($store.Folder)/kept/mnt"
        Invoke-NamespaceCommand "$($store.Folder)/kept/net" -- readlink /proc/self/ns/net | Should -Be "net:[$($made[0].Id)]"
        Push-Location $store.Folder
        try { Invoke-NamespaceCommand ./kept/uts -- readlink /proc/self/ns/uts | Should -Be "uts:[$($made[1].Id)]" } finally { Pop-Location }
        $made[0, 1] | Remove-Namespace
        (Get-ChildItem "$($store.Folder)/kept").Name | Should -Be 'mnt'
        $made[2] | Remove-Namespace
        Get-Mounted | Should -BeNullOrEmpty
    }

    It 'takes a folder that it has made away with the last of them, and no other' {
        $top = "$($store.Folder)/folders"
        $null = New-Item "$top/own" -ItemType Directory
        $made = @(New-Namespace -Path "$top/a/b" -Type Uts) + (New-Namespace -Path "$top/a/b" -Type Ipc) + (New-Namespace -Path "$top/own/" -Type Uts) + (New-Namespace -Path "$top/full" -Type Uts)
        Set-Content "$top/full/note" 'not ours'
        $made | Remove-Namespace
        (Get-ChildItem $top -Recurse).FullName | Should -Be "$top/full", "$top/own", "$top/full/note"
        # A folder that somebody else uses since is theirs, and what could not be made leaves none.
        Remove-Item "$top/full/note"
        New-Namespace -Path "$top/full" -Type Uts | Remove-Namespace
        Test-Path "$top/full" | Should -BeTrue
        Get-ErrorIdOf { New-Namespace -Path "$top/c/d" -Type Time -TimeOffset @{ Monotonic = -1e9 } } | Should -Be 'HostRefused'
        Test-Path "$top/c" | Should -BeFalse
        Get-Mounted | Should -BeNullOrEmpty
        Test-Path "$env:CONTAINERS_RUN/ns" | Should -BeFalse
    }

    It 'does not make a mount namespace in a folder whose mounts are shared' {
        $shared = "$($store.Folder)/shared"
        $null = New-Item $shared -ItemType Directory
        mount --bind $shared $shared
        mount --make-shared $shared
        # Another mount namespace that gets what is mounted there, as a container's shim does.
        $peer = Start-Process unshare '--mount', '--propagation', 'slave', 'sleep', '1000' -PassThru
        while ((Get-Inode "/proc/$($peer.Id)/ns/mnt") -eq (Get-Inode /proc/self/ns/mnt)) { Start-Sleep -Milliseconds 20 }
        while ((Get-Content "/proc/$($peer.Id)/comm") -ne 'sleep') { Start-Sleep -Milliseconds 20 }
        try {
            $failure = Get-ErrorOf { New-Namespace -Path $shared -Type Uts, Mnt }
            $failure.FullyQualifiedErrorId | Should -BeLike 'HostRefused,*'
            Get-ChildItem $shared | Should -BeNullOrEmpty
        }
        finally { $peer.Kill(); $peer.WaitForExit(); umount $shared }
    }

    It 'makes what ip netns knows, and removes what that has made' {
        $null = New-Namespace "$mark-net" -Type Net
        (ip netns list) -match "^$mark-net" | Should -Not -BeNullOrEmpty
        ip netns exec "$mark-net" true
        $LASTEXITCODE | Should -Be 0
        ip netns delete "$mark-net"
        Get-Kept | Should -BeNullOrEmpty
        ip netns add "$mark-net"
        Remove-Namespace "$mark-net"
        Get-Kept | Should -BeNullOrEmpty
        "/run/netns/$mark-net" | Should -Not -Exist
    }

    It 'makes nothing with -WhatIf, and says what it would' {
        New-Namespace "$mark-w" -Type Net, Uts -WhatIf
        Get-Kept | Should -BeNullOrEmpty
        # A wrong value is an error even then.
        Get-ErrorIdOf { New-Namespace "$mark-w" -Type Net -HostName x -WhatIf } | Should -Be 'InvalidArgument'
    }

    It 'takes names from the pipeline' {
        ("$mark-1", "$mark-2" | New-Namespace -Type Uts).Name | Should -Be "$mark-1", "$mark-2"
    }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'a name that climbs out'; Id = 'InvalidId'; Try = { New-Namespace ../x -Type Net } }
        @{ What = 'a pid namespace without its first process'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Pid } }
        @{ What = 'a first process without a pid namespace'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Net -KeepInit } }
        @{ What = 'a type given twice'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Net, Net } }
        @{ What = 'a map that is none'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type User -UidMap 0:0 } }
        @{ What = 'a map without a user namespace'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Net -UidMap 0:0:1 } }
        @{ What = 'a host name that is too long'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Uts -HostName ('x' * 65) } }
        @{ What = 'a clock that is none'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Time -TimeOffset @{ Wall = 1 } } }
        @{ What = 'an offset that is none'; Id = 'InvalidArgument'; Try = { New-Namespace "$mark-x" -Type Time -TimeOffset @{ Monotonic = 'soon' } } }
    ) {
        Get-ErrorIdOf $Try | Should -Be $Id
        Get-Kept | Should -BeNullOrEmpty
    }
}

Describe 'Invoke-NamespaceCommand' {
    BeforeAll {
        $all = New-Namespace "$mark-run" -Type Net, Uts, Ipc -HostName runhost
        $net = $all | Where-Object Type -eq Net
    }
    AfterAll { Remove-Namespace "$mark-run" }

    It 'streams lines and sets the exit code' {
        Invoke-NamespaceCommand $all -- sh -c 'hostname; readlink /proc/self/ns/net; exit 7' | Should -Be 'runhost', "net:[$($net.Id)]"
        $LASTEXITCODE | Should -Be 7
    }

    It 'gives lines as they come' {
        $seen = [System.Collections.Generic.List[datetime]]::new()
        Invoke-NamespaceCommand $net -- sh -c 'echo a; sleep 1; echo b' | ForEach-Object { $seen.Add([datetime]::Now) }
        ($seen[1] - $seen[0]).TotalMilliseconds | Should -BeGreaterThan 500
    }

    It 'puts standard error on the information stream' {
        $lines = Invoke-NamespaceCommand $net -InformationVariable said -- sh -c 'echo out; echo err >&2' 6>$null
        $lines | Should -Be 'out'
        "$said" | Should -Be 'err'
    }

    It 'gives an object with -PassThru' {
        $result = Invoke-NamespaceCommand $all -PassThru -- sh -c 'echo out; echo err >&2; kill -9 $$'
        $result | Should -BeOfType Containers.ContainerRunResult
        $result.ExitCode, $result.Signal, $result.StandardOutput, $result.StandardError | Should -Be 137, 9, "out`n", "err`n"
        $result.Duration | Should -BeOfType timespan
        $LASTEXITCODE | Should -Be 137
    }

    It 'gives bytes as they are' {
        $bytes = Invoke-NamespaceCommand $net -AsByteStream -- printf '\377\000\001'
        [byte[]] ($bytes | ForEach-Object { $_ }) | Should -Be 255, 0, 1
    }

    It 'feeds the program from the pipeline' {
        'one', 'two' | Invoke-NamespaceCommand $net -- cat | Should -Be 'one', 'two'
        , [byte[]] (65, 66) | Invoke-NamespaceCommand "$mark-run" -- cat | Should -Be 'AB'
        1..20000 | Invoke-NamespaceCommand $net -- wc -l | Should -Be 20000
        # Without input it has none.
        Invoke-NamespaceCommand $net -- cat | Should -BeNullOrEmpty
    }

    It 'runs once for each on the pipeline, in the joined one for those of the parameter' {
        ($all | Where-Object Type -in Net, Uts | Invoke-NamespaceCommand -ArgumentList hostname).Count | Should -Be 2
        @(Invoke-NamespaceCommand $all -ArgumentList hostname).Count | Should -Be 1
    }

    It 'keeps every argument as it is' {
        Invoke-NamespaceCommand $net -- printf '%s|' 'a b' '' '$x' '*' "q'q" 'd"d' | Should -Be "a b||`$x|*|q'q|d`"d|"
        Invoke-NamespaceCommand $net -ArgumentList echo, '-n', '--', x | Should -Be '-- x'
    }

    It 'joins only the types that are named' {
        Invoke-NamespaceCommand "$mark-run" -Type Uts -- readlink /proc/self/ns/net | Should -Be "net:[$(Get-Inode /proc/self/ns/net)]"
    }

    It 'runs as another user, with the environment and the folder asked for' {
        Invoke-NamespaceCommand $net -User 65534:65533 -- sh -c 'id -u; id -g; id -G' | Should -Be 65534, 65533, 65533
        Invoke-NamespaceCommand $net -User root -- sh -c 'echo $HOME' | Should -Be '/root'
        Invoke-NamespaceCommand $net -Environment @{ A = 'b c' } -WorkingDirectory /usr -- sh -c 'echo $A; pwd' | Should -Be 'b c', '/usr'
        Push-Location /usr/bin
        try { Invoke-NamespaceCommand $net -- pwd | Should -Be '/usr/bin' } finally { Pop-Location }
    }

    It 'leaves no process behind when the pipeline ends early' {
        $name = "sleep-$mark"
        Invoke-NamespaceCommand $net -- sh -c "echo go; exec -a $name sleep 1000 2>/dev/null || exec sleep 1000" | Select-Object -First 1 | Should -Be 'go'
        $limit = [datetime]::Now.AddSeconds(10)
        while ((Get-Namespace -Id $net.Id).ProcessCount -gt 0 -and [datetime]::Now -lt $limit) { Start-Sleep -Milliseconds 50 }
        (Get-Namespace -Id $net.Id).ProcessCount | Should -Be 0
    }

    It 'does nothing with -WhatIf' {
        Invoke-NamespaceCommand $net -WhatIf -- touch "$($store.Folder)/touched"
        "$($store.Folder)/touched" | Should -Not -Exist
    }

    It 'enters one that only a descriptor holds' {
        $null = New-Namespace "$mark-fd" -Type Uts -HostName bydescriptor
        $handle = [System.IO.File]::OpenHandle("$env:CONTAINERS_RUN/ns/uts/$mark-fd")
        try {
            Remove-Namespace "$mark-fd" -WarningVariable warnings 3>$null
            $warnings | Should -Match 'descriptor'
            Get-Namespace -Type Uts -Holder Descriptor | Where-Object ProcessId -eq $PID | Invoke-NamespaceCommand -ArgumentList hostname | Should -Be 'bydescriptor'
        }
        finally { $handle.Dispose() }
    }

    It 'does not enter another that has taken its place' {
        $before = New-Namespace "$mark-swap" -Type Uts
        Remove-Namespace "$mark-swap"
        $null = New-Namespace "$mark-swap" -Type Uts, Ipc
        try { Get-ErrorIdOf { Invoke-NamespaceCommand ($before | ForEach-Object { $_ }) -- true } | Should -BeIn 'NamespaceNotFound', '' }
        finally { Remove-Namespace "$mark-swap" }
    }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'a program that is not there'; Id = 'ExecutableNotFound'; Code = 127; Try = { Invoke-NamespaceCommand $net -- no-such-program } }
        @{ What = 'a file that is no program'; Id = 'ExecutableNotPermitted'; Code = 126; Try = { Invoke-NamespaceCommand $net -- /etc/passwd } }
        @{ What = 'a name that nothing has'; Id = 'NamespaceNotFound'; Try = { Invoke-NamespaceCommand no-such-name -- true } }
        @{ What = 'a path that is no namespace'; Id = 'NamespaceNotFound'; Try = { Invoke-NamespaceCommand /etc/passwd -- true } }
        @{ What = 'a process that is not there'; Id = 'NamespaceNotFound'; Try = { Invoke-NamespaceCommand 2147483646 -- true } }
        @{ What = 'two of one type'; Id = 'InvalidArgument'; Try = { Invoke-NamespaceCommand $net, '/proc/self/ns/net' -- true } }
        @{ What = 'no program'; Id = 'InvalidArgument'; Try = { Invoke-NamespaceCommand $net } }
        @{ What = 'nothing to join'; Id = 'InvalidArgument'; Try = { Invoke-NamespaceCommand -ArgumentList true } }
        @{ What = 'a root of no process'; Id = 'InvalidArgument'; Try = { Invoke-NamespaceCommand $net -Root -- true } }
        @{ What = 'a folder that is not there'; Id = 'HostRefused'; Try = { Invoke-NamespaceCommand $net -WorkingDirectory /no/such -- true } }
        @{ What = 'a folder that is not absolute'; Id = 'InvalidArgument'; Try = { Invoke-NamespaceCommand $net -WorkingDirectory usr -- true } }
        @{ What = 'a user that is not there'; Id = 'UserNotFound'; Try = { Invoke-NamespaceCommand $net -User nobody-at-all -- true } }
        @{ What = 'an object without namespaces'; Id = 'InvalidArgument'; Try = { Get-Date | Invoke-NamespaceCommand -ArgumentList true } }
    ) {
        $global:LASTEXITCODE = 0
        Get-ErrorIdOf $Try | Should -Be $Id
        if ($Code) { $LASTEXITCODE | Should -Be $Code }
    }

    It 'goes on with the rest of the pipeline after one that fails' {
        'no-such-name', "$mark-run" | ForEach-Object { $_ } | Invoke-NamespaceCommand -Type Uts -ArgumentList hostname -ErrorAction SilentlyContinue | Should -Be 'runhost'
    }

    It 'completes names' {
        (TabExpansion2 "Invoke-NamespaceCommand $mark-r").CompletionMatches.CompletionText | Should -Contain "$mark-run"
    }
}

Describe 'Containers and namespaces' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    }

    It 'run a program of the host in a container''s network' {
        $null = Start-Sleeper web $root
        $links = Get-Container web | Get-Namespace -Type Net | Invoke-NamespaceCommand -ArgumentList ip, -j, addr | ConvertFrom-Json
        $links.ifname | Should -Be 'lo'
        Invoke-NamespaceCommand web -Type Net, Uts -- ip -o link | Should -HaveCount 1
    }

    It 'run a program inside of all its namespaces, with its own files' {
        $task = Start-Sleeper web $root
        Get-ContainerTask web | Invoke-NamespaceCommand -ArgumentList /bin/busybox, sh, -c, 'ls /; cat /proc/1/comm' | Should -Be @(Get-ChildItem $root -Name | Sort-Object; 'sleep')
        Get-Process -Id $task.ProcessId | Invoke-NamespaceCommand -Type Mnt -Root -User web -ArgumentList /bin/id, -u | Should -Be 1000
    }

    It 'take namespaces that New-Namespace has made' {
        $made = New-Namespace "$mark-c" -Type Net, Uts, Ipc, Cgroup, Pid -HostName kepthost -KeepInit
        $of = @{}
        $made | ForEach-Object { $of["$($_.Type)"] = $_ }
        $null = New-Container web -RootfsPath $root -Network $of.Net -UtsNamespace $of.Uts -IpcNamespace $of.Ipc -CgroupNamespace $of.Cgroup -ProcessNamespace $of.Pid -ArgumentList sleep, 1000 | Start-ContainerTask
        foreach ($type in 'Net', 'Uts', 'Ipc', 'Cgroup', 'Pid') { (Get-Namespace -Container web -Type $type).Id | Should -Be $of[$type].Id -Because $type }
        Invoke-ContainerCommand web -- hostname | Should -Be 'kepthost'
        # They outlive the container.
        Remove-Container web -Force
        (Get-Kept).Count | Should -Be 5
    }

    It 'take a user namespace, and the others that it owns' {
        $made = New-Namespace "$mark-o" -Type User, Net, Uts -HostName mapped -UidMap 0:0:2000 -GidMap 0:0:2000
        $of = @{}
        $made | ForEach-Object { $of["$($_.Type)"] = $_ }
        Invoke-Container owned -RootfsPath $root -Remove -UserNamespace $of.User -Network $of.Net -UtsNamespace $of.Uts -- sh -c 'hostname; id -u; readlink /proc/self/ns/user; tr -s " " < /proc/self/uid_map' |
            Should -Be 'mapped', 0, "user:[$($of.User.Id)]", ' 0 0 2000'
    }

    It 'let go of what was removed, though a container was started meanwhile' {
        # Its shim has a mount namespace with copies of all mounts.
        $made = New-Namespace "$mark-m" -Type Net, Uts, Mnt
        $null = Start-Sleeper web $root
        Remove-Namespace "$mark-m" -WarningVariable warnings
        $warnings | Should -BeNullOrEmpty
        Get-Mounted | Should -BeNullOrEmpty
    }
}

Describe 'Remove-Namespace' {
    AfterEach { Get-Namespace -Name "$mark*" | Remove-Namespace -Force }

    It 'says who else holds it' {
        $made = New-Namespace "$mark-h" -Type Net
        $held = Start-Process nsenter "--net=$($made.HolderPath)", 'sleep', '1000' -PassThru
        try {
            while ((Get-Inode "/proc/$($held.Id)/ns/net") -ne $made.Id) { Start-Sleep -Milliseconds 20 }
            Remove-Namespace "$mark-h" -WarningVariable warnings 3>$null
            "$warnings" | Should -Match "lives on.*$($held.Id)"
            (Get-Namespace -Id $made.Id).Holder | Should -Be 'Process'
        }
        finally { $held.Kill(); $held.WaitForExit() }
    }

    It 'leaves what others made, but with -Force' {
        $file = "$($store.Folder)/foreign"
        $null = New-Item $file
        unshare --uts=$file true
        $foreign = Get-Namespace -Path $file
        Get-ErrorIdOf { $foreign | Remove-Namespace } | Should -Be 'NamespaceInUse'
        Get-Namespace -Path $file | Should -Not -BeNullOrEmpty
        $foreign | Remove-Namespace -Force
        Get-Mounted | Should -BeNullOrEmpty
        $file | Should -Not -Exist
    }

    It 'never touches those of processes alone' {
        Get-ErrorIdOf { Get-Namespace -ProcessId $PID -Type Net | Remove-Namespace -Force } | Should -Be 'NamespaceInUse'
    }

    It 'does not kill what lives in a pid namespace, but with -Force' {
        $made = New-Namespace "$mark-k" -Type Pid -KeepInit
        $inside = Start-Process nsenter "--pid=$($made.HolderPath)", 'sleep', '1000' -PassThru
        try {
            while ((Get-Namespace -Id $made.Id).ProcessCount -lt 2) { Start-Sleep -Milliseconds 20 }
            Get-ErrorIdOf { Remove-Namespace "$mark-k" } | Should -Be 'NamespaceInUse'
            Remove-Namespace "$mark-k" -Force
            $inside.WaitForExit(10000) | Should -BeTrue
        }
        finally { if (-not $inside.HasExited) { $inside.Kill() } }
    }

    It 'changes nothing with -WhatIf' {
        $null = New-Namespace "$mark-w" -Type Uts, Ipc
        Remove-Namespace "$mark-w" -WhatIf
        (Get-Kept).Count | Should -Be 2
    }

    It 'removes by wildcard, type and path' {
        $null = "$mark-a", "$mark-b" | New-Namespace -Type Uts, Ipc
        Remove-Namespace "$mark-*" -Type Ipc
        (Get-Kept).Type | Should -Be 'Uts', 'Uts'
        Get-Item "$env:CONTAINERS_RUN/ns/uts/$mark-a" | Remove-Namespace
        (Get-Kept).Name | Should -Be "$mark-b"
        Get-ErrorIdOf { Remove-Namespace "$mark-none" } | Should -Be 'NamespaceNotFound'
    }

    It 'takes hundreds at once' {
        $count = $env:CONTAINERS_TEST_LONG ? 250 : 25
        $null = 1..$count | ForEach-Object { "$mark-$_" } | New-Namespace -Type Net, Uts, Ipc, User
        (Get-Kept).Count | Should -Be (4 * $count)
        Get-Namespace -Name "$mark-*" | Remove-Namespace -WarningVariable warnings
        $warnings | Should -BeNullOrEmpty
        Get-Kept | Should -BeNullOrEmpty
        "$env:CONTAINERS_RUN/ns" | Should -Not -Exist
    }
}

Describe 'Enter-Namespace' {
    BeforeAll {
        $null = New-Namespace "$mark-e" -Type Uts, Net -HostName entered
        # A terminal of its own for a pwsh that enters; what is typed comes from a file.
        function Invoke-OnTerminal([string] $Script, [string] $Typed) {
            $file = "$($store.Folder)/typed-$([guid]::NewGuid())"
            Set-Content $file $Typed
            $code = "`$env:CONTAINERS_RUN = '$env:CONTAINERS_RUN'; `$env:CONTAINERS_ROOT = '$env:CONTAINERS_ROOT'; Import-Module '$(Get-ModulePath)'; `$before = stty -g; $Script; 'code ' + `$LASTEXITCODE; 'same terminal: ' + ((stty -g) -eq `$before)"
            $encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($code))
            $pwsh = (Get-Process -Id $PID).Path
            (sh -c "script -qec '$pwsh -NoProfile -EncodedCommand $encoded' /dev/null < $file") -replace "`r"
        }
    }
    AfterAll { Remove-Namespace "$mark-e" }

    It 'gives a shell on a terminal, and the caller''s own as it was' -Skip:(-not (Get-Command script -CommandType Application -ErrorAction Ignore)) {
        $lines = Invoke-OnTerminal "Enter-Namespace $mark-e sh" "echo host=`$(hostname); [ -t 0 ] && [ -t 1 ] && echo on=`$(readlink /proc/self/ns/uts); stty raw; exit 5"
        $lines -join "`n" | Should -Match 'host=entered'
        $lines -join "`n" | Should -Match "on=uts:\[$((Get-Namespace -Name "$mark-e" -Type Uts).Id)\]"
        $lines -join "`n" | Should -Match 'same terminal: True'
        $lines -join "`n" | Should -Match 'code 5'
    }

    It 'is InvalidArgument without a terminal' {
        $script = "$($store.Folder)/enter.ps1"
        Set-Content $script "Import-Module '$(Get-ModulePath)'; try { Enter-Namespace $mark-e sh -ErrorAction Stop } catch { `$_.FullyQualifiedErrorId }"
        sh -c "$((Get-Process -Id $PID).Path) -NoProfile -File $script < /dev/null" | Should -BeLike 'InvalidArgument,*'
    }

    It 'does nothing with -WhatIf' {
        Enter-Namespace "$mark-e" -WhatIf
    }
}
