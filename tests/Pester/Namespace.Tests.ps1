# Namespaces: found whatever holds them.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
}

AfterAll { Exit-TestStore }

Describe 'Get-Namespace beside lsns' {
    BeforeAll {
        # Not as a tree, in which those that lie in others are children of these.
        function Get-Listed { (lsns --json --list @args | ConvertFrom-Json).namespaces }
    }

    AfterEach { Stop-Beside }

    It 'lists all that lsns lists, with equal numbers of processes' {
        $first = Start-Beside unshare '--user', '--map-root-user', '--net', '--uts', '--ipc', '--mount', '--cgroup', '--time', '--pid', '--fork', 'sleep', '1000'
        Wait-Until { $script:inside = [int](Get-Content "/proc/$($first.Id)/task/$($first.Id)/children"); $inside -and (Get-Content "/proc/$inside/comm") -eq 'sleep' }
        # Two more that stay: three processes in each, and what unshare itself is in.
        1..2 | ForEach-Object { $null = Start-Beside nsenter '--target', $inside, '--user', '--net', '--uts', '--ipc', '--mount', '--cgroup', '--time', '--pid', '--preserve-credentials', 'sleep', '1000' }
        $made = 'cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts' | ForEach-Object { Get-Inode "/proc/$inside/ns/$_" }
        Wait-Until { @(Get-Listed '--task' $inside | Where-Object nprocs -lt 3).Count -eq 0 }
        $own = [ulong[]] (Get-Namespace -ProcessId $PID).Id
        # Processes come and go on a host in use, and their namespaces with them: a moment without any is waited for.
        Wait-Until {
            $before = Get-Listed
            $ours = @{}
            Get-Namespace | ForEach-Object { $ours[$_.Id] = $_ }
            $after = @{}
            Get-Listed | ForEach-Object { $after[$_.ns] = $_ }
            $script:last = foreach ($one in $before) {
                # lsns counts itself.
                $count = $one.nprocs - ($one.ns -in $own)
                $found = $ours[[ulong] $one.ns]
                if ($one.nprocs -eq $after[$one.ns].nprocs -and ($found.ProcessCount -ne $count -or $found.Type -ne $one.type)) { "$($one.type) $($one.ns): $count, and not $($found.ProcessCount)" }
            }
            $script:compared = @($before | Where-Object { [ulong] $_.ns -in $made } | ForEach-Object { "$($_.type) $($_.nprocs) $($_.nprocs -eq $ours[[ulong] $_.ns].ProcessCount)" })
            -not $script:last
        }
        # Those of the test are among them, of every type.
        $compared.Count | Should -Be 8
        $compared | Where-Object { $_ -notlike '* True' } | Should -BeNullOrEmpty
    }

    It 'shows what lsns --persistent shows' -Skip:(-not ((lsns --help) -match '--persistent')) {
        $file = "$($store.Folder)/persistent"
        $null = New-Item $file
        unshare --net=$file true
        try {
            $kept = Get-Listed '--persistent'
            $ours = Get-Namespace -Path $file
            ($kept | Where-Object ns -eq $ours.Id).nprocs | Should -Be 0
        }
        finally { umount $file }
    }
}

