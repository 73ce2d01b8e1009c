# What a container has written: told, made an image of, written into an archive. Images mounted on the host.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    sh -c 'head -c 100000 /dev/urandom >"$1/var/large"' sh $store.Rootfs
    $base = Import-ContainerImage -RootfsPath $store.Rootfs -Reference base:1
    function Invoke-Change([string] $Id, [string] $Script) { Invoke-Container $Id -Image base:1 -- sh -c $Script }
    function Get-Tree([string] $Image) { Invoke-Container -Image $Image -Remove -- sh -c 'cd / && find bin etc root tmp var -exec stat -c "%n %F %a %u:%g %s %Y" {} + | sort; cat /etc/group /etc/new 2>/dev/null' }
}

AfterAll {
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'New-ContainerImage' {
    BeforeAll { Invoke-Change one 'echo new >/etc/new; echo x:x:5: >>/etc/group; rm /etc/passwd; mkdir -m 1777 /tmp/d; ln /etc/new /tmp/d/l; : >>/var/large' }

    It 'has what the container has, in one layer more' {
        $image = New-ContainerImage one changed:1 -Author me -Comment 'a change' -CreatedAt '2026-01-01T00:00:00Z'
        $image | Should -BeOfType Containers.ContainerImage
        $image.Reference | Should -Be 'docker.io/library/changed:1'
        $image.Layers.Count | Should -Be 2
        $image.Layers[0].Digest | Should -Be $base.Layers[0].Digest
        # The large file was opened for writing, and not changed.
        $image.Layers[1].Size | Should -BeLessThan 2000
        Invoke-Container -Image changed:1 -Remove -- sh -c 'cat /etc/new /tmp/d/l; tail -n1 /etc/group; ls /etc/passwd' 6>$null | Should -Be 'new', 'new', 'x:x:5:'
        $step = (Get-ContainerImageHistory changed:1)[0]
        $step.Author, $step.Comment | Should -Be 'me', 'a change'
        $step.CreatedAt | Should -Be ([DateTimeOffset] '2026-01-01T00:00:00Z')
        (Test-ContainerImage changed:1).IsComplete | Should -BeTrue
    }

    It 'gives the same image for the same files' {
        $again = New-ContainerImage one again:1 -Author me -Comment 'a change' -CreatedAt '2026-01-01T00:00:00Z'
        $again.Digest | Should -Be (New-ContainerImage one changed:1 -Author me -Comment 'a change' -CreatedAt '2026-01-01T00:00:00Z').Digest
        (New-ContainerImage one again:2).Layers[1].Digest | Should -Be $again.Layers[1].Digest
    }

    It 'runs as it is told to' {
        $image = Get-Container one | New-ContainerImage -Reference told:1 -Entrypoint echo, told -Environment @{ A = '1' } -WorkingDirectory /tmp -User web -Label @{ k = 'v' }
        "$($image.Config.Entrypoint)", $image.Config.WorkingDirectory, $image.Config.User, $image.Labels.k | Should -Be 'echo told', '/tmp', 'web', 'v'
        $image.Config.Environment | Should -Contain 'A=1'
        Invoke-Container -Image told:1 -User 0 -Remove | Should -Be 'told'
    }

    It 'adds no layer where nothing was changed' {
        Invoke-Change none 'cat /etc/group' | Out-Null
        $image = New-ContainerImage none nothing:1
        $image.Layers.Count | Should -Be 1
        (Get-ContainerImageHistory nothing:1)[0].Layer | Should -BeNullOrEmpty
        (Test-ContainerImage nothing:1).IsComplete | Should -BeTrue
    }

    It 'holds a running container still, and lets it go on' {
        New-Container busy -Image base:1 -ArgumentList sh, -c, 'while :; do echo x >>/tmp/log; done' | Start-ContainerTask
        (New-ContainerImage busy busy:1).Layers.Count | Should -Be 2
        (Get-ContainerTask busy).State | Should -Be 'Running'
        (New-ContainerImage busy busy:2 -NoPause).Layers.Count | Should -Be 2
        Remove-Container busy -Force
    }

    It 'makes one layer of a container over a root filesystem' {
        Invoke-Container flat -RootfsPath $store.Rootfs -Overlay -- sh -c 'echo over >/etc/new; rm /etc/group'
        (New-ContainerImage flat flat:1 -ArgumentList cat, /etc/new).Layers.Count | Should -Be 1
        Invoke-Container -Image flat:1 -Remove -User 0 | Should -Be 'over'
        Remove-Container flat
    }

    It 'is an image that a further container can be made of, changed and made an image of' {
        Invoke-Container two -Image changed:1 -- sh -c 'rm -r /tmp/d; echo two >/etc/new; mkdir /tmp/d; echo in >/tmp/d/f'
        (New-ContainerImage two changed:2).Layers.Count | Should -Be 3
        Invoke-Container -Image changed:2 -Remove -- sh -c 'cat /etc/new /tmp/d/*' | Should -Be 'two', 'in'
        Export-ContainerImage changed:2 "$folder/changed.tar"
        Remove-Container two
        Remove-ContainerImage changed:2
        $null = Import-ContainerImage "$folder/changed.tar"
        Invoke-Container -Image changed:2 -Remove -- sh -c 'cat /etc/new /tmp/d/*' | Should -Be 'two', 'in'
    }

    It 'is read by umoci as it is by us' {
        if (-not (Get-Command umoci -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'there is no umoci'; return }
        Export-ContainerImage changed:1 "$folder/for-umoci" -Directory
        umoci raw unpack --image "$folder/for-umoci:docker.io/library/changed:1" "$folder/theirs" 2>&1 | Out-Null
        if (-not (Test-Path "$folder/theirs/etc")) { umoci unpack --image "$folder/for-umoci:docker.io/library/changed:1" "$folder/bundle" | Out-Null; Move-Item "$folder/bundle/rootfs" "$folder/theirs" }
        $null = New-Item "$folder/ours" -ItemType Directory
        Mount-ContainerImage changed:1 "$folder/ours" | Out-Null
        $list = 'cd "$1" && find . -mindepth 1 \( -type d -printf "%P %y %#m %U:%G %T@\n" -o -printf "%P %y %#m %U:%G %s %T@ %n %l\n" \) | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort'
        $ours = sh -c $list sh "$folder/ours"
        Dismount-ContainerImage "$folder/ours"
        sh -c $list sh "$folder/theirs" | Should -Be $ours
    }

    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'a container that is not there'; Id = 'ContainerNotFound'; Do = { New-ContainerImage nobody x:1 } }
        @{ What = 'a bad name'; Id = 'InvalidReference'; Do = { New-ContainerImage one 'Not A Name' } }
        @{ What = 'a file that looks like a mark'; Id = 'PackFailed'; Do = { Invoke-Change bad ': >/etc/.wh.group'; New-ContainerImage bad x:1 } }
    ) {
        Get-ErrorIdOf $Do | Should -Be $Id
        Get-ContainerImage 'x:*' | Should -BeNullOrEmpty
    }

    It 'does nothing with -WhatIf' {
        New-ContainerImage one what:1 -WhatIf
        Get-ContainerImage 'what*' | Should -BeNullOrEmpty
    }
}

