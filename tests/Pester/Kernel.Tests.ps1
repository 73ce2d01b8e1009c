# Namespaces, control groups, limits, measurements, and what the host is.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $task = Start-Sleeper web $root
}

AfterAll { Exit-TestStore }

Describe 'Get-Namespace' {
    It 'gives the namespaces of a container' {
        $namespaces = Get-Namespace -Container web
        $namespaces | Should -BeOfType Containers.LinuxNamespace
        ($namespaces | Where-Object Container -eq web).Type | Sort-Object | Should -Be 'Cgroup', 'Ipc', 'Mnt', 'Net', 'Pid', 'Uts'
    }

    It 'gives inode numbers as the kernel has them' {
        $net = Get-Namespace -Container web -Type Net
        (Get-Item "/proc/$($task.ProcessId)/ns/net").LinkTarget | Should -Be "net:[$($net.Id)]"
        $net.ProcessId | Should -Be $task.ProcessId
        $net.Holder | Should -Be 'Process'
        $net.HolderPath | Should -Exist
    }

    It 'takes containers and tasks from the pipeline' {
        (Get-Container web | Get-Namespace -Type Uts).Id | Should -Be (Get-ContainerTask web | Get-Namespace -Type Uts).Id
    }

    It 'gives those of a process' {
        (Get-Namespace -ProcessId $PID -Type Net).Id | Should -Not -Be (Get-Namespace -Container web -Type Net).Id
    }

    It 'finds one by its number' {
        $id = (Get-Namespace -Container web -Type Ipc).Id
        (Get-Namespace -Id $id).Container | Should -Be 'web'
    }

    It 'gives several types' {
        (Get-Namespace -Container web -Type Net, Uts).Type | Should -Be 'Net', 'Uts'
    }

    It 'sees one that only a bind mount holds' {
        $held = "$($store.Folder)/held-net"
        $null = New-Item $held
        # unshare leaves; the mount stays
        unshare --net=$held true
        try {
            $namespace = Get-Namespace -Type Net | Where-Object HolderPath -eq $held
            $namespace.Holder | Should -Be 'BindMount'
            $namespace.ProcessId | Should -BeNullOrEmpty
        }
        finally { umount $held }
    }

    It 'is NamespaceNotFound for a process that is not there' {
        Get-ErrorIdOf { Get-Namespace -ProcessId 2147483646 } | Should -Be 'NamespaceNotFound'
    }
}

Describe 'Get-Cgroup' {
    It 'gives the group of a container' {
        $group = Get-Cgroup -Container web
        $group | Should -BeOfType Containers.Cgroup
        $group.Path | Should -Be "/pscontainers/$($store.Mark)/web"
        $group.ProcessCount | Should -Be 1
        $group.Container | Should -Be 'web'
        $group.Controllers | Should -Contain 'memory'
    }

    It 'gives a group by path, and those below it' {
        (Get-Cgroup "/pscontainers/$($store.Mark)").Path | Should -Be "/pscontainers/$($store.Mark)"
        (Get-Cgroup "/pscontainers/$($store.Mark)" -Recurse).Path | Should -Contain "/pscontainers/$($store.Mark)/web"
    }

    It 'takes a star for one name' {
        (Get-Cgroup "/pscontainers/$($store.Mark)/*").Path | Should -Be "/pscontainers/$($store.Mark)/web"
    }

    It 'gives that of a process' {
        (Get-Cgroup -ProcessId $task.ProcessId).Path | Should -Be "/pscontainers/$($store.Mark)/web"
    }

    It 'takes tasks from the pipeline' { ($task | Get-Cgroup).Container | Should -Be 'web' }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'a path that is not there'; Id = 'CgroupNotFound'; Try = { Get-Cgroup /no/such/group } }
        @{ What = 'a path that climbs out'; Id = 'InvalidArgument'; Try = { Get-Cgroup /../../etc } }
        @{ What = 'a process that is not there'; Id = 'ProcessNotFound'; Try = { Get-Cgroup -ProcessId 2147483646 } }
    ) { Get-ErrorIdOf $Try | Should -Be $Id }
}