Describe 'Get-Namespace finds what' {
    AfterEach { Stop-Beside }

    It 'only a bind mount holds, of every type that can be' {
        foreach ($type in 'net', 'uts', 'ipc', 'cgroup', 'time') {
            $file = "$folder/held-$type"
            $null = New-Item $file
            unshare "--$type=$file" true
        }
        try {
            foreach ($type in 'net', 'uts', 'ipc', 'cgroup', 'time') {
                $found = Get-Namespace -Type $type -Holder BindMount | Where-Object HolderPath -eq "$folder/held-$type"
                $found.BindMounts | Should -Contain "$folder/held-$type" -Because $type
                $found.ProcessCount | Should -Be 0
                $found.ProcessId | Should -BeNullOrEmpty
            }
        }
        finally { Get-ChildItem "$folder/held-*" | ForEach-Object { umount $_.FullName; Remove-Item $_ } }
    }

    It 'only an open descriptor holds' {
        $maker = Start-Beside unshare '--uts', 'sleep', '1000'
        Wait-Until { (Get-Inode "/proc/$($maker.Id)/ns/uts") -ne (Get-Inode '/proc/self/ns/uts') }
        $id = Get-Inode "/proc/$($maker.Id)/ns/uts"
        $handle = [System.IO.File]::OpenHandle("/proc/$($maker.Id)/ns/uts")
        try {
            Stop-Beside
            $found = Get-Namespace -Id $id
            $found.Holder | Should -Be 'Descriptor'
            $found.ProcessId | Should -Be $PID
            $found.ProcessCount | Should -Be 0
            $found.HolderPath | Should -Be "/proc/$PID/fd/$($handle.DangerousGetHandle())"
            $found.Descriptors | Should -Contain $found.HolderPath
            (Get-Namespace -Holder Descriptor).Id | Should -Contain $id
        }
        finally { $handle.Dispose() }
        Get-Namespace -Id $id | Should -BeNullOrEmpty
    }

    It 'only a socket holds' {
        Add-Type -TypeDefinition @'
using System;
using System.Runtime.InteropServices;
using System.Threading;
public static class SocketElsewhere
{
    [DllImport("libc")] static extern int unshare(int flags);
    [DllImport("libc")] static extern int socket(int domain, int type, int protocol);
    [DllImport("libc")] static extern int setsockopt(int fd, int level, int name, int[] value, int length);
    [DllImport("libc")] public static extern int close(int fd);
    // A thread goes into a network namespace of its own, opens a socket there, and ends.
    public static int Open(int family)
    {
        int fd = -1;
        var thread = new Thread(() => { if (unshare(0x40000000) == 0) fd = socket(family, 1, 0); });
        thread.Start();
        thread.Join();
        // SO_LINGER: who closes it last would wait.
        if (family == 2) setsockopt(fd, 1, 13, new[] { 1, 60 }, 8);
        return fd;
    }
}
'@
        # AF_UNIX and AF_INET: of whatever kind.
        foreach ($family in 1, 2) {
            $socket = [SocketElsewhere]::Open($family)
            $socket | Should -BeGreaterThan 0
            $path = "/proc/$PID/fd/$socket"
            try {
                Wait-Until { $script:found = Get-Namespace -Holder Descriptor | Where-Object HolderPath -EQ $path; $script:found }
                $found = $script:found
                $found.Type, $found.ProcessId, $found.ProcessCount | Should -Be 'Net', $PID, 0
                $found.Descriptors | Should -Be $path
                $found.OwnerId | Should -Be (Get-Namespace -ProcessId $PID -Type User).Id
                $found | Invoke-NamespaceCommand -ArgumentList readlink, /proc/self/ns/net | Should -Be "net:[$($found.Id)]"
                (Get-Namespace -Path $path).Id | Should -Be $found.Id
            }
            finally { [SocketElsewhere]::close($socket) | Should -Be 0 }
            Wait-Until { -not (Get-Namespace -Id $found.Id) }
        }
    }

    It 'only a bind mount inside another mount namespace holds' {
        $null = New-Item "$folder/inner" -ItemType Directory
        $maker = Start-Beside unshare '--mount', 'sh', '-c', "mount -t tmpfs inner $folder/inner && touch $folder/inner/uts && unshare --uts=$folder/inner/uts true && exec sleep 1000"
        Wait-Until { $script:found = Get-Namespace -Type Uts -Holder BindMount | Where-Object HolderPath -like "/proc/*/root$folder/inner/uts"; $script:found }
        $found = $script:found
        $found.HolderPath | Should -Be "/proc/$($maker.Id)/root$folder/inner/uts"
        Test-Path "$folder/inner/uts" | Should -BeFalse
        (Get-Namespace -Path $found.HolderPath).Id | Should -Be $found.Id
    }

    It 'only a namespace below holds' {
        # The outer user namespace has no process left, the inner one has.
        $maker = Start-Beside unshare '--user', '--map-root-user', 'unshare', '--user', '--map-root-user', 'sleep', '1000'
        Wait-Until { $script:inner = Get-Namespace -ProcessId $maker.Id -Type User; $script:inner.ParentId -and (Get-Namespace -Id $script:inner.ParentId).Holder -eq 'Namespace' }
        $inner = $script:inner
        $outer = Get-Namespace -Id $inner.ParentId
        $outer.HolderPath | Should -BeNullOrEmpty
        $outer.ProcessCount | Should -Be 0
        $outer.ParentId | Should -Be (Get-Namespace -ProcessId $PID -Type User).Id
        $outer.OwnerUserId | Should -Be 0
        $inner.OwnerId | Should -Be $outer.Id
        "$outer" | Should -Be "user:[$($outer.Id)]"
    }

    It 'only a thread is in, beside the first of its process' {
        Add-Type -TypeDefinition @'
            using System.Runtime.InteropServices;
            using System.Threading;
            public static class NamespaceThread
            {
                [DllImport("libc")] static extern int unshare(int flags);
                public static int Result;
                public static readonly ManualResetEventSlim Done = new(), End = new();
                public static void Start() => new Thread(() => { Result = unshare(0x4000000); Done.Set(); End.Wait(); }) { IsBackground = true }.Start();
            }
'@
        [NamespaceThread]::Start()
        [NamespaceThread]::Done.Wait()
        [NamespaceThread]::Result | Should -Be 0
        try {
            $found = Get-Namespace -Type Uts -Holder Process | Where-Object HolderPath -like "/proc/$PID/task/*/ns/uts"
            $found.ProcessCount, $found.ProcessId | Should -Be 0, $PID
            $found.Id | Should -Not -Be (Get-Inode '/proc/self/ns/uts')
        }
        finally { [NamespaceThread]::End.Set() }
    }

    It 'a process will give to its children' {
        # Without --fork unshare itself stays outside; its child is the first inside.
        $maker = Start-Beside unshare '--time', 'sleep', '1000'
        Wait-Until { (Get-Inode "/proc/$($maker.Id)/ns/time_for_children") -ne (Get-Inode '/proc/self/ns/time') }
        (Get-Namespace -ProcessId $maker.Id -Type Time).Id | Should -Contain (Get-Inode "/proc/$($maker.Id)/ns/time_for_children")
    }

    It 'a process gives to its children, and the first of them is in' {
        # unshare stays where it was and becomes the shell; the first that it starts is process 1 of the new one.
        $maker = Start-Beside unshare '--pid', 'sh', '-c', 'sleep 1000 & wait'
        Wait-Until { (Get-Item "/proc/$($maker.Id)/ns/pid_for_children").LinkTarget -and (Get-Inode "/proc/$($maker.Id)/ns/pid_for_children") -ne (Get-Inode '/proc/self/ns/pid') }
        $found = Get-Namespace -ProcessId $maker.Id -Type Pid
        $found.Id | Sort-Object | Should -Be @((Get-Inode "/proc/$($maker.Id)/ns/pid"), (Get-Inode "/proc/$($maker.Id)/ns/pid_for_children") | Sort-Object)
        ($found | Where-Object ProcessCount -eq 1).ParentId | Should -Be (Get-Inode '/proc/self/ns/pid')
    }

    It 'lies in another, to any depth' {
        $outer = Start-Beside unshare '--pid', '--fork', 'unshare', '--pid', '--fork', 'unshare', '--pid', '--fork', 'sleep', '1000'
        function Get-Child([int] $Process) { [int](Get-Content "/proc/$Process/task/$Process/children" -ErrorAction Ignore) }
        Wait-Until { $script:inner = $outer.Id; 1..3 | ForEach-Object { if ($inner) { $script:inner = Get-Child $inner } }; $inner -and (Get-Content "/proc/$inner/comm") -eq 'sleep' }
        $one = Get-Namespace -ProcessId $inner -Type Pid
        $one.ProcessCount, $one.ProcessId, $one.Command | Should -Be 1, $inner, 'sleep'
        $ids = foreach ($level in 1..3) { $one.Id; $one = Get-Namespace -Id $one.ParentId }
        $ids | Sort-Object -Unique | Should -HaveCount 3
        $one.Id | Should -Be (Get-Inode '/proc/self/ns/pid')
    }

    It 'only a bind mount holds, in a mount namespace that no process is in' {
        $null = New-Item "$folder/deep" -ItemType Directory
        $space = New-Namespace "$($store.Mark)-deep" -Type Mnt
        try {
            Invoke-NamespaceCommand $space -- sh -c "mount -t tmpfs deep $folder/deep && touch $folder/deep/uts && unshare --uts=$folder/deep/uts hostname deep"
            $LASTEXITCODE | Should -Be 0
            $own = Get-Inode '/proc/self/ns/mnt'
            foreach ($time in 1..50) { $found = Get-Namespace -Type Uts -Holder BindMount | Where-Object { $_.BindMounts -eq "mnt:[$($space.Id)]$folder/deep/uts" } }
            $found | Should -HaveCount 1
            $found.HolderPath, $found.ProcessId | Should -Be $null, $null
            # Neither has this process gone there, nor left anything open.
            Get-ChildItem /proc/self/task -Name | ForEach-Object { Get-Inode "/proc/self/task/$_/ns/mnt" } | Sort-Object -Unique | Should -Be $own
            @((Get-ChildItem /proc/self/fd).LinkTarget -match "mountinfo|mnt:\[$($space.Id)").Count | Should -Be 0
            # The way there.
            Get-ErrorIdOf { Invoke-NamespaceCommand $found -- hostname } | Should -Be 'InvalidArgument'
            Get-ErrorIdOf { $found | Remove-Namespace -Force } | Should -Be 'NamespaceInUse'
            Invoke-NamespaceCommand $space -- nsenter "--uts=$folder/deep/uts" hostname | Should -Be 'deep'
        }
        finally { Remove-Namespace "$($store.Mark)-deep" }
        # It went with the mount namespace that held it.
        Wait-Until { -not (Get-Namespace | Where-Object { "$($_.BindMounts)" -like "*$folder/deep/uts*" }) }
    }

    It 'ip netns has made' {
        $name = "$($store.Mark)-a"
        ip netns add $name
        try {
            $found = Get-Namespace -Name "$($store.Mark)-*"
            $found.Name, $found.Type, $found.Holder | Should -Be $name, 'Net', 'BindMount'
            (Get-ChildItem "/run/netns/$name" | Get-Namespace).Id | Should -Be $found.Id
            (Get-Namespace -Path "/run/netns/$($store.Mark)*").Id | Should -Be $found.Id
            (TabExpansion2 "Get-Namespace -Name $($store.Mark)").CompletionMatches.CompletionText | Should -Be $name
        }
        finally { ip netns delete $name }
    }
}

