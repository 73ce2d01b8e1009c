# Units of systemd: what is written, and what their commands do. systemd itself need not be here.

BeforeDiscovery {
    $systemd = Test-Path /run/systemd/system
    $analyze = [bool](Get-Command systemd-analyze -CommandType Application -ErrorAction Ignore)
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $units = (New-Item "$($store.Folder)/units" -ItemType Directory).FullName

    # The words of a line as systemd reads them (systemd.syntax(7), systemd.service(5)).
    function Get-Word([string] $Unit, [string] $Key, [switch] $Command) {
        foreach ($line in (Get-Content $Unit) -like "$Key=*") {
            foreach ($word in [regex]::Matches($line.Substring($Key.Length + 1), '"((?:[^"\\]|\\.)*)"')) {
                $text = $word.Groups[1].Value -replace '\\(.)', '$1' -replace '%%', '%'
                $Command ? $text.Replace('$$', '$') : $text
            }
        }
    }

    # Runs what systemd would, with no more of an environment than it gives. Output is what it printed, the exit code is $LASTEXITCODE.
    function Invoke-Unit([string] $Unit, [string] $Key = 'ExecStart') {
        & env -i (Get-Word $Unit Environment) (Get-Word $Unit $Key -Command) 2>&1
    }
}

AfterAll { Exit-TestStore }

Describe 'Unit files' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Remove-Item "$units/*" -Recurse -Force
    }

    It 'are not written where no systemd runs, unless a folder is named' -Skip:$systemd {
        Get-ErrorIdOf { Install-ContainerRestartService } | Should -Be 'SystemdNotRunning'
        $null = New-Container web -RootfsPath $root -ArgumentList true
        Get-ErrorIdOf { New-ContainerService web -Enable } | Should -Be 'SystemdNotRunning'
        Get-ErrorIdOf { Install-ContainerRestartService "$units/none" } | Should -Be 'InvalidArgument'
    }

    It 'are whole, enabled by a link, and replaced with -Force alone' {
        $unit = Install-ContainerRestartService $units -PassThru
        $unit.Name, $unit.Path, $unit.Enabled | Should -Be 'pscontainers-restart.service', "$units/pscontainers-restart.service", $true
        Get-Content $unit.Path -Raw | Should -Be $unit.Content
        (Get-Item $unit.Path).UnixFileMode.ToString() | Should -Be 'OtherRead, GroupRead, UserWrite, UserRead'
        (Get-Item "$units/multi-user.target.wants/pscontainers-restart.service").LinkTarget | Should -Be '../pscontainers-restart.service'
        Get-ErrorIdOf { Install-ContainerRestartService $units } | Should -Be 'ServiceExists'
        Set-Content $unit.Path 'another'
        Install-ContainerRestartService $units -Force | Should -BeNullOrEmpty
        Get-Content $unit.Path -Raw | Should -Be $unit.Content
        (Get-ChildItem $units -Recurse -File -Force).Count | Should -Be 2
    }

    It 'are only told of with -WhatIf' {
        $null = New-Container web -RootfsPath $root -ArgumentList true
        Install-ContainerRestartService $units -WhatIf
        New-ContainerService web $units -Enable -WhatIf | Should -BeNullOrEmpty
        Get-ChildItem $units | Should -BeNullOrEmpty
    }

    It 'of containers have their names, and those before them whose namespaces they join' {
        $null = New-Container first -RootfsPath $root -ArgumentList sleep, 1000
        $null = New-Container second -RootfsPath $root -Network container:first -StopTimeoutSec 7.5 -ArgumentList sleep, 1000
        $made = Get-Container | New-ContainerService -Path $units
        $made.Name | Should -Be "container-$($store.Mark):first.service", "container-$($store.Mark):second.service"
        $made.ContainerId | Should -Be 'first', 'second'
        Test-Path "$units/multi-user.target.wants" | Should -BeFalse
        $made[1].Content | Should -Match "(?m)^After=.* container-$($store.Mark):first\.service$"
        $made[1].Content | Should -Match "(?m)^Wants=container-$($store.Mark):first\.service$"
        $made[1].Content | Should -Match '(?m)^TimeoutStopSec=68$'
        # Enabled, and then no more.
        $null = New-ContainerService first $units -Enable -Force
        Test-Path "$units/multi-user.target.wants/$($made[0].Name)" | Should -BeTrue
        $null = New-ContainerService first $units -Force
        (Get-ChildItem "$units/multi-user.target.wants").Count | Should -Be 0
        Get-ErrorIdOf { New-ContainerService nobody $units } | Should -Be 'ContainerNotFound'
    }

    It 'keep what systemd would expand, and refuse what it cannot have' {
        $before = $env:CONTAINERS_RUNTIME
        try {
            $env:CONTAINERS_RUNTIME = '/a "b" \c %d $e'
            $unit = Install-ContainerRestartService $units -PassThru
            Get-Word $unit.Path Environment | Should -Contain 'CONTAINERS_RUNTIME=/a "b" \c %d $e'
            $env:CONTAINERS_RUNTIME = "a`nExecStart=/bin/sh"
            Get-ErrorIdOf { Install-ContainerRestartService $units -Force } | Should -Be 'InvalidArgument'
            Get-Content $unit.Path -Raw | Should -Be $unit.Content
        }
        finally { $env:CONTAINERS_RUNTIME = $before }
    }

    It 'are right to systemd-analyze' -Skip:(-not $analyze) {
        $null = New-Container web -RootfsPath $root -ArgumentList true
        $files = (Install-ContainerRestartService $units -PassThru).Path, (New-ContainerService web $units).Path
        $said = & systemd-analyze verify --man=no --recursive-errors=no @files 2>&1 | Where-Object { "$_" -match 'pscontainers|container-' }
        $said | Should -BeNullOrEmpty
    }
}

