# Files into containers and out of them: docker's table, archives, owners, and links that would lead out.

BeforeDiscovery {
    # running: by the container's own mounts; stopped: by mounts of the copy's own
    $kinds = @{ Kind = 'running' }, @{ Kind = 'stopped' }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $here = "$($store.Folder)/host"

    # What a shell in the container says, whether it runs or not.
    function Invoke-Inside([string] $Id, [string] $Script) {
        if ((Get-Container $Id).State -eq 'Running') { return Invoke-ContainerCommand $Id -- sh -c $Script }
        $null = Start-ContainerTask $Id
        try { Invoke-ContainerCommand $Id -- sh -c $Script }
        finally { Stop-ContainerTask $Id -TimeoutSec 0; Remove-ContainerTask $Id }
    }
}

AfterAll { Exit-TestStore }

Describe 'Copying, the container <Kind>' -ForEach $kinds {
    BeforeEach {
        Remove-Item $here -Recurse -Force -ErrorAction Ignore
        $null = New-Item "$here/tree/sub" -ItemType Directory
        Set-Content "$here/file" 'a file' -NoNewline
        Set-Content "$here/tree/one" 'one' -NoNewline
        Set-Content "$here/tree/sub/two" 'two' -NoNewline
        $null = New-Container box -RootfsPath $root -Overlay -ArgumentList sleep, 1000 | Start-ContainerTask
        Invoke-ContainerCommand box -- sh -c 'mkdir /d /d/tree; echo old >/d/old; echo -n inside >/f; mkdir -p /t/sub; echo -n 1 >/t/one; echo -n 2 >/t/sub/two; ln -s /f /link; ln -s /t /tlink'
        if ($Kind -eq 'stopped') { Stop-ContainerTask box -TimeoutSec 0; Remove-ContainerTask box }
    }
    AfterEach { Remove-Container box -Force }

    It 'a file in: <To> gives <Gives>' -ForEach @(
        @{ To = '/new'; Gives = '/new' }
        @{ To = '/f'; Gives = '/f' }
        @{ To = '/d'; Gives = '/d/file' }
        @{ To = '/d/'; Gives = '/d/file' }
        @{ To = '/d/.'; Gives = '/d/file' }
        @{ To = 'd'; Gives = '/d/file' }
        @{ To = '/link'; Gives = '/f' }
        @{ To = '/tlink'; Gives = '/t/file' }
        @{ To = '/d/../../../../f'; Gives = '/f' }
    ) {
        Copy-ContainerItem "$here/file" "box:$To" -ErrorAction Stop
        Invoke-Inside box "cat $Gives; readlink /link; stat -c %u:%g $Gives" | Should -Be 'a file/f', '0:0'
    }

    It 'a file in: <To> is <Error>' -ForEach @(
        @{ To = '/new/'; Error = 'ItemNotFound' }
        @{ To = '/no/new'; Error = 'ItemNotFound' }
        @{ To = '/f/'; Error = 'ItemConflict' }
        @{ To = '/f/x'; Error = 'ItemConflict' }
    ) {
        Get-ErrorIdOf { Copy-ContainerItem "$here/file" "box:$To" } | Should -Be $Error
        Invoke-Inside box 'ls /new 2>/dev/null; cat /f' | Should -Be 'inside'
    }

    It 'a folder in: <From> to <To> gives <Gives>' -ForEach @(
        @{ From = 'tree'; To = '/new'; Gives = '/new' }
        @{ From = 'tree/.'; To = '/new'; Gives = '/new' }
        @{ From = 'tree'; To = '/new/'; Gives = '/new' }
        @{ From = 'tree'; To = '/t'; Gives = '/t/tree' }
        @{ From = 'tree/'; To = '/t'; Gives = '/t/tree' }
        @{ From = 'tree/.'; To = '/t'; Gives = '/t' }
        @{ From = 'tree'; To = '/d'; Gives = '/d/tree' }
        @{ From = 'tree'; To = '/tlink'; Gives = '/t/tree' }
    ) {
        Copy-ContainerItem "$here/$From" "box:$To" -ErrorAction Stop
        Invoke-Inside box "cat $Gives/one $Gives/sub/two; echo; ls $Gives | tr '\n' ' '; cat /d/old" | Should -Be 'onetwo', 'one sub old'
    }

    It 'a folder in: where a file is, is refused' {
        Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/f } | Should -Be 'ItemConflict'
        Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/no/new } | Should -Be 'ItemNotFound'
        Invoke-Inside box 'rmdir /d/tree; echo -n keep >/d/tree'
        Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/d } | Should -Be 'ItemConflict'
        Invoke-Inside box 'cat /d/tree' | Should -Be 'keep'
    }

    It 'out: <From> to <To> gives <Gives>' -ForEach @(
        @{ From = '/f'; To = 'new'; Gives = 'new'; Text = 'inside' }
        @{ From = '/f'; To = 'file'; Gives = 'file'; Text = 'inside' }
        @{ From = '/f'; To = 'tree'; Gives = 'tree/f'; Text = 'inside' }
        @{ From = '/t'; To = 'new'; Gives = 'new/sub/two'; Text = '2' }
        @{ From = '/t/.'; To = 'tree'; Gives = 'tree/sub/two'; Text = '2' }
        @{ From = '/t'; To = 'tree'; Gives = 'tree/t/sub/two'; Text = '2' }
        @{ From = '/tlink/'; To = 'new'; Gives = 'new/one'; Text = '1' }
        @{ From = 't/sub/../one'; To = 'new'; Gives = 'new'; Text = '1' }
    ) {
        Copy-ContainerItem "box:$From" "$here/$To" -ErrorAction Stop
        Get-Content "$here/$Gives" -Raw | Should -Be $Text
    }

    It 'out: what cannot be is refused' {
        Get-ErrorIdOf { Copy-ContainerItem box:/nothing "$here/x" } | Should -Be 'ItemNotFound'
        Get-ErrorIdOf { Copy-ContainerItem box:/f/ "$here/x" } | Should -Be 'ItemConflict'
        Get-ErrorIdOf { Copy-ContainerItem box:/t "$here/file" } | Should -Be 'ItemConflict'
        Get-ErrorIdOf { Copy-ContainerItem box:/f "$here/no/" } | Should -Be 'ItemNotFound'
        Test-Path "$here/x" | Should -BeFalse
        Get-Content "$here/file" -Raw | Should -Be 'a file'
    }

    It 'a link is a link, unless it is to be followed' {
        Copy-ContainerItem box:/link "$here/kept"
        (Get-Item "$here/kept").LinkTarget | Should -Be '/f'
        Copy-ContainerItem box:/link "$here/followed" -FollowLink
        (Get-Item "$here/followed").LinkTarget | Should -BeNullOrEmpty
        Get-Content "$here/followed" -Raw | Should -Be 'inside'
        $null = New-Item "$here/away" -ItemType SymbolicLink -Value "$here/tree"
        Copy-ContainerItem "$here/away" box:/kept
        Copy-ContainerItem "$here/away" box:/followed -FollowLink
        Invoke-Inside box 'readlink /kept; cat /followed/one' | Should -Be "$here/tree", 'one'
    }

    It 'a link that leads out leads to the same place inside' {
        Invoke-Inside box "ln -s /../../../../../etc /etclink; ln -s $here/file /hostlink; ln -s ../../../../../.. /uplink"
        Copy-ContainerItem "$here/file" box:/etclink/motd
        Copy-ContainerItem "$here/file" box:/uplink/tmp/up
        Invoke-Inside box 'cat /etc/motd /tmp/up' | Should -Be 'a filea file'
        Get-ErrorIdOf { Copy-ContainerItem box:/hostlink "$here/x" -FollowLink } | Should -Be 'ItemNotFound'
        Copy-ContainerItem box:/etclink/passwd "$here/passwd"
        Get-Content "$here/passwd" -Raw | Should -Be (Get-Content "$root/etc/passwd" -Raw)
    }

    It 'no link below the two paths is followed' {
        Invoke-Inside box 'rm -r /d/tree; ln -s /t /d/tree'
        Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/d } | Should -Be 'ItemConflict'
        Invoke-Inside box 'cat /t/one' | Should -Be '1'
    }

    It 'owners are the destination''s, or are kept, or said' {
        chown 1234:2345 "$here/tree/one"
        Copy-ContainerItem "$here/tree" box:/a
        Copy-ContainerItem "$here/tree" box:/b -Archive
        Copy-ContainerItem "$here/tree" box:/c -Owner web:extra
        Copy-ContainerItem "$here/tree" box:/e -Owner 7
        Invoke-Inside box 'stat -c %u:%g /a/one /b/one /c/one /e/one' | Should -Be '0:0', '1234:2345', '1000:2000', '7:0'
        Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/g -Owner nobodyknows } | Should -Be 'UserNotFound'
        Copy-ContainerItem box:/b "$here/mine"
        Copy-ContainerItem box:/b "$here/theirs" -Archive
        stat -c %u:%g "$here/mine/one" "$here/theirs/one" | Should -Be '0:0', '1234:2345'
    }

    It 'modes, times, hard links, odd names and size come through' {
        Set-Content "$here/tree/mode" x; chmod 6751 "$here/tree/mode"
        ln "$here/tree/one" "$here/tree/again"
        touch -d '2001-02-03 04:05:06.123456789' "$here/tree/one"
        $odd = "$here/tree/.wh.odd`n name"
        Set-Content -LiteralPath $odd 'odd'
        dd if=/dev/urandom of="$here/tree/big" bs=1M count=20 status=none
        mkfifo "$here/tree/fifo"
        Copy-ContainerItem "$here/tree" box:/copy -Archive
        Copy-ContainerItem box:/copy "$here/back" -Archive
        # the time of the folders too
        sh -c "cd $here/tree && find . -printf '%p %m %s %T@ %n %y\n' | sort" | Should -Be (sh -c "cd $here/back && find . -printf '%p %m %s %T@ %n %y\n' | sort")
        (Get-FileHash "$here/back/big").Hash | Should -Be (Get-FileHash "$here/tree/big").Hash
        Invoke-Inside box 'stat -c %a /copy/mode' | Should -Be '6751'
    }

    It 'archives come and go on the pipeline, as bytes' {
        Copy-ContainerItem box:/t - | Set-Content "$here/t.tar" -AsByteStream
        tar tf "$here/t.tar" | Sort-Object | Should -Be 't/', 't/one', 't/sub/', 't/sub/two'
        tar czf "$here/in.tar.gz" -C $here tree
        Get-Content "$here/in.tar.gz" -AsByteStream -Raw | Copy-ContainerItem - box:/d
        Get-Content "$here/t.tar" -AsByteStream -ReadCount 1000 | Copy-ContainerItem - box:/d
        Invoke-Inside box 'cat /d/tree/sub/two /d/t/one' | Should -Be 'two1'
        Get-ErrorIdOf { Get-Content "$here/t.tar" -AsByteStream -Raw | Copy-ContainerItem - box:/nofolder } | Should -Be 'ItemNotFound'
        Get-ErrorIdOf { 'text' | Copy-ContainerItem - box:/d } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { , [byte[]](1..255) | Copy-ContainerItem - box:/d } | Should -Be 'ItemConflict'
    }

    It 'an archive that means harm does none' {
        Set-Content "$here/evil" 'evil'
        tar cPf "$here/evil.tar" --transform 's,.*,../../../../../../../../../../tmp/evil,' "$here/evil"
        Get-ErrorIdOf { Get-Content "$here/evil.tar" -AsByteStream -Raw | Copy-ContainerItem - box:/d } | Should -Be 'ItemConflict'
        $null = New-Item "$here/l/x" -ItemType Directory
        $null = New-Item "$here/l/out" -ItemType SymbolicLink -Value $here
        tar cf "$here/l.tar" -C "$here/l" out
        tar rf "$here/l.tar" -C $here --transform 's,.*,out/planted,' evil
        Get-ErrorIdOf { Get-Content "$here/l.tar" -AsByteStream -Raw | Copy-ContainerItem - box:/d } | Should -Be 'ItemConflict'
        Test-Path "$here/planted" | Should -BeFalse
    }

    It 'goes into binds and volumes, and stops at one that is read-only' {
        Remove-Container box -Force
        $null = New-Item "$here/rw", "$here/ro" -ItemType Directory
        $null = New-Container box -RootfsPath $root -Overlay -Mount "$here/rw:/tmp", "$here/ro:/var:ro" -ArgumentList sleep, 1000
        if ($Kind -eq 'running') { $null = Start-ContainerTask box }
        Copy-ContainerItem "$here/file" box:/tmp
        Get-Content "$here/rw/file" -Raw | Should -Be 'a file'
        Get-ErrorIdOf { Copy-ContainerItem "$here/file" box:/var } | Should -BeIn 'CopyFailed', 'ItemConflict'
        Copy-ContainerItem box:/tmp "$here/got"
        Test-Path "$here/got/file" | Should -BeTrue
    }

    It 'leaves nothing behind' {
        Copy-ContainerItem box:/t "$here/gone"
        (Get-Content /proc/mounts) -match $store.Mark | Should -BeNullOrEmpty
        (Get-ContainerTask box -ErrorAction Ignore).State | Should -Be ($Kind -eq 'running' ? 'Running' : $null)
    }
}

