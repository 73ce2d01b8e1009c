# A task from its making to its end: shapes, pipelines, signals, and what a program sees of all that was asked for.

BeforeDiscovery {
    # docs of the surface: names that users script against, with the types of their raw values.
    $time = 'System.Nullable[System.DateTimeOffset]'
    $number = 'System.Nullable[int]'
    $shapes = @{
        ContainerTask = @{
            ContainerId = 'string'; ContainerNamespace = 'string'; State = 'Containers.ContainerTaskState'; ProcessId = $number; ShimProcessId = $number
            ExitCode = $number; Signal = $number; OomKilled = 'bool'; StoppedReason = 'string'; StartedAt = $time; FinishedAt = $time
            Execs = 'System.Collections.Generic.IReadOnlyList[Containers.ContainerExec]'
        }
        Container = @{
            Id = 'string'; ContainerNamespace = 'string'; Image = 'string'; Runtime = 'string'; CreatedAt = 'System.DateTimeOffset'
            Labels = 'System.Collections.Generic.IReadOnlyDictionary[string,string]'; Spec = 'Containers.Linux.Oci.Spec'; State = 'Containers.ContainerTaskState'
            RestartPolicy = 'string'; Bundle = 'string'
        }
        ContainerRunResult = @{
            ContainerId = 'string'; ContainerNamespace = 'string'; ExitCode = $number; Signal = $number; Duration = 'System.Nullable[timespan]'
            StandardOutput = 'string'; StandardError = 'string'
        }
    }
    $shapeCases = foreach ($type in $shapes.Keys) { foreach ($name in $shapes[$type].Keys) { @{ Type = $type; Name = $name; Is = $shapes[$type][$name] } } }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs

    # Runs until it is told by a signal, and says when it listens.
    function Start-Listener([string] $Id, [string] $Traps, [hashtable] $More = @{}) {
        $task = New-Container $Id -RootfsPath $root @More -- sh -c "$Traps; echo ready; while :; do sleep 0.02; done" | Start-ContainerTask -PassThru
        Wait-Until { (Get-ContainerLog $Id).Text -contains 'ready' } "$Id listens"
        $task
    }
}

AfterAll { Exit-TestStore }

Describe 'Get-Member' {
    BeforeAll {
        $members = @{
            ContainerTask = New-Container shape -RootfsPath $root -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru | Get-Member -MemberType Property
            Container = Get-Container shape | Get-Member -MemberType Property
            ContainerRunResult = Invoke-ContainerCommand shape -PassThru -- true | Get-Member -MemberType Property
        }
    }
    AfterAll { Remove-Container shape -Force }

    It 'shows <Type>.<Name> as <Is>' -ForEach $shapeCases {
        $member = $members[$Type] | Where-Object Name -ceq $Name
        $member | Should -HaveCount 1
        $member.Definition.Split(' ')[0] | Should -Be $Is
    }
}

Describe 'Objects as JSON' {
    BeforeAll {
        $null = New-Container json -RootfsPath $root -- sh -c 'echo said; exec sleep 1000' | Start-ContainerTask
        Wait-Until { Get-ContainerLog json } 'the first line'
        $null = Invoke-ContainerCommand json -Detach -ExecId side -- sleep 1000
    }
    AfterAll { Remove-Container json -Force }

    It 'are whole, free of cycles and the same each time: <What>' -ForEach @(
        @{ What = 'Container'; Get = { Get-Container json } }
        @{ What = 'ContainerTask'; Get = { Get-ContainerTask json } }
        @{ What = 'ContainerRunResult'; Get = { Stop-ContainerTask json -TimeoutSec 0; Wait-ContainerTask json } }
        @{ What = 'ContainerLogEntry'; Get = { Get-ContainerLog json } }
    ) {
        $warnings = $null
        $first, $second = 1..2 | ForEach-Object { & $Get | ConvertTo-Json -Depth 32 -EnumsAsStrings -WarningVariable +warnings }
        $warnings | Should -BeNullOrEmpty -Because 'depth 32 is enough'
        $second | Should -BeExactly $first
        $first | Should -Not -Match '"Containers\.Linux' -Because 'nothing is shown by the name of its type'
    }
}

