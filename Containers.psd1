@{
    RootModule             = 'Containers.psm1'
    ModuleVersion          = '0.1.0'
    CompatiblePSEditions   = @('Core')
    GUID                   = '7d3a6c1e-5b0f-4f0e-9c57-2a1d6b8e4f93'
    Author                 = 'The Containers authors'
    CompanyName            = 'Containers'
    Copyright              = 'MIT licence'
    Description            = 'Linux containers, namespaces and cgroups as PowerShell objects: no daemon, any OCI runtime, its own native one included.'
    PowerShellVersion      = '7.4'

    FormatsToProcess       = @(
        'formats/Containers.Container.Format.ps1xml'
        'formats/Containers.Task.Format.ps1xml'
        'formats/Containers.Image.Format.ps1xml'
        'formats/Containers.Cgroup.Format.ps1xml'
        'formats/Containers.Kernel.Format.ps1xml'
        'formats/Containers.Host.Format.ps1xml'
    )
    TypesToProcess         = @()

    # What is not listed here is not exported, whatever the assembly has.
    CmdletsToExport        = @(
        'Add-CgroupProcess'
        'Add-ContainerImageTag'
        'Clear-CgroupLimit'
        'Clear-ContainerStorage'
        'Compare-Container'
        'Connect-Container'
        'Connect-ContainerRegistry'
        'Disconnect-ContainerRegistry'
        'Debug-ContainerShim'
        'Dismount-CgroupHierarchy'
        'Dismount-ContainerImage'
        'Dismount-ContainerSnapshot'
        'Enter-Container'
        'Enter-Namespace'
        'Export-Container'
        'Export-ContainerImage'
        'Find-ContainerImage'
        'Get-Cgroup'
        'Get-CgroupController'
        'Get-CgroupLimit'
        'Get-CgroupProcess'
        'Get-Container'
        'Get-ContainerContent'
        'Get-ContainerHost'
        'Get-ContainerImage'
        'Get-ContainerImageHistory'
        'Get-ContainerLog'
        'Get-ContainerSnapshot'
        'Get-ContainerTask'
        'Get-Namespace'
        'Import-ContainerImage'
        'Invoke-Container'
        'Invoke-ContainerCommand'
        'Invoke-NamespaceCommand'
        'Measure-Cgroup'
        'Measure-Container'
        'Measure-ContainerStorage'
        'Mount-CgroupHierarchy'
        'Mount-ContainerImage'
        'Mount-ContainerSnapshot'
        'New-Cgroup'
        'New-Container'
        'New-ContainerImage'
        'New-ContainerMount'
        'New-ContainerSnapshot'
        'New-ContainerSpec'
        'New-ContainerTask'
        'New-Namespace'
        'Publish-ContainerImage'
        'Receive-ContainerImage'
        'Remove-Cgroup'
        'Remove-Container'
        'Remove-ContainerImage'
        'Remove-ContainerSnapshot'
        'Remove-ContainerTask'
        'Remove-Namespace'
        'Resume-Cgroup'
        'Save-ContainerSnapshot'
        'Send-ContainerSignal'
        'Set-CgroupLimit'
        'Start-ContainerTask'
        'Stop-Cgroup'
        'Stop-ContainerTask'
        'Suspend-Cgroup'
        'Test-ContainerHost'
        'Test-ContainerImage'
        'Wait-ContainerTask'
        'Watch-Cgroup'
    )
    FunctionsToExport      = @()
    AliasesToExport        = @()
    VariablesToExport      = @()

    PrivateData            = @{
        PSData = @{
            Tags         = @('Linux', 'Container', 'OCI', 'Namespace', 'Cgroup', 'runc', 'crun', 'containerd', 'docker', 'PSEdition_Core')
            LicenseUri   = 'https://opensource.org/license/mit'
            ReleaseNotes = 'CHANGELOG.md'
        }
    }
}