Describe 'Copying between containers and to many' {
    BeforeAll {
        $null = New-Item $here -ItemType Directory -Force
        Set-Content "$here/conf" 'conf' -NoNewline
        foreach ($id in 'one', 'two') { $null = New-Container $id -RootfsPath $root -Overlay -Label @{ app = 'x' } -ArgumentList sleep, 1000 | Start-ContainerTask }
    }
    AfterAll { Get-Container | Remove-Container -Force }

    It 'takes containers from the pipeline' {
        Get-Container -Label @{ app = 'x' } | Copy-ContainerItem "$here/conf" :/etc/conf
        'one', 'two' | ForEach-Object { Invoke-ContainerCommand $_ -- cat /etc/conf } | Should -Be 'conf', 'conf'
        Copy-ContainerItem "$here/conf" :/etc/conf2 -Id t*
        Invoke-ContainerCommand two -- cat /etc/conf2 | Should -Be 'conf'
        Invoke-ContainerCommand one -- ls /etc/conf2 2>$null | Should -BeNullOrEmpty
    }

    It 'copies from one to another, and within one' {
        Invoke-ContainerCommand one -- sh -c 'mkdir /own; echo -n x >/own/x; chown 1000 /own/x'
        Copy-ContainerItem one:/own two:/copy -Archive
        Invoke-ContainerCommand two -- stat -c %u /copy/x | Should -Be '1000'
        Copy-ContainerItem one:/own/x one:/own/y
        Invoke-ContainerCommand one -- cat /own/y | Should -Be 'x'
        Stop-ContainerTask one -TimeoutSec 0
        Copy-ContainerItem one:/own/x one:/own/z
        Copy-ContainerItem one:/own/z "$here/z"
        Get-Content "$here/z" -Raw | Should -Be 'x'
        $null = Start-ContainerTask one
    }

    It 'is refused where no container is named' {
        Get-ErrorIdOf { Copy-ContainerItem "$here/conf" "$here/conf2" } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Copy-ContainerItem "$here/conf" nobody:/x } | Should -Be 'ContainerNotFound'
        Get-ErrorIdOf { Copy-ContainerItem - - } | Should -Be 'InvalidArgument'
        Copy-ContainerItem "$here/conf" one:/etc/conf3 -WhatIf
        Invoke-ContainerCommand one -- ls /etc/conf3 2>$null | Should -BeNullOrEmpty
    }

    It 'is of a paused container too' {
        Suspend-ContainerTask two
        Copy-ContainerItem "$here/conf" two:/paused
        Copy-ContainerItem two:/paused "$here/paused"
        Get-Content "$here/paused" -Raw | Should -Be 'conf'
        Resume-ContainerTask two
    }
}

