#!/usr/bin/env pwsh
<#
.SYNOPSIS
Builds, shows, tests, measures or packs the module. The steps stand in steps.sh.
#>
param(
    [ValidateSet('Build', 'Demo', 'Test', 'Bench', 'Soak', 'Pack', 'Vm')]
    [string] $Task = 'Build',

    # The long tests at full size.
    [switch] $Long,

    # The caller has installed the tools already.
    [switch] $SkipTools
)

$ErrorActionPreference = 'Stop'
$steps = Join-Path $PSScriptRoot 'steps.sh'
$env:CONTAINERS_RESULTS ??= Join-Path $PSScriptRoot ".build/results/run-$PID"
$options = @(if ($Long) { '--long' })

foreach ($step in bash $steps --list $Task.ToLowerInvariant()) {
    if ($SkipTools -and $step -eq 'tools') { continue }
    bash $steps $step @options
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}
