# The configuration: files, environment, what counts and where it comes from.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $before = $env:CONTAINERS_CONFIG, $env:XDG_CONFIG_HOME
    $env:CONTAINERS_CONFIG = "$($store.Folder)/etc/config.json"
    $env:XDG_CONFIG_HOME = "$($store.Folder)/home"
}

AfterAll {
    $env:CONTAINERS_CONFIG, $env:XDG_CONFIG_HOME = $before
    Exit-TestStore
}

Describe 'The configuration' {
    AfterEach { Remove-Item $env:CONTAINERS_CONFIG, "$env:XDG_CONFIG_HOME/pscontainers/config.json" -ErrorAction Ignore }

    It 'has defaults, and says that they are' {
        $all = Get-ContainerHostConfiguration
        $all.Name | Should -Be root, runRoot, containerNamespace, runtime, snapshotter, layerBytes, layerEntries, layerRatio
        ($all | Where-Object Name -eq runtime).Value | Should -Be 'psrun'
        ($all | Where-Object Name -eq runtime).Source | Should -Be 'Default'
        ($all | Where-Object Name -eq root).Source | Should -Be 'Environment'
        ($all | Where-Object Name -eq root).Value | Should -Be $env:CONTAINERS_ROOT
    }

    It 'takes the user''s file before the system''s, and the environment before both' {
        (Set-ContainerHostConfiguration runtime runc -PassThru).Source | Should -Be 'System'
        (New-Container one -RootfsPath $store.Rootfs -ArgumentList true).Runtime | Should -Be 'runc'
        $set = Set-ContainerHostConfiguration runtime psrun -User -PassThru
        $set.Source | Should -Be 'User'
        $set.File | Should -Be "$env:XDG_CONFIG_HOME/pscontainers/config.json"
        (New-Container two -RootfsPath $store.Rootfs -ArgumentList true).Runtime | Should -Be 'psrun'
        $env:CONTAINERS_RUNTIME = 'runc'
        try {
            (Get-ContainerHostConfiguration runtime).Source | Should -Be 'Environment'
            (New-Container three -RootfsPath $store.Rootfs -ArgumentList true).Runtime | Should -Be 'runc'
            (New-Container four -RootfsPath $store.Rootfs -Runtime psrun -ArgumentList true).Runtime | Should -Be 'psrun'
        }
        finally { $env:CONTAINERS_RUNTIME = $null }
        Set-ContainerHostConfiguration runtime $null -User
        (Get-ContainerHostConfiguration runtime).Value | Should -Be 'runc'
        Get-Container | Remove-Container
    }

    It 'says under -WhatIf what would count, and writes nothing' {
        $said = pwsh -NoProfile -NonInteractive -Command "Import-Module '$(Get-ModulePath)'; `$env:CONTAINERS_NAMESPACE = 'mine'; Set-ContainerHostConfiguration containerNamespace other -WhatIf"
        "$said" | Should -BeLike "*'mine' counts*CONTAINERS_NAMESPACE*"
        Test-Path $env:CONTAINERS_CONFIG | Should -BeFalse
    }

    It 'refuses what it does not know, by name, and changes nothing then' {
        Get-ErrorIdOf { Set-ContainerHostConfiguration colour red } | Should -Be 'ConfigurationInvalid'
        Get-ErrorIdOf { Set-ContainerHostConfiguration layerBytes many } | Should -Be 'ConfigurationInvalid'
        Get-ErrorIdOf { Set-ContainerHostConfiguration root relative } | Should -Be 'ConfigurationInvalid'
        Get-ErrorIdOf { Set-ContainerHostConfiguration containerNamespace ns } | Should -Be 'ConfigurationInvalid'
        Get-ErrorIdOf { Get-ContainerHostConfiguration colour } | Should -Be 'InvalidArgument'
        Test-Path $env:CONTAINERS_CONFIG | Should -BeFalse
        $null = New-Item (Split-Path $env:CONTAINERS_CONFIG) -ItemType Directory -Force
        Set-Content $env:CONTAINERS_CONFIG '{ "runtime": "psrun", "colour": "red" }'
        $problem = Get-ErrorOf { Get-ContainerHostConfiguration }
        $problem.FullyQualifiedErrorId | Should -BeLike 'ConfigurationInvalid*'
        "$problem" | Should -BeLike "*'colour'*"
        Get-ErrorIdOf { Get-Container } | Should -Be 'ConfigurationInvalid'
        Set-Content $env:CONTAINERS_CONFIG '{ "layerBytes": "5" }'
        Get-ErrorIdOf { Get-Container } | Should -Be 'ConfigurationInvalid'
    }

    It 'is not taken from a file that others can write' {
        Set-ContainerHostConfiguration layerRatio 300
        (Get-ContainerHostConfiguration layerRatio).Value | Should -Be '300'
        chmod 0666 $env:CONTAINERS_CONFIG
        Get-ErrorIdOf { Get-Container } | Should -Be 'ConfigurationInvalid'
    }

    It 'is described by its schema' {
        $schema = Get-Content "$PSScriptRoot/../../docs/config.schema.json" -Raw | ConvertFrom-Json -AsHashtable
        $schema.properties.Keys | Where-Object { $_ -ne '$schema' } | Sort-Object | Should -Be ((Get-ContainerHostConfiguration).Name | Sort-Object)
        $schema.additionalProperties | Should -BeFalse
        Set-ContainerHostConfiguration layerRatio 300
        # Some builds of PowerShell come without what validates.
        try { $null = Test-Json -Json '{}' -Schema '{}' -ErrorAction Stop }
        catch { return }
        Test-Json -Path $env:CONTAINERS_CONFIG -SchemaFile "$PSScriptRoot/../../docs/config.schema.json" | Should -BeTrue
        Test-Json -Json '{ "colour": 1 }' -SchemaFile "$PSScriptRoot/../../docs/config.schema.json" -ErrorAction Ignore | Should -BeFalse
    }

    It 'completes' {
        (TabExpansion2 'Set-ContainerHostConfiguration run').CompletionMatches.CompletionText | Should -Be 'runRoot', 'runtime'
    }
}
