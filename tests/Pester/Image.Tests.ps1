# Images: in from other tools and out to them, under names, into containers, and away again.

BeforeDiscovery {
    $tools = @{}
    foreach ($tool in 'umoci', 'skopeo', 'podman', 'zstd') { $tools[$tool] = [bool](Get-Command $tool -CommandType Application -ErrorAction Ignore) }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder

    # An OCI layout by hand: layers are tar files, the configuration is a table.
    function New-Layout([string] $Path, [string[]] $Layers, [hashtable] $Config = @{}, [string] $Name, [string] $Compress = 'gzip', [hashtable] $Platform = @{ os = 'linux'; architecture = 'amd64' }) {
        $null = New-Item "$Path/blobs/sha256" -ItemType Directory -Force
        function Add-Blob([string] $File) {
            $hash = (Get-FileHash $File).Hash.ToLowerInvariant()
            Copy-Item $File "$Path/blobs/sha256/$hash"
            @{ digest = "sha256:$hash"; size = (Get-Item $File).Length }
        }
        function Add-Json($Value) { $file = "$folder/json"; [IO.File]::WriteAllText($file, (ConvertTo-Json $Value -Depth 20 -Compress)); Add-Blob $file }
        $types = @{ gzip = 'application/vnd.oci.image.layer.v1.tar+gzip'; zstd = 'application/vnd.oci.image.layer.v1.tar+zstd'; none = 'application/vnd.oci.image.layer.v1.tar' }
        $diffs = @(); $descriptors = @()
        foreach ($layer in $Layers) {
            $diffs += 'sha256:' + (Get-FileHash $layer).Hash.ToLowerInvariant()
            $packed = $layer
            if ($Compress -eq 'gzip') { $packed = "$folder/l.gz"; sh -c 'gzip -nc "$1" >"$2"' sh $layer $packed }
            if ($Compress -eq 'zstd') { $packed = "$folder/l.zst"; zstd -qf $layer -o $packed }
            $descriptors += @{ mediaType = $types[$Compress] } + (Add-Blob $packed)
        }
        $config = Add-Json ($Platform + @{ config = $Config; rootfs = @{ type = 'layers'; diff_ids = $diffs } })
        $manifest = Add-Json @{ schemaVersion = 2; mediaType = 'application/vnd.oci.image.manifest.v1+json'; config = @{ mediaType = 'application/vnd.oci.image.config.v1+json' } + $config; layers = $descriptors }
        $entry = @{ mediaType = 'application/vnd.oci.image.manifest.v1+json' } + $manifest
        if ($Name) { $entry.annotations = @{ 'org.opencontainers.image.ref.name' = $Name } }
        [IO.File]::WriteAllText("$Path/index.json", (ConvertTo-Json @{ schemaVersion = 2; manifests = @($entry) } -Depth 20))
        [IO.File]::WriteAllText("$Path/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
        $Path
    }

    tar -C $store.Rootfs -cf "$folder/base.tar" .
    $layout = New-Layout "$folder/busy" @("$folder/base.tar") @{ Cmd = @('echo', 'command'); Env = @('A=image', 'PATH=/bin'); WorkingDir = '/var'; Labels = @{ from = 'image' } } -Name 'busybox:1'
}

AfterAll {
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'Import-ContainerImage' {
    AfterEach {
        Get-ContainerImage | Remove-ContainerImage -Force
        Measure-ContainerStorage | ForEach-Object { $_.Count | Should -Be 0 -Because "$($_.Type) is left" }
    }

    It 'takes a layout folder and gives the image' {
        $image = Import-ContainerImage $layout -Platform linux/amd64
        $image | Should -BeOfType Containers.ContainerImage
        $image.Reference | Should -Be 'docker.io/library/busybox:1'
        $image.Platform | Should -Be 'linux/amd64'
        $image.Layers.Count | Should -Be 1
        $image.Config.Command | Should -Be 'echo', 'command'
        $image.Labels.from | Should -Be 'image'
        (Get-ContainerImage busybox:1).Digest | Should -Be $image.Digest
        (Get-ContainerImage 'busy*').Count | Should -Be 1
        (Get-ContainerImage $image.Digest.Substring(7, 12)).Reference | Should -Be $image.Reference
    }

    It 'takes an archive: <_>' -ForEach 'plain', 'gzip', 'zstd' {
        if ($_ -eq 'zstd' -and -not (Get-Command zstd -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'there is no zstd'; return }
        tar -C $layout -cf "$folder/a" .
        switch ($_) {
            gzip { sh -c 'gzip "$1" && mv "$1.gz" "$1"' sh "$folder/a" }
            zstd { zstd -qf --rm "$folder/a" -o "$folder/a.zst"; Move-Item "$folder/a.zst" "$folder/a" }
        }
        (Import-ContainerImage "$folder/a").Reference | Should -Be 'docker.io/library/busybox:1'
        Remove-Item "$folder/a"
    }

    It 'unpacks <_> layers' -ForEach 'gzip', 'zstd', 'none' {
        if ($_ -eq 'zstd' -and -not (Get-Command zstd -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'there is no zstd'; return }
        $null = Import-ContainerImage (New-Layout "$folder/c-$_" @("$folder/base.tar") @{ Cmd = @('echo', $_) } -Compress $_) -Reference "c:$_"
        Invoke-Container -Image "c:$_" -Remove | Should -Be $_
    }

    It 'makes an image of a root filesystem, twice the same' {
        sh -c 'gzip -nkf "$1"' sh "$folder/base.tar"
        $image = Import-ContainerImage -RootfsPath "$folder/base.tar.gz" -Reference root:1
        $image.Layers[0].MediaType | Should -Be 'application/vnd.oci.image.layer.v1.tar+gzip'
        $image.Layers[0].DiffId | Should -Be ('sha256:' + (Get-FileHash "$folder/base.tar").Hash.ToLowerInvariant())
        Invoke-Container -Image root:1 -Remove -User web -ArgumentList id, -un | Should -Be 'web'
        Get-ErrorIdOf { New-Container -Image root:1 } | Should -Be 'InvalidSpec'
        (Import-ContainerImage -RootfsPath "$folder/base.tar.gz" -Reference root:2).Digest | Should -Be $image.Digest
        $own = Import-ContainerImage -RootfsPath $store.Rootfs -Reference folder:1
        (Import-ContainerImage -RootfsPath $store.Rootfs -Reference folder:2).Digest | Should -Be $own.Digest
        Invoke-Container -Image folder:1 -Remove -User web -ArgumentList id, -un | Should -Be 'web'
        Get-ErrorIdOf { Import-ContainerImage -RootfsPath /bin/busybox -Reference root:3 } | Should -Be 'LayerInvalid'
        Get-ErrorIdOf { Import-ContainerImage -RootfsPath /nonexistent -Reference root:3 } | Should -Be 'ArchiveNotFound'
        Get-ContainerImage 'root:3*' | Should -BeNullOrEmpty
    }

    It 'lists what has no name by its digest, and takes it from the pipeline' {
        $image = Import-ContainerImage (New-Layout "$folder/nameless" @("$folder/base.tar") @{ Cmd = @('pwd') })
        $image.Reference | Should -BeNullOrEmpty
        ($image | Test-ContainerImage).IsComplete | Should -BeTrue
        Invoke-Container -Image $image.Digest -Remove | Should -Be '/'
        $image | Add-ContainerImageTag -NewReference named:1
        (Get-ContainerImage).Reference | Should -Be 'docker.io/library/named:1'
        Get-ContainerImage | Remove-ContainerImage
    }

    It 'changes nothing with -WhatIf' {
        Import-ContainerImage $layout -WhatIf
        Get-ContainerImage | Should -BeNullOrEmpty
    }

    It 'is <Id> for <What>, and nothing is listed' -ForEach @(
        @{ What = 'a folder that is none'; Id = 'ArchiveInvalid'; Do = { Import-ContainerImage $store.Rootfs } }
        @{ What = 'a path that is not there'; Id = 'ArchiveNotFound'; Do = { Import-ContainerImage -LiteralPath /nonexistent } }
        @{ What = 'a file that is none'; Id = 'ArchiveInvalid'; Do = { Import-ContainerImage /bin/busybox } }
        @{ What = 'a root filesystem'; Id = 'ArchiveInvalid'; Do = { Import-ContainerImage "$folder/base.tar" } }
        @{ What = 'a bad name'; Id = 'InvalidReference'; Do = { Import-ContainerImage $layout -Reference 'Upper Case' } }
        @{ What = 'a name with a digest'; Id = 'InvalidReference'; Do = { Import-ContainerImage $layout -Reference "x@sha256:$('a' * 64)" } }
        @{ What = 'another platform'; Id = 'PlatformNotFound'; Do = { Import-ContainerImage $layout -Platform linux/s390x } }
        @{ What = 'a damaged layer'; Id = 'DigestMismatch|SizeMismatch'; Do = {
                $bad = New-Layout "$folder/bad1" @("$folder/base.tar")
                $layer = Get-ChildItem "$bad/blobs/sha256" | Sort-Object Length | Select-Object -Last 1
                $bytes = [IO.File]::ReadAllBytes($layer); $bytes[5000] = $bytes[5000] -bxor 1; [IO.File]::WriteAllBytes($layer, $bytes)
                Import-ContainerImage $bad } }
        @{ What = 'a missing layer'; Id = 'ContentNotFound'; Do = {
                $bad = New-Layout "$folder/bad2" @("$folder/base.tar")
                Get-ChildItem "$bad/blobs/sha256" | Sort-Object Length | Select-Object -Last 1 | Remove-Item
                Import-ContainerImage $bad } }
        @{ What = 'a layer that leads out'; Id = 'LayerInvalid'; Do = {
                sh -c 'cd "$1" && echo x >esc && tar -P --transform="s,^,../../," -cf esc.tar esc' sh $folder
                Import-ContainerImage (New-Layout "$folder/bad3" @("$folder/esc.tar")) } }
        @{ What = 'a layer that is not the configuration''s'; Id = 'DigestMismatch'; Do = {
                $bad = New-Layout "$folder/bad4" @("$folder/base.tar")
                sh -c 'cd "$1" && d=$(sha256sum <"$2" | cut -d" " -f1) && c=$(grep -l "$d" blobs/sha256/* | head -1) && m=$(grep -l "$(basename $c)" blobs/sha256/*) &&
                    sed -i "s/$d/$(echo x | sha256sum | cut -d" " -f1)/" $c && n=$(sha256sum <$c | cut -d" " -f1) && sed -i "s/$(basename $c)/$n/" $m && mv $c blobs/sha256/$n &&
                    k=$(sha256sum <$m | cut -d" " -f1) && sed -i "s/$(basename $m)/$k/" index.json && mv $m blobs/sha256/$k' sh $bad "$folder/base.tar"
                Import-ContainerImage $bad } }
        @{ What = 'index and manifest in one'; Id = 'ImageInvalid'; Do = {
                $bad = New-Layout "$folder/bad5" @("$folder/base.tar")
                sh -c 'cd "$1" && m=$(basename $(grep -l schemaVersion blobs/sha256/*)) && sed -i "s/^{/{\"manifests\":[],/" blobs/sha256/$m && n=$(sha256sum <blobs/sha256/$m | cut -d" " -f1) &&
                    s=$(stat -c %s blobs/sha256/$m) && mv blobs/sha256/$m blobs/sha256/$n && sed -i -E "s/$m/$n/; s/\"size\": [0-9]+/\"size\": $s/" index.json' sh $bad
                Import-ContainerImage $bad } }
        @{ What = 'schema 1'; Id = 'NotSupported'; Do = {
                $bad = New-Layout "$folder/bad6" @("$folder/base.tar")
                sh -c 'cd "$1" && m=$(basename $(grep -l schemaVersion blobs/sha256/*)) && echo "{\"schemaVersion\":1,\"fsLayers\":[]}" >blobs/sha256/$m && n=$(sha256sum <blobs/sha256/$m | cut -d" " -f1) &&
                    s=$(stat -c %s blobs/sha256/$m) && mv blobs/sha256/$m blobs/sha256/$n && sed -i -E "s/$m/$n/; s/\"size\": [0-9]+/\"size\": $s/" index.json' sh $bad
                Import-ContainerImage $bad } }
    ) {
        Get-ErrorIdOf $Do | Should -Match "^($Id)$"
        Get-ContainerImage | Should -BeNullOrEmpty
        Get-ContainerContent | Should -BeNullOrEmpty
    }
}

Describe 'A container from an image' {
    BeforeAll {
        $null = Import-ContainerImage $layout
        $null = Import-ContainerImage (New-Layout "$folder/entry" @("$folder/base.tar") @{ Entrypoint = @('ls'); Cmd = @('/'); WorkingDir = '/etc'; User = 'web'; StopSignal = 'SIGUSR1' }) -Reference entry
    }

    It 'runs as the issue of docker has it' {
        Invoke-Container -Image busybox:1 -Remove -ArgumentList sh, -c, 'echo $HOME; exit 3' | Should -Be '/root'
        $LASTEXITCODE | Should -Be 3
        Get-Container | Should -BeNullOrEmpty
    }

    It 'takes command, environment and folder from the image' {
        Invoke-Container -Image busybox:1 -Remove | Should -Be 'command'
        Invoke-Container -Image busybox:1 -Remove -Environment @{ B = 'mine' } -- sh -c 'echo $A $B; pwd' | Should -Be 'image mine', '/var'
        Invoke-Container -Image busybox:1 -Remove -Environment @{ A = 'mine' } -WorkingDirectory /tmp -- sh -c 'echo $A; pwd' | Should -Be 'mine', '/tmp'
    }

    It 'joins entrypoint and arguments by docker''s rule' {
        Invoke-Container -Image entry -Remove | Should -Contain 'etc'
        Invoke-Container -Image entry -Remove -ArgumentList passwd | Should -Be 'passwd'
        Invoke-Container -Image entry -Remove -Entrypoint @() -- echo alone | Should -Be 'alone'
        Invoke-Container -Image entry -Remove -Entrypoint id -ArgumentList '-u' | Should -Be '1000'
        Invoke-Container -Image entry -Remove -Entrypoint pwd | Should -Be '/etc'
    }

    It 'looks the user up in the image' {
        Invoke-Container -Image entry -Remove -Entrypoint @() -- id -un | Should -Be 'web'
        Invoke-Container -Image entry -Remove -User root -Entrypoint @() -- id -u | Should -Be '0'
        Get-ErrorIdOf { New-Container -Image entry -User nobodyhere } | Should -Be 'UserNotFound'
    }

    It 'shows working folder, entrypoint and command of the image, and the arguments alone, as docker and ctr do' {
        # An image with WORKDIR /etc, ENTRYPOINT ls and CMD /.
        Invoke-Container -Image entry -Remove | Should -Be (Invoke-Container -Image entry -Remove -Entrypoint @() -- ls /)
        Invoke-Container -Image entry -Remove -Entrypoint @() -- ls | Should -Be 'group', 'passwd'
        Get-ErrorIdOf { New-Container -Image (Import-ContainerImage (New-Layout "$folder/bare" @("$folder/base.tar") @{ Entrypoint = @('ls') }) -Reference bare:1).Reference -Entrypoint @() } | Should -Be 'InvalidSpec'
        Remove-ContainerImage bare:1
    }

    It 'tells of ports and health checks, and takes no notice of ArgsEscaped' {
        $config = @{ Cmd = @('echo', 'a b', '"c"'); ArgsEscaped = $true; ExposedPorts = @{ '80/tcp' = @{}; '53/udp' = @{} }; Healthcheck = @{ Test = @('CMD', 'false'); Interval = 1000000000 }; StopSignal = '10'; OnBuild = @('RUN x') }
        $image = Import-ContainerImage (New-Layout "$folder/told" @("$folder/base.tar") $config) -Reference told:1
        $image.Config.ExposedPorts | Should -Be '53/udp', '80/tcp'
        Invoke-Container -Image told:1 -Remove | Should -Be 'a b "c"'
        $made = New-Container told -Image told:1
        $made.StopSignal | Should -Be 'SIGUSR1'
        Remove-Container told
        # Nothing is lost on the way through.
        Export-ContainerImage told:1 "$folder/told.tar"
        $null = Import-ContainerImage "$folder/told.tar" -Reference told:2
        (Get-ContainerImage told:2).Digest | Should -Be $image.Digest
        Remove-ContainerImage told:1, told:2
    }

    It 'takes <User> as docker does' -ForEach @(
        @{ User = '1234'; Shown = '1234 0 0' }, @{ User = '1000'; Shown = '1000 1000 1000 2000' }, @{ User = '1234:77'; Shown = '1234 77 77' }, @{ User = 'web:root'; Shown = '1000 0 0' }, @{ User = '0:extra'; Shown = '0 2000 2000' }, @{ User = ''; Shown = '0 0 0' }
    ) {
        $null = Import-ContainerImage (New-Layout "$folder/user-$($User.Replace(':', '-'))" @("$folder/base.tar") @{ User = $User }) -Reference user:1
        Invoke-Container -Image user:1 -Remove -- sh -c 'echo $(id -u) $(id -g) $(id -G)' | Should -Be $Shown
        Remove-ContainerImage user:1
    }

    It 'refuses the user <_>, which the image does not have' -ForEach 'nobody', 'web:nogroup', '-1', '4294967296', 'a:b:c' {
        $null = Import-ContainerImage (New-Layout "$folder/nouser-$($_.GetHashCode())" @("$folder/base.tar") @{ User = $_; Cmd = @('true') }) -Reference nouser:1
        Get-ErrorIdOf { New-Container -Image nouser:1 } | Should -BeIn 'UserNotFound', 'InvalidSpec', 'InvalidArgument'
        Remove-ContainerImage nouser:1
    }

    It 'keeps labels, signal and name, and leaves the image as it is' {
        $container = Get-ContainerImage busybox:1 | New-Container web -Label @{ own = '1' } -- sh -c 'echo x >/etc/new; rm /etc/passwd'
        try {
            $container.Image | Should -Be 'docker.io/library/busybox:1'
            $container.Labels.from | Should -Be 'image'
            $container.Labels.own | Should -Be '1'
            $container.RootfsPath | Should -BeNullOrEmpty
            (New-Container signal -Image entry).StopSignal | Should -Be 'SIGUSR1'
            $container | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | ForEach-Object ExitCode | Should -Be 0
            Invoke-Container -Image busybox:1 -Remove -- sh -c 'ls /etc' | Should -Be 'group', 'passwd'
            (Test-ContainerImage busybox:1).IsComplete | Should -BeTrue
        }
        finally { Get-Container | Remove-Container -Force }
    }

    It 'keeps what it needs when the image is removed by force' {
        $null = Import-ContainerImage $layout -Reference keep:1
        $null = New-Container kept -Image keep:1 -ArgumentList true
        Remove-ContainerImage busybox:1 -Force
        Get-ErrorIdOf { Remove-ContainerImage keep:1 } | Should -Be 'ImageInUse'
        Remove-ContainerImage -Unused -WhatIf
        Remove-ContainerImage keep:1 -Force
        Start-ContainerTask kept -PassThru | Wait-ContainerTask -TimeoutSec 60 | ForEach-Object ExitCode | Should -Be 0
        Remove-Container kept
        $null = Import-ContainerImage $layout
    }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'an image that is not there'; Id = 'ImageNotFound'; Do = { New-Container -Image nothere -Pull Never } }
        @{ What = 'no name of an image'; Id = 'InvalidReference'; Do = { New-Container -Image 'A B' } }
        @{ What = 'a platform that is not there'; Id = 'PlatformNotFound'; Do = { New-Container -Image busybox:1 -Platform linux/riscv64 -Pull Never } }
    ) { Get-ErrorIdOf $Do | Should -Be $Id }

    It 'completes names' {
        (TabExpansion2 'New-Container -Image busy' -cursorColumn 25).CompletionMatches.CompletionText | Should -Contain 'busybox:1'
    }
}

Describe 'Names and content' {
    BeforeAll { Get-ContainerImage | Remove-ContainerImage -Force; $null = Import-ContainerImage $layout }

    It 'gives and takes names' {
        $tag = Add-ContainerImageTag busybox:1 localhost:5000/a/b:2, other -PassThru
        $tag.Reference | Should -Be 'localhost:5000/a/b:2', 'docker.io/library/other:latest'
        Get-ErrorIdOf { Import-ContainerImage (New-Layout "$folder/two" @("$folder/base.tar") @{ Cmd = @('two') }) -Reference two; Add-ContainerImageTag two other } | Should -Be 'ImageExists'
        Add-ContainerImageTag two other -Force
        (Get-ContainerImage other).Digest | Should -Be (Get-ContainerImage two).Digest
        Remove-ContainerImage other, two, localhost:5000/a/b:2
        Get-ContainerImage | ForEach-Object Reference | Should -Be 'docker.io/library/busybox:1'
        (Test-ContainerImage).IsComplete | Should -BeTrue
    }

    It 'keeps container namespaces apart and content together' {
        $before = (Get-ContainerContent).Count
        $null = Import-ContainerImage $layout -ContainerNamespace "$($store.Mark)x"
        (Get-ContainerContent).Count | Should -Be $before
        Remove-ContainerImage busybox:1 -ContainerNamespace "$($store.Mark)x"
        (Test-ContainerImage busybox:1).IsComplete | Should -BeTrue
    }

    It 'tells what is damaged and what is missing' {
        $layer = (Get-ContainerImage busybox:1).Layers[0].Digest
        $path = (Get-ContainerContent $layer).Path
        $bytes = [IO.File]::ReadAllBytes($path)
        $bytes[100] = $bytes[100] -bxor 1
        [IO.File]::WriteAllBytes($path, $bytes)
        (Test-ContainerImage busybox:1 -SkipRead).IsComplete | Should -BeTrue
        $check = Test-ContainerImage busybox:1
        $check.IsComplete | Should -BeFalse
        $check.Damaged | Should -Be $layer
        Remove-Item $path
        (Test-ContainerImage busybox:1).Missing | Should -Be $layer
        $null = Import-ContainerImage $layout
        (Test-ContainerImage busybox:1).IsComplete | Should -BeTrue
    }

    It 'frees what a killed import has left, and nothing else' {
        [IO.File]::WriteAllBytes("$env:CONTAINERS_ROOT/content/ingest/new-abc", [byte[]]::new(1000))
        Set-Content "$env:CONTAINERS_ROOT/leases/dead" ''
        $half = "$env:CONTAINERS_ROOT/snapshots/.new-$('a' * 32)"
        $null = New-Item "$half/fs" -ItemType Directory
        [IO.File]::WriteAllBytes("$half/fs/zeros", [byte[]]::new(100000))
        $null = New-Item "$env:CONTAINERS_ROOT/snapshots/.del-b/fs" -ItemType Directory
        # Every piece is named with its size, and stays.
        $plan = "$(Invoke-FreshPwsh 'Clear-ContainerStorage -WhatIf')"
        $plan | Should -Match 'Ingest new-abc \(1000 bytes\)'
        $plan | Should -Match ([regex]::Escape("Unfinished $half (1"))
        (Measure-ContainerStorage | Where-Object Type -EQ Snapshots).Reclaimable | Should -BeGreaterThan 100000
        (Measure-ContainerStorage | Where-Object Type -EQ Content).Reclaimable | Should -Be 1000
        Test-Path "$env:CONTAINERS_ROOT/content/ingest/new-abc" | Should -BeTrue
        (Clear-ContainerStorage -Confirm:$false -PassThru).Name | Should -Be 'new-abc', "$env:CONTAINERS_ROOT/snapshots/.del-b", $half
        # Also where there is nothing else to free.
        $null = New-Item "$half/fs" -ItemType Directory
        (Clear-ContainerStorage -Confirm:$false -PassThru).Type | Should -Be 'Unfinished'
        Clear-ContainerStorage -Confirm:$false -PassThru | Should -BeNullOrEmpty
        Get-ChildItem "$env:CONTAINERS_ROOT/leases", "$env:CONTAINERS_ROOT/content/ingest" -Force | Should -BeNullOrEmpty
        Get-ChildItem "$env:CONTAINERS_ROOT/snapshots" -Force | Should -HaveCount 1
        (Test-ContainerImage).IsComplete | Should -BeTrue
    }

    It 'gives objects of one stable shape' {
        $json = Get-ContainerImage busybox:1 | ConvertTo-Json -Depth 32 -EnumsAsStrings | ConvertFrom-Json
        $json.Layers[0].Size | Should -BeOfType long
        $json.Config.Environment | Should -Contain 'A=image'
    }
}

Describe 'Other tools' {
    BeforeAll {
        Get-ContainerImage | Remove-ContainerImage -Force
        $null = Import-ContainerImage $layout
    }

    It 'writes the same bytes twice' {
        Export-ContainerImage busybox:1 "$folder/one.tar"
        $first = Get-ContainerImage busybox:1
        Remove-ContainerImage busybox:1
        $null = Import-ContainerImage "$folder/one.tar"
        Export-ContainerImage busybox:1 "$folder/two.tar"
        (Get-FileHash "$folder/two.tar").Hash | Should -Be (Get-FileHash "$folder/one.tar").Hash
        (Get-ContainerImage busybox:1).Digest | Should -Be $first.Digest
        Get-ErrorIdOf { Export-ContainerImage busybox:1 "$folder/two.tar" } | Should -Be 'ExportFailed'
        Get-ErrorIdOf { Export-ContainerImage busybox:1 $store.Rootfs -Directory } | Should -Be 'ExportFailed'
        Export-ContainerImage busybox:1 "$folder/two.tar" -Force -WhatIf
        Get-ChildItem $folder -Filter '*.new-*' | Should -BeNullOrEmpty
    }

    It 'is read by skopeo, as <_>' -Skip:(-not $tools.skopeo) -ForEach 'oci-archive', 'docker-archive', 'oci' {
        if ($_ -eq 'oci') { Export-ContainerImage busybox:1 "$folder/out-oci" -Directory }
        else { Export-ContainerImage busybox:1 "$folder/out-$_" }
        skopeo --insecure-policy copy -q "${_}:$folder/out-$_" "dir:$folder/dir-$_"
        $LASTEXITCODE | Should -Be 0
        Test-Path "$folder/dir-$_/manifest.json" | Should -BeTrue
    }

    It 'reads what skopeo writes, as <_>' -Skip:(-not $tools.skopeo) -ForEach 'oci', 'oci-archive', 'docker-archive' {
        skopeo --insecure-policy copy -q "oci:${layout}:busybox:1" "${_}:$folder/sk-${_}:from/skopeo:$_"
        $LASTEXITCODE | Should -Be 0
        $image = Import-ContainerImage "$folder/sk-$_"
        $image.Reference | Should -Be "docker.io/from/skopeo:$_"
        Invoke-Container -Image "from/skopeo:$_" -Remove | Should -Be 'command'
        Remove-ContainerImage "from/skopeo:$_"
    }

    It 'reads what umoci writes' -Skip:(-not $tools.umoci) {
        $made = New-Layout "$folder/umoci" @("$folder/base.tar") @{ Cmd = @('cat', '/etc/new') } -Name made
        umoci unpack --image "${made}:made" "$folder/umoci-bundle" 2>&1 | Set-Variable said
        $LASTEXITCODE | Should -Be 0 -Because "$said"
        sh -c 'cd "$1" && echo by umoci >etc/new && rm etc/group && ln etc/new etc/link && chmod 1777 tmp' sh "$folder/umoci-bundle/rootfs"
        umoci repack --image "${made}:again" "$folder/umoci-bundle" 2>&1 | Set-Variable said
        $LASTEXITCODE | Should -Be 0 -Because "$said"
        umoci config --image "${made}:again" --config.env A=umoci
        $image = Import-ContainerImage $made | Where-Object Reference -Like '*:again'
        $image.Layers | Should -HaveCount 2
        Invoke-Container -Image $image.Reference -Remove | Should -Be 'by umoci'
        Invoke-Container -Image $image.Reference -Remove -- sh -c 'echo $A; stat -c "%h" /etc/link; stat -c %a /tmp; ls /etc/group 2>/dev/null' | Should -Be 'umoci', '2', '1777'
        Get-ContainerImage umoci:* | Remove-ContainerImage -Force
        rm -rf "$folder/umoci-bundle"
    }

    It 'is read by podman, and reads what podman writes' -Skip:(-not $tools.podman) {
        Export-ContainerImage busybox:1 "$folder/for-podman"
        $podman = @('--root', "$folder/podman", '--runroot', "$folder/podman-run", '--storage-driver', 'vfs')
        $loaded = podman @podman load -q -i "$folder/for-podman" 2>&1
        "$loaded" | Should -BeLike '*busybox:1*'
        podman @podman save -q -o "$folder/from-podman" docker.io/library/busybox:1 2>&1 | Out-Null
        $image = Import-ContainerImage "$folder/from-podman" -Reference from-podman
        $image.Config.Command | Should -Be 'echo', 'command'
        podman @podman rmi -af 2>&1 | Out-Null
        rm -rf "$folder/podman" "$folder/podman-run"
        Remove-ContainerImage from-podman
    }

    It 'reads a docker-archive of the old kind, with links between layers' {
        $old = "$folder/old"
        $null = New-Item "$old/aa", "$old/bb" -ItemType Directory
        Copy-Item "$folder/base.tar" "$old/aa/layer.tar"
        $null = New-Item "$old/bb/layer.tar" -ItemType SymbolicLink -Value '../aa/layer.tar'
        $diff = 'sha256:' + (Get-FileHash "$folder/base.tar").Hash.ToLowerInvariant()
        Set-Content "$old/aa/VERSION", "$old/aa/json" '1.0'
        ConvertTo-Json @{ os = 'linux'; architecture = 'amd64'; config = @{ Cmd = @('echo', 'old') }; rootfs = @{ type = 'layers'; diff_ids = @($diff, $diff) } } -Depth 9 | Set-Content "$old/cfg.json"
        ConvertTo-Json @(@{ Config = 'cfg.json'; RepoTags = @('old:1', 'old:2'); Layers = @('aa/layer.tar', 'bb/layer.tar') }) -Depth 9 | Set-Content "$old/manifest.json"
        tar -C $old -cf "$folder/old.tar" aa bb cfg.json manifest.json
        (Import-ContainerImage "$folder/old.tar").Reference | Should -Be 'docker.io/library/old:1', 'docker.io/library/old:2'
        Invoke-Container -Image old:2 -Remove | Should -Be 'old'
        Remove-ContainerImage old:1, old:2
    }

    It 'shows a container what umoci unpacks, entry by entry' -Skip:(-not $tools.umoci) {
        # Whiteouts, an opaque folder, a file over a folder and back, hard links, a device, a mode alone, odd names, no entry for a parent.
        sh -c @'
            set -e; cd "$1"; mkdir -p w/l1 w/l2 w/l3; cd w/l1
            cp -a "$2"/. .; mkdir -p a/b c d/e f; echo 1 >a/b/one; ln a/b/one a/b/hard; echo c >c/file; echo e >d/e/x; echo f >f/old; echo m >mode; mknod null c 1 3; mkfifo pipe; chmod 4755 mode
            chown 77:88 a/b; setfattr -n user.k -v v mode 2>/dev/null || :; touch -d '2001-02-03 04:05:06.123456789' a/b/one a/b; mkdir deep; chmod 0711 deep
            tar --xattrs --format=pax -cf ../1.tar .; cd ../l2
            mkdir -p a c f; : >a/.wh.b; : >c/.wh..wh..opq; echo new >c/other; echo file >d; : >f/.wh.old; echo m >mode; chmod 0600 mode; ln -s a/../c/other link
            tar --format=gnu -cf ../2.tar a c d f mode link; cd ../l3
            mkdir -p d a/b deep/under; : >deep/under/x; echo back >d/again; echo two >a/b/two; printf q >"$(printf 'sp ace')"
            tar --format=pax -cf ../3.tar d a/b deep/under/x "sp ace"
'@ sh $folder $store.Rootfs
        $deep = New-Layout "$folder/deep" "$folder/w/1.tar", "$folder/w/2.tar", "$folder/w/3.tar" @{ Cmd = @('sleep', '1000') } -Name 'deep'
        umoci unpack --keep-dirlinks --image "${deep}:deep" "$folder/bundle" 2>&1 | Set-Variable said
        $LASTEXITCODE | Should -Be 0 -Because "$said"
        $null = Import-ContainerImage $deep -Reference deep
        $task = New-Container deep -Image deep | Start-ContainerTask -PassThru
        try {
            # Folders that mounts cover are left out; so are times of folders that umoci changes as it goes.
            $list = 'cd "$1" && find . \( -path ./dev -o -path ./proc -o -path ./sys \) -prune -o -not -type d -printf "%P %y %#m %U:%G %s %T@ %n %l\n" | sort; find . \( -path ./dev -o -path ./proc -o -path ./sys \) -prune -o -type d -mindepth 1 -printf "%P %y %#m %U:%G\n" | sort; getfattr -R -P -h -d -m "^user|^security.cap" . 2>/dev/null'
            $ours = sh -c $list sh "/proc/$($task.ProcessId)/root"
            $theirs = sh -c $list sh "$folder/bundle/rootfs"
            $ours | Should -Be $theirs
        }
        finally { Remove-Container deep -Force; Remove-ContainerImage deep }
    }

    It 'gives a folder that another tool reads as it stands' -Skip:(-not $tools.skopeo) {
        $shown = skopeo inspect "oci:$env:CONTAINERS_ROOT/images/$($store.Mark):docker.io/library/busybox:1" | ConvertFrom-Json
        $shown.Digest | Should -Be (Get-ContainerImage busybox:1).Digest
    }
}

Describe 'Published holes' {
    BeforeAll {
        Get-ContainerImage | Remove-ContainerImage -Force
        $null = Import-ContainerImage $layout
        Set-Content "$folder/secret" 'of the host'
    }

    It 'ends an image that is too large, by the limits of the configuration: <Name>' -ForEach @(
        @{ Name = 'CONTAINERS_LAYER_BYTES'; Value = '1000000' }, @{ Name = 'CONTAINERS_LAYER_ENTRIES'; Value = '45' }
    ) {
        $null = New-Item "$folder/zeros" -ItemType Directory -Force
        sh -c 'cd "$1" && head -c 2000000 /dev/zero >zero && for i in $(seq 60); do : >$i; done && tar -cf ../zeros.tar .' sh "$folder/zeros"
        $large = New-Layout "$folder/large-$Name" "$folder/base.tar", "$folder/zeros.tar"
        $blobs = (Get-ContainerContent).Count
        Set-Item "env:$Name" $Value
        try { Get-ErrorIdOf { Import-ContainerImage $large -Reference large:1 } | Should -Be 'LayerTooLarge' }
        finally { Remove-Item "env:$Name" }
        Get-ContainerImage 'large*' | Should -BeNullOrEmpty
        $null = Clear-ContainerStorage -Confirm:$false
        (Get-ContainerContent).Count | Should -Be $blobs
        $null = Import-ContainerImage $large -Reference large:1 -ErrorAction Stop
        Remove-ContainerImage large:1
    }

    It 'CVE-2022-23648: a volume of the image whose folder is a link shows nothing of the host' {
        sh -c 'cd "$1" && rm -rf v && mkdir v && ln -s "$1" v/vol && ln -s ../../../../../../.. v/up && tar -C v -cf vol.tar .' sh $folder
        $expected = @{ '/vol' = 'RuntimeFailed'; '/up' = 'ImageInvalid'; '../../..' = 'ImageInvalid'; "/..$folder" = 'ImageInvalid' }
        foreach ($volume in $expected.Keys) {
            $null = Import-ContainerImage (New-Layout "$folder/volumes$($volume.GetHashCode())" "$folder/base.tar", "$folder/vol.tar" @{ Cmd = @('true'); Volumes = @{ $volume = @{} } }) -Reference volumes:1
            Get-ErrorIdOf { Invoke-Container -Image volumes:1 -Remove -- sh -c 'find / -xdev -name secret; cat /vol/secret /up/secret' } | Should -Be $expected[$volume]
            Get-ChildItem "$env:CONTAINERS_ROOT/containers" -Recurse -Filter secret | Should -BeNullOrEmpty
        }
        Get-Content "$folder/secret" | Should -Be 'of the host'
        Remove-ContainerImage volumes:1
    }

    It 'CVE-2021-41103, CVE-2024-25621: nobody else reaches what images bring, whatever the umask is' {
        if (-not (Get-Command setpriv -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'there is no setpriv'; return }
        sh -c 'umask 0; exec "$0" "$@"' (Get-Process -Id $PID).Path -NoProfile -NonInteractive -Command "`$env:CONTAINERS_ROOT = '$folder/open'; Import-Module '$(Get-ModulePath)'; `$null = Import-ContainerImage '$layout'; `$null = New-Container open -Image busybox:1" | Out-Null
        chmod 755 $folder
        try {
            foreach ($path in "$folder/open", "$folder/open/snapshots", "$folder/open/content", "$folder/open/containers") {
                (stat -c %a $path) | Should -Be 700
                setpriv --reuid 65534 --regid 65534 --clear-groups ls $path 2>$null | Should -BeNullOrEmpty
            }
            find "$folder/open" -type f -not -path '*/fs/*' -perm /077 | Should -BeNullOrEmpty
        }
        finally { chmod 700 $folder }
    }

    It 'CVE-2024-25621: nor what runs, with ids of its own or without' {
        $here = $env:CONTAINERS_RUN
        $made = New-Container plain -Image busybox:1 -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
        chmod 711 $folder
        try {
            find $here -not -type l -perm /077 | Should -BeNullOrEmpty
            $mapped = New-Container mapped -Image busybox:1 -UidMap 0:100000:65536 -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
            # Its root is another user here, and has to get to its own root folder; nobody reads or writes on the way.
            find $here -not -type l -perm /066 | Should -BeNullOrEmpty
            find $here -type f -perm /077 | Should -BeNullOrEmpty
            find $here -type s -perm /077 | Should -BeNullOrEmpty
            (Get-ContainerTask mapped).State | Should -Be 'Running'
        }
        finally {
            Remove-Container plain, mapped -Force
            chmod 700 $folder
        }
    }

    It 'CVE-2022-24769: nothing is inheritable' {
        Invoke-Container -Image busybox:1 -Remove -- grep CapInh /proc/self/status | Should -Match '^CapInh:\s+0+$'
    }

    It 'CVE-2022-36109: the user has all groups that the image gives it, and its own' {
        Invoke-Container -Image busybox:1 -Remove -User web -- id -G | Should -Be '1000 2000'
    }
}
