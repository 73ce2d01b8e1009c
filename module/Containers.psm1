# Loads the binaries. Our own assemblies go into the default load context, because only there PowerShell finds types that
# a user names, as in param([Containers.ContainerTask] $Task); what we took from others goes into a context of our own, where
# another module's version of it neither meets ours nor is met by it. The C# side is cmdlets/loading/ModuleLoader.cs.

if (-not $IsLinux) {
    throw [System.PlatformNotSupportedException]::new('The Containers module needs a Linux kernel; this is ' + [System.Environment]::OSVersion)
}

$cmdlets = "$PSScriptRoot/bin/Containers.Cmdlets.dll"
$null = [System.Runtime.Loader.AssemblyLoadContext]::Default.LoadFromAssemblyPath($cmdlets)
[Containers.Cmdlets.ModuleLoader]::Start($PSScriptRoot)

# By path and with -Force: otherwise a second import of this module in one session finds the assembly's module loaded already
# and exports nothing.
Import-Module $cmdlets -Force
Export-ModuleMember -Cmdlet *
