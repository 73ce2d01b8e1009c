# The views: every type has a table that fits 120 columns and a list; JSON is stable.

BeforeDiscovery {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    Import-TestedModule
    $types = @(
        'Container', 'ContainerChange', 'ContainerMount', 'ContainerTask', 'ContainerExec', 'ContainerRunResult', 'ContainerLogEntry', 'ContainerMeasurement',
        'ContainerServiceUnit', 'LinuxNamespace', 'Cgroup', 'CgroupLimit', 'CgroupControllerInfo', 'CgroupHierarchyInfo', 'CgroupProcess', 'CgroupEvent', 'CgroupMeasurement', 'ContainerHostCheck', 'ContainerHostInfo',
        'ContainerProcess', 'ContainerEvent', 'ContainerConfigurationItem', 'ContainerNamespaceInfo', 'ContainerNetwork', 'ContainerNetworkAttachment', 'ContainerVolume', 'ContainerDaemonDump', 'ContainerGoroutine'
    ) | ForEach-Object { @{ Type = "Containers.$_" } }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $null = Start-Sleeper web $store.Rootfs
    function Get-Width($Objects) { ($Objects | Format-Table | Out-String -Width 120).Split("`n").TrimEnd() | ForEach-Object Length | Measure-Object -Maximum | ForEach-Object Maximum }
}

AfterAll { Exit-TestStore }

Describe 'The view of <Type>' -ForEach $types {
    It 'is a table and a list' {
        $views = (Get-FormatData $Type -PowerShellVersion 7.4).FormatViewDefinition.Control
        $views | Where-Object { $_ -is [System.Management.Automation.TableControl] } | Should -HaveCount 1
        $views | Where-Object { $_ -is [System.Management.Automation.ListControl] } | Should -HaveCount 1
    }

    It 'fits 120 columns' {
        $table = (Get-FormatData $Type -PowerShellVersion 7.4).FormatViewDefinition.Control | Where-Object { $_ -is [System.Management.Automation.TableControl] }
        $widths = $table.Headers.Width
        # a blank between columns, and room for the last one, which has no width of its own
        ($widths | Measure-Object -Sum).Sum + $widths.Count - 1 + $(if ($widths[-1] -eq 0) { 8 } else { 0 }) | Should -BeLessOrEqual 120
    }

    It 'names properties that there are' {
        $class = ($Type -as [type])
        foreach ($control in (Get-FormatData $Type -PowerShellVersion 7.4).FormatViewDefinition.Control) {
            $entries = if ($control -is [System.Management.Automation.TableControl]) { $control.Rows.Columns.DisplayEntry } else { $control.Entries.Items.DisplayEntry }
            foreach ($entry in $entries | Where-Object ValueType -eq Property) { $class.GetProperty($entry.Value) | Should -Not -BeNullOrEmpty -Because $entry.Value }
            foreach ($entry in $entries | Where-Object ValueType -eq ScriptBlock) {
                foreach ($name in [regex]::Matches($entry.Value, '\$_\.(\w+)').ForEach{ $_.Groups[1].Value } -notmatch '^(Key|Value)$') {
                    ($class.GetProperty($name) ?? $class.GetMethod($name)) | Should -Not -BeNullOrEmpty -Because "`$_.$name in: $($entry.Value)"
                }
            }
        }
    }
}

Describe 'What is shown' {
    It 'is something, and no error: <Name>' -ForEach @(
        @{ Name = 'containers'; Make = { Get-Container } }
        @{ Name = 'tasks'; Make = { Get-ContainerTask } }
        @{ Name = 'namespaces'; Make = { Get-Namespace -Container web } }
        @{ Name = 'groups'; Make = { Get-Cgroup -Container web } }
        @{ Name = 'limits'; Make = { Get-CgroupLimit web } }
        @{ Name = 'measurements'; Make = { Measure-Container web } }
        @{ Name = 'results'; Make = { Invoke-ContainerCommand web -PassThru -- true } }
        @{ Name = 'the host'; Make = { Get-ContainerHost } }
        @{ Name = 'checks'; Make = { Test-ContainerHost -Name 'Namespace *' } }
        @{ Name = 'mounts'; Make = { New-ContainerMount /tmp /x } }
    ) {
        $objects = & $Make
        # an expression of a view that fails shows nothing, and says so here only
        $Error.Clear()
        Get-Width $objects | Should -BeGreaterThan 20
        Get-Width $objects | Should -BeLessOrEqual 120
        ($objects | Format-List | Out-String).Trim() | Should -Not -BeNullOrEmpty
        $Error | Should -BeNullOrEmpty
    }

    It 'cannot steer the terminal' {
        $null = New-Container steer -RootfsPath $store.Rootfs -ArgumentList "a`e[31mb"
        (Get-Container steer | Format-Table | Out-String -Width 120).Contains("`e[31m") | Should -BeFalse
    }

    It 'is <Text> for <Bytes> bytes' -ForEach @(
        @{ Bytes = 0; Text = '0 B' }, @{ Bytes = 999; Text = '999 B' }, @{ Bytes = 1024; Text = '1.00 KiB' }, @{ Bytes = 1536; Text = '1.50 KiB' }
        @{ Bytes = 64MB; Text = '64.0 MiB' }, @{ Bytes = 1023MB; Text = '1.00 GiB' }, @{ Bytes = [long]::MaxValue; Text = '8.00 EiB' }
    ) { [Containers.Formats.Display]::Bytes($Bytes) | Should -Be $Text }
}

Describe 'JSON' {
    It 'of <Name> has no cycle and raw values' -ForEach @(
        @{ Name = 'a container'; Make = { Get-Container web } }
        @{ Name = 'a task'; Make = { Get-ContainerTask web } }
        @{ Name = 'a namespace'; Make = { Get-Namespace -Container web -Type Net } }
        @{ Name = 'a limit'; Make = { Get-CgroupLimit web } }
        @{ Name = 'a measurement'; Make = { Measure-Container web } }
        @{ Name = 'a check'; Make = { Test-ContainerHost -Name 'Namespace net' } }
    ) {
        $object = & $Make
        $json = $object | ConvertTo-Json -Depth 32 -EnumsAsStrings -WarningVariable warnings -WarningAction SilentlyContinue
        $warnings | Should -BeNullOrEmpty
        $again = $json | ConvertFrom-Json
        $again.PSObject.Properties.Name | Should -Be $object.GetType().GetProperties().Name
    }

    It 'has states as words' {
        (Get-ContainerTask web | ConvertTo-Json -EnumsAsStrings | ConvertFrom-Json).State | Should -BeExactly 'Running'
    }
}
