# Images to and from other engines: those that have daemons with one of their own, beside any of the host's.

BeforeDiscovery {
    $long = [bool]$env:CONTAINERS_TEST_LONG
    function Test-Program([string[]] $Name) { $long -and -not ($Name | Where-Object { -not (Get-Command $_ -CommandType Application -ErrorAction Ignore) }) }
    $ctr = Test-Program 'containerd', 'ctr'
    $docker = Test-Program 'dockerd', 'docker', 'containerd'
    $podman = Test-Program podman
    $registry = $long -and [bool](Get-Command docker-registry -CommandType Application -ErrorAction Ignore)
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    $null = Import-ContainerImage -RootfsPath $store.Rootfs -Reference docker.io/library/base:1
    Invoke-Container change -Image base:1 -- sh -c 'echo new >/etc/new; rm /etc/group; chown 5:6 /etc/new; ln /etc/new /etc/link; mkdir -m 1777 /var/d'
    $made = New-ContainerImage change docker.io/library/peer:1 -ArgumentList cat, /etc/new -Environment @{ A = 'of the image' }
    Remove-Container change

    # Both take what they are told by a configuration of the test's alone, and their clients that as well.
    function Start-Daemon([string] $Program, [string[]] $Arguments, [scriptblock] $Ready) {
        $info = [System.Diagnostics.ProcessStartInfo]::new($Program, $Arguments)
        $info.RedirectStandardError = $info.RedirectStandardOutput = $true
        $process = [System.Diagnostics.Process]::Start($info)
        $null = $process.StandardOutput.BaseStream.CopyToAsync([System.IO.Stream]::Null)
        $null = $process.StandardError.BaseStream.CopyToAsync([System.IO.Stream]::Null)
        Wait-Until $Ready "$Program answers" 120
        $process
    }

    # They are asked to end, and their mounts taken away after them.
    function Stop-Daemon($Process) {
        if (-not $Process) { return }
        kill $Process.Id
        if (-not $Process.WaitForExit(60000)) { $Process.Kill($true); $Process.WaitForExit() }
        foreach ($line in Get-Content /proc/self/mountinfo | Select-Object -Last 1000) {
            $at = $line.Split(' ')[4]
            if ($at.StartsWith("$folder/")) { umount $at }
        }
    }

    # What a container shows of the image, wherever it runs.
    $look = 'cat /etc/new /etc/link; stat -c "%a %u:%g %h" /etc/new; ls /etc/group 2>/dev/null; stat -c "%a" /var/d; echo $A'
    $expected = 'new', 'new', '644 5:6 2', '1777', 'of the image'
}

AfterAll { Exit-TestStore }

Describe 'containerd' -Skip:(-not $ctr) {
    BeforeAll {
        $socket = "$folder/containerd.sock"
        Set-Content "$folder/containerd.toml" "version = 2`nroot = '$folder/containerd'`nstate = '$folder/containerd-state'`ndisabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.internal.v1.opt']`n[grpc]`n  address = '$socket'`n[ttrpc]`n  address = '$socket.ttrpc'"
        $daemon = Start-Daemon containerd ('--config', "$folder/containerd.toml", '--log-level', 'error') { (Test-Path $socket) -and (ctr --address $socket version 2>$null) }
    }

    AfterAll { Stop-Daemon $daemon }

    It 'takes what is exported here, and gives it back unchanged' {
        Export-ContainerImage peer:1 "$folder/to-ctr.tar"
        ctr --address $socket image import --no-unpack "$folder/to-ctr.tar" >$null
        ctr --address $socket image ls -q | Should -Be 'docker.io/library/peer:1'
        ctr --address $socket image export "$folder/from-ctr.tar" docker.io/library/peer:1
        $LASTEXITCODE | Should -Be 0
        Import-ContainerImage "$folder/from-ctr.tar" -Reference back:1 | ForEach-Object ManifestDigest | Should -Be $made.ManifestDigest
        Invoke-Container -Image back:1 -Remove -- sh -c $look | Should -Be $expected
    }

    It 'names its snapshots as they are named here' {
        ctr --address $socket image import "$folder/to-ctr.tar" >$null
        $theirs = ctr --address $socket snapshots ls | Select-String '^sha256:\w+' | ForEach-Object { $_.Matches[0].Value }
        foreach ($layer in Get-ContainerSnapshot sha256:*) { $theirs | Should -Contain $layer.Key }
    }

    It 'pulls what is pushed from here, and pushes what is pulled here' -Skip:(-not $registry) {
        $at = Start-Registry "$folder/registry"
        try {
            Add-ContainerImageTag peer:1 "$at/p/peer:1"
            Publish-ContainerImage "$at/p/peer:1" -PlainHttp -ErrorAction Stop
            ctr --address $socket image pull --plain-http "$at/p/peer:1" >$null
            $LASTEXITCODE | Should -Be 0
            ctr --address $socket image tag "$at/p/peer:1" "$at/p/other:1" >$null
            ctr --address $socket image push --plain-http "$at/p/other:1" >$null
            $LASTEXITCODE | Should -Be 0
            (Receive-ContainerImage "$at/p/other:1" -PlainHttp).ManifestDigest | Should -Be $made.ManifestDigest
        }
        finally { Stop-Beside }
    }
}

