# Stores on file systems where the usual snapshotter cannot be, or another one can.

BeforeDiscovery {
    $mkfs = "${env:PATH}:/usr/sbin:/sbin".Split(':') | ForEach-Object { "$_/mkfs.btrfs" } | Where-Object { Test-Path $_ } | Select-Object -First 1
    $places = @(
        # What pwsh in a container has.
        @{ Place = 'an overlay'; Driver = 'native'; Mkfs = $null; Without = [version]((uname -r) -replace '^(\d+\.\d+).*', '$1') -lt [version]'6.7' ? ', left out before Linux 6.7' : '' }
        @{ Place = 'btrfs'; Driver = 'btrfs'; Mkfs = $mkfs; Without = $mkfs ? '' : ', left out without mkfs.btrfs (btrfs-progs)' }
    )
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder

    # An image of two layers, of which the second hides and replaces what the first has, and builds on it.
    sh -c @'
        set -e; cd "$1"; mkdir -p w/l1 w/l2 w/a; cd w/l1
        cp -a "$2"/. .; mkdir -p a gone/deep swap kept/sub; echo one >a/one; echo two >a/two; echo x >gone/deep/x; echo old >swap/old; echo f >file; echo s >kept/sub/s; : >empty; chown 7:8 kept/sub; chmod 750 kept/sub
        tar -cf ../a/1.tar .; cd ../l2
        mkdir -p a swap kept file; : >a/.wh.one; : >.wh.gone; : >swap/.wh..wh..opq; echo new >swap/new; echo in >file/in; echo t >kept/t
        tar -cf ../a/2.tar a .wh.gone swap file kept
        mkdir l; ln kept/t l/kt; tar -rf ../a/2.tar kept/t l/kt
        cd ../a; diff() { echo "\"sha256:$(sha256sum <$1 | cut -d' ' -f1)\""; }
        echo "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[\"true\"]},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[$(diff 1.tar),$(diff 2.tar)]}}" >c.json
        echo '[{"Config":"c.json","RepoTags":["two:1"],"Layers":["1.tar","2.tar"]}]' >manifest.json
        tar -cf ../../two.tar 1.tar 2.tar c.json manifest.json; cd ../..; rm -r w
'@ sh $folder $store.Rootfs
    $shows = 'cd / && ls -d a/* empty file/* gone kept/sub kept/sub/s kept/t l/* swap/* 2>/dev/null; stat -c "%a %u:%g" kept/sub; cat file/in swap/new kept/sub/s'
    $shown = 'a/two', 'empty', 'file/in', 'kept/sub', 'kept/sub/s', 'kept/t', 'l/kt', 'swap/new', '750 7:8', 'in', 'new', 's'
    $before = $env:CONTAINERS_ROOT
}

AfterAll { Exit-TestStore }

