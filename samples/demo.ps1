# Two containers from first to last, as a user would type it. Ends with an error when anything does not do what it should.
param(
    [Parameter(Mandatory)] [string] $ModulePath,

    # The name of the container namespace: everything made here carries it.
    [Parameter(Mandatory)] [string] $Mark,

    # A folder of this run, for the store and for a small root.
    [Parameter(Mandatory)] [string] $State
)

$ErrorActionPreference = 'Stop'
$env:CONTAINERS_ROOT = "$State/lib"
$env:CONTAINERS_RUN = "$State/run"
$env:CONTAINERS_NAMESPACE = $Mark

# A root of busybox alone, beside the host's own.
$busybox = "$State/busybox"
foreach ($folder in 'bin', 'dev', 'etc', 'proc', 'sys', 'tmp') { $null = New-Item "$busybox/$folder" -ItemType Directory -Force }
Copy-Item (Get-Command busybox -CommandType Application | Select-Object -First 1).Source "$busybox/bin/busybox"
foreach ($name in 'sh', 'sleep', 'dd', 'hostname', 'ls', 'cat', 'grep', 'nproc') { $null = [System.IO.File]::CreateSymbolicLink("$busybox/bin/$name", 'busybox') }

# Shows a line as it would be typed, and what it prints.
function Show([string] $Line) {
    Write-Host ''
    Write-Host "PS> $Line" -ForegroundColor Cyan
    Invoke-Expression $Line | Out-String -Width 120 | ForEach-Object { $_.Trim("`r", "`n") } | Where-Object { $_ } | Write-Host
}

function Confirm-That([string] $What, [bool] $Condition) {
    if (-not $Condition) { throw "the demo went wrong: $What" }
}

Show "Import-Module ./$([System.IO.Path]::GetRelativePath($PWD, $ModulePath))"
try {
    Show 'New-Container probe -RootfsPath / -Overlay -ArgumentList sleep, 1000 -Label @{ app = "demo" }'
    Show 'New-Container web -RootfsPath $busybox -HostName web -Memory 64MB -- sh -c "echo listening; echo no such file >&2; exec sleep 1000"'
    Show 'Get-Container | Start-ContainerTask'
    Show 'Get-Container'
    Show 'Get-ContainerTask'
    Confirm-That 'two tasks run' (@(Get-ContainerTask -State Running).Count -eq 2)

    # Arguments arrive as they are; the exit code is data.
    Show 'Invoke-ContainerCommand web -- sh -c "hostname; nproc; exit 3"; "exit code $LASTEXITCODE"'
    Confirm-That 'the exit code is 3' ($LASTEXITCODE -eq 3)
    $words = 'two  words', '', "it's `"quoted`""
    Show 'Invoke-ContainerCommand web -- sh -c ''for word; do echo "[$word]"; done'' sh $words'

    # What the probe writes goes to its own layer.
    Show 'Invoke-ContainerCommand probe -- sh -c "echo overwritten >/etc/hostname; cat /etc/hostname"'
    Confirm-That 'the host kept its file' ((Get-Content /etc/hostname -ErrorAction Ignore) -ne 'overwritten')

    Show 'Get-Namespace -Container web'
    Show 'Get-ContainerTask web | Set-CgroupLimit -Memory 32MB -Cpu 0.5 -ProcessLimit 20 -PassThru'
    Show 'Invoke-ContainerCommand web -PassThru -- dd if=/dev/zero of=/dev/null bs=64M count=1 | Format-List ExitCode, Signal, Duration'
    Confirm-That 'the limit of 32 MiB stopped what needs 64' ($LASTEXITCODE -eq 137)
    Show 'Measure-Container'

    Show 'Get-ContainerLog web'
    Confirm-That 'the log has both lines' (@(Get-ContainerLog web).Count -eq 2)
    Show 'Stop-ContainerTask web -TimeoutSec 1 -PassThru'
    Show 'Get-Container -Label @{ app = "demo" } | Remove-Container -Force -WhatIf'
}
finally {
    Show 'Get-Container | Remove-Container -Force'
}
Confirm-That 'no container is left' (-not (Get-Container))
Write-Host ''