Describe 'Get-Namespace' {
    It 'takes processes from the pipeline' {
        (Get-Process -Id $PID | Get-Namespace).Id | Should -Be (Get-Namespace -ProcessId $PID).Id
    }

    It 'takes several' {
        $maker = Start-Beside unshare '--net', 'sleep', '1000'
        Wait-Until { (Get-Inode "/proc/$($maker.Id)/ns/net") -ne (Get-Inode '/proc/self/ns/net') }
        (Get-Process -Id $PID, $maker.Id | Get-Namespace -Type Net).Id | Sort-Object -Unique | Should -HaveCount 2
        Stop-Beside
    }

    It 'is NamespaceNotFound for <What>' -ForEach @(
        @{ What = 'a file that is none'; Try = { Get-Namespace -Path /etc/passwd } }
        @{ What = 'a device, which it does not open'; Try = { Get-Namespace -Path /dev/null } }
        @{ What = 'a path that is not there'; Try = { Get-Namespace -LiteralPath /no/such/namespace } }
        @{ What = 'a process that is not there'; Try = { Get-Namespace -ProcessId 2147483646 } }
    ) { Get-ErrorIdOf $Try | Should -Be 'NamespaceNotFound' }

    It 'goes on after one that is not there' {
        (Get-Namespace -Type Net -LiteralPath /no/such/namespace, /proc/self/ns/net -ErrorAction SilentlyContinue).Type | Should -Be 'Net'
    }

    It 'has a <Name>, <Is>' -ForEach $(
        $names = @{
            Type = 'Containers.LinuxNamespaceType'; Id = 'ulong'; Holder = 'Containers.LinuxNamespaceHolder'; HolderPath = 'string'; ProcessId = 'System.Nullable[int]'; ProcessCount = 'int'
            Command = 'string'; OwnerId = 'System.Nullable[ulong]'; ParentId = 'System.Nullable[ulong]'; OwnerUserId = 'System.Nullable[uint]'; Container = 'string'
        }
        foreach ($name in $names.Keys) { @{ Name = $name; Is = $names[$name] } }
    ) {
        $member = Get-Namespace -ProcessId $PID -Type Net | Get-Member -MemberType Property -Name $Name
        $member.Definition.Split(' ')[0] | Should -Be $Is
    }

    It 'gives a stable shape in JSON' {
        $json = Get-Namespace -ProcessId $PID -Type Net | ConvertTo-Json -Depth 32 -EnumsAsStrings | ConvertFrom-Json
        $json.Type, $json.Holder | Should -Be 'Net', 'Process'
        $json.Id | Should -BeOfType long
    }
}
