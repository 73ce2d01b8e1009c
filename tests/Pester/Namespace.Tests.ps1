# Namespaces: found whatever holds them.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder

    # A program that goes on beside the test, ended by Stop-Beside.
    $script:beside = @()
    function Start-Beside([string] $Program, [string[]] $Arguments) {
        $start = [System.Diagnostics.ProcessStartInfo]::new($Program)
        $Arguments | ForEach-Object { $start.ArgumentList.Add($_) }
        $process = [System.Diagnostics.Process]::Start($start)
        $script:beside += $process
        $process
    }
    function Stop-Beside {
        foreach ($process in $beside) { if (-not $process.HasExited) { $process.Kill($true); $process.WaitForExit() } }
        $script:beside = @()
    }

    # Waits until a script says true, for at most 20 seconds.
    function Wait-Until([scriptblock] $Condition) {
        $limit = [datetime]::Now.AddSeconds(20)
        while (-not (& $Condition)) {
            if ([datetime]::Now -gt $limit) { throw "not within 20 seconds: $Condition" }
            Start-Sleep -Milliseconds 50
        }
    }

    function Get-Inode([string] $Link) { [ulong]((Get-Item $Link).LinkTarget -replace '\D') }
}

AfterAll { Exit-TestStore }

Describe 'Get-Namespace beside lsns' {
    It 'lists all that lsns lists, with equal numbers of processes' {
        $null = Start-Beside unshare '--user', '--map-root-user', '--net', '--uts', '--ipc', '--mount', '--cgroup', '--time', '--pid', '--fork', 'sleep', '1000'
        # Processes come and go on a host in use: a moment without any is waited for.
        Wait-Until {
            $before = lsns --json | ConvertFrom-Json | ForEach-Object namespaces
            $ours = Get-Namespace
            $after = lsns --json | ConvertFrom-Json | ForEach-Object namespaces
            $own = [ulong[]] (Get-Namespace -ProcessId $PID).Id
            $script:last = foreach ($one in $before) {
                # lsns counts itself.
                $count = $one.nprocs - ($one.ns -in $own)
                $found = $ours | Where-Object Id -eq $one.ns
                if ($one.nprocs -eq ($after | Where-Object ns -eq $one.ns).nprocs -and $found.ProcessCount -ne $count) { "$($one.type) $($one.ns): $count, and not $($found.ProcessCount)" }
            }
            -not $script:last
        }
        $script:last | Should -BeNullOrEmpty
        Stop-Beside
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

    It 'gives a stable shape in JSON' {
        $json = Get-Namespace -ProcessId $PID -Type Net | ConvertTo-Json -Depth 32 -EnumsAsStrings | ConvertFrom-Json
        $json.Type, $json.Holder | Should -Be 'Net', 'Process'
        $json.Id | Should -BeOfType long
    }
}
