# Dumps of daemons: private ones of this test alone, started with Debian's programs. A program of Go's under the name of kubelet does at SIGABRT what kubelet does.

BeforeDiscovery {
    $root = (id -u) -eq '0'
    $containerd = $root -and [bool] (Get-Command containerd -CommandType Application -ErrorAction Ignore)
    $dockerd = $containerd -and [bool] (Get-Command dockerd -CommandType Application -ErrorAction Ignore)
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $daemons = [System.Collections.Generic.List[System.Diagnostics.Process]]::new()

    $kubelet = "$($store.Folder)/kubelet"
    Get-Command containerd -CommandType Application -ErrorAction Ignore | Select-Object -First 1 | ForEach-Object { Copy-Item $_.Source $kubelet }

    # By a shell, which becomes the program, so that its output goes to a file, or to nobody by a pipe.
    function Start-Daemon([string] $Program, [string] $Log, [string[]] $Arguments, [hashtable] $Environment = @{}, [switch] $Piped) {
        $start = [System.Diagnostics.ProcessStartInfo]::new('/bin/sh', [string[]] (@('-c', 'log=$1; shift; exec "$@" >"$log" 2>&1', 'sh', ($Piped ? '/dev/stderr' : $Log), $Program) + $Arguments))
        $start.RedirectStandardError = $Piped
        foreach ($name in $Environment.Keys) { $start.Environment[$name] = $Environment[$name] }
        $process = [System.Diagnostics.Process]::Start($start)
        $daemons.Add($process)
        $process
    }

    function Start-Containerd([string] $Program, [string] $Name, [switch] $Piped) {
        $folder = (New-Item "$($store.Folder)/$Name" -ItemType Directory).FullName
        $null = New-Item "$folder/tmp" -ItemType Directory
        Set-Content "$folder/config.toml" "version = 2`nroot = `"$folder/root`"`nstate = `"$folder/state`"`ndisabled_plugins = [`"io.containerd.grpc.v1.cri`", `"io.containerd.internal.v1.opt`"]`n[grpc]`n  address = `"$folder/sock`""
        $process = Start-Daemon $Program "$folder/log" @('--config', "$folder/config.toml") @{ TMPDIR = "$folder/tmp" } -Piped:$Piped
        if ($Piped) {
            Wait-Until { (Get-Item "/proc/$($process.Id)/exe").LinkTarget -eq $Program } 'the shell has become the program'
            return $process
        }
        # It says so when it has begun to listen, after its handlers are there.
        Wait-Until { $process.HasExited -or "$(Get-Content "$folder/log" -Raw -ErrorAction Ignore)".Contains('containerd successfully booted') } "containerd has begun: $folder/log" 120
        $process.HasExited | Should -BeFalse -Because "$(Get-Content "$folder/log" -Raw)"
        $process
    }
}

AfterAll {
    foreach ($daemon in $daemons) {
        if (-not $daemon.HasExited) { /bin/kill -TERM $daemon.Id }
        if (-not $daemon.WaitForExit(60000)) { $daemon.Kill() }
        $daemon.WaitForExit()
    }
    # What a daemon that was killed has left mounted.
    [System.IO.File]::ReadLines('/proc/self/mountinfo') | ForEach-Object { $_.Split(' ')[4] } | Where-Object { $_.StartsWith("$($store.Folder)/") } | Sort-Object -Descending | ForEach-Object { umount $_ }
    Exit-TestStore
}