Describe 'Compare-Container' {
    It 'tells what was added, changed and deleted' {
        $changes = Compare-Container one
        $changes | Should -BeOfType Containers.ContainerChange
        $changes | ForEach-Object { "$_ $($_.Type)" } | Should -Be @(
            'Changed /etc Folder', 'Deleted /etc/passwd File', 'Changed /etc/group File', 'Added /etc/new File', 'Changed /tmp Folder', 'Added /tmp/d Folder', 'Added /tmp/d/l File')
        $changes[0].ContainerId | Should -Be 'one'
        (Get-Container one | Compare-Container | Where-Object Path -eq /etc/new).Size | Should -Be 4
    }

    It 'is NotSupported without a writable layer' {
        $null = New-Container plain -RootfsPath $store.Rootfs -ArgumentList 'true'
        Get-ErrorIdOf { Compare-Container plain } | Should -Be 'NotSupported'
        Remove-Container plain
    }
}

Describe 'Export-Container' {
    It 'writes what the container sees, and the same bytes each time' {
        $file = Export-Container one "$folder/one.tar" -PassThru
        $file.FullName | Should -Be "$folder/one.tar"
        [int] $file.UnixFileMode | Should -Be 0x180
        tar -tf $file.FullName etc tmp | Should -Be 'etc/', 'etc/group', 'etc/new', 'tmp/', 'tmp/d/', 'tmp/d/l'
        Export-Container one "$folder/two.tar"
        (Get-FileHash "$folder/two.tar").Hash | Should -Be (Get-FileHash "$folder/one.tar").Hash
        $null = Import-ContainerImage -RootfsPath "$folder/one.tar" -Reference exported:1
        Get-Tree exported:1 | Should -Be (Get-Tree changed:1)
    }

    It 'replaces nothing unasked, and leaves nothing when it fails' {
        Get-ErrorIdOf { Export-Container one "$folder/one.tar" } | Should -Be 'ExportFailed'
        Export-Container one "$folder/one.tar" -Force
        Get-ErrorIdOf { Export-Container one "$folder/nowhere/one.tar" } | Should -Be 'PackFailed'
        Get-ErrorIdOf { Export-Container nobody "$folder/no.tar" } | Should -Be 'ContainerNotFound'
        Export-Container one "$folder/no.tar" -WhatIf
        Get-ChildItem $folder -Filter '*no*.tar*' | Should -BeNullOrEmpty
        Get-ChildItem $folder -Filter '*.new-*' | Should -BeNullOrEmpty
    }
}

