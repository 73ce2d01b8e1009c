# Snapshots by hand, the drivers of writable layers, and volumes of images.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    sh -c 'mkdir -p "$1/data/deep"; echo below >"$1/data/file"; echo deep >"$1/data/deep/file"; chown 70:71 "$1/data"; chmod 751 "$1/data"; ln -s data "$1/link"; ln -s "$2" "$1/out"' sh $store.Rootfs $folder
    $base = Import-ContainerImage -RootfsPath $store.Rootfs -Reference base:1

    # The same image with volumes.
    function New-VolumeImage([string] $Reference, [string[]] $Volume) {
        $layout = "$folder/layout-$([guid]::NewGuid().ToString('N'))"
        Export-ContainerImage base:1 $layout -Directory
        function Save-Blob($Object) {
            $bytes = [Text.Encoding]::UTF8.GetBytes(($Object | ConvertTo-Json -Depth 20 -Compress))
            $hex = [Convert]::ToHexString([Security.Cryptography.SHA256]::HashData($bytes)).ToLowerInvariant()
            [IO.File]::WriteAllBytes("$layout/blobs/sha256/$hex", $bytes)
            "sha256:$hex", $bytes.Length
        }
        function Read-Blob([string] $Digest) { Get-Content "$layout/blobs/$($Digest.Replace(':', '/'))" -Raw | ConvertFrom-Json -AsHashtable }
        $index = Get-Content "$layout/index.json" -Raw | ConvertFrom-Json -AsHashtable
        $manifest = Read-Blob $index.manifests[0].digest
        $config = Read-Blob $manifest.config.digest
        $config.config = @{ Volumes = @{} }
        foreach ($one in $Volume) { $config.config.Volumes[$one] = @{} }
        $manifest.config.digest, $manifest.config.size = Save-Blob $config
        $index.manifests[0].digest, $index.manifests[0].size = Save-Blob $manifest
        $index | ConvertTo-Json -Depth 20 | Set-Content "$layout/index.json"
        Import-ContainerImage $layout -Reference $Reference
    }
}

