# Containers: made, got, removed; what a parameter does to the spec.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    function New-Probe { New-Container -RootfsPath $root -ArgumentList true @args }
}

AfterAll { Exit-TestStore }

Describe 'New-Container' {
    AfterEach { Get-Container | Remove-Container }

    It 'gives an object with the properties of its shape' {
        $container = New-Container web -RootfsPath $root -ArgumentList true -Label @{ app = 'shop' }
        $container | Should -BeOfType Containers.Container
        $container.PSObject.Properties.Name | Should -Contain 'CreatedAt'
        $container.Id | Should -Be 'web'
        $container.ContainerNamespace | Should -Be $store.Mark
        $container.State | Should -Be 'None'
        $container.Labels['app'] | Should -Be 'shop'
        $container.RestartPolicy | Should -Be 'no'
        $container.Image | Should -BeNullOrEmpty
        ([DateTimeOffset]::UtcNow - $container.CreatedAt).TotalMinutes | Should -BeLessThan 1
    }

    It 'makes up an id' {
        $first, $second = (New-Probe), (New-Probe)
        $first.Id | Should -Match '^[a-z0-9][A-Za-z0-9_.-]{3,75}$'
        $first.Id | Should -Not -Be $second.Id
    }

    It 'takes a row of a table from the pipeline' {
        [pscustomobject]@{ Id = 'row-1' }, [pscustomobject]@{ Id = 'row-2' } | New-Container -RootfsPath $root -ArgumentList true | Should -HaveCount 2
        (Get-Container row-*).Id | Should -Be 'row-1', 'row-2'
    }

    It 'does nothing with -WhatIf' {
        New-Container web -RootfsPath $root -ArgumentList true -WhatIf | Should -BeNullOrEmpty
        Get-Container | Should -BeNullOrEmpty
    }

    It 'follows the location and drives of PowerShell' {
        Push-Location $store.Folder
        try { (New-Container -RootfsPath ./rootfs -ArgumentList true).RootfsPath | Should -Be $root }
        finally { Pop-Location }
        $null = New-PSDrive -Name TestRoot -PSProvider FileSystem -Root $store.Folder
        try { (New-Container -RootfsPath TestRoot:/rootfs -ArgumentList true).RootfsPath | Should -Be $root }
        finally { Remove-PSDrive TestRoot }
    }

    It 'keeps environment variables, whatever stands in them' {
        $process = (New-Probe -Environment @{ A = '1'; B = 'x=y z'; C = '' }).Spec.Process
        $process.Env | Should -Contain 'A=1'
        $process.Env | Should -Contain 'B=x=y z'
        $process.Env | Should -Contain 'C='
    }

    It 'reads files of variables, and -Environment wins' {
        $file = "$($store.Folder)/vars"
        Set-Content $file "# comment`nA=file`nB=file"
        $process = (New-Probe -EnvironmentFile $file -Environment @{ A = 'given' }).Spec.Process
        $process.Env | Should -Contain 'A=given'
        $process.Env | Should -Contain 'B=file'
    }

    It 'looks users up inside the root' {
        $user = (New-Probe -User web).Spec.Process.User
        $user.Uid, $user.Gid | Should -Be 1000, 1000
        $user.AdditionalGids | Should -Contain 2000
        (New-Probe -User '12:34').Spec.Process.User.Gid | Should -Be 34
    }

    It 'sets <Name>' -ForEach @(
        @{ Name = 'WorkingDirectory'; Given = @{ WorkingDirectory = '/tmp' }; Is = { $_.Spec.Process.Cwd }; Value = '/tmp' }
        @{ Name = 'HostName'; Given = @{ HostName = 'inside' }; Is = { $_.Spec.Hostname }; Value = 'inside' }
        @{ Name = 'Annotation'; Given = @{ Annotation = @{ note = 'x' } }; Is = { $_.Spec.Annotations['note'] }; Value = 'x' }
        @{ Name = 'Memory'; Given = @{ Memory = 64MB }; Is = { $_.Spec.Linux.Resources.Memory.Limit }; Value = 64MB }
        @{ Name = 'Cpu'; Given = @{ Cpu = 0.5 }; Is = { $_.Spec.Linux.Resources.Cpu.Quota / $_.Spec.Linux.Resources.Cpu.Period }; Value = 0.5 }
        @{ Name = 'CpuSet'; Given = @{ CpuSet = '0' }; Is = { $_.Spec.Linux.Resources.Cpu.Cpus }; Value = '0' }
        @{ Name = 'ProcessLimit'; Given = @{ ProcessLimit = 9 }; Is = { $_.Spec.Linux.Resources.Pids.Limit }; Value = 9 }
        @{ Name = 'ReadOnly'; Given = @{ ReadOnly = $true }; Is = { $_.Spec.Root.Readonly }; Value = $true }
        @{ Name = 'NoNewPrivileges'; Given = @{ NoNewPrivileges = $true }; Is = { $_.Spec.Process.NoNewPrivileges }; Value = $true }
        @{ Name = 'OomScoreAdjust'; Given = @{ OomScoreAdjust = 500 }; Is = { $_.Spec.Process.OomScoreAdj }; Value = 500 }
        @{ Name = 'Tty'; Given = @{ Tty = $true }; Is = { $_.Spec.Process.Terminal }; Value = $true }
        @{ Name = 'CgroupParent'; Given = @{ CgroupParent = '/jobs' }; Is = { $_.Spec.Linux.CgroupsPath -like '/jobs/*' }; Value = $true }
        @{ Name = 'Sysctl'; Given = @{ Sysctl = @{ 'net.ipv4.ip_forward' = '1' } }; Is = { $_.Spec.Linux.Sysctl['net.ipv4.ip_forward'] }; Value = '1' }
        @{ Name = 'ResourceLimit'; Given = @{ ResourceLimit = 'nofile=100:200' }; Is = { ($_.Spec.Process.Rlimits | Where-Object Type -eq RLIMIT_NOFILE).Soft }; Value = 100 }
        @{ Name = 'StopSignal'; Given = @{ StopSignal = 'QUIT' }; Is = { $_.StopSignal }; Value = 'SIGQUIT' }
        @{ Name = 'StopTimeoutSec'; Given = @{ StopTimeoutSec = 1.5 }; Is = { $_.StopTimeout.TotalSeconds }; Value = 1.5 }
    ) {
        New-Probe @Given | ForEach-Object $Is | Should -Be $Value
    }

    It 'takes capabilities away and gives them' {
        $set = (New-Probe -DropCapability ALL -AddCapability NET_RAW).Spec.Process.Capabilities
        $set.Bounding | Should -Be 'CAP_NET_RAW'
        $set.Effective | Should -Be 'CAP_NET_RAW'
        $set.Inheritable | Should -BeNullOrEmpty
    }

    It 'filters system calls: <What>' -ForEach @(
        @{ What = 'by default'; Given = @{}; Action = 'SCMP_ACT_ERRNO' }
        @{ What = 'by the word'; Given = @{ SeccompProfile = 'Default' }; Action = 'SCMP_ACT_ERRNO' }
        @{ What = 'not when unconfined'; Given = @{ SeccompProfile = 'unconfined' }; Action = $null }
        @{ What = 'not when privileged'; Given = @{ Privileged = $true }; Action = $null }
        @{ What = 'by a file of a PowerShell drive'; Given = @{ SeccompProfile = 'TestProfiles:/mine.json' }; Action = 'SCMP_ACT_LOG' }
    ) {
        $null = New-PSDrive -Name TestProfiles -PSProvider FileSystem -Root $store.Folder
        Set-Content "$($store.Folder)/mine.json" '{ "defaultAction": "SCMP_ACT_LOG" }'
        try { (New-Probe @Given).Spec.Linux.Seccomp.DefaultAction | Should -Be $Action }
        finally { Remove-PSDrive TestProfiles }
    }

    It 'takes mounts as <Form>' -ForEach @(
        @{ Form = 'an object'; Mount = { New-ContainerMount $folder /inside -ReadOnly } }
        @{ Form = 'a table'; Mount = { @{ Source = $folder; Target = '/inside'; ReadOnly = $true } } }
        @{ Form = 'docker has it'; Mount = { "${folder}:/inside:ro" } }
        @{ Form = 'ctr has it'; Mount = { "type=bind,src=$folder,dst=/inside,options=rbind:ro" } }
    ) {
        $folder = $store.Folder
        $mount = (New-Probe -Mount (& $Mount)).Spec.Mounts | Where-Object Destination -eq /inside
        $mount.Source | Should -Be $folder
        $mount.Options | Should -Contain 'ro'
    }

    It 'has a private namespace of each kind but user and time, by default' {
        $namespaces = (New-Probe).Spec.Linux.Namespaces
        $namespaces.Type | Sort-Object | Should -Be 'cgroup', 'ipc', 'mount', 'network', 'pid', 'uts'
        $namespaces | Where-Object Path | Should -BeNullOrEmpty
    }

    It 'leaves out the namespaces that are the host''s' {
        (New-Probe -Network host).Spec.Linux.Namespaces.Type | Should -Not -Contain 'network'
        (New-Probe -ProcessNamespace host).Spec.Linux.Namespaces.Type | Should -Not -Contain 'pid'
    }

    It 'takes a namespace as an object' {
        $namespace = Get-Namespace -ProcessId $PID -Type Net
        ((New-Probe -Network $namespace).Spec.Linux.Namespaces | Where-Object Type -eq network).Path | Should -Be $namespace.HolderPath
    }

    It 'takes a spec that was changed' {
        $spec = New-ContainerSpec -ArgumentList true
        $spec.Domainname = 'example.org'
        (New-Container -RootfsPath $root -Spec $spec).Spec.Domainname | Should -Be 'example.org'
    }

    It 'takes a bundle' {
        $bundle = New-Item "$($store.Folder)/bundle" -ItemType Directory -Force
        $spec = New-ContainerSpec -ArgumentList echo, bundled -RootfsPath $root
        [System.IO.File]::WriteAllBytes("$bundle/config.json", [Containers.Linux.Oci.OciJson]::WriteSpec($spec))
        $container = New-Container old -Bundle $bundle
        $container.Bundle | Should -Be $bundle.FullName
        $container.Spec.Process.Args | Should -Be 'echo', 'bundled'
    }

    It 'keeps what it writes to itself' {
        $null = New-Container secret -RootfsPath $root -ArgumentList true -Environment @{ PASSWORD = 'x' }
        $record = Get-ChildItem $env:CONTAINERS_ROOT -Recurse -File | Where-Object Name -eq container.json
        $record.UnixFileMode.ToString() | Should -Be 'UserWrite, UserRead'
        (Get-Item $env:CONTAINERS_ROOT).UnixFileMode.ToString() | Should -Be 'UserExecute, UserWrite, UserRead'
    }
}