Describe 'A pipeline' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'carries several containers through all of their lives' {
        'a', 'b', 'c' | ForEach-Object { New-Container $_ -RootfsPath $root -ArgumentList true } |
            Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 -OutVariable results | Remove-Container
        $results.ContainerId | Should -Be 'a', 'b', 'c'
        Get-Container | Should -BeNullOrEmpty
    }

    It 'takes rows of a table by their property names, in other container namespaces too' {
        $other = "$($store.Mark)-two"
        $rows = [pscustomobject]@{ Id = 'x'; ContainerNamespace = $store.Mark }, [pscustomobject]@{ Id = 'x'; ContainerNamespace = $other }
        $tasks = $rows | New-Container -RootfsPath $root -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
        try {
            $tasks.ContainerNamespace | Should -Be $store.Mark, $other
            ($tasks | Stop-ContainerTask -TimeoutSec 0 -PassThru).State | Should -Be 'Stopped', 'Stopped'
            $tasks | Wait-ContainerTask -TimeoutSec 60 | ForEach-Object ContainerNamespace | Should -Be $store.Mark, $other
        }
        finally { $tasks | Remove-Container -Force }
        Get-Container -ContainerNamespace $other | Should -BeNullOrEmpty
    }

    It 'stops what matches a wildcard, and leaves the others' {
        foreach ($id in 'web-1', 'web-2', 'db-1') { $null = Start-Sleeper $id $root }
        (Stop-ContainerTask web-* -TimeoutSec 0 -PassThru).ContainerId | Should -Be 'web-1', 'web-2'
        (Get-ContainerTask -State Running).ContainerId | Should -Be 'db-1'
    }

    It 'goes on under Stop after programs that wrote to standard error and failed' {
        $ErrorActionPreference = 'Stop'
        $null = Start-Sleeper web $root
        $said = $null
        $lines = 1..3 | ForEach-Object { Invoke-ContainerCommand web -InformationVariable +said -- sh -c "echo out $_; echo err $_ >&2; exit $_" 6>$null; $LASTEXITCODE }
        $lines | Should -Be 'out 1', 1, 'out 2', 2, 'out 3', 3
        $said.MessageData.Message | Should -Be 'err 1', 'err 2', 'err 3'
        ($said | Where-Object Tags -contains stderr) | Should -HaveCount 3
    }

    It 'says the same of a task that has ended, however often it is asked' {
        $null = New-Container done -RootfsPath $root -- sh -c 'exit 7' | Start-ContainerTask
        $first = Wait-ContainerTask done -TimeoutSec 60
        $second = Wait-ContainerTask done -TimeoutSec 60
        ($second | ConvertTo-Json) | Should -Be ($first | ConvertTo-Json)
        (Stop-ContainerTask done -PassThru).ExitCode | Should -Be 7
        $task = Get-ContainerTask done
        ($task.FinishedAt - $task.StartedAt) | Should -Be $first.Duration
    }
}

Describe 'The end of a program' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'by exit <_>' -ForEach 0, 1, 2, 126, 127, 128, 137, 255 {
        $result = New-Container end -RootfsPath $root -- sh -c "exit $_" | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
        $result.ExitCode | Should -Be $_
        $result.Signal | Should -BeNullOrEmpty
        (Get-ContainerTask end).StoppedReason | Should -Be 'Exited'
    }

    It 'by signal <Name>' -ForEach @(
        @{ Name = 'TERM'; Number = 15 }, @{ Name = 'SEGV'; Number = 11 }, @{ Name = 'ABRT'; Number = 6 }, @{ Name = 'USR1'; Number = 10 }, @{ Name = 'KILL'; Number = 9 }
    ) {
        # The first process of a pid namespace is deaf to its own signals.
        $result = New-Container end -RootfsPath $root -ProcessNamespace host -- sh -c "kill -$Name `$`$; sleep 10" |
            Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
        $result.Signal, $result.ExitCode | Should -Be $Number, (128 + $Number)
        (Get-ContainerTask end).Signal | Should -Be $Number
    }

    It 'by want of memory' {
        $result = New-Container end -RootfsPath $root -Memory 16MB -MemorySwap 16MB -- sh -c 'x=y; while :; do x=$x$x; done' |
            Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
        $result.OomKilled | Should -BeTrue
        $task = Get-ContainerTask end
        $task.OomKilled | Should -BeTrue
        $task.StoppedReason | Should -Be 'OomKilled'
        $task.Signal | Should -Be 9
    }

    It 'takes its children with it' {
        $null = New-Container end -RootfsPath $root -ProcessNamespace host -- sh -c 'setsid sleep 1000 & echo $!; sleep 0.2' |
            Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
        $child = (Get-ContainerLog end).Text
        (Get-Content "/proc/$child/cmdline" -Raw -ErrorAction SilentlyContinue) | Should -BeNullOrEmpty
    }

    It 'by a stop that it heeds' {
        $null = Start-Listener end 'trap "exit 9" TERM'
        $clock = [Diagnostics.Stopwatch]::StartNew()
        $task = Stop-ContainerTask end -TimeoutSec 30 -PassThru
        $clock.Elapsed.TotalSeconds | Should -BeLessThan 20
        $task.ExitCode | Should -Be 9
        $task.Signal | Should -BeNullOrEmpty
    }

    It 'by a stop that it ignores, after the time it was given' {
        $null = Start-Listener end 'trap "" TERM'
        $clock = [Diagnostics.Stopwatch]::StartNew()
        $task = Stop-ContainerTask end -TimeoutSec 1 -PassThru
        $clock.Elapsed.TotalSeconds | Should -BeGreaterOrEqual 1
        $clock.Elapsed.TotalSeconds | Should -BeLessThan 10
        $task.Signal | Should -Be 9
    }

    It 'by its own stop signal and time' {
        $null = Start-Listener end 'trap "exit 3" USR2; trap "" TERM' @{ StopSignal = 'USR2'; StopTimeoutSec = 30 }
        (Stop-ContainerTask end -PassThru).ExitCode | Should -Be 3
    }

    It 'by a stop with another signal' {
        $null = Start-Listener end 'trap "exit 4" HUP; trap "exit 5" TERM'
        (Stop-ContainerTask end -Signal HUP -TimeoutSec 30 -PassThru).ExitCode | Should -Be 4
    }

    It 'before it began' {
        $null = New-Container end -RootfsPath $root -ArgumentList true | New-ContainerTask
        $task = Stop-ContainerTask end -PassThru
        $task.State | Should -Be 'Stopped'
        $task.StartedAt | Should -BeNullOrEmpty
        $task.StoppedReason | Should -Be 'NotStarted'
    }
}

