# What is done by hand with namespaces, line by line, and what goes wrong with them.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $folder = $store.Folder
    $mark = $store.Mark

    # The record of a failure as it has to be: a word, a category, the thing it is about.
    function Assert-Refused($Problem, [string] $Id, [string] $Category) {
        $Problem | Should -BeOfType System.Management.Automation.ErrorRecord
        $Problem.FullyQualifiedErrorId | Should -BeLike "$Id,Containers.Cmdlets.*Command"
        "$($Problem.CategoryInfo.Category)" | Should -Match "^($Category)$"
        $Problem.Exception | Should -BeOfType Containers.ContainerException
        $Problem.TargetObject | Should -Not -BeNullOrEmpty
    }

    # A script with the module for a pwsh of its own, as words of sh.
    function New-Script([string] $Script) {
        $file = "$folder/script-$([guid]::NewGuid().ToString('N')).ps1"
        Set-Content $file "Import-Module '$(Get-ModulePath)'; function Get-Word(`$Problem) { `"`$(`$Problem.FullyQualifiedErrorId)`".Split(',')[0] }; $Script"
        "'$((Get-Process -Id $PID).Path)' -NoProfile -NonInteractive -File $file"
    }

    # Runs it in a mount namespace of its own that was prepared by sh.
    function Invoke-Beside([string] $Before, [string] $Script) { unshare --mount --propagation private sh -ec "$Before; exec $(New-Script $Script)" }
}

AfterAll {
    Stop-Beside
    Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    Exit-TestStore
}

Describe 'ls -l /proc/$$/ns' {
    AfterEach { Stop-Beside }

    It 'shows eight types, and Get-Namespace the same numbers' {
        $seen = Get-Namespace -ProcessId $PID
        $seen.Type | Should -Be 'Cgroup', 'Ipc', 'Mnt', 'Net', 'Pid', 'Time', 'User', 'Uts'
        $seen | ForEach-Object { $_.Id | Should -Be (Get-Inode "/proc/$PID/ns/$("$($_.Type)".ToLower())") }
    }

    It 'an equal number is the same namespace, another is not' {
        $beside = Start-Unshared net '--net', 'sleep', '1000'
        $ours = Get-Process -Id $PID | Get-Namespace
        $theirs = Get-Process -Id $beside.Id | Get-Namespace
        (Compare-Object $ours.Id $theirs.Id -ExcludeDifferent -IncludeEqual).InputObject | Should -HaveCount 7
        ($theirs | Where-Object { $_.Id -notin $ours.Id }).Type | Should -Be 'Net'
    }
}

Describe 'clone, unshare, setns' {
    AfterEach { Get-Namespace -Name "$mark*" | Remove-Namespace -Force }

    It 'make and join one of <_>, whether its type is said or left to the kernel' -ForEach 'Cgroup', 'Ipc', 'Mnt', 'Net', 'Pid', 'Time', 'User', 'Uts' {
        $made = New-Namespace "$mark-each" -Type $_ -KeepInit:($_ -eq 'Pid')
        $link = "$_".ToLower()
        $made.Id | Should -Not -Be (Get-Inode "/proc/self/ns/$link")
        # A path alone is setns(fd, 0), a type beside it setns(fd, CLONE_NEW…).
        Invoke-NamespaceCommand $made.HolderPath -- readlink "/proc/self/ns/$link" | Should -Be "${link}:[$($made.Id)]"
        Invoke-NamespaceCommand $made.HolderPath -Type $_ -- readlink "/proc/self/ns/$link" | Should -Be "${link}:[$($made.Id)]"
        # Of another type there is nothing to join.
        Get-ErrorIdOf { Invoke-NamespaceCommand $made.HolderPath -Type ($_ -eq 'Net' ? 'Uts' : 'Net') -- true } | Should -Be 'NamespaceNotFound'
    }
}

Describe 'A namespace kept without a process' {
    AfterEach { Stop-Beside }

    It 'by mount --bind /proc/PID/ns/ipc FILE, then by an open descriptor: found, and entered, with all that is in it' {
        $maker = Start-Unshared ipc '--ipc', 'sleep', '1000'
        $segment = [int]((nsenter --ipc --target $maker.Id ipcmk --shmem 8192) -replace '\D')
        $id = Get-Inode "/proc/$($maker.Id)/ns/ipc"
        $file = "$folder/ipc"
        $null = New-Item $file
        mount --bind "/proc/$($maker.Id)/ns/ipc" $file
        $handle = $null
        try {
            Stop-Beside
            $byMount = Get-Namespace -Path $file
            $byMount.Id, $byMount.Type, $byMount.Holder, $byMount.HolderPath, $byMount.ProcessCount | Should -Be $id, 'Ipc', 'BindMount', $file, 0
            ($byMount | Invoke-NamespaceCommand -ArgumentList ipcs, '-m', '-i', $segment) -match 'bytes=8192' | Should -HaveCount 1
            $handle = [System.IO.File]::OpenHandle($file)
            # The descriptor was opened by it: it is in use.
            umount --lazy $file
            $byDescriptor = Get-Namespace -Id $id
            $byDescriptor.Holder, $byDescriptor.BindMounts.Count, $byDescriptor.Descriptors.Count | Should -Be 'Descriptor', 0, 1
            ($byDescriptor | Invoke-NamespaceCommand -ArgumentList ipcs, '-m', '-i', $segment) -match 'bytes=8192' | Should -HaveCount 1
        }
        finally {
            if ($handle) { $handle.Dispose() }
            if ((stat -f -c %T $file) -eq 'nsfs') { umount $file }
        }
        Get-ErrorIdOf { Invoke-NamespaceCommand $byDescriptor -- true } | Should -Be 'NamespaceNotFound'
    }

    It 'by a descriptor of another process, and of a thread with a table of its own' {
        Add-Type -TypeDefinition @'
            using System.Runtime.InteropServices;
            using System.Threading;
            public static class OpeningThread
            {
                [DllImport("libc", SetLastError = true)] static extern int unshare(int flags);
                [DllImport("libc", SetLastError = true)] static extern int open(string path, int flags);
                [DllImport("libc", SetLastError = true)] static extern int close(int fd);
                public static int Opened;
                public static readonly ManualResetEventSlim Done = new(), End = new();
                public static Thread Start(string path)
                {
                    var thread = new Thread(() =>
                    {
                        // CLONE_FILES; O_CLOEXEC. Its other descriptors are copies: they are closed as soon as it ends.
                        Opened = unshare(0x400) != 0 ? -1 : open(path, 0x80000);
                        Done.Set();
                        End.Wait();
                        close(Opened);
                    }) { IsBackground = true };
                    thread.Start();
                    return thread;
                }
            }
'@
        $maker = Start-Unshared uts '--uts', 'sleep', '1000'
        $id = Get-Inode "/proc/$($maker.Id)/ns/uts"
        $holder = Start-Beside sh '-c', "exec 7< /proc/$($maker.Id)/ns/uts; exec sleep 1000"
        Wait-Until { (Get-Content "/proc/$($holder.Id)/comm") -eq 'sleep' }
        $maker.Kill($true)
        $maker.WaitForExit()
        $found = Get-Namespace -Id $id
        $found.Holder, $found.ProcessId, $found.Command, $found.HolderPath | Should -Be 'Descriptor', $holder.Id, 'sleep', "/proc/$($holder.Id)/fd/7"
        $thread = [OpeningThread]::Start($found.HolderPath)
        try {
            [OpeningThread]::Done.Wait()
            [OpeningThread]::Opened | Should -BeGreaterThan 2
            Stop-Beside
            $found = Get-Namespace -Id $id
            $found.Holder, $found.ProcessId | Should -Be 'Descriptor', $PID
            $found.HolderPath | Should -BeLike "/proc/$PID/task/*/fd/$([OpeningThread]::Opened)"
            $found | Invoke-NamespaceCommand -ArgumentList readlink, /proc/self/ns/uts | Should -Be "uts:[$id]"
        }
        finally {
            [OpeningThread]::End.Set()
            $thread.Join()
        }
    }

    It 'by a thread with a mount namespace of its own, and a mount in that' {
        Add-Type -TypeDefinition @'
            using System.Runtime.InteropServices;
            using System.Threading;
            public static class MountingThread
            {
                [DllImport("libc", SetLastError = true)] static extern int unshare(int flags);
                [DllImport("libc", SetLastError = true)] static extern int mount(string source, string target, string type, ulong flags, string data);
                public static int Result;
                public static readonly ManualResetEventSlim Done = new(), End = new();
                public static Thread Start(string source, string target)
                {
                    var thread = new Thread(() =>
                    {
                        // CLONE_NEWNS; MS_REC | MS_PRIVATE; MS_BIND
                        Result = unshare(0x20000) != 0 ? 1 : mount("none", "/", null, 0x44000, null) != 0 ? 2 : mount(source, target, null, 0x1000, null) != 0 ? 3 : 0;
                        Done.Set();
                        End.Wait();
                    }) { IsBackground = true };
                    thread.Start();
                    return thread;
                }
            }
'@
        $null = New-Item "$folder/threaded"
        $maker = Start-Unshared uts '--uts', 'sleep', '1000'
        $id = Get-Inode "/proc/$($maker.Id)/ns/uts"
        $thread = [MountingThread]::Start("/proc/$($maker.Id)/ns/uts", "$folder/threaded")
        try {
            [MountingThread]::Done.Wait()
            [MountingThread]::Result | Should -Be 0
            Stop-Beside
            $found = Get-Namespace -Id $id
            $found.Holder | Should -Be 'BindMount'
            $found.BindMounts | Should -HaveCount 1
            $found.HolderPath | Should -BeLike "/proc/$PID/task/*/root$folder/threaded"
            $found | Invoke-NamespaceCommand -ArgumentList readlink, /proc/self/ns/uts | Should -Be "uts:[$id]"
        }
        finally {
            [MountingThread]::End.Set()
            $thread.Join()
        }
    }
}

Describe 'Order of joining' {
    AfterEach {
        Stop-Beside
        Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    }

    It 'root joins a user namespace last: what the others belong to may be outside of it' {
        $foreign = New-Namespace "$mark-foreign" -Type Net, Mnt
        $user = New-Namespace "$mark-user" -Type User, Uts -HostName mixed -UidMap 0:1000:1 -GidMap 0:1000:1
        $seen = Invoke-NamespaceCommand @($user; $foreign) -- sh -c 'readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/user; hostname; id -u; id -g'
        $seen | Should -Be @(
            "net:[$(($foreign | Where-Object Type -eq Net).Id)]", "mnt:[$(($foreign | Where-Object Type -eq Mnt).Id)]", "user:[$(($user | Where-Object Type -eq User).Id)]"
            'mixed', '0', '0')
        # There it is nobody: the network is not its own.
        Invoke-NamespaceCommand @($user; $foreign) -- sh -c 'ip link set lo up 2>/dev/null || echo refused' | Should -Be 'refused'
    }

    It 'all of a process at once: eight types' {
        $maker = Start-Beside unshare '--user', '--map-root-user', '--net', '--uts', '--ipc', '--mount', '--cgroup', '--time', '--pid', '--fork', 'sleep', '1000'
        Wait-Until { $script:inside = [int](Get-Content "/proc/$($maker.Id)/task/$($maker.Id)/children"); $inside -and (Get-Content "/proc/$inside/comm") -eq 'sleep' }
        $types = 'cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'
        $seen = Invoke-NamespaceCommand $inside -- readlink @($types | ForEach-Object { "/proc/self/ns/$_" })
        $seen | Should -Be @($types | ForEach-Object { "${_}:[$(Get-Inode "/proc/$inside/ns/$_")]" })
    }
}

Describe 'A plain user' {
    BeforeAll {
        # A module that this user can read; it is root's, as an installed one is.
        Copy-Item (Get-ModulePath) "$folder/Containers" -Recurse
        $null = New-Item "$folder/home/run", "$folder/home/lib" -ItemType Directory
        chmod 0755 $folder
        chmod -R 'go=u-w' "$folder/Containers"
        chmod 0700 "$folder/home/run" "$folder/home/lib"
        $uid = 61000 + (Get-Random -Maximum 4000)
        chown -R "${uid}:$uid" "$folder/home"
        $asUser = '--reuid', $uid, '--regid', $uid, '--clear-groups', '--inh-caps=-all', 'env', '-i', "HOME=$folder/home", 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'POWERSHELL_TELEMETRY_OPTOUT=1',
            "CONTAINERS_RUN=$folder/home/run", "CONTAINERS_ROOT=$folder/home/lib"
        $pwsh = (Get-Process -Id $PID).Path
        function Invoke-AsUser([string] $Script) {
            setpriv @asUser $pwsh -NoProfile -NonInteractive -Command "Import-Module '$folder/Containers'; function Get-Word(`$Problem) { `"`$(`$Problem.FullyQualifiedErrorId)`".Split(',')[0] }; $Script"
        }
        $runs = (setpriv @asUser $pwsh -NoProfile -Command 7) -eq 7
        $owns = (setpriv @asUser unshare --user --map-root-user id -u) -eq 0
    }

    AfterEach { Stop-Beside }

    BeforeEach { if (-not $runs) { Set-ItResult -Skipped -Because 'another user cannot run this pwsh' } }

    It 'sees own namespaces, and of a foreign process an error and nothing else' {
        $seen = Invoke-AsUser "(Get-Namespace -ProcessId `$PID).Id -join ' '; try { Get-Namespace -ProcessId $PID -ErrorAction Stop } catch { Get-Word `$_ }; @(Get-Namespace | Where-Object ProcessId -eq $PID).Count"
        $seen[0].Split(' ') | Should -Be @((Get-Namespace -ProcessId $PID).Id)
        $seen[1] | Should -Be 'NamespaceNotFound'
        $seen[2] | Should -Be 0
    }

    It 'makes and joins nothing of root''s: HostRefused, and the rest of the pipeline goes on' {
        $null = New-Namespace "$mark-roots" -Type Net
        try {
            $seen = Invoke-AsUser @"
                'x', 'y' | New-Namespace -Type Uts -ErrorVariable problems -ErrorAction SilentlyContinue
                `$problems | ForEach-Object { Get-Word `$_; `$_.CategoryInfo.Category }
                try { New-Namespace z -Type Net -ErrorAction Stop } catch { Get-Word `$_ }
                '$mark-roots', "`$PID" | Invoke-NamespaceCommand -ArgumentList true -ErrorVariable refused -ErrorAction SilentlyContinue
                `$refused | ForEach-Object { Get-Word `$_ }
                try { Get-Namespace -Name $mark-roots | Remove-Namespace -ErrorAction Stop } catch { Get-Word `$_ }
"@
            $seen | Should -Be 'HostRefused', 'PermissionDenied', 'HostRefused', 'PermissionDenied', 'HostRefused', 'HostRefused', 'NamespaceNotFound', 'HostRefused'
            Get-ChildItem "$folder/home/run" -Recurse -File | Should -BeNullOrEmpty
            "/run/netns/$mark-roots" | Should -Exist
        }
        finally { Remove-Namespace "$mark-roots" }
    }

    It 'joins an own user namespace first: it gives the right to the others' {
        if (-not $owns) { Set-ItResult -Skipped -Because 'plain users may not make user namespaces here'; return }
        $maker = Start-Beside setpriv ($asUser + 'unshare', '--user', '--map-root-user', '--net', '--uts', '--mount', 'sleep', '1000')
        Wait-Until { (Get-Content "/proc/$($maker.Id)/comm") -eq 'sleep' }
        $seen = Invoke-AsUser "Invoke-NamespaceCommand $($maker.Id) -- sh -c 'readlink /proc/self/ns/user /proc/self/ns/net /proc/self/ns/uts /proc/self/ns/mnt; id -u; ip link set lo up && echo up'; `$LASTEXITCODE"
        $seen | Should -Be @('user', 'net', 'uts', 'mnt' | ForEach-Object { "${_}:[$(Get-Inode "/proc/$($maker.Id)/ns/$_")]" }; '0', 'up', '0')
    }
}