Describe 'Bad input to New-Container' {
    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'an id with a slash'; Id = 'InvalidId'; Try = { New-Container 'a/b' -RootfsPath $root -ArgumentList true } }
        @{ What = 'an id of dots'; Id = 'InvalidId'; Try = { New-Container '..' -RootfsPath $root -ArgumentList true } }
        @{ What = 'an empty id'; Id = 'InvalidId'; Try = { New-Container '' -RootfsPath $root -ArgumentList true } }
        @{ What = 'an id of 77 characters'; Id = 'InvalidId'; Try = { New-Container ('a' * 77) -RootfsPath $root -ArgumentList true } }
        @{ What = 'a container namespace with a slash'; Id = 'InvalidId'; Try = { New-Probe -ContainerNamespace 'a/b' } }
        @{ What = 'a root that is not there'; Id = 'RootfsNotFound'; Try = { New-Container -RootfsPath /nonexistent -ArgumentList true } }
        @{ What = 'a bundle that is not there'; Id = 'RootfsNotFound|BundleNotFound|InvalidSpec'; Try = { New-Container -Bundle /nonexistent } }
        @{ What = 'no program'; Id = 'InvalidSpec'; Try = { New-Container -RootfsPath $root } }
        @{ What = 'an empty program'; Id = 'InvalidSpec'; Try = { New-Container -RootfsPath $root -ArgumentList '' } }
        @{ What = 'an argument with a NUL'; Id = 'InvalidArgument'; Try = { New-Container -RootfsPath $root -ArgumentList echo, "a`0b" } }
        @{ What = 'a capability that does not exist'; Id = 'InvalidArgument'; Try = { New-Probe -AddCapability NONSENSE } }
        @{ What = 'a profile that is not there'; Id = 'InvalidArgument'; Try = { New-Probe -SeccompProfile /nonexistent } }
        @{ What = 'a profile that is none'; Id = 'InvalidArgument'; Try = { New-Probe -SeccompProfile /etc/hostname } }
        @{ What = 'a network that does not exist'; Id = 'NetworkNotFound'; Try = { New-Probe -Network backend } }
        @{ What = 'a namespace of another type'; Id = 'InvalidArgument'; Try = { New-Probe -Network (Get-Namespace -ProcessId $PID -Type Pid) } }
        @{ What = 'a mount without a target'; Id = 'InvalidMount'; Try = { New-Probe -Mount @{ Source = '/tmp' } } }
        @{ What = 'a mount whose source is missing'; Id = 'InvalidMount'; Try = { New-Probe -Mount '/nonexistent:/x' } }
        @{ What = 'a mount that is a number'; Id = 'InvalidMount'; Try = { New-Probe -Mount 7 } }
        @{ What = 'a user that is not in the root'; Id = 'UserNotFound'; Try = { New-Probe -User nobodyhere } }
        @{ What = 'a signal that does not exist'; Id = 'InvalidArgument'; Try = { New-Probe -StopSignal NONSENSE } }
        @{ What = 'a runtime that is not there'; Id = 'RuntimeNotFound'; Try = { New-Probe -Runtime nosuchruntime } }
        @{ What = 'a variable with = in its name'; Id = 'InvalidArgument'; Try = { New-Probe -Environment @{ 'A=B' = '1' } } }
        @{ What = 'a file of variables that is missing'; Id = 'EnvironmentFileInvalid'; Try = { New-Probe -EnvironmentFile /nonexistent } }
        @{ What = 'a relative working folder'; Id = 'InvalidArgument'; Try = { New-Probe -WorkingDirectory tmp } }
        @{ What = 'a log of an unknown kind'; Id = 'NotSupported'; Try = { New-Probe -LogUri carrier-pigeon: } }
        @{ What = 'less memory than a kernel takes'; Id = 'InvalidArgument'; Try = { New-Probe -Memory 0 } }
        @{ What = 'no processor'; Id = 'InvalidArgument'; Try = { New-Probe -Cpu 0 } }
    ) {
        Get-ErrorIdOf $Try | Should -Match "^($Id)$"
        Get-Container | Should -BeNullOrEmpty
    }

    It 'is ContainerExists for an id that is taken, with the id as target' {
        $null = New-Container web -RootfsPath $root -ArgumentList true
        try {
            $problem = Get-ErrorOf { New-Container web -RootfsPath $root -ArgumentList false }
            $problem.FullyQualifiedErrorId | Should -BeLike 'ContainerExists,*'
            $problem.CategoryInfo.Category | Should -Be 'ResourceExists'
            $problem.TargetObject | Should -Be 'web'
            $problem.Exception | Should -BeOfType Containers.ContainerException
            $problem.ErrorDetails.RecommendedAction | Should -Not -BeNullOrEmpty
            (Get-Container web).Spec.Process.Args | Should -Be 'true'
        }
        finally { Remove-Container web }
    }
}

Describe 'Remove-Container' {
    It 'asks for a name rather than removing all' {
        (Get-Command Remove-Container).Parameters['Id'].Attributes.Where{ $_ -is [Parameter] }.Mandatory | Should -BeTrue
    }

    It 'does nothing with -WhatIf' {
        $null = New-Container web -RootfsPath $root -ArgumentList true
        Remove-Container web -WhatIf
        Get-Container web | Should -Not -BeNullOrEmpty
        Remove-Container web
        Get-Container | Should -BeNullOrEmpty
    }

    It 'is ContainerNotFound for what is not there' {
        $problem = Get-ErrorOf { Remove-Container missing }
        $problem.FullyQualifiedErrorId | Should -BeLike 'ContainerNotFound,*'
        $problem.CategoryInfo.Category | Should -Be 'ObjectNotFound'
    }

    It 'gives nothing' {
        $null = New-Container web -RootfsPath $root -ArgumentList true
        Remove-Container web | Should -BeNullOrEmpty
    }
}