Describe 'CVE-2018-15664: a link that is swapped while the copy goes on' {
    BeforeAll {
        # The container's program swaps a folder and a link to the root, as fast as it can.
        $null = New-Item $here -ItemType Directory -Force
        Set-Content "$here/swap.c" '#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/syscall.h>
int main(void) { symlink("/", "/stash"); for (;;) syscall(SYS_renameat2, AT_FDCWD, "/stash", AT_FDCWD, "/race", 2); }'
        $gcc = Get-Command gcc -CommandType Application -ErrorAction Ignore | Select-Object -First 1
        if ($gcc) { & $gcc.Source -O1 -static -w -o "$here/swap" "$here/swap.c" }
        # The same path on the host and inside: whoever resolves it on the host meets the host's.
        $flag = "$here/flag"
    }
    AfterAll { Get-Container | Remove-Container -Force }

    It 'never reaches the host, in <Rounds> copies in and out' -ForEach @{ Rounds = 40 } {
        if (-not (Test-Path "$here/swap")) { Set-ItResult -Skipped -Because 'there is no gcc that links statically' ; return }
        Set-Content $flag 'of the host' -NoNewline
        Set-Content "$here/payload" 'of the copy' -NoNewline
        $null = New-Container racer -RootfsPath $root -Overlay -Mount "$here/swap:/swap:ro" -- sh -c "mkdir -p /race$here $here; echo -n of the container >$flag; echo -n of the folder >/race$flag; exec /swap" | Start-ContainerTask
        Wait-Until { Invoke-ContainerCommand racer -- test -L /race; $LASTEXITCODE -eq 0 } 'it swaps'
        $seen = @{}
        foreach ($round in 1..$Rounds) {
            Remove-Item "$here/out" -Force -ErrorAction Ignore
            Copy-ContainerItem "racer:/race$flag" "$here/out" -ErrorAction SilentlyContinue
            if (Test-Path "$here/out") { $seen[(Get-Content "$here/out" -Raw)]++ }
            Copy-ContainerItem "$here/payload" "racer:/race$flag" -ErrorAction SilentlyContinue
        }
        $seen.Keys | Should -Not -Contain 'of the host'
        $seen.Count | Should -BeGreaterThan 0
        Get-Content $flag -Raw | Should -Be 'of the host'
    }
}