Describe 'Limits' {
    It 'are set, and read as raw numbers' {
        $limit = Set-CgroupLimit web -Memory 32MB -Cpu 0.5 -ProcessLimit 20 -PassThru
        $limit | Should -BeOfType Containers.CgroupLimit
        $limit.Memory | Should -Be 32MB
        $limit.Cpu | Should -Be 0.5
        $limit.ProcessLimit | Should -Be 20
        (Get-CgroupLimit web).Memory | Should -Be 32MB
    }

    It 'leave alone what is not named' {
        Set-CgroupLimit web -ProcessLimit 20 -Memory 32MB
        Set-CgroupLimit web -Cpu 0.25
        $limit = Get-CgroupLimit web
        $limit.Memory, $limit.ProcessLimit, $limit.Cpu | Should -Be 32MB, 20, 0.25
    }

    It 'hold' {
        Set-CgroupLimit web -ProcessLimit 3
        $result = Invoke-ContainerCommand web -PassThru -- sh -c 'sleep 5 & sleep 5 & sleep 5 & sleep 5 & wait'
        $result.StandardError | Should -Match 'fork|Resource'
        Set-CgroupLimit web -ProcessLimit -1
    }

    It 'are gone with -1, and shown as $null' {
        Set-CgroupLimit web -Memory 32MB -Cpu 0.5 -ProcessLimit 9
        $limit = Set-CgroupLimit web -Memory -1 -MemorySwap -1 -Cpu -1 -ProcessLimit -1 -PassThru
        $limit.Memory | Should -BeNullOrEmpty
        $limit.Cpu | Should -BeNullOrEmpty
        $limit.ProcessLimit | Should -BeNullOrEmpty
    }

    It 'kill what goes over the memory' {
        Set-CgroupLimit web -Memory 16MB
        $result = Invoke-ContainerCommand web -PassThru -- dd if=/dev/zero of=/dev/null bs=64M count=1
        $result.ExitCode, $result.Signal | Should -Be 137, 9
        $LASTEXITCODE | Should -Be 137
        Set-CgroupLimit web -Memory -1 -MemorySwap -1
    }

    It 'go by container, task, group, path and text' {
        foreach ($target in (Get-Container web), (Get-ContainerTask web), (Get-Cgroup -Container web), 'web') {
            ($target | Set-CgroupLimit -ProcessLimit 50 -PassThru).Container | Should -Be 'web'
            ($target | Get-CgroupLimit).ProcessLimit | Should -Be 50
        }
        (Set-CgroupLimit -Path "/pscontainers/$($store.Mark)/web" -ProcessLimit 60 -PassThru).ProcessLimit | Should -Be 60
    }

    It 'are those that a container is made with' {
        $null = New-Container small -RootfsPath $root -Memory 24MB -Cpu 0.5 -ProcessLimit 7 -CpuSet 0 -ArgumentList sleep, 1000 | Start-ContainerTask
        $limit = Get-CgroupLimit small
        $limit.Memory, $limit.Cpu, $limit.ProcessLimit, $limit.CpuSet | Should -Be 24MB, 0.5, 7, '0'
        Remove-Container small -Force
    }

    It 'change nothing with -WhatIf' {
        Set-CgroupLimit web -ProcessLimit 77 -WhatIf
        (Get-CgroupLimit web).ProcessLimit | Should -Not -Be 77
    }

    It 'are <Id> for <What>' -ForEach @(
        @{ What = 'nothing to set'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit web } }
        @{ What = 'a group that is not there'; Id = 'CgroupNotFound'; Try = { Set-CgroupLimit -Path /no/such -Cpu 1 } }
        @{ What = 'a processor that is not there'; Id = 'HostRefused|InvalidArgument'; Try = { Set-CgroupLimit web -CpuSet 4000 } }
        @{ What = 'no processor at all'; Id = 'InvalidArgument'; Try = { Set-CgroupLimit web -Cpu 0 } }
        @{ What = 'a thing that has no group'; Id = 'InvalidArgument'; Try = { Get-Date | Get-CgroupLimit } }
    ) { Get-ErrorIdOf $Try | Should -Match "^($Id)$" }
}

