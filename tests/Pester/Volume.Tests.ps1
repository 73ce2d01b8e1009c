# Volumes: what outlives containers, what a mount of one shows, and where its subpaths lead.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    sh -c 'mkdir -p "$1/data/deep" "$1/none"; echo below >"$1/data/file"; echo deep >"$1/data/deep/file"; ln "$1/data/file" "$1/data/twin"; ln -s file "$1/data/soft"; chown 70:71 "$1/data"; chown 5:6 "$1/data/file"; chmod 751 "$1/data"; chmod 4711 "$1/data/deep/file"; ln -s data "$1/link"; ln -s / "$1/all"; chown 8:9 "$1/none"; chmod 2770 "$1/none"' sh $store.Rootfs
    $null = Import-ContainerImage -RootfsPath $store.Rootfs -Reference base:1
    $module = Get-ModulePath
    function Invoke-Busybox([string[]] $Mount, [string] $Script) { Invoke-Container -Image base:1 -Remove -Mount $Mount -ArgumentList sh, '-c', $Script }
}

AfterAll {
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
    Get-ContainerVolume -ErrorAction SilentlyContinue | Remove-ContainerVolume -Confirm:$false -ErrorAction SilentlyContinue
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'Volumes' {
    It 'read as they run' {
        $made = New-ContainerVolume kept -Label @{ owner = 'me' }
        $made | Should -BeOfType Containers.ContainerVolume
        $made.Name, $made.ContainerNamespace, $made.Driver, $made.Labels['owner'], $made.Path | Should -Be 'kept', $store.Mark, 'local', 'me', "$env:CONTAINERS_ROOT/volumes/$($store.Mark)/kept/data"
        stat -c '%a %u:%g' $made.Path | Should -Be '755 0:0'
        stat -c '%a' "$env:CONTAINERS_ROOT/volumes" "$env:CONTAINERS_ROOT/volumes/$($store.Mark)/kept" | Should -Be '700', '700'
        Invoke-Busybox 'kept:/srv' 'echo one >/srv/file' | Should -BeNullOrEmpty
        Invoke-Busybox 'type=volume,src=kept,dst=/elsewhere' 'cat /elsewhere/file' | Should -Be one
        Get-Content "$($made.Path)/file" | Should -Be one
        Get-ContainerVolume k* | ForEach-Object Name | Should -Be kept
        $made | Remove-ContainerVolume -Confirm:$false
        Get-ContainerVolume | Should -BeNullOrEmpty
        Test-Path "$env:CONTAINERS_ROOT/volumes/$($store.Mark)" | Should -BeFalse
    }

    It 'get a name where they are given none, and are made where a mount names them' {
        (New-ContainerVolume).Name | Should -Match '^[0-9a-f]{12}$'
        Invoke-Busybox 'by-mount:/srv' 'touch /srv/x'
        (Get-ContainerVolume by-mount).Containers | Should -BeNullOrEmpty
        Get-ContainerVolume | Remove-ContainerVolume -Confirm:$false
    }

    It 'tell who uses them, and are not removed under anybody' {
        $null = New-Container first -Image base:1 -Mount 'busy:/a', 'busy:/b', 'other:/c' -ArgumentList sleep, 1000
        $null = New-Container second -Image base:1 -Mount 'busy:/a' -ArgumentList true
        (Get-ContainerVolume busy).Containers | Should -Be first, second
        $failed = Get-ErrorOf { Remove-ContainerVolume busy -Confirm:$false }
        $failed.FullyQualifiedErrorId, $failed.CategoryInfo.Category | Should -Be 'VolumeInUse,Containers.Cmdlets.RemoveContainerVolumeCommand', 'ResourceBusy'
        "$failed" | Should -BeLike "*'busy'*first, second*"
        Remove-Container second
        Rename-Container first third
        (Get-ContainerVolume busy).Containers | Should -Be third
        Remove-Container third
        Remove-ContainerVolume * -Confirm:$false
        Get-ContainerVolume | Should -BeNullOrEmpty
    }

    It 'are refused by name: <Name> <Option>' -ForEach @(
        @{ Name = '../up'; Option = @{}; Id = 'InvalidId' }
        @{ Name = 'bad'; Option = @{ size = '1G' }; Id = 'NotSupported' }
        @{ Name = 'bad'; Option = @{ type = 'ext4'; device = '/dev/sda' }; Id = 'NotSupported' }
        @{ Name = 'bad'; Option = @{ device = '/srv' }; Id = 'InvalidArgument' }
        @{ Name = 'bad'; Option = @{ type = 'none'; o = 'bind'; device = '/no/such' }; Id = 'InvalidArgument' }
        @{ Name = 'bad'; Option = @{ type = 'tmpfs'; device = 'tmpfs'; o = 'size=1m,lowerdir=/' }; Id = 'InvalidArgument' }
        @{ Name = 'bad'; Option = @{ type = 'nfs'; device = ':/x' }; Id = 'InvalidArgument' }
    ) {
        Get-ErrorIdOf { New-ContainerVolume $Name -Option $Option } | Should -Be $Id
        Get-ContainerVolume | Should -BeNullOrEmpty
    }

    It 'say what is there, is not there, and what would be done' {
        $null = New-ContainerVolume one
        Get-ErrorIdOf { New-ContainerVolume one } | Should -Be 'VolumeExists'
        Get-ErrorIdOf { Get-ContainerVolume two } | Should -Be 'VolumeNotFound'
        Get-ErrorIdOf { Remove-ContainerVolume two -Confirm:$false } | Should -Be 'VolumeNotFound'
        Get-ErrorIdOf { New-ContainerVolume x -Driver nas } | Should -Be 'NotSupported'
        New-ContainerVolume three -WhatIf
        Remove-ContainerVolume one -WhatIf
        (Get-ContainerVolume).Name | Should -Be one
        (Measure-ContainerStorage | Where-Object Type -EQ Volumes).Count | Should -Be 1
        Remove-ContainerVolume one -Confirm:$false
    }

    It 'are those of their container namespace' {
        $null = New-ContainerVolume same
        $other = "$($store.Mark)-other"
        $null = New-ContainerVolume same -ContainerNamespace $other
        Set-Content "$((Get-ContainerVolume same).Path)/mine" 1
        Get-ChildItem (Get-ContainerVolume same -ContainerNamespace $other).Path | Should -BeNullOrEmpty
        (Get-ContainerNamespace $other).Volumes | Should -Be 1
        Get-ErrorIdOf { Remove-ContainerNamespace $other -Confirm:$false } | Should -Be 'ContainerNamespaceNotEmpty'
        Remove-ContainerNamespace $other -Force -Confirm:$false
        Get-ContainerNamespace | ForEach-Object Name | Should -Not -Contain $other
        Remove-ContainerVolume same -Confirm:$false
    }

    It 'of type <Type> are mounted with their options' -ForEach @(
        @{ Type = 'tmpfs'; Option = @{ type = 'tmpfs'; device = 'tmpfs'; o = 'size=1m,mode=0711,uid=7' }; Script = 'stat -c "%a %u" /v; df -k /v | tail -1 | tr -s " " | cut -d" " -f2'; Expected = '711 7', '1024' }
        @{ Type = 'bind'; Option = @{ type = 'none'; device = '/etc'; o = 'bind,ro' }; Script = 'cat /v/hostname >/dev/null && echo seen; touch /v/x 2>/dev/null || echo closed'; Expected = 'seen', 'closed' }
    ) {
        $null = New-ContainerVolume typed -Option $Option
        Invoke-Busybox 'typed:/v' $Script | Should -Be $Expected
        Remove-ContainerVolume typed -Confirm:$false
        Test-Path /etc/hostname | Should -BeTrue
    }

    It 'of type nfs are mounted from the server: <Device>' -ForEach @{ Device = ':/x'; Words = 'addr=127.0.0.1,vers=4.2' }, @{ Device = 'localhost:/x'; Words = 'vers=4.2' } {
        $null = New-ContainerVolume share -Option @{ type = 'nfs'; device = $Device; o = $Words }
        $mount = (New-Container n -Image base:1 -Mount share:/v -ArgumentList true).Spec.Mounts | Where-Object Destination -EQ /v
        $mount.Type, $mount.Source | Should -Be nfs, $Device
        $mount.Options | Should -Contain 'vers=4.2'
        $mount.Options -match '^addr=(127\.0\.0\.1|::1)$' | Should -HaveCount 1
        # Nobody serves there, or the kernel knows no nfs: the runtime says so by the name of the mount.
        "$(Get-ErrorOf { Start-ContainerTask n })" | Should -BeLike '*/v*nfs*'
        Remove-Container n -Force
        Remove-ContainerVolume share -Confirm:$false
    }
}

Describe 'A volume without anything in it' {
    AfterEach { Get-ContainerVolume | Remove-ContainerVolume -Confirm:$false }

    It 'gets what the image has: <Name>' -ForEach @(
        @{ Name = 'files with owners, modes and links'; Target = '/data'; Script = 'cd /data; stat -c "%n %a %u:%g %h" . file twin deep/file; readlink soft; cat deep/file'; Expected = '. 751 70:71 3', 'file 644 5:6 2', 'twin 644 5:6 2', 'deep/file 4711 0:0 1', 'file', 'deep' }
        @{ Name = 'owner and mode of an empty folder'; Target = '/none'; Script = 'stat -c "%a %u:%g" /none; ls -A /none'; Expected = @('2770 8:9') }
        @{ Name = 'through a link'; Target = '/link'; Script = 'cat /link/file'; Expected = @('below') }
        @{ Name = 'nothing where the image has none'; Target = '/new/place'; Script = 'stat -c "%a %u:%g" /new/place; ls -A /new/place'; Expected = @('755 0:0') }
        @{ Name = 'nothing behind a link to a place that is not there'; Target = '/all/x'; Script = 'ls -A /all/x'; Expected = $null }
    ) {
        Invoke-Busybox "fill:$Target" $Script | Should -Be $Expected
        # And keeps it elsewhere, also from another image's folder.
        $here = Get-ChildItem (Get-ContainerVolume fill).Path -Recurse -Force | ForEach-Object Name
        Invoke-Busybox 'fill:/data' "cd /data; find . -mindepth 1 | wc -l" | Should -Be ($here.Count ? $here.Count : 5)
    }

    It 'gets it also from a root filesystem, and when the mount is read-only' {
        Invoke-Container -RootfsPath $store.Rootfs -Remove -Mount 'fill:/data:ro' -ArgumentList sh, '-c', 'cat /data/file; touch /data/x 2>/dev/null || echo closed' | Should -Be below, closed
    }

    It 'stays empty with nocopy, and is refused where the image has a file' {
        Invoke-Busybox 'fill:/data:nocopy' 'ls -A /data' | Should -BeNullOrEmpty
        Invoke-Busybox 'type=volume,src=fill,dst=/data,volume-nocopy' 'ls -A /data' | Should -BeNullOrEmpty
        Get-ErrorIdOf { New-Container f -Image base:1 -Mount 'fill:/data/file' -ArgumentList true } | Should -Be 'InvalidMount'
        Get-Container | Should -BeNullOrEmpty
    }

    It 'keeps what is in it' {
        Invoke-Busybox 'fill:/other' 'echo mine >/other/mine'
        Invoke-Busybox 'fill:/data' 'ls /data' | Should -Be mine
    }

    It 'is filled for a program that has it already' {
        $null = New-Container has -Image base:1 -Mount 'fill:/none:nocopy' -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
        Invoke-Busybox 'fill:/data' 'true'
        Invoke-ContainerCommand has -- cat /none/file | Should -Be below
        Remove-Container has -Force
    }

    It 'belongs to the user of the program with U' {
        Invoke-Busybox 'fill:/data' 'true'
        Invoke-Container -Image base:1 -Remove -User 1234:5678 -Mount 'fill:/data:U' -ArgumentList sh, '-c', 'cd /data; stat -c "%u:%g" . file deep/file soft; touch new' | Should -Be (@('1234:5678') * 4)
    }

    It 'without a name goes with its container, and has what the image has' {
        $made = New-Container own -Image base:1 -Mount '/data', @{ type = 'volume'; target = '/none'; readonly = $true } -ArgumentList sh, '-c', 'cat /data/file; echo x >/data/x; stat -c %a /none; touch /none/x 2>/dev/null || echo closed'
        $made | Start-ContainerTask -Attach | Should -Be below, 2770, closed
        Get-ContainerVolume | Should -BeNullOrEmpty
        Get-Content "$env:CONTAINERS_ROOT/containers/$($store.Mark)/own/volumes/0/x" | Should -Be x
        Remove-Container own
        Invoke-Container -RootfsPath $store.Rootfs -Remove -Mount /data -ArgumentList cat, /data/file | Should -Be below
    }

    It 'has the ids of a container with maps' {
        chmod 0711 $folder
        try {
            Invoke-Container -Image base:1 -Remove -UidMap 0:100000:65536 -Mount 'fill:/data' -ArgumentList sh, '-c', 'stat -c "%u:%g" /data /data/file; touch /data/new; chown 3:4 /data/new' | Should -Be '70:71', '5:6'
            stat -c '%u:%g' "$((Get-ContainerVolume fill).Path)/new" | Should -Be '3:4'
        }
        finally { chmod 0700 $folder }
    }

    It 'is filled once by eight at a time, and whole' {
        $ids = 1..8 | ForEach-Object -Parallel {
            Import-Module $using:module
            Invoke-Container -Image base:1 -Remove -Mount 'fill:/data' -ArgumentList cat, /data/deep/file
        } -ThrottleLimit 8
        $ids | Should -Be (@('deep') * 8)
        Get-ChildItem "$env:CONTAINERS_ROOT/volumes/$($store.Mark)" -Force -Recurse -Depth 1 | ForEach-Object Name | Sort-Object | Should -Be data, fill, lock, volume.json
    }
}

Describe 'A subpath' {
    BeforeAll {
        $null = New-ContainerVolume parts
        $at = (Get-ContainerVolume parts).Path
        sh -c 'cd "$1"; mkdir -p a/b; echo inner >a/b/file; ln -s a/b inside; ln -s /a absolute; ln -s "$2" out; ln -s ../../../../../../../../.. up; echo whole >file' sh $at $folder
        'secret' | Set-Content "$folder/secret"
    }

    AfterAll { Remove-ContainerVolume parts -Confirm:$false }

    It 'shows its part: <Sub>' -ForEach @(
        @{ Sub = 'a/b'; Expected = 'file' }
        @{ Sub = 'inside'; Expected = 'file' }
        @{ Sub = 'absolute/b'; Expected = 'file' }
    ) {
        Invoke-Busybox "type=volume,src=parts,dst=/v,volume-subpath=$Sub" 'ls /v' | Should -Be $Expected
    }

    It 'is a file, or a part of a folder of the host' {
        Invoke-Busybox 'type=volume,src=parts,dst=/v,subpath=file' 'cat /v' | Should -Be whole
        Invoke-Container -Image base:1 -Remove -Mount (New-ContainerMount $at /v -SubPath a/b -ReadOnly) -ArgumentList sh, '-c', 'cat /v/file; touch /v/x 2>/dev/null || echo closed' | Should -Be inner, closed
    }

    It 'leads out of the volume by no link: <Sub>' -ForEach @{ Sub = 'out' }, @{ Sub = 'up' }, @{ Sub = 'up/etc' }, @{ Sub = 'missing' } {
        # A link of ".." stops at the volume's own root, and shows that.
        if ($Sub -eq 'up') { Invoke-Busybox "type=volume,src=parts,dst=/v,subpath=$Sub" 'ls /v' | Should -Be a, absolute, file, inside, out, up }
        else { Get-ErrorIdOf { Invoke-Busybox "type=volume,src=parts,dst=/v,subpath=$Sub" 'ls /v' } | Should -Be RuntimeFailed }
        Get-Container | Remove-Container -Force
    }

    It 'leads out by no link that is put there meanwhile' {
        $swap = Start-Beside sh @('-c', "cd '$at'; mkdir swap; while :; do mv swap old 2>/dev/null; ln -s '$folder' swap; rm swap; mv old swap; done")
        try {
            $null = New-Container race -Image base:1 -Mount 'type=volume,src=parts,dst=/v,subpath=swap' -ArgumentList ls, /v
            $shown = foreach ($round in 1..40) {
                try { Start-ContainerTask race -Attach -ErrorAction Stop } catch { $null = $_.FullyQualifiedErrorId | Should -BeLike 'RuntimeFailed*' }
                Remove-ContainerTask race -Force -ErrorAction SilentlyContinue
            }
            $shown | Should -BeNullOrEmpty
        }
        finally {
            $swap.Kill()
            $swap.WaitForExit()
            Remove-Container race -Force
        }
    }

    It 'is refused with another runtime' -Skip:(-not (Get-Command runc -ErrorAction Ignore)) {
        Get-ErrorIdOf { New-Container r -Image base:1 -Runtime runc -Mount 'type=volume,src=parts,dst=/v,subpath=a' -ArgumentList true } | Should -Be 'NotSupported'
    }

    It 'is where files are copied to and from, of a container that does not run' {
        $null = New-Container still -Image base:1 -Mount 'type=volume,src=parts,dst=/none,subpath=a' -ArgumentList true
        Copy-ContainerItem still:/none/b/file "$folder/got"
        Get-Content "$folder/got" | Should -Be inner
        Copy-ContainerItem "$folder/got" still:/none/put
        Get-Content "$at/a/put" | Should -Be inner
        Remove-Container still
    }
}

Describe 'Archives of volumes' {
    AfterEach { Get-ContainerVolume | Remove-ContainerVolume -Confirm:$false }

    It 'bring all back: <Name>' -ForEach @{ Name = 'v.tar' }, @{ Name = 'v.tar.gz' } {
        Invoke-Busybox 'from:/data' 'cd /data; mkfifo pipe; setfattr -n user.a -v b file 2>/dev/null; ln file deep/third; chmod 6755 soft 2>/dev/null; touch -d 2001-02-03T04:05:06Z file'
        $file = Export-ContainerVolume from "$folder/$Name" -PassThru
        stat -c '%a' $file.FullName | Should -Be 600
        (Get-ContainerVolume from | Export-ContainerVolume -Path "$folder/again-$Name" -PassThru).Length | Should -Be $file.Length
        $made = Import-ContainerVolume "$folder/$Name" to -Label @{ a = '1' }
        $made.Labels['a'] | Should -Be 1
        $list = 'cd "$1"; find . | sort | while read -r f; do stat -c "%n %A %u:%g %h %s %Y" "$f"; done; cat file deep/file'
        sh -c $list sh $made.Path | Should -Be (sh -c $list sh (Get-ContainerVolume from).Path)
        Remove-Item "$folder/$Name", "$folder/again-$Name"
    }

    It 'that mean harm make no volume' {
        sh -c 'cd "$1"; mkdir -p bad; echo x >bad/x; tar -P --transform "s,bad/x,../../../out,"  -cf bad.tar bad/x; head -c 700 /dev/urandom >noise.tar' sh $folder
        Get-ErrorIdOf { Import-ContainerVolume "$folder/bad.tar" bad } | Should -Be LayerInvalid
        Get-ErrorIdOf { Import-ContainerVolume "$folder/noise.tar" bad } | Should -Be LayerInvalid
        Get-ErrorIdOf { Import-ContainerVolume "$folder/none.tar" bad } | Should -Be ArchiveNotFound
        Get-ContainerVolume | Should -BeNullOrEmpty
        $null = New-ContainerVolume there
        Get-ErrorIdOf { Import-ContainerVolume "$folder/bad.tar" there } | Should -Be VolumeExists
        Get-ChildItem "$env:CONTAINERS_ROOT/volumes/$($store.Mark)" -Force | ForEach-Object Name | Should -Be there
    }

    It 'are refused by name' {
        $null = New-ContainerVolume mem -Option @{ type = 'tmpfs'; device = 'tmpfs' }
        Get-ErrorIdOf { Export-ContainerVolume mem "$folder/mem.tar" } | Should -Be NotSupported
        Get-ErrorIdOf { Export-ContainerVolume none "$folder/none.tar" } | Should -Be VolumeNotFound
        $null = New-ContainerVolume full
        'mine' | Set-Content "$folder/mine.tar"
        Get-ErrorIdOf { Export-ContainerVolume full "$folder/mine.tar" } | Should -Be ExportFailed
        Get-Content "$folder/mine.tar" | Should -Be mine
        Export-ContainerVolume full "$folder/mine.tar" -Force
        tar -tf "$folder/mine.tar" | Should -Be './'
    }
}

Describe 'An image in a container' {
    BeforeAll {
        $null = New-Container two -Image base:1 -ArgumentList sh, '-c', 'echo second >/data/second; rm /data/twin' | Start-ContainerTask -Attach
        $null = New-ContainerImage two two:1
        Remove-Container two
    }

    It 'shows its layers as one, read-only: <_>' -ForEach 'type=image,source=two:1,target=/img', 'type=image,src=two:1,dst=/img,readonly' {
        Invoke-Container -Image base:1 -Remove -Mount $_ -ArgumentList sh, '-c', 'ls /img/data; cat /img/data/second; touch /img/x 2>/dev/null || echo closed; ls /data' |
            Should -Be deep, file, second, soft, second, closed, deep, file, soft, twin
    }

    It 'of one layer, and a part of it, under every runtime' {
        $runtimes = @('psrun') + @(Get-Command runc -ErrorAction Ignore | ForEach-Object Name)
        foreach ($runtime in $runtimes) {
            Invoke-Container -Image base:1 -Remove -Runtime $runtime -Mount 'type=image,source=base:1,target=/img', 'type=image,source=two:1,target=/img2' -ArgumentList cat, /img/data/twin, /img2/data/second | Should -Be below, second
        }
        Invoke-Container -Image base:1 -Remove -Mount 'type=image,source=two:1,target=/img,image-subpath=data/deep' -ArgumentList ls, /img | Should -Be file
    }

    It 'is kept by the container, whatever it is called later' {
        $null = New-Container holds -Image base:1 -Mount 'type=image,source=two:1,target=/img' -ArgumentList cat, /img/data/second
        Remove-ContainerImage two:1
        $null = Clear-ContainerStorage -Confirm:$false
        Rename-Container holds renamed
        Start-ContainerTask renamed -Attach | Should -Be second
        Remove-Container renamed
        (Clear-ContainerStorage -Confirm:$false -PassThru).Type | Sort-Object -Unique | Should -Be Content, Snapshot
    }

    It 'is refused by name: <Mount>' -ForEach @(
        @{ Mount = 'type=image,source=not/there:1,target=/img'; Id = 'ImageNotFound'; With = @{ Pull = 'never' } }
        @{ Mount = 'type=image,target=/img'; Id = 'InvalidMount'; With = @{} }
        @{ Mount = 'type=image,source=base:1,target=/img,options=rw'; Id = 'InvalidMount'; With = @{} }
        @{ Mount = 'type=image,source=base:1,target=/img'; Id = 'NotSupported'; With = @{ UidMap = '0:100000:65536' } }
    ) {
        Get-ErrorIdOf { New-Container no -Image base:1 -Mount $Mount @With -ArgumentList true } | Should -Be $Id
        Get-Container | Should -BeNullOrEmpty
    }
}

Describe 'Killed while a volume is made, filled or removed' {
    It 'leaves volumes that are whole, or none' {
        $steps = '$null = New-Container k -Image base:1 -Mount killed:/data -ArgumentList true', 'Remove-Container k', 'Remove-ContainerVolume killed -Confirm:$false'
        foreach ($round in 1..6) {
            Stop-Worker (Start-Circle $steps 0 "circle-$round") (Get-Random -Minimum 20 -Maximum 500) "round $round"
            Get-Container | Remove-Container -Force
            foreach ($volume in Get-ContainerVolume) { (Get-ChildItem $volume.Path -Recurse -Force).Count | Should -BeIn 0, 5 }
            Invoke-Busybox 'killed:/data' 'cat /data/deep/file' | Should -Be deep
            Remove-ContainerVolume killed -Confirm:$false
        }
        Get-ContainerVolume | Should -BeNullOrEmpty
        # The next one sweeps.
        $null = New-ContainerVolume last
        Get-ChildItem "$env:CONTAINERS_ROOT/volumes/$($store.Mark)" -Force | ForEach-Object Name | Should -Be last
        Remove-ContainerVolume last -Confirm:$false
    }
}
