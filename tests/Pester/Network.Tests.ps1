# Networks by name, with plugins of the test's own: they write down that they were called, and touch nothing of the host's.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $variables = $env:CNI_CONF_DIR, $env:CNI_PATH
    $env:CNI_CONF_DIR = "$($store.Folder)/net.d"
    $env:CNI_PATH = "$($store.Folder)/bin"
    $null = New-Item $env:CNI_CONF_DIR, $env:CNI_PATH -ItemType Directory
    $calls = "$($store.Folder)/calls"
    function Set-Plugin([string] $Type, [string] $Script = '') {
        @"
#!/bin/sh
cat > /dev/null
echo "$Type `$CNI_COMMAND `$CNI_IFNAME" >> $calls
case `$CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}' ;;
ADD) $(if ($Script) { $Script } else { "echo '{""cniVersion"":""1.0.0"",""ips"":[{""address"":""10.9.0.2/24""}]}'" }) ;;
DEL) $(if ($Script) { $Script } else { ':' }) ;;
esac
"@ | Set-Content "$env:CNI_PATH/$Type"
        chmod 0755 "$env:CNI_PATH/$Type"
    }
    function Get-Call { @(Get-Content $calls -ErrorAction Ignore).Where{ $_ -notmatch 'VERSION' } }
    function New-Probe([string] $Id, [string] $Network) { New-Container $Id -RootfsPath $store.Rootfs -Network $Network -ArgumentList sleep, 1000 }
    foreach ($type in 'bridge', 'portmap', 'firewall', 'plug') { Set-Plugin $type }
}

AfterAll {
    # Those that a failed test has left go with plugins that work.
    foreach ($type in 'bridge', 'portmap', 'firewall', 'plug') { Set-Plugin $type }
    Get-Container | Remove-Container -Force
    Clear-ContainerNetwork -Confirm:$false
    $kept = @(Get-ChildItem /run/netns -Filter "cni-$($store.Mark)*" -ErrorAction Ignore)
    Exit-TestStore
    $env:CNI_CONF_DIR, $env:CNI_PATH = $variables
    if ($kept) { throw "left behind: $kept" }
}

Describe 'Networks' {
    It 'are made with free subnets, found by wildcard, and removed' {
        $one = New-ContainerNetwork one
        $two = New-ContainerNetwork two -Internal -Subnet 10.98.0.0/24, fd00:98::/64 -Gateway 10.98.0.9 -Mtu 1400
        $one.Driver | Should -Be bridge
        $one.Subnets | Should -HaveCount 1
        $two.Subnets | Should -Be '10.98.0.0/24', 'fd00:98::/64'
        (Get-ContainerNetwork).Name | Should -Be one, two
        (Get-ContainerNetwork 'o*').Path | Should -Be $one.Path
        (Get-Content $two.Path -Raw | ConvertFrom-Json).plugins[0].mtu | Should -Be 1400
        Get-ErrorIdOf { New-ContainerNetwork one } | Should -Be NetworkExists
        Get-ErrorIdOf { New-ContainerNetwork three -Subnet 10.98.0.128/25 } | Should -Be NetworkConflict
        Get-ErrorIdOf { New-ContainerNetwork three -Subnet 10.97.0.1/24 } | Should -Be InvalidArgument
        Get-ContainerNetwork | Remove-ContainerNetwork -WhatIf
        Get-ContainerNetwork | Remove-ContainerNetwork
        Get-ContainerNetwork | Should -BeNullOrEmpty
        Get-ErrorIdOf { Get-ContainerNetwork one } | Should -Be NetworkNotFound
        Get-ErrorIdOf { Remove-ContainerNetwork one } | Should -Be NetworkNotFound
    }

    It 'are taken from a file, and a broken file is one error beside the others' {
        '{"cniVersion":"1.0.0","name":"theirs","plugins":[{"type":"plug"}]}' | Set-Content "$($store.Folder)/theirs.conflist"
        (New-ContainerNetwork -FromFile "$($store.Folder)/theirs.conflist").Plugins | Should -Be plug
        '{' | Set-Content "$env:CNI_CONF_DIR/00-broken.conf"
        $found = Get-ContainerNetwork -ErrorVariable bad -ErrorAction SilentlyContinue
        $found.Name | Should -Be theirs
        $bad.FullyQualifiedErrorId | Should -BeLike 'NetworkInvalid,*'
        Remove-Item "$env:CNI_CONF_DIR/00-broken.conf"
        Remove-ContainerNetwork theirs
    }

    It 'of others are left alone unless it is said' {
        '{"cniVersion":"1.0.0","name":"foreign","type":"plug"}' | Set-Content "$env:CNI_CONF_DIR/10-foreign.conf"
        Get-ErrorIdOf { Remove-ContainerNetwork foreign } | Should -Be NetworkNotOurs
        Remove-ContainerNetwork foreign -Force
        "$env:CNI_CONF_DIR/10-foreign.conf" | Should -Not -Exist
    }
}

Describe 'A container on networks' {
    BeforeAll {
        foreach ($name in 'a', 'b') { "{""cniVersion"":""1.0.0"",""name"":""$name"",""plugins"":[{""type"":""plug""}]}" | Set-Content "$env:CNI_CONF_DIR/$name.conflist" }
    }

    BeforeEach {
        Set-Plugin plug
        Remove-Item $calls -ErrorAction Ignore
    }

    It 'keeps its namespace over tasks, and names who is on a network' {
        $id = "$($store.Mark)-one"
        $task = New-Probe $id 'a,b' | Start-ContainerTask -PassThru
        Get-Call | Should -Be 'plug ADD eth0', 'plug ADD eth1'
        $space = (Get-Item "/proc/$($task.ProcessId)/ns/net").LinkTarget
        $task = Restart-ContainerTask $id -TimeoutSec 0 -PassThru
        $task = Get-ContainerTask $id
        (Get-Item "/proc/$($task.ProcessId)/ns/net").LinkTarget | Should -Be $space
        Get-Call | Should -HaveCount 2
        $failure = Get-ErrorOf { Remove-ContainerNetwork a -Force }
        $failure.FullyQualifiedErrorId | Should -BeLike 'NetworkInUse,*'
        "$failure" | Should -BeLike "*$id*"
        Remove-Container $id -Force
        Get-Call | Select-Object -Last 2 | Should -Be 'plug DEL eth1', 'plug DEL eth0'
        Clear-ContainerNetwork -Confirm:$false -PassThru | Should -BeNullOrEmpty
    }

    It 'takes networks as a list and as objects' {
        $container = New-Container "$($store.Mark)-list" -RootfsPath $store.Rootfs -Network (Get-ContainerNetwork a, b) -ArgumentList 'true'
        $container | Start-ContainerTask
        Get-Call | Should -Be 'plug ADD eth0', 'plug ADD eth1'
        $container | Remove-Container -Force
    }

    It 'does not start when a plugin fails, and says with which code' {
        Set-Plugin plug "echo '{""code"":7,""msg"":""no such master""}'; exit 1"
        $failure = Get-ErrorOf { New-Probe "$($store.Mark)-bad" a | Start-ContainerTask }
        $failure.FullyQualifiedErrorId | Should -BeLike 'NetworkPluginFailed,*'
        $failure.Exception.InnerException.Code | Should -Be 7
        Get-ContainerTask "$($store.Mark)-bad" -ErrorAction SilentlyContinue | Should -BeNullOrEmpty
    }

    It 'that was removed by force leaves a record that can be cleared' {
        $id = "$($store.Mark)-forced"
        New-Probe $id a | Start-ContainerTask
        Set-Plugin plug 'exit 1'
        Get-ErrorIdOf { Stop-ContainerTask $id -TimeoutSec 0; Remove-Container $id } | Should -Be NetworkPluginFailed
        Remove-Container $id -Force
        Clear-ContainerNetwork -WhatIf
        Get-ErrorIdOf { Clear-ContainerNetwork -Confirm:$false } | Should -Be NetworkPluginFailed
        Set-Plugin plug
        (Clear-ContainerNetwork -Confirm:$false -PassThru).ContainerId | Should -Contain $id
        Clear-ContainerNetwork -Confirm:$false -PassThru | Should -BeNullOrEmpty
    }
}