Describe 'Debug-ContainerDaemon' {
    It 'is an error by name where there is none' {
        $sleeper = Start-Beside sleep 1000
        try {
            Get-ErrorIdOf { Debug-ContainerDaemon containerd -ProcessId $sleeper.Id } | Should -Be 'DaemonNotFound'
            $sleeper.HasExited | Should -BeFalse
            Get-ErrorIdOf { Debug-ContainerDaemon dockerd -ProcessId 4194305 } | Should -Be 'DaemonNotFound'
        }
        finally { Stop-Beside }
    }

    It 'gives the goroutines of containerd, from its folder for temporary files' -Skip:(-not $containerd) {
        $daemon = Start-Containerd (Get-Command containerd -CommandType Application | Select-Object -First 1).Source containerd
        Debug-ContainerDaemon containerd -ProcessId $daemon.Id -WhatIf | Should -BeNullOrEmpty
        Get-ChildItem "$($store.Folder)/containerd/tmp" | Should -BeNullOrEmpty
        foreach ($round in 1..2) {
            $dump = Debug-ContainerDaemon containerd -ProcessId $daemon.Id
            $dump.Name, $dump.ProcessId, $dump.Ended | Should -Be 'containerd', $daemon.Id, $false
            $dump.Path | Should -Be "$($store.Folder)/containerd/tmp/containerd.$($daemon.Id).stacks.log"
            $dump.Text | Should -Be (Get-Content $dump.Path -Raw)
            $dump.Goroutines.Count | Should -Be ([regex]::Matches($dump.Text, '(?m)^goroutine \d+ ').Count)
            $dump.Goroutines.Count | Should -BeGreaterThan 3
            ($dump.Goroutines | Where-Object Id -eq 1).Stack -join "`n" | Should -Match 'main\.main'
            $dump.Goroutines.State | Should -Contain 'select'
        }
        $daemon.HasExited | Should -BeFalse
        Get-ErrorIdOf { Debug-ContainerDaemon dockerd -ProcessId $daemon.Id } | Should -Be 'DaemonNotFound'
    }

    It 'gives the goroutines of dockerd, from its exec root' -Skip:(-not $dockerd) {
        $folder = (New-Item "$($store.Folder)/docker" -ItemType Directory).FullName
        Set-Content "$folder/daemon.json" "{ `"exec-root`": `"$folder/exec`" }"
        $daemon = Start-Daemon (Get-Command dockerd -CommandType Application | Select-Object -First 1).Source "$folder/log" @('--config-file', "$folder/daemon.json", '--data-root', "$folder/data", '--pidfile', "$folder/pid",
            '--host', "unix://$folder/sock", '--bridge', 'none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--storage-driver', 'vfs', '--shutdown-timeout', '1')
        Wait-Until { $daemon.HasExited -or "$(Get-Content "$folder/log" -Raw -ErrorAction Ignore)".Contains('API listen on') } "dockerd has begun: $folder/log" 120
        $daemon.HasExited | Should -BeFalse -Because "$(Get-Content "$folder/log" -Raw)"
        $dump = Debug-ContainerDaemon dockerd -ProcessId $daemon.Id
        $dump.Path | Should -BeLike "$folder/exec/goroutine-stacks-*.log"
        $dump.Text | Should -Be (Get-Content $dump.Path -Raw)
        ($dump.Goroutines | Where-Object Id -eq 1).Stack -join "`n" | Should -Match 'main\.main'
        $daemon.HasExited | Should -BeFalse
    }

    It 'asks before it ends a kubelet, and gives what that has written to its standard error' -Skip:(-not $containerd) {
        $daemon = Start-Containerd $kubelet node
        # Nobody is there who could be asked.
        $null = Invoke-FreshPwsh "Debug-ContainerDaemon kubelet -ProcessId $($daemon.Id)" 2>&1
        Debug-ContainerDaemon kubelet -ProcessId $daemon.Id -Force -WhatIf | Should -BeNullOrEmpty
        $daemon.HasExited | Should -BeFalse
        $dump = Debug-ContainerDaemon kubelet -ProcessId $daemon.Id -Force
        $dump.Ended, $dump.Path | Should -Be $true, "$($store.Folder)/node/log"
        $dump.Text | Should -BeLike 'SIGABRT*'
        ($dump.Goroutines | Where-Object Id -eq 1).Stack -join "`n" | Should -Match 'main\.main'
        $daemon.WaitForExit(60000) | Should -BeTrue
    }

    It 'leaves a kubelet alone whose standard error cannot be read back' -Skip:(-not $containerd) {
        $daemon = Start-Containerd $kubelet piped -Piped
        Get-ErrorIdOf { Debug-ContainerDaemon kubelet -ProcessId $daemon.Id -Force } | Should -Be 'DaemonDumpFailed'
        $daemon.HasExited | Should -BeFalse
    }
}