Describe 'What goes wrong' {
    AfterEach {
        Stop-Beside
        Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    }

    It 'is <Id> (<Category>) for <What>' -ForEach @(
        @{ What = 'a name with ..'; Id = 'InvalidId'; Category = 'InvalidArgument'; Try = { New-Namespace '../../x' -Type Uts } }
        @{ What = 'a name that is ..'; Id = 'InvalidId'; Category = 'InvalidArgument'; Try = { New-Namespace '..' -Type Net } }
        @{ What = 'the removal of a name with ..'; Id = 'NamespaceNotFound'; Category = 'ObjectNotFound'; Try = { Remove-Namespace '../../proc/self/ns/net' } }
        @{ What = 'a container with ..'; Id = 'InvalidId'; Category = 'InvalidArgument'; Try = { Get-Namespace -Container '../x' } }
        @{ What = 'a container that is not there'; Id = 'ContainerNotFound'; Category = 'ObjectNotFound'; Try = { 'no-such' | Get-Namespace } }
        @{ What = 'a path out of the folder that is no namespace'; Id = 'NamespaceNotFound'; Category = 'ObjectNotFound'; Try = { Invoke-NamespaceCommand "$folder/../../etc/passwd" -- true } }
        @{ What = 'the removal of what processes hold'; Id = 'NamespaceInUse'; Category = 'ResourceBusy'; Try = { Remove-Namespace -LiteralPath /proc/self/ns/net } }
        @{ What = 'the removal of a file that is no namespace'; Id = 'NamespaceNotFound'; Category = 'ObjectNotFound'; Try = { Remove-Namespace -LiteralPath /etc/passwd } }
        @{ What = 'a folder in which nothing can be made'; Id = 'StoreUnavailable|HostRefused'; Category = 'ResourceUnavailable|PermissionDenied'; Try = { New-Namespace -Path "/proc/$mark" -Type Uts } }
        @{ What = 'a file in place of a folder'; Id = 'StoreUnavailable|HostRefused'; Category = 'ResourceUnavailable'; Try = { New-Namespace -Path /etc/passwd -Type Uts } }
        @{ What = 'the enter of nothing'; Id = 'InvalidArgument'; Category = 'InvalidArgument|InvalidOperation'; Try = { Enter-Namespace (Get-Date) sh } }
    ) {
        $problem = Get-ErrorOf $Try
        $problem.FullyQualifiedErrorId.Split(',')[0] | Should -Match "^($Id)$"
        Assert-Refused $problem $problem.FullyQualifiedErrorId.Split(',')[0] $Category
    }

    It 'is NamespaceNotFound for what has ended meanwhile, and the next goes on' {
        $gone = Start-Unshared net '--net', 'sleep', '1000'
        $object = Get-Namespace -ProcessId $gone.Id -Type Net
        $process = Get-Process -Id $gone.Id
        Stop-Beside
        $kept = New-Namespace "$mark-kept" -Type Uts -HostName goes-on
        Assert-Refused (Get-ErrorOf { $process | Get-Namespace }) NamespaceNotFound ObjectNotFound
        Assert-Refused (Get-ErrorOf { Invoke-NamespaceCommand $process -- true }) NamespaceNotFound ObjectNotFound
        Assert-Refused (Get-ErrorOf { New-Container x -RootfsPath $root -Network $object -ArgumentList true }) NamespaceNotFound ObjectNotFound
        $object, $kept | Invoke-NamespaceCommand -ArgumentList hostname -ErrorVariable problems -ErrorAction SilentlyContinue | Should -Be 'goes-on'
        $problems | Should -HaveCount 1
        Assert-Refused $problems[0] NamespaceNotFound ObjectNotFound
        ($object.ProcessId, $PID | ForEach-Object { Get-Namespace -ProcessId $_ -Type Net -ErrorAction SilentlyContinue }).Id | Should -Be (Get-Inode '/proc/self/ns/net')
        Get-Container | Should -BeNullOrEmpty
    }

    It 'is HostRefused with a read-only /run, and a folder elsewhere does' {
        $seen = Invoke-Beside 'mount --bind /run /run; mount -o remount,bind,ro /run' @"
            try { New-Namespace $mark-ro -Type Net -ErrorAction Stop } catch { Get-Word `$_; "`$(`$_.CategoryInfo.Category)" }
            `$env:CONTAINERS_RUN = '/run/$mark'
            try { New-Namespace $mark-ro -Type Uts -ErrorAction Stop } catch { Get-Word `$_ }
            `$env:CONTAINERS_RUN = '$folder/run'
            # One that cannot be made takes those with it that could.
            try { New-Namespace $mark-ro -Type Uts, Ipc, Net -ErrorAction Stop } catch { Get-Word `$_ }
            @(Get-Namespace -Name $mark-ro).Count
            (New-Namespace $mark-ro -Type Uts -HostName elsewhere | Invoke-NamespaceCommand -ArgumentList hostname)
            (New-Namespace -Path $folder/elsewhere -Type Net).HolderPath
            Get-Namespace -Path $folder/elsewhere/net | Remove-Namespace
            Remove-Namespace $mark-ro
            Test-Path $folder/elsewhere
            @(Get-Namespace | Where-Object { "`$(`$_.BindMounts)" -match '$mark' }).Count
"@
        $seen | Should -Be 'HostRefused', 'ResourceUnavailable', 'StoreUnavailable', 'HostRefused', '0', 'elsewhere', "$folder/elsewhere/net", 'False', '0'
    }

    It 'is HostRefused when a kept one goes but its file stays' {
        $null = New-Item "$folder/frozen" -ItemType Directory
        $seen = Invoke-Beside "mount -t tmpfs frozen $folder/frozen" @"
            `$made = New-Namespace -Path $folder/frozen/kept -Type Uts
            mount -o remount,ro $folder/frozen
            try { `$made | Remove-Namespace -ErrorAction Stop } catch { Get-Word `$_ }
            Test-Path $folder/frozen/kept/uts
            @(Get-Namespace | Where-Object { "`$(`$_.BindMounts)" -match 'frozen/kept' }).Count
"@
        $seen | Should -Be 'HostRefused', 'True', '0'
    }

    It 'is HostRefused when there are as many as may be' {
        # A user namespace has limits of its own, and they go with it.
        $outer = New-Namespace "$mark-full" -Type User
        $script = New-Script @"
            `$env:CONTAINERS_RUN = '/run/x'
            (New-Namespace one -Type Uts, Ipc).Count
            try { New-Namespace two -Type Ipc, Cgroup, Uts -ErrorAction Stop } catch { Get-Word `$_ }
            @(Get-Namespace -Name two).Count
            Remove-Namespace one
            (New-Namespace two -Type Ipc, Uts).Count
"@
        $seen = Invoke-NamespaceCommand $outer -- unshare --mount --propagation private sh -ec "echo 1 > /proc/sys/user/max_uts_namespaces; mount -t tmpfs none /run; exec $script"
        $seen | Should -Be '2', 'HostRefused', '0', '2'
    }
}

Describe 'Containers in namespaces that were made before' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Get-Namespace -Name "$mark*" | Remove-Namespace -Force
    }

    It 'have what is in them: interfaces, shared memory, processes' {
        $of = @{}
        New-Namespace "$mark-in" -Type Net, Ipc, Uts, Pid -HostName shared -KeepInit | ForEach-Object { $of["$($_.Type)"] = $_ }
        Invoke-NamespaceCommand $of.Net -- sh -c 'ip link add made-before type veth peer name other-end && ip addr add 192.0.2.7/24 dev made-before'
        $segment = [int]((Invoke-NamespaceCommand $of.Ipc -- ipcmk --shmem 4096) -replace '\D')
        $null = New-Container web -RootfsPath $root -Network $of.Net -IpcNamespace $of.Ipc -UtsNamespace $of.Uts -ProcessNamespace $of.Pid -ArgumentList sleep, 1000 | Start-ContainerTask
        Invoke-ContainerCommand web -- ls /sys/class/net | Should -Be 'lo', 'made-before', 'other-end'
        Invoke-ContainerCommand web -- ip -o -4 addr show dev made-before | Should -Match '192\.0\.2\.7/24'
        Invoke-ContainerCommand web -- cat /proc/sysvipc/shm | Where-Object { $_ -match "^\s*-?\d+\s+$segment\s.*\s4096\s" } | Should -HaveCount 1
        Invoke-ContainerCommand web -- hostname | Should -Be 'shared'
        # The first process there is the one that keeps it; the container's own comes after.
        Invoke-ContainerCommand web -- cat /proc/1/comm | Should -Be 'psrun-ns-init'
        # From outside, by the container's name.
        (Get-Container web | Get-Namespace -Type Net | Invoke-NamespaceCommand -ArgumentList ip, '-j', addr | ConvertFrom-Json).ifname | Should -Contain 'made-before'
        # A second one shares all of it.
        Invoke-Container -RootfsPath $root -Remove -Network container:web -IpcNamespace container:web -UtsNamespace container:web -ProcessNamespace container:web -- sh -c 'hostname; ls /sys/class/net | wc -l; cat /proc/1/comm' |
            Should -Be 'shared', '3', 'psrun-ns-init'
        # None of them was made for the container.
        (Get-Namespace -Container web | Where-Object Container -eq web).Type | Should -Be 'Cgroup', 'Mnt'
    }

    It 'are not started in one that was removed meanwhile' {
        $net = New-Namespace "$mark-lost" -Type Net
        $null = New-Container web -RootfsPath $root -Network $net -ArgumentList sleep, 1000
        Remove-Namespace "$mark-lost"
        Get-ErrorIdOf { Start-ContainerTask web } | Should -Be 'NamespaceNotFound'
        (Get-Container web).State | Should -Be 'None'
    }
}

Describe 'A thousand namespaces' {
    It 'are made, listed and removed, and neither descriptors nor memory grow' {
        # Once without counting: what is loaded stays.
        $null = New-Namespace "$mark-0" -Type Net, Uts, Ipc, User
        Get-Namespace -Name "$mark-*" | Remove-Namespace
        $descriptors = (Get-ChildItem /proc/self/fd).Count
        $made = 1..250 | ForEach-Object { "$mark-$_" } | New-Namespace -Type Net, Uts, Ipc, User
        $made.Count | Should -Be 1000
        ($made.Id | Sort-Object -Unique).Count | Should -Be 1000
        function Get-Memory {
            [GC]::Collect()
            [GC]::WaitForPendingFinalizers()
            [GC]::Collect()
            [GC]::GetTotalMemory($true)
        }
        foreach ($round in 1..3) { (Get-Namespace -Name "$mark-*").Count | Should -Be 1000 }
        $before = Get-Memory
        foreach ($round in 1..10) { $null = Get-Namespace }
        (Get-Memory) - $before | Should -BeLessThan 4MB
        $made = $null
        Get-Namespace -Name "$mark-*" | Remove-Namespace -WarningVariable warnings
        $warnings | Should -BeNullOrEmpty
        Get-Namespace -Name "$mark-*" | Should -BeNullOrEmpty
        "$env:CONTAINERS_RUN/ns" | Should -Not -Exist
        [GC]::Collect()
        [GC]::WaitForPendingFinalizers()
        (Get-ChildItem /proc/self/fd).Count | Should -BeLessThan ($descriptors + 50)
    }
}

Describe 'The look at the host' {
    It 'is one pass over /proc' -Skip:(-not (Get-Command strace -CommandType Application -ErrorAction Ignore)) {
        $trace = "$folder/trace"
        $null = strace -f -qq -e trace=openat,readlinkat -o $trace (Get-Process -Id $PID).Path -NoProfile -Command "Import-Module '$(Get-ModulePath)'; `$null = Get-Namespace"
        $lines = Get-Content $trace
        if (-not $lines) { Set-ItResult -Skipped -Because 'nothing can be traced here'; return }
        # The list of processes, and the folder that all else is relative to.
        @($lines -match 'openat\(.*"/proc/?", O_RDONLY.*O_DIRECTORY').Count | Should -BeLessOrEqual 2
        # Each process is asked once for each of its links.
        $asked = $lines | Where-Object { $_ -match 'readlinkat\(\d+, "(\d+/ns/net)"' } | ForEach-Object { $_ -replace '^.*"(\d+/ns/net)".*$', '$1' }
        $asked | Should -Contain "$PID/ns/net"
        ($asked | Group-Object | Measure-Object Count -Maximum).Maximum | Should -Be 1
    }
}