Describe 'A signal' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'is a name, with or without SIG, in any case, or a number: <_>' -ForEach 'USR1', 'SIGUSR1', 'usr1', '10' {
        $null = Start-Listener heard 'trap "echo heard" USR1'
        Send-ContainerSignal heard -Signal $_
        Wait-Until { (Get-ContainerLog heard).Text -contains 'heard' } 'the signal'
        (Get-ContainerTask heard).State | Should -Be 'Running'
    }

    It 'of real time is one' {
        $null = Start-Listener heard 'trap "echo heard" 37'
        Send-ContainerSignal heard -Signal RTMIN+3
        Wait-Until { (Get-ContainerLog heard).Text -contains 'heard' } 'the signal'
    }

    It 'goes to the first process alone, and to all with -All' {
        $null = New-Container heard -RootfsPath $root -- sh -c (
            'sh -c "trap \"echo child\" USR1; echo ready; while :; do sleep 0.02; done" & trap "echo first" USR1; while :; do sleep 0.02; done') | Start-ContainerTask
        Wait-Until { (Get-ContainerLog heard).Text -contains 'ready' } 'the child'
        Send-ContainerSignal heard -Signal USR1
        Wait-Until { (Get-ContainerLog heard).Text -contains 'first' } 'the signal'
        (Get-ContainerLog heard).Text | Should -Not -Contain 'child'
        # sleep ends by it too; what listens does not.
        Send-ContainerSignal heard -Signal USR1 -All
        Wait-Until { (Get-ContainerLog heard).Text -contains 'child' } 'the signal to all'
    }

    It 'stops and continues the processes that it reaches' {
        $task = Start-Sleeper heard $root
        function Get-ProcessState { ((Get-Content "/proc/$($task.ProcessId)/status") -match '^State:')[0].Split("`t")[1][0] }
        Send-ContainerSignal heard -Signal STOP
        Wait-Until { (Get-ProcessState) -eq 'T' } 'the stop'
        Send-ContainerSignal heard -Signal CONT
        Wait-Until { (Get-ProcessState) -eq 'S' } 'the continuation'
    }

    It 'goes to every container from the pipeline' {
        foreach ($id in 'x', 'y') { $null = Start-Sleeper $id $root }
        Get-ContainerTask | Send-ContainerSignal -Signal KILL
        (Get-ContainerTask | Wait-ContainerTask -TimeoutSec 60).Signal | Should -Be 9, 9
    }
}