Describe 'CVE-2019-14271: libraries of the container that the copier would load' {
    It 'are opened by no call of it' {
        if (-not (Get-Command strace -ErrorAction Ignore)) { Set-ItResult -Skipped -Because 'there is no strace'; return }
        $null = New-Item $here -ItemType Directory -Force
        $null = New-Container bait -RootfsPath $root -Overlay -- sh -c 'mkdir -p /lib/x86_64-linux-gnu /etc /usr/lib; for l in libnss_files.so.2 libnss_dns.so.2 libc.so.6 libz.so.1; do echo bait >/lib/x86_64-linux-gnu/$l; echo bait >/usr/lib/$l; done; echo "/lib" >/etc/ld.so.preload; echo "passwd: files" >/etc/nsswitch.conf; exec sleep 1000' | Start-ContainerTask
        Wait-Until { Invoke-ContainerCommand bait -- test -e /etc/nsswitch.conf; $LASTEXITCODE -eq 0 } 'the bait is laid'
        $task = Get-ContainerTask bait
        $start = (Get-Content "/proc/$($task.ProcessId)/stat" -Raw).Split(') ')[-1].Split(' ')[19]
        $psrun = (Get-Item "$(Get-ModulePath)/bin/linux-*/psrun").FullName
        strace -f -o "$here/trace" -e trace=execve,chroot,setns,pivot_root,fchdir,chdir,open,openat,openat2 $psrun item --pid $task.ProcessId --start-time $start get /etc >"$here/etc.tar"
        tar tf "$here/etc.tar" | Should -Contain 'etc/nsswitch.conf'
        $trace = Get-Content "$here/trace"
        # one execve: strace's own start of it
        $trace -match 'execve\(' | Should -HaveCount 1
        $trace -match '\b(chroot|setns|pivot_root)\(' | Should -BeNullOrEmpty
        # Its own root stays the host's, so that an absolute name is the host's; into the container it goes by one open, and never makes that its folder.
        $trace -match "/proc/$($task.ProcessId)/root" | Should -HaveCount 1
        $trace -match '\b(chdir|fchdir)\(' | Should -BeNullOrEmpty
        # Below a descriptor, which is how everything inside is opened, is no library.
        $trace -match 'openat2?\(\d+, "[^"]*\.so(\.\d|")' | Should -BeNullOrEmpty
        Remove-Container bait -Force
    }
}