Describe 'A store on <Place><Without>' -ForEach $places {
    BeforeAll {
        if ($Without) { return }
        $null = New-Item "$folder/$Driver" -ItemType Directory
        if ($Mkfs) {
            truncate -s 256M "$folder/disk"
            & $Mkfs -q "$folder/disk"
            mount -o loop "$folder/disk" "$folder/$Driver"
        }
        else {
            $null = New-Item "$folder/ram" -ItemType Directory
            mount -t tmpfs -o size=300m,mode=700 none "$folder/ram"
            $null = New-Item "$folder/ram/lower", "$folder/ram/upper", "$folder/ram/work" -ItemType Directory
            mount -t overlay overlay -o "lowerdir=$folder/ram/lower,upperdir=$folder/ram/upper,workdir=$folder/ram/work" "$folder/$Driver"
        }
        $env:CONTAINERS_ROOT = "$folder/$Driver/lib"
        $env:CONTAINERS_SNAPSHOTTER = $Mkfs ? $Driver : $null
    }

    AfterAll {
        if ($Without) { return }
        Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
        $env:CONTAINERS_ROOT = $before
        $env:CONTAINERS_SNAPSHOTTER = $null
        umount "$folder/$Driver"
        if ($Mkfs) { Remove-Item "$folder/disk" } else { umount "$folder/ram"; Remove-Item "$folder/ram" }
        Remove-Item "$folder/$Driver"
    }

    It 'has a snapshotter that works' -Skip:([bool] $Without) {
        (New-ContainerSnapshot first).Snapshotter | Should -Be $Driver
        Remove-ContainerSnapshot first
        if (-not $Mkfs) { Get-ErrorIdOf { New-ContainerSnapshot first -Snapshotter overlayfs } | Should -Be 'NotSupported' }
        Get-ErrorIdOf { New-ContainerSnapshot first -Snapshotter ($Mkfs ? 'zfs' : 'btrfs') } | Should -Be 'NotSupported'
    }

    It 'shows the layers of an image as one' -Skip:([bool] $Without) {
        $null = Import-ContainerImage "$folder/two.tar" -ErrorAction Stop
        Invoke-Container -Image two:1 -Remove -- sh -c $shows | Should -Be $shown
        $null = New-Item "$folder/m" -ItemType Directory
        $null = Mount-ContainerImage two:1 "$folder/m" -ErrorAction Stop
        try { Invoke-Container -RootfsPath "$folder/m" -ReadOnly -Remove -- sh -c $shows | Should -Be $shown }
        finally { Dismount-ContainerImage "$folder/m" }
        $null = Mount-ContainerImage two:1 "$folder/m" -Writable -ErrorAction Stop
        try {
            Set-Content "$folder/m/a/two" changed
            Remove-Item "$folder/m/kept" -Recurse
        }
        finally { Dismount-ContainerImage "$folder/m" }
        Invoke-Container -Image two:1 -Remove -- sh -c $shows | Should -Be $shown
        Remove-Item "$folder/m"
        Test-Path "$env:CONTAINERS_ROOT/mounts" | Should -BeFalse
    }

    It 'tells, commits and exports what a container has written' -Skip:([bool] $Without) {
        $null = Invoke-Container c -Image two:1 -- sh -c 'rm a/two empty; rm -r swap; mkdir swap; echo again >swap/again; echo more >>file/in; ln kept/t linked; : >nothing'
        $changes = 'Deleted /empty', 'Changed /a', 'Deleted /a/two', 'Changed /file/in', 'Added /linked', 'Added /nothing', 'Changed /swap', 'Deleted /swap/new', 'Added /swap/again'
        Compare-Container c | ForEach-Object { "$($_.Kind) $($_.Path)" } | Should -Be $changes
        (New-ContainerImage c three:1).Layers.Count | Should -Be 3
        $now = 'cd / && ls -d a/* empty nothing swap/*  2>/dev/null; cat file/in; stat -c %h linked'
        $then = 'nothing', 'swap/again', 'in', 'more', '3'
        Invoke-Container -Image three:1 -Remove -- sh -c $now | Should -Be $then
        # And as a layer that is unpacked anew.
        Export-ContainerImage three:1 "$folder/three.tar"
        Export-Container c "$folder/c.tar"
        Remove-Container c
        Remove-ContainerImage two:1, three:1
        $null = Clear-ContainerStorage -Confirm:$false
        $null = Import-ContainerImage "$folder/three.tar" -ErrorAction Stop
        Invoke-Container -Image three:1 -Remove -- sh -c $now | Should -Be $then
        @(tar -tf "$folder/c.tar") -like 'swap/?*' | Should -Be 'swap/again'
        Remove-Item "$folder/three.tar", "$folder/c.tar"
    }

    It 'opens, is whole and can be emptied, wherever a process was killed' -Skip:([bool] $Without) {
        $steps = @(
            '$null = Import-ContainerImage "$folder/two.tar"'
            '$null = New-ContainerSnapshot s -Image two:1'
            '$null = New-Container k -Image two:1 -ArgumentList true'
            '$null = New-ContainerImage k four:1'
            '$null = Save-ContainerSnapshot s t; Remove-ContainerSnapshot t'
            'Remove-Container k'
            'Get-ContainerImage | Remove-ContainerImage'
            '$null = Clear-ContainerStorage -Confirm:$false'
        )
        $random = [Random]::new()
        foreach ($kill in 1..($env:CONTAINERS_TEST_LONG ? 60 : 3)) {
            # In the short run what makes the shared copy, what is made of it, and what removes it.
            $begin = $env:CONTAINERS_TEST_LONG ? $random.Next($steps.Count) : (1, 2, 5)[$kill - 1]
            Stop-Worker (Start-Circle $steps $begin place) $random.Next($env:CONTAINERS_TEST_LONG ? 500 : 200) "kill $kill"
            foreach ($image in Get-ContainerImage -ErrorAction Stop) { (Test-ContainerImage $image -ErrorAction Stop).IsComplete | Should -BeTrue -Because "kill ${kill}: $image is listed" }
            Get-Container -ErrorAction Stop | Remove-Container -ErrorAction Stop
            Get-ContainerSnapshot [st] -ErrorAction Stop | Remove-ContainerSnapshot -ErrorAction Stop
            $null = Import-ContainerImage "$folder/two.tar" -ErrorAction Stop
            Invoke-Container -Image two:1 -Remove -- sh -c $shows | Should -Be $shown -Because "kill $kill"
        }
    }

    It 'is empty at the end' -Skip:([bool] $Without) {
        Get-ContainerImage | Remove-ContainerImage
        $null = Clear-ContainerStorage -Confirm:$false
        Measure-ContainerStorage | ForEach-Object { $_.Count | Should -Be 0 -Because "$($_.Type) is left" }
        # The empty file of a lock stays where its holder was killed, for the next one.
        Get-ChildItem "$env:CONTAINERS_ROOT/snapshots", "$env:CONTAINERS_ROOT/containers" -Recurse -Force | Where-Object { $_.Name -notin 'named', $store.Mark -and $_.Name -notlike '.lock-*' } | Should -BeNullOrEmpty
    }
}