Describe 'Measure-Container' {
    It 'gives raw numbers' {
        $measured = Measure-Container web
        $measured | Should -BeOfType Containers.ContainerMeasurement
        $measured.MemoryUsage | Should -BeOfType long
        $measured.CpuTime | Should -BeOfType timespan
        $measured.ProcessCount | Should -BeGreaterOrEqual 1
        $measured.Time | Should -BeOfType DateTimeOffset
    }

    It 'sees a busy program' {
        $null = Invoke-Container busy -RootfsPath $root -Detach -- sh -c 'while :; do :; done'
        try { (Measure-Container busy).CpuPercent | Should -BeGreaterThan 10 }
        finally { Remove-Container busy -Force }
    }

    It 'watches until the pipeline wants no more' {
        $times = (Measure-Container web -Watch -IntervalSec 0.1 | Select-Object -First 3).Time
        $times.Count | Should -Be 3
        $times[2] | Should -BeGreaterThan $times[0]
    }

    It 'stops watching when the task ends' {
        $null = Invoke-Container short -RootfsPath $root -Detach -- sleep 8
        try { @(Measure-Container short -Watch -IntervalSec 0.2).Count | Should -BeGreaterThan 0 }
        finally { Remove-Container short -Force }
    }
}

Describe 'The host' {
    It 'says what it is' {
        $machine = Get-ContainerHost
        $machine | Should -BeOfType Containers.ContainerHostInfo
        $machine.KernelVersion | Should -Be (uname -r)
        $machine.Root | Should -Be $env:CONTAINERS_ROOT
        $machine.CgroupMode | Should -BeIn 'v1', 'hybrid', 'v2'
        $machine.HelperPath | Should -Be (Get-Item "$(Get-ModulePath)/bin/linux-*/psrun").FullName
        $machine.ModuleVersion | Should -Be (Get-Module Containers).Version
        $machine.RunningCount | Should -BeGreaterOrEqual 1
    }

    It 'is checked by trying, at least ten things' {
        $checks = Test-ContainerHost
        $checks | Should -BeOfType Containers.ContainerHostCheck
        $checks.Count | Should -BeGreaterOrEqual 10
        foreach ($check in $checks) {
            $check.Name, $check.Category, $check.Found, $check.Needed, $check.Why | Should -Not -Contain $null
            if ($check.Status -eq 'Fail') { $check.Remedy | Should -Not -BeNullOrEmpty -Because $check.Name }
        }
        ($checks | Where-Object Name -like '*psrun*').Status | Should -Be 'Pass'
    }

    It 'is checked by name' {
        (Test-ContainerHost -Name 'Namespace net').Name | Should -Be 'Namespace net'
    }
}

Describe 'A spec' {
    It 'is an object that can be changed' {
        $spec = New-ContainerSpec -ArgumentList sh, -c, true -Memory 64MB -User 5:6
        $spec | Should -BeOfType Containers.Linux.Oci.Spec
        $spec.Process.Args | Should -Be 'sh', '-c', 'true'
        $spec.Process.User.Uid, $spec.Process.User.Gid | Should -Be 5, 6
        $spec.Linux.Resources.Memory.Limit | Should -Be 64MB
    }

    It 'has a program without being told one' { (New-ContainerSpec).Process.Args | Should -Be 'sh' }

    It 'gives a container its default capabilities and nothing ambient' {
        $set = (New-ContainerSpec).Process.Capabilities
        $set.Bounding | Should -Contain 'CAP_CHOWN'
        $set.Bounding | Should -Not -Contain 'CAP_SYS_ADMIN'
        $set.Ambient | Should -BeNullOrEmpty
        $set.Inheritable | Should -BeNullOrEmpty
    }
}
