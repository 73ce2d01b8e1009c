BeforeDiscovery {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $manifest = Import-PowerShellDataFile "$(Get-ModulePath)/Containers.psd1"
    $commands = $manifest.CmdletsToExport | ForEach-Object { @{ Name = $_ } }
    $giving = $commands | Where-Object { $_.Name -notmatch '^(Remove|Send)-' }
    $changing = $commands | Where-Object { $_.Name -notmatch '^(Get|Find|Measure|Wait|Test|Watch|Compare)-' -and $_.Name -notin 'Debug-ContainerShim', 'New-ContainerSpec', 'New-ContainerMount' }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    Import-TestedModule
    $path = Get-ModulePath
    $module = Get-Module Containers
}

Describe 'The manifest' {
    It 'is valid' {
        (Test-ModuleManifest "$path/Containers.psd1").Name | Should -Be 'Containers'
    }

    It 'exports what it lists and nothing else' {
        $listed = (Import-PowerShellDataFile "$path/Containers.psd1").CmdletsToExport | Sort-Object
        $module.ExportedCommands.Keys | Sort-Object | Should -Be $listed
    }

    It 'lists every cmdlet of the assembly' {
        $types = [System.AppDomain]::CurrentDomain.GetAssemblies() | Where-Object { $_.GetName().Name -eq 'Containers.Cmdlets' } | ForEach-Object GetTypes
        $cmdlets = foreach ($type in $types) {
            $attribute = [System.Attribute]::GetCustomAttribute($type, [System.Management.Automation.CmdletAttribute])
            if ($attribute) { "$($attribute.VerbName)-$($attribute.NounName)" }
        }
        $cmdlets | Sort-Object | Should -Be ($module.ExportedCmdlets.Keys | Sort-Object)
    }

    It 'asks for PowerShell 7.4 and Core' {
        $module.PowerShellVersion | Should -Be ([version] '7.4')
        $module.CompatiblePSEditions | Should -Be 'Core'
    }

    It 'has a native helper that only its owner can write' {
        $helper = Get-Item "$path/bin/linux-*/psrun"
        $helper.UnixFileMode.ToString() | Should -Not -Match 'GroupWrite|OtherWrite'
        $helper.UnixFileMode.ToString() | Should -Match 'UserExecute'
    }

    It 'can be removed and imported again' {
        Invoke-FreshPwsh "Remove-Module Containers; Import-Module '$path'; (Get-Command -Module Containers).Count -gt 0" | Should -Be 'True'
        Invoke-FreshPwsh "1..3 | ForEach-Object { Import-Module '$path' -Force; (Get-Command -Module Containers).Count }" |
            Should -Be (@($module.ExportedCommands.Count) * 3)
    }

    It 'is imported in several runspaces at once' {
        1..6 | ForEach-Object -Parallel { Import-Module $using:path; (Get-Command -Module Containers).Count } -ThrottleLimit 6 |
            Sort-Object -Unique | Should -Be $module.ExportedCommands.Count
    }
}

Describe 'Assemblies' {
    It 'of our own are in the default load context, so that a user can name their types' {
        foreach ($name in 'Containers.Cmdlets', 'Containers.Engine', 'Containers.Linux') {
            $assembly = [System.Runtime.Loader.AssemblyLoadContext]::Default.Assemblies | Where-Object { $_.GetName().Name -eq $name }
            $assembly.Count | Should -Be 1 -Because $name
        }
        { param([Containers.ContainerTask] $Task) } | Should -Not -BeNullOrEmpty
        [Containers.Container].FullName | Should -Be 'Containers.Container'
    }

    It 'of others are in a load context of the module' {
        $null = Get-Container
        $third = [System.Runtime.Loader.AssemblyLoadContext]::All | Where-Object Name -eq 'Containers.ThirdParty'
        $third.Assemblies.ForEach{ $_.GetName().Name } | Should -Contain 'Mono.Posix.NETStandard'
        [System.Runtime.Loader.AssemblyLoadContext]::Default.Assemblies.ForEach{ $_.GetName().Name } | Should -Not -Contain 'Mono.Posix.NETStandard'
    }

    It 'of others are not given to other modules' {
        { [System.Reflection.Assembly]::Load('Mono.Posix.NETStandard') } | Should -Throw
    }
}

Describe 'Manners of <Name>' -ForEach $commands {
    BeforeAll {
        $command = Get-Command $Name -Module Containers
        $help = Get-Help $Name -Full
    }

    It 'uses an approved verb' {
        (Get-Verb $command.Verb) | Should -Not -BeNullOrEmpty
    }

    It 'has help with a synopsis and two examples' {
        $help.Synopsis | Should -Not -BeLike "*$Name*[[]*"
        $help.Synopsis.Length | Should -BeGreaterThan 10
        @($help.Examples.Example).Count | Should -BeGreaterOrEqual 2
    }

    It 'describes each of its parameters' {
        $common = [System.Management.Automation.Cmdlet]::CommonParameters + [System.Management.Automation.Cmdlet]::OptionalCommonParameters
        foreach ($parameter in $command.Parameters.Keys | Where-Object { $_ -notin $common }) {
            $described = $help.Parameters.Parameter | Where-Object Name -eq $parameter
            $described.Description.Text | Should -Not -BeNullOrEmpty -Because "-$parameter"
        }
    }

    It 'has examples that PowerShell can read' {
        foreach ($example in $help.Examples.Example) {
            # A second block shows what was printed.
            $code = ($example.Code -split "`n`n")[0]
            $errors = $null
            $null = [System.Management.Automation.Language.Parser]::ParseInput($code, [ref] $null, [ref] $errors)
            $errors | Should -BeNullOrEmpty -Because $code
        }
    }
}

Describe 'What <Name> gives' -ForEach $giving {
    It 'is named' { (Get-Command $Name -Module Containers).OutputType | Should -Not -BeNullOrEmpty }
}

Describe 'What <Name> changes' -ForEach $changing {
    It 'is asked for first' {
        $command = Get-Command $Name -Module Containers
        $command.Parameters.Keys | Should -Contain 'WhatIf'
        $command.Parameters.Keys | Should -Contain 'Confirm'
    }
}
