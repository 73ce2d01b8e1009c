# A tree unpacked here and by umoci from the same image: equal entry by entry, in type, mode, owner, size, times, links, device numbers, attributes and content.

BeforeDiscovery {
    $without = if (-not (Get-Command umoci -CommandType Application -ErrorAction Ignore)) { 'there is no umoci' }
    elseif (-not (Get-Command getfattr -CommandType Application -ErrorAction Ignore)) { 'there is no getfattr' }
    $noDebian = if ($without) { $without }
    elseif (-not $env:CONTAINERS_TEST_LONG) { 'it takes minutes: --long' }
    elseif (-not (Get-Command debootstrap -CommandType Application -ErrorAction Ignore)) { 'there is no debootstrap' }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder

    # Sizes of folders are the file system's own.
    $list = @'
        export LC_ALL=C; cd "$1" || exit 1
        find . -mindepth 1 -type d -printf '%P %y %#m %U:%G %T@\n' | sort
        find . -not -type d -printf '%P %y %#m %U:%G %s %T@ %n %l\n' | sort
        find . \( -type b -o -type c \) -exec stat -c '%n %t:%T' {} + | sort
        find . -type f -links +1 -printf '%i %P\n' | sort | awk '{ of[$1] = of[$1] " " $2 } END { for (i in of) print "one file:" of[i] }' | sort
        find . -type f -exec sha256sum {} + | sort -k2
        getfattr -R -P -h -d -m - -e hex . 2>/dev/null
'@

    # What umoci makes of a layout's image, and what is mounted here of the same.
    function Compare-Tree([string] $Layout, [string] $Tag, [string] $Mark, [switch] $FolderTimes) {
        umoci raw unpack --image "${Layout}:$Tag" "$folder/theirs-$Mark" 2>&1 | Set-Variable said
        $LASTEXITCODE | Should -Be 0 -Because "$said"
        $null = Import-ContainerImage $Layout -Reference "tree:$Mark" -ErrorAction Stop
        $null = New-Item "$folder/ours-$Mark" -ItemType Directory
        $null = Mount-ContainerImage "tree:$Mark" "$folder/ours-$Mark" -ErrorAction Stop
        try { $ours = @(sh -c $list sh "$folder/ours-$Mark") }
        finally { Dismount-ContainerImage "$folder/ours-$Mark" }
        $theirs = @(sh -c $list sh "$folder/theirs-$Mark")
        # umoci changes a folder's time when a later layer writes into it; the layers say another.
        if (-not $FolderTimes) { $ours, $theirs = foreach ($one in $ours, $theirs) { , @($one -replace '^(\S+ d \S+ \S+) \S+$', '$1') } }
        Remove-ContainerImage "tree:$Mark"
        $ours.Count | Should -BeGreaterThan 100
        Compare-Object $theirs $ours | ForEach-Object { "$($_.SideIndicator) $($_.InputObject)" } | Should -BeNullOrEmpty
    }

    # An OCI layout of tar files that are layers.
    function New-TreeLayout([string] $Path, [string] $Tag, [string[]] $Layer) {
        umoci init --layout $Path
        umoci new --image "${Path}:$Tag" 2>&1 | Out-Null
        foreach ($file in $Layer) { umoci raw add-layer --image "${Path}:$Tag" $file 2>&1 | Set-Variable said }
        $LASTEXITCODE | Should -Be 0 -Because "$said"
    }
}