Describe 'What a program sees' {
    It 'is its host name' { Invoke-Container -RootfsPath $root -Remove -HostName inside -- hostname | Should -Be 'inside' }
    It 'is its id as host name by default' { Invoke-Container named-host -RootfsPath $root -Remove -- hostname | Should -Be 'named-host' }
    It 'is its user and groups' { Invoke-Container -RootfsPath $root -Remove -User web -GroupAdd 77 -- sh -c 'id -u; id -g; id -G' | Should -Be '1000', '1000', '1000 77 2000' }
    It 'is its folder' { Invoke-Container -RootfsPath $root -Remove -WorkingDirectory /var -- pwd | Should -Be '/var' }
    It 'is a loopback interface and nothing else' { Invoke-Container -RootfsPath $root -Remove -- ls /sys/class/net | Should -Be 'lo' }
    It 'is the host''s network where asked for' { Invoke-Container -RootfsPath $root -Remove -Network host -- readlink /proc/self/ns/net | Should -Be (readlink /proc/self/ns/net) }
    It 'is itself as process 1' { Invoke-Container -RootfsPath $root -Remove -- sh -c 'echo $$' | Should -Be '1' }
    It 'is the host''s processes where asked for' { Invoke-Container -RootfsPath $root -Remove -ProcessNamespace host -- readlink /proc/self/ns/pid | Should -Be (readlink /proc/self/ns/pid) }
    It 'is a read-only root' { Invoke-Container -RootfsPath $root -Remove -ReadOnly -- sh -c 'touch /x 2>/dev/null || echo refused' | Should -Be 'refused' }
    It 'is no privilege' { Invoke-Container -RootfsPath $root -Remove -DropCapability ALL -- grep CapEff /proc/self/status | Should -Match '0{16}$' }
    It 'is a memory limit' {
        Invoke-Container -RootfsPath $root -Remove -Memory 32MB -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null' | Should -Be "$(32MB)"
    }
    It 'is a limit of processes' {
        Invoke-Container -RootfsPath $root -Remove -ProcessLimit 5 -- sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 2 & done 2>/dev/null; wait' 6>$null | Should -BeNullOrEmpty
        $LASTEXITCODE | Should -Not -Be 0
    }
    It 'is a limit of open files' { Invoke-Container -RootfsPath $root -Remove -ResourceLimit nofile=100:200 -- sh -c 'ulimit -Sn; ulimit -Hn' | Should -Be '100', '200' }
    It 'is a sysctl' { Invoke-Container -RootfsPath $root -Remove -Sysctl @{ 'net.ipv4.ip_forward' = '1' } -- cat /proc/sys/net/ipv4/ip_forward | Should -Be '1' }

    It 'is a folder of the host, both ways' {
        $shared = (New-Item "$($store.Folder)/shared dir" -ItemType Directory).FullName
        Set-Content "$shared/in" 'from the host'
        Invoke-Container -RootfsPath $root -Remove -Mount (New-ContainerMount $shared /shared) -- sh -c 'cat /shared/in; echo back >/shared/out' | Should -Be 'from the host'
        Get-Content "$shared/out" | Should -Be 'back'
        Invoke-Container -RootfsPath $root -Remove -Mount (New-ContainerMount $shared /shared -ReadOnly) -- sh -c 'touch /shared/no 2>/dev/null || echo refused' | Should -Be 'refused'
    }

    It 'is memory as a file system' {
        Invoke-Container -RootfsPath $root -Remove -Mount @{ Type = 'Tmpfs'; Target = '/quick'; Size = 1MB } -- sh -c 'dd if=/dev/zero of=/quick/f bs=1k count=2000 2>/dev/null; stat -c %s /quick/f' | Should -Be "$(1MB)"
    }

    It 'is its own layer, which outlives its task and goes with its container' {
        $null = New-Container layer -RootfsPath $root -Overlay -- sh -c 'cat /kept 2>/dev/null; echo more >>/kept'
        foreach ($round in 1..3) { $null = Start-ContainerTask layer -PassThru | Wait-ContainerTask -TimeoutSec 60 }
        # Each task's lines are in the log, which goes on: nothing, one, two.
        (Get-ContainerLog layer).Text | Should -Be 'more', 'more', 'more'
        "$root/kept" | Should -Not -Exist
        Remove-Container layer
    }

    It 'is nothing of the caller: no descriptor but its streams, and signals as they are by default' {
        # ls has the folder itself open as its fourth. No shell: busybox' own ignores SIGQUIT.
        Invoke-Container -RootfsPath $root -Remove -- ls /proc/self/fd | Should -Be '0', '1', '2', '3'
        $seen = Invoke-Container -RootfsPath $root -Remove -- grep -E '^Sig(Blk|Ign)' /proc/self/status
        $seen | ForEach-Object { $_.Split("`t")[1] } | Should -Be '0000000000000000', '0000000000000000'
    }

    It 'is what other runtimes show it: <_>' -ForEach 'runc', 'crun' {
        $program = Get-Command $_ -CommandType Application -ErrorAction SilentlyContinue
        if (-not $program) { Set-ItResult -Skipped -Because "$_ is not installed"; return }
        if ($_ -eq 'crun' -and -not ((Get-Content /proc/mounts) -match ' cgroup .*hugetlb') -and (Test-Path /sys/fs/cgroup/unified)) {
            Set-ItResult -Skipped -Because 'crun refuses a host whose hugetlb controller is left on the v2 side'; return
        }
        Invoke-Container -RootfsPath $root -Remove -Runtime $_ -HostName other -- sh -c 'hostname; id -u; echo $$' | Should -Be 'other', '0', '1'
        Get-Container | Should -BeNullOrEmpty
    }
}