Describe 'Mount-ContainerImage' {
    BeforeAll { $null = New-Item "$folder/m" -ItemType Directory }

    It 'shows the files of <Image>, and takes none' -ForEach @{ Image = 'base:1'; There = '/etc/passwd' }, @{ Image = 'changed:1'; There = '/etc/new' } {
        $mount = Mount-ContainerImage $Image "$folder/m"
        try {
            $mount.Path, $mount.Writable | Should -Be "$folder/m", $false
            Test-Path "$folder/m$There" | Should -BeTrue
            sh -c ': >"$1/x"' sh "$folder/m" 2>$null
            $LASTEXITCODE | Should -Not -Be 0
            (sh -c 'findmnt -no OPTIONS "$1"' sh "$folder/m") | Should -Match 'nosuid,nodev'
            Get-ErrorIdOf { Mount-ContainerImage base:1 "$folder/m" } | Should -Be 'MountExists'
        }
        finally { $mount | Dismount-ContainerImage }
        Get-ChildItem "$folder/m" | Should -BeNullOrEmpty
    }

    It 'takes writes with -Writable, and forgets them' {
        $null = Mount-ContainerImage changed:1 "$folder/m" -Writable
        Set-Content "$folder/m/etc/new" changed
        Remove-Item "$folder/m/etc/group"
        Get-Content "$folder/m/etc/new" | Should -Be changed
        Dismount-ContainerImage "$folder/m"
        Invoke-Container -Image changed:1 -Remove -- cat /etc/new | Should -Be new
    }

    It 'keeps the layers of an image that is removed' {
        $null = New-ContainerImage one brief:1
        $null = Mount-ContainerImage brief:1 "$folder/m"
        Remove-ContainerImage brief:1
        $null = Clear-ContainerStorage -Confirm:$false
        Get-Content "$folder/m/etc/new" | Should -Be new
        Dismount-ContainerImage "$folder/m"
    }

    It 'refuses while somebody is there, and what is not ours' {
        $null = Mount-ContainerImage base:1 "$folder/m"
        Push-Location "$folder/m"
        $held = [IO.File]::OpenRead("$folder/m/etc/passwd")
        try { Get-ErrorIdOf { Dismount-ContainerImage "$folder/m" } | Should -Be 'MountFailed' }
        finally { $held.Dispose(); Pop-Location }
        Dismount-ContainerImage "$folder/m"
        Get-ErrorIdOf { Dismount-ContainerImage "$folder/m" } | Should -Be 'MountNotFound'
        Get-ErrorIdOf { Dismount-ContainerImage / } | Should -Be 'MountNotFound'
        Get-ErrorIdOf { Mount-ContainerImage base:1 "$folder/nowhere" } | Should -Be 'MountFailed'
        Get-ErrorIdOf { Mount-ContainerImage nothere:1 "$folder/m" } | Should -Be 'ImageNotFound'
        Mount-ContainerImage base:1 "$folder/m" -WhatIf
        Get-ChildItem "$folder/m" | Should -BeNullOrEmpty
    }

    It 'forgets what somebody has unmounted' {
        $null = Mount-ContainerImage base:1 "$folder/m"
        umount "$folder/m"
        Dismount-ContainerImage "$folder/m"
        Test-Path "$env:CONTAINERS_ROOT/mounts" | Should -BeFalse
    }
}