AfterAll {
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'A tree by us and by umoci' {
    It 'is the same for busybox' -Skip:([bool] $without) {
        tar -C $store.Rootfs -cf "$folder/busybox.tar" .
        New-TreeLayout "$folder/busybox" one "$folder/busybox.tar"
        Compare-Tree "$folder/busybox" one busybox -FolderTimes
    }

    It 'is the same for everything that a layer can do to the one below' -Skip:([bool] $without) {
        sh -c @'
            set -e; mkdir -p "$1/w/l1" "$1/w/l2" "$1/w/l3" "$1/w/l4"; cd "$1/w/l1"; at() { find . -exec touch -h -d "$1" {} +; }
            # Something of each kind, and much of it below, so that what goes away is seen.
            cp -a "$2"/. .
            mkdir -p gone/deep opaque/sub filed/sub folded linked/a linked/b mode/sub many back; echo 1 >gone/deep/f; echo 2 >opaque/old; echo 3 >opaque/sub/old; echo 4 >filed/sub/f; echo 5 >folded/f
            echo first >linked/a/one; ln linked/a/one linked/a/two; echo first >linked/a/single; echo mode >mode/alone; echo 6 >mode/sub/f; chmod 4755 mode/alone; chmod 2775 mode/sub; chmod 1777 many
            i=0; while [ $i -lt 60 ]; do echo $i >many/$i; i=$((i + 1)); done
            mknod dev-null c 1 3; mknod dev-loop b 7 200; mkfifo pipe; ln -s ../outside link; ln -s nowhere dangling; : >empty; truncate -s 300000 sparse; echo end >>sparse
            chown 77:88 linked; chown 4000000000:3999999999 many/1; chown -h 5:6 link; setfattr -n user.kind -v first mode/alone; setcap cap_net_raw+ep many/2
            printf x >"$(printf 'sp ace \303\244')"; printf y >-dash; n=$(printf '%0200d' 7); mkdir -p $n/$n; echo deep >$n/$n/$n
            at '2001-02-03 04:05:06.123456789'; touch -d '1969-12-31 23:59:58.5' many/3
            tar --xattrs --xattrs-include='*' --format=pax -cf ../1.tar .; cd ../l2
            # Deleted, emptied, a file over a folder, a folder over a file, a mode alone, a link to what lies below.
            mkdir -p opaque/sub mode linked/b many folded; : >.wh.gone; : >opaque/.wh..wh..opq; echo new >opaque/new; echo file >filed; chmod 600 filed; echo mode >mode/alone; chmod 0600 mode/alone
            : >many/.wh.10; : >many/.wh.11; echo again >many/12; : >.wh.dev-loop; mkdir empty; echo in >empty/f
            at '2002-03-04 05:06:07.5'
            tar --format=gnu -cf ../2.tar .wh.gone .wh.dev-loop opaque filed mode linked many empty; cd ../l3
            # A hard link to a file of the first layer, and back again what went away.
            mkdir -p linked/a linked/b filed gone; echo first >linked/a/single; ln linked/a/single linked/b/three; echo back >filed/f; echo other >gone/new; mknod dev-loop c 5 0
            at '2003-04-05 06:07:08.25'
            tar --format=pax -cf ../3.tar linked/a/single linked/b/three filed gone dev-loop; tar --delete -f ../3.tar linked/a/single; cd ../l4
            # Without entries of the folders above; one name by two layers; a folder's mode alone.
            mkdir -p many mode/sub; echo twelve >many/12; chmod 0700 mode/sub; mkdir -p back/a/b; echo x >back/a/b/c; ln -s b back/a/l
            at '2004-05-06 07:08:09.125'
            tar --format=pax --no-recursion -cf ../4.tar many/12 mode/sub back/a/b/c back/a/l
'@ sh $folder $store.Rootfs
        $LASTEXITCODE | Should -Be 0
        (tar -tf "$folder/w/3.tar") | Should -Not -Contain 'linked/a/single'
        New-TreeLayout "$folder/odd" four (1..4 | ForEach-Object { "$folder/w/$_.tar" })
        Compare-Tree "$folder/odd" four odd
    }

    It 'is the same for a Debian' -Skip:([bool] $noDebian) {
        # This host's own release: its keys are here.
        $release = (Get-Content /etc/os-release) -match '^VERSION_CODENAME=' -replace '^.*='
        debootstrap --variant=minbase ($release ? $release[0] : 'stable') "$folder/debian" *>"$folder/debootstrap.log"
        if ($LASTEXITCODE -ne 0) { Set-ItResult -Skipped -Because "debootstrap has no packages here: $(Get-Content "$folder/debootstrap.log" | Select-Object -Last 1)"; return }
        $null = Import-ContainerImage -RootfsPath "$folder/debian" -Reference debian:1
        Invoke-Container changed -Image debian:1 -- sh -c 'rm -r /usr/share/doc /etc/apt && mkdir /etc/apt && echo new >/etc/apt/new && rm -f /etc/motd && mkdir /etc/motd && useradd -m somebody && chmod 700 /srv && mv /usr/share/common-licenses /usr/share/licences'
        $LASTEXITCODE | Should -Be 0
        $null = New-ContainerImage changed debian:2
        Remove-Container changed
        Export-ContainerImage debian:2 "$folder/debian-layout" -Directory
        Compare-Tree "$folder/debian-layout" docker.io/library/debian:2 debian
    }
}