AfterAll {
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
    Get-ContainerSnapshot -ErrorAction SilentlyContinue | Sort-Object CreatedAt -Descending | Remove-ContainerSnapshot -ErrorAction SilentlyContinue
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'Snapshots by hand, by <Driver>' -ForEach @{ Driver = 'overlayfs' }, @{ Driver = 'native' } {
    BeforeAll {
        $null = New-Item "$folder/$Driver" -ItemType Directory
        $at = "$folder/$Driver"
    }

    It 'reads as it runs' {
        $made = New-ContainerSnapshot "work-$Driver" -Image base:1 -Snapshotter $Driver -Label @{ a = '1' }
        $made | Should -BeOfType Containers.ContainerSnapshot
        $made.Key, $made.Kind, $made.Snapshotter, $made.Labels['a'], $made.ContainerNamespace | Should -Be "work-$Driver", 'Active', $Driver, '1', $store.Mark
        $mount = $made | Mount-ContainerSnapshot -Path $at
        try {
            $mount.Key, $mount.Path, $mount.Writable | Should -Be "work-$Driver", $at, $true
            Get-Content "$at/data/file" | Should -Be below
            Set-Content "$at/data/new" new
            Remove-Item "$at/data/deep" -Recurse
            Get-ErrorIdOf { Remove-ContainerSnapshot "work-$Driver" } | Should -Be 'SnapshotInUse'
        }
        finally { $mount | Dismount-ContainerSnapshot }
        Get-ChildItem $at | Should -BeNullOrEmpty
        Get-ContainerSnapshot "work-$Driver" | Save-ContainerSnapshot -Name "done-$Driver"
        $look = "done-$Driver" | New-ContainerSnapshot "look-$Driver" -View -Snapshotter $Driver | Mount-ContainerSnapshot -Path $at
        try {
            $look.Writable | Should -BeFalse
            (Get-ChildItem "$at/data").Name | Should -Be 'file', 'new'
            sh -c ': >"$1/x"' sh $at 2>$null
            $LASTEXITCODE | Should -Not -Be 0
            (sh -c 'findmnt -no OPTIONS "$1"' sh $at) | Should -Match 'nosuid,nodev'
        }
        finally { Dismount-ContainerSnapshot $at }
        Get-ErrorIdOf { Remove-ContainerSnapshot "done-$Driver" } | Should -Be 'SnapshotInUse'
        "look-$Driver", "done-$Driver" | Remove-ContainerSnapshot
        Get-ContainerSnapshot "*-$Driver" | Should -BeNullOrEmpty
    }

    It 'runs, tells, commits and exports a container' {
        $made = New-Container "c-$Driver" -Image base:1 -Snapshotter $Driver -- sh -c 'echo new >/data/new; rm /data/file; cat /data/deep/file; stat -c "%a %u:%g" /data'
        $made | Start-ContainerTask -Attach | Should -Be 'deep', '751 70:71'
        Compare-Container "c-$Driver" | ForEach-Object { "$($_.Kind) $($_.Path)" } | Should -Be 'Changed /data', 'Deleted /data/file', 'Added /data/new'
        $image = New-ContainerImage "c-$Driver" "made-${Driver}:1"
        $image.Layers.Count | Should -Be 2
        $image.Layers[1].Size | Should -BeLessThan 2000
        Invoke-Container -Image "made-${Driver}:1" -Remove -- ls /data | Should -Be 'deep', 'new'
        Export-Container "c-$Driver" "$folder/$Driver.tar"
        @(tar -tf "$folder/$Driver.tar") -like 'data/?*' | Should -Be 'data/deep/', 'data/deep/file', 'data/new'
        Remove-Container "c-$Driver"
        Remove-ContainerImage "made-${Driver}:1"
    }
}

Describe 'The cmdlets for snapshots' {
    It 'give layers of images, shared and committed' {
        $layer = Get-ContainerSnapshot sha256:*
        $layer.Kind, $layer.IsImageLayer, $layer.ContainerNamespace | Should -Be 'Committed', $true, $null
        $layer.Key | Should -Be $base.Layers[0].DiffId
        $layer.Size | Should -BeGreaterThan 500000
    }

    It 'choose by kind, measure, and do nothing with -WhatIf' {
        New-ContainerSnapshot never -WhatIf
        Get-ErrorIdOf { Get-ContainerSnapshot never } | Should -Be 'SnapshotNotFound'
        $null = New-ContainerSnapshot a
        $null = New-ContainerSnapshot b -View
        (Get-ContainerSnapshot -Kind Active).Key | Should -Be 'a'
        (Get-ContainerSnapshot ? -Kind View, Active).Key | Should -Be 'a', 'b'
        (Get-ContainerSnapshot a).Size | Should -BeNullOrEmpty
        (Get-ContainerSnapshot a -Usage).Entries | Should -Be 1
        Save-ContainerSnapshot a c -WhatIf
        Remove-ContainerSnapshot a, b -WhatIf
        Mount-ContainerSnapshot a $folder -WhatIf
        (Save-ContainerSnapshot a c -Label @{ x = 'y' } -PassThru).Labels['x'] | Should -Be 'y'
        (Get-ContainerSnapshot ?).Key | Should -Be 'b', 'c'
        Remove-ContainerSnapshot ?
    }

    It 'refuse by name' {
        Get-ErrorIdOf { New-ContainerSnapshot x -Snapshotter zfs } | Should -Be 'NotSupported'
        Get-ErrorIdOf { New-ContainerSnapshot x nothere } | Should -Be 'SnapshotNotFound'
        Get-ErrorIdOf { New-ContainerSnapshot x -Image nothere:1 } | Should -Be 'ImageNotFound'
        Get-ErrorIdOf { New-ContainerSnapshot ../x } | Should -Be 'InvalidId'
        Get-ErrorIdOf { Dismount-ContainerSnapshot / } | Should -Be 'MountNotFound'
        Get-ErrorIdOf { New-Container x -Image base:1 -Snapshotter zfs -- true } | Should -Be 'NotSupported'
        $env:CONTAINERS_SNAPSHOTTER = 'erofs'
        try { Get-ErrorIdOf { New-Container x -Image base:1 -- true } | Should -Be 'NotSupported' }
        finally { $env:CONTAINERS_SNAPSHOTTER = $null }
        Get-Container | Should -BeNullOrEmpty
    }

    It 'take the driver of the environment' {
        $env:CONTAINERS_SNAPSHOTTER = 'native'
        try { (New-ContainerSnapshot env).Snapshotter | Should -Be native }
        finally { $env:CONTAINERS_SNAPSHOTTER = $null }
        Remove-ContainerSnapshot env
    }

    It 'keep a layer of an image that something uses' {
        $layer = (Get-ContainerSnapshot sha256:*).Key
        $null = New-Container keeps -Image base:1 -- true
        Get-ErrorIdOf { Remove-ContainerSnapshot $layer } | Should -Be 'SnapshotInUse'
        Remove-Container keeps
        Remove-ContainerSnapshot $layer
        Get-ContainerSnapshot | Should -BeNullOrEmpty
        Invoke-Container -Image base:1 -Remove -- cat /data/file | Should -Be below
        (Get-ContainerSnapshot).Key | Should -Be $layer
    }
}

Describe 'Volumes of an image' {
    It 'begin with what the image has, and end with the container' {
        $null = New-VolumeImage volumes:1 '/data', '/new/one', '/link/deep'
        $made = New-Container v -Image volumes:1 -- sh -c 'cat /data/file /data/deep/file; stat -c "%a %u:%g" /data /new/one; echo x >/data/x; grep -c " /data " /proc/self/mountinfo'
        $made | Start-ContainerTask -Attach | Should -Be 'below', 'deep', '751 70:71', '755 0:0', '1'
        Compare-Container v | ForEach-Object Path | Should -Not -Contain '/data/x'
        $own = "$env:CONTAINERS_ROOT/containers/$($store.Mark)/v/volumes"
        Get-Content "$own/*/x" | Should -Be x
        # Every container has its own.
        Invoke-Container -Image volumes:1 -Remove -- ls /data | Should -Be 'deep', 'file'
        Remove-Container v
        Test-Path $own | Should -BeFalse
    }

    It 'give way to a mount at the same place' {
        $null = New-Item "$folder/mine" -ItemType Directory
        Set-Content "$folder/mine/f" mine
        Invoke-Container -Image volumes:1 -Remove -Mount "$folder/mine:/data" -- cat /data/f | Should -Be mine
    }

    It 'are refused where <Path> is no place for one' -ForEach @{ Path = 'data' }, @{ Path = '/' }, @{ Path = '/data/../..' }, @{ Path = '/proc' }, @{ Path = '/dev/shm' }, @{ Path = '/data/file' } {
        $null = New-VolumeImage bad:1 $Path
        Get-ErrorIdOf { New-Container bad -Image bad:1 -- true } | Should -Be 'ImageInvalid'
        Get-Container | Should -BeNullOrEmpty
    }

    # CVE-2022-23648: a link of the image must not bring a folder of the host into the container.
    It 'follow links of the image inside the image alone' {
        Set-Content "$folder/secret" secret
        $null = New-VolumeImage out:1 '/out'
        $shown = Invoke-Container out -Image out:1 -ErrorAction SilentlyContinue -ErrorVariable refused -- sh -c 'cat /out/*' 6>$null
        $shown | Should -BeNullOrEmpty
        $refused.FullyQualifiedErrorId | Should -BeLike 'RuntimeFailed*'
        Get-Container | Remove-Container -Force
        $null = New-VolumeImage in:1 '/link'
        Invoke-Container -Image in:1 -Remove -- sh -c 'cat /link/file; echo x >/link/x; cat /data/x' | Should -Be 'below', 'x'
    }
}

Describe 'Containers with ids of their own' {
    BeforeAll {
        # The way to the root leads through here.
        chmod 0711 $folder
        $maps = @{ UidMap = '0:100000:65536'; GidMap = '0:200000:65536' }
    }

    AfterAll { chmod 0700 $folder }

    It 'own the files of their image and volumes, and write with their ids' {
        $null = New-VolumeImage mapped:1 '/data'
        $made = New-Container ids -Image mapped:1 @maps -- sh -c 'cat /proc/self/uid_map /proc/self/gid_map; stat -c "%u:%g" / /bin/busybox /data /data/file; echo x >/etc/x; echo y >/data/y; chown 1000:1000 /etc/x; stat -c "%u:%g" /etc/x /data/y; mkdir /root/d && cat /data/deep/file'
        $made.Spec.Linux.UidMappings[0].HostId | Should -Be 100000
        $shown = $made | Start-ContainerTask -Attach
        $shown -replace '\s+', ' ' | Should -Be ' 0 100000 65536', ' 0 200000 65536', '0:0', '0:0', '70:71', '0:0', '1000:1000', '0:0', 'deep'
        # On disk they are as in the image.
        $own = "$env:CONTAINERS_ROOT/containers/$($store.Mark)/ids"
        stat -c '%u:%g' "$own/overlay/upper/etc/x" "$own/volumes/0/y" | Should -Be '1000:1000', '0:0'
        Compare-Container ids | ForEach-Object { "$($_.Kind) $($_.Path)" } | Should -Be 'Changed /etc', 'Added /etc/x', 'Changed /root', 'Added /root/d'
        $null = New-ContainerImage ids ids:1
        Invoke-Container -Image ids:1 -Remove -- stat -c '%u:%g' /etc/x | Should -Be '1000:1000'
        Remove-Container ids
        Remove-ContainerImage ids:1
    }

    It 'are others on the host, and so is their program' {
        $task = New-Container run -Image base:1 -UidMap 0:100000:65536 -- sleep 1000 | Start-ContainerTask -PassThru
        (Get-Content "/proc/$($task.ProcessId)/status") -match '^[UG]id:' -replace '\s+', ' ' | Should -Be 'Uid: 100000 100000 100000 100000', 'Gid: 100000 100000 100000 100000'
        Invoke-ContainerCommand run -- sh -c 'id -u; stat -c %u /bin; cat /proc/1/status >/dev/null && echo sees' | Should -Be '0', '0', 'sees'
        Remove-Container run -Force
    }

    It 'take a root filesystem in place, and its owners as they are' {
        Invoke-Container -RootfsPath $store.Rootfs -UserNamespace private @maps -Remove -- sh -c 'stat -c %u:%g /data; echo z >/data/z' | Should -Be '70:71'
        stat -c '%u:%g' "$($store.Rootfs)/data/z" | Should -Be '0:0'
        Remove-Item "$($store.Rootfs)/data/z"
    }

    It 'are refused where <Why>' -ForEach @(
        @{ Why = 'there is no map'; Arguments = @{ UserNamespace = 'private' }; Id = 'InvalidArgument' }
        @{ Why = 'the namespace exists'; Arguments = @{ UserNamespace = 'host'; UidMap = '0:1:2' }; Id = 'InvalidArgument' }
        @{ Why = 'root is left out'; Arguments = @{ UidMap = '1:100000:10' }; Id = 'InvalidArgument' }
        @{ Why = 'ranges meet'; Arguments = @{ UidMap = '0:100000:10', '5:200000:10' }; Id = 'InvalidArgument' }
        @{ Why = 'ids end above the highest'; Arguments = @{ UidMap = '0:4294967290:10' }; Id = 'InvalidArgument' }
        @{ Why = 'it is no map'; Arguments = @{ GidMap = '0:x:10' }; Id = 'InvalidArgument' }
        @{ Why = 'overlayfs is asked for'; Arguments = @{ UidMap = '0:100000:10'; Snapshotter = 'overlayfs' }; Id = 'NotSupported' }
    ) {
        Get-ErrorIdOf { New-Container never -Image base:1 @Arguments -- true } | Should -Be $Id
        Get-Container | Should -BeNullOrEmpty
    }
}