Describe 'Copying with a container of ids of its own, <Kind>' -ForEach $kinds {
    BeforeAll { chmod 0711 $store.Folder }

    BeforeEach {
        Remove-Item $here -Recurse -Force -ErrorAction Ignore
        $null = New-Item "$here/tree/sub" -ItemType Directory
        Set-Content "$here/tree/sub/two" 'two' -NoNewline
        $null = New-Container box -RootfsPath $root -Overlay -UidMap 0:300000:65536 -ArgumentList sleep, 1000 | Start-ContainerTask
        Invoke-ContainerCommand box -- sh -c 'mkdir -p /t/sub; echo -n 1 >/t/one; echo -n 2 >/t/sub/two; chown 1000:1001 /t/one'
        if ($Kind -eq 'stopped') { Stop-ContainerTask box -TimeoutSec 0; Remove-ContainerTask box }
    }
    AfterEach { Remove-Container box -Force }

    It 'gives in and out what it sees as owners' {
        Copy-ContainerItem "$here/tree" box:/in
        Copy-ContainerItem "$here/tree/sub/two" box:/web -Owner web
        chown 1234:5678 "$here/tree/sub/two"
        Copy-ContainerItem "$here/tree" box:/kept -Archive
        Invoke-Inside box 'cat /in/sub/two; echo; stat -c %u:%g /in /in/sub/two /web /kept/sub/two' | Should -Be 'two', '0:0', '0:0', '1000:1000', '1234:5678'
        Copy-ContainerItem box:/t "$here/out"
        Get-Content "$here/out/one", "$here/out/sub/two" | Should -Be '1', '2'
        Copy-ContainerItem box:/t "$here/archive" -Archive
        stat -c %u:%g "$here/archive/one" "$here/archive/sub/two" | Should -Be '1000:1001', '0:0'
        Copy-ContainerItem box:/t/. box:/within -Archive
        Invoke-Inside box 'stat -c %u:%g /within/one' | Should -Be '1000:1001'
    }

    It 'gives no rights that its own root has not' {
        # A number that nobody has inside.
        chown 70000:0 "$here/tree/sub/two"
        if ($Kind -eq 'running') { Get-ErrorIdOf { Copy-ContainerItem "$here/tree" box:/none -Archive } | Should -Not -BeNullOrEmpty }
        Invoke-Inside box 'id -u' | Should -Be '0'
    }
}