Describe 'Docker' -Skip:(-not $docker) {
    BeforeAll {
        Set-Content "$folder/daemon.json" '{}'
        $at = "unix://$folder/docker.sock"
        $env:DOCKER_CONFIG = "$folder/client"
        $daemon = Start-Daemon dockerd (@('--config-file', "$folder/daemon.json", '--data-root', "$folder/docker", '--exec-root', "$folder/docker-run", '--pidfile', "$folder/docker.pid", '--host', $at, '--bridge', 'none', '--iptables=false',
                '--ip6tables=false', '--ip-forward=false', '--ip-masq=false', '--storage-driver', 'vfs', '--shutdown-timeout', '1')) { docker --host $at version 2>$null }
    }

    AfterAll {
        Stop-Daemon $daemon
        $env:DOCKER_CONFIG = $null
    }

    It 'loads what is exported here, and saves it so that it is the same' {
        Export-ContainerImage peer:1 "$folder/to-docker.tar"
        docker --host $at load -q -i "$folder/to-docker.tar" | Should -Match 'peer:1'
        $LASTEXITCODE | Should -Be 0
        docker --host $at inspect --format '{{.Config.Cmd}} {{index .RootFS.Layers 1}}' peer:1 | Should -Be "[cat /etc/new] $($made.Layers[1].DiffId)"
        docker --host $at save -o "$folder/from-docker.tar" peer:1
        $LASTEXITCODE | Should -Be 0
        $back = Import-ContainerImage "$folder/from-docker.tar"
        $back.Layers.DiffId | Should -Be $made.Layers.DiffId
        Invoke-Container -Image peer:1 -Remove -- sh -c $look | Should -Be $expected
    }

    It 'pulls what is pushed from here, and pushes what is pulled here' -Skip:(-not $registry) {
        # Of loopback it takes http by itself.
        $server = Start-Registry "$folder/docker-registry"
        try {
            Add-ContainerImageTag peer:1 "$server/p/peer:1"
            Publish-ContainerImage "$server/p/peer:1" -PlainHttp -ErrorAction Stop
            docker --host $at pull -q "$server/p/peer:1" | Should -Be "$server/p/peer:1"
            $LASTEXITCODE | Should -Be 0
            docker --host $at tag "$server/p/peer:1" "$server/p/docker:1"
            docker --host $at push -q "$server/p/docker:1" >$null
            $LASTEXITCODE | Should -Be 0
            $back = Receive-ContainerImage "$server/p/docker:1" -PlainHttp
            $back.Layers.DiffId | Should -Be $made.Layers.DiffId
            Invoke-Container -Image "$server/p/docker:1" -Remove -- sh -c $look | Should -Be $expected
        }
        finally { Stop-Beside }
    }
}

Describe 'Podman' -Skip:(-not $podman) {
    BeforeAll { $own = '--root', "$folder/podman", '--runroot', "$folder/podman-run", '--storage-driver', 'vfs' }

    AfterAll {
        # Its folder is mounted on itself.
        podman @own rmi -af *>$null
        foreach ($line in Get-Content /proc/self/mountinfo) { if (($at = $line.Split(' ')[4]).StartsWith("$folder/podman")) { umount $at } }
    }

    It 'saves what it has loaded so that it is the same, as <_>' -ForEach 'docker-archive', 'oci-archive', 'oci-dir' {
        if ($_ -eq 'oci-dir') { Export-ContainerImage peer:1 "$folder/to-$_" -Directory } else { Export-ContainerImage peer:1 "$folder/to-$_" }
        podman @own load -q -i "$folder/to-$_" *>$null
        $LASTEXITCODE | Should -Be 0
        # Of a folder it takes no name.
        $loaded = if ($_ -eq 'oci-dir') { podman @own images -q } else { 'docker.io/library/peer:1' }
        podman @own save -q --format $_ -o "$folder/from-$_" $loaded *>$null
        $LASTEXITCODE | Should -Be 0
        $back = Import-ContainerImage "$folder/from-$_" -Reference "podman:$_"
        $back.Layers.DiffId | Should -Be $made.Layers.DiffId
        Invoke-Container -Image "podman:$_" -Remove -- sh -c $look | Should -Be $expected
        podman @own rmi -af *>$null
    }

    It 'pulls what is pushed from here, and pushes what is pulled here' -Skip:(-not $registry) {
        $server = Start-Registry "$folder/podman-registry"
        try {
            Add-ContainerImageTag peer:1 "$server/p/peer:1"
            Publish-ContainerImage "$server/p/peer:1" -PlainHttp -ErrorAction Stop
            podman @own pull -q --tls-verify=false "$server/p/peer:1" *>$null
            $LASTEXITCODE | Should -Be 0
            podman @own push -q --tls-verify=false "$server/p/peer:1" "docker://$server/p/podman:1" *>$null
            $LASTEXITCODE | Should -Be 0
            (Receive-ContainerImage "$server/p/podman:1" -PlainHttp).Layers.DiffId | Should -Be $made.Layers.DiffId
            Invoke-Container -Image "$server/p/podman:1" -Remove -- sh -c $look | Should -Be $expected
        }
        finally { Stop-Beside }
    }
}