Describe 'After the restart of the host' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Remove-Item "$units/*" -Recurse -Force
    }

    It 'the unit starts what its policy wants back, once' {
        foreach ($policy in 'no', 'on-failure', 'always', 'unless-stopped') {
            $null = New-Container "ran-$policy" -RootfsPath $root -RestartPolicy $policy -ArgumentList sleep, 1000 | Start-ContainerTask
        }
        foreach ($policy in 'always', 'unless-stopped') {
            $null = New-Container "stopped-$policy" -RootfsPath $root -RestartPolicy $policy -- sh -c 'trap "exit 4" TERM; while :; do sleep 0.05; done' | Start-ContainerTask -PassThru | Stop-ContainerTask -TimeoutSec 0
            $null = New-Container "never-$policy" -RootfsPath $root -RestartPolicy $policy -ArgumentList sleep, 1000
        }
        # Nothing is due before.
        Start-ContainerTask * -AfterHostRestart -PassThru | Should -BeNullOrEmpty
        Restart-Host
        $unit = (Install-ContainerRestartService $units -PassThru).Path
        Invoke-Unit $unit | Should -BeNullOrEmpty
        $LASTEXITCODE | Should -Be 0
        (Get-ContainerTask -State Running).ContainerId | Should -Be 'ran-always', 'ran-unless-stopped', 'stopped-always'
        (Get-ContainerTask stopped-unless-stopped).StoppedReason | Should -Be 'Exited'
        (Get-ContainerTask ran-no).StoppedReason | Should -Be 'HostRestarted'
        # They live on without what started them, and a second time changes nothing.
        $processes = (Get-ContainerTask -State Running).ProcessId
        Invoke-Unit $unit | Should -BeNullOrEmpty
        (Get-ContainerTask -State Running).ProcessId | Should -Be $processes
        Invoke-ContainerCommand ran-always -- echo inside | Should -Be 'inside'
    }

    It 'one that cannot be started is told, and keeps nobody down' {
        foreach ($id in 'broken', 'good', 'other') { $null = New-Container $id -RootfsPath $root -RestartPolicy always -ArgumentList sleep, 1000 | Start-ContainerTask }
        Restart-Host
        $record = "$env:CONTAINERS_ROOT/containers/$($store.Mark)/broken/container.json"
        $whole = Get-Content $record -Raw
        Set-Content $record '{'
        try {
            $unit = (Install-ContainerRestartService $units -PassThru).Path
            "$(Invoke-Unit $unit)" | Should -BeLike '*broken*'
            $LASTEXITCODE | Should -Be 1
            (Get-ContainerTask good).State, (Get-ContainerTask other).State | Should -Be 'Running', 'Running'
        }
        finally { Set-Content $record $whole -NoNewline }
    }

    It 'is not what an id that is wrong, or an attachment, can be had with' {
        Get-ErrorIdOf { Start-ContainerTask nobody -AfterHostRestart } | Should -Be 'ContainerNotFound'
        Get-ErrorIdOf { Start-ContainerTask * -AfterHostRestart -Attach } | Should -Be 'InvalidArgument'
    }
}

Describe 'The unit of a container' {
    AfterEach {
        Get-Container | Remove-Container -Force
        Remove-Item "$units/*" -Recurse -Force
    }

    It 'starts it and stops it, and minds neither that it runs nor that it does not' {
        $null = New-Container web -RootfsPath $root -- sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.05; done'
        $unit = (New-ContainerService web $units).Path
        foreach ($time in 1..2) {
            Invoke-Unit $unit | Should -BeNullOrEmpty
            $LASTEXITCODE | Should -Be 0
            (Get-ContainerTask web).State | Should -Be 'Running'
        }
        Wait-Until { (Get-ContainerLog web).Text -eq 'ready' } 'the program'
        foreach ($time in 1..2) {
            Invoke-Unit $unit ExecStop | Should -BeNullOrEmpty
            $LASTEXITCODE | Should -Be 0
            $end = Get-ContainerTask web
            $end.State, $end.ExitCode | Should -Be 'Stopped', 3
        }
        Remove-ContainerTask web
        Invoke-Unit $unit ExecStop | Should -BeNullOrEmpty
        $LASTEXITCODE | Should -Be 0
        Remove-Container web
        "$(Invoke-Unit $unit)" | Should -BeLike '*web*'
        $LASTEXITCODE | Should -Be 1
    }
}
