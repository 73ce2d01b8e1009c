# Runs the Pester tests against a built module folder and writes "passed failed skipped" to ResultPath/Pester.
# Where there is no Pester 5, ResultPath/Pester.skipped has the reason instead.
param(
    [Parameter(Mandatory)] [string] $ModulePath,
    [Parameter(Mandatory)] [string] $ResultPath,

    # Only these files or these tests, for work on one of them.
    [string[]] $Path = $PSScriptRoot,
    [string[]] $Name,
    [ValidateSet('None', 'Normal', 'Detailed', 'Diagnostic')] [string] $Output = 'Normal'
)

$ErrorActionPreference = 'Stop'
$tools = Join-Path (Resolve-Path "$PSScriptRoot/../..") '.tools/Modules'
$env:PSModulePath += [System.IO.Path]::PathSeparator + $tools

function Find-Pester {
    Get-Module Pester -ListAvailable | Where-Object { $_.Version.Major -eq 5 } | Sort-Object Version -Descending | Select-Object -First 1
}

$pester = Find-Pester
if (-not $pester) {
    try {
        $null = New-Item $tools -ItemType Directory -Force
        Save-PSResource Pester -Version '[5.5,6.0)' -Path $tools -TrustRepository -ErrorAction Stop
        $pester = Find-Pester
    }
    catch {
        Set-Content (Join-Path $ResultPath 'Pester.skipped') "no Pester 5 installed, and none to be had: $($_.Exception.Message -replace '\s+', ' ')"
        return
    }
}
Import-Module $pester.Path

$env:CONTAINERS_MODULE = Resolve-Path $ModulePath
$configuration = New-PesterConfiguration
$configuration.Run.Path = $Path
$configuration.Run.PassThru = $true
$configuration.Output.Verbosity = $Output
$configuration.Output.RenderMode = 'Plaintext'
if ($Name) { $configuration.Filter.FullName = $Name }
$result = Invoke-Pester -Configuration $configuration

# A file or block that breaks outside of any test fails as well.
$broken = $result.FailedContainersCount + $result.FailedBlocksCount
"$($result.PassedCount) $($result.FailedCount + $broken) $($result.SkippedCount + $result.InconclusiveCount + $result.NotRunCount)" |
    Set-Content (Join-Path $ResultPath 'Pester')
