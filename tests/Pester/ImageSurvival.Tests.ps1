# The store of images survives whatever ends a process in the middle, many processes at once, a full disk and one that is read-only.

BeforeDiscovery {
    $without = if (-not (Get-Command docker-registry -CommandType Application -ErrorAction Ignore)) { 'no docker-registry on PATH' }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    $long = [bool]$env:CONTAINERS_TEST_LONG

    # In memory: the store syncs its file system, and on a disk waits for whatever others have written there.
    $null = New-Item "$folder/ram" -ItemType Directory
    mount -t tmpfs -o size=500m,mode=700 none "$folder/ram"
    $env:CONTAINERS_ROOT = "$folder/ram/lib"

    # Root filesystems to make images of.
    foreach ($i in 1..3) {
        $tree = "$folder/ram/tree$i"
        cp -a $store.Rootfs $tree
        foreach ($d in 1..20) { $null = New-Item "$tree/var/d$d" -ItemType Directory; foreach ($f in 1..20) { [IO.File]::WriteAllText("$tree/var/d$d/f$f", "$i $d $f " * 200) } }
    }

    # Each worker's complaint, but for those that did what they had to.
    function Get-Complaint([System.Diagnostics.Process[]] $Worker) {
        foreach ($worker in $Worker) {
            $complaint = $worker.StandardError.ReadToEndAsync()
            $said = $worker.StandardOutput.ReadToEnd()
            $worker.WaitForExit()
            if ($worker.ExitCode -ne 0 -or $said -notmatch 'done [1-9]') { "$said $($complaint.Result)" }
            $worker.Dispose()
        }
    }

    # Resumable halves of downloads stay for a day: here they are of the past.
    function Clear-Everything {
        Get-ContainerImage | Remove-ContainerImage
        Get-ChildItem "$env:CONTAINERS_ROOT/content/ingest" -ErrorAction Ignore | ForEach-Object { $_.LastWriteTime = [datetime]::Now.AddDays(-2) }
        $null = Clear-ContainerStorage -Confirm:$false
        Get-Unfinished | Should -BeNullOrEmpty
        Measure-ContainerStorage | ForEach-Object { $_.Count | Should -Be 0 -Because "$($_.Type) is left" }
    }

    function Get-Unfinished {
        Get-ChildItem $env:CONTAINERS_ROOT -Recurse -Force -Depth 2 | Where-Object Name -Match '^(\.new-|\.del-|new-)|\.new-' | Where-Object FullName -NotMatch '/snapshots/[0-9a-f]+/' | ForEach-Object FullName
    }
}

AfterAll {
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction SilentlyContinue
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Stop-Beside
    umount "$folder/ram"
    Exit-TestStore
}

Describe 'A process that is killed at any moment' {
    It 'leaves a store that opens, whole images, and nothing that cannot be freed' {
        # Everything that changes the store, in a circle that begins at another step each time: each kill meets another place of it.
        $steps = @(
            '$null = Import-ContainerImage -RootfsPath "$folder/ram/tree1" -Reference killed:1'
            '$null = New-Container k -Image killed:1 -ArgumentList true'
            '$null = Add-ContainerImageTag killed:1 killed:2 -Force'
            'cp -a "$folder/ram/tree2/var" "$env:CONTAINERS_ROOT/containers/$env:CONTAINERS_NAMESPACE/k/overlay/upper/new"'
            '$null = New-ContainerImage k killed:3'
            'Export-ContainerImage killed:3 "$folder/ram/killed.tar" -Force'
            '$null = New-ContainerSnapshot s -Image killed:3 | Mount-ContainerSnapshot -Path "$folder/ram/at"; Dismount-ContainerSnapshot "$folder/ram/at"; Save-ContainerSnapshot s t; Remove-ContainerSnapshot t'
            'Remove-Container k'
            'Get-ContainerImage | Remove-ContainerImage'
            '$null = Import-ContainerImage "$folder/ram/killed.tar"'
            'Get-ContainerImage | Remove-ContainerImage'
            '$null = Clear-ContainerStorage -Confirm:$false'
        )
        $null = New-Item "$folder/ram/at" -ItemType Directory
        $random = [Random]::new()
        $kills = $long ? 200 : 4
        foreach ($kill in 1..$kills) {
            # In the short run the commit, the removal, the import that unpacks and the clearing.
            $begin = $long ? $random.Next($steps.Count) : (4, 8, 9, 11)[$kill - 1]
            Stop-Worker (Start-Circle $steps $begin killed) $random.Next($long ? 800 : 300) "kill $kill"
            foreach ($image in Get-ContainerImage -ErrorAction Stop) { (Test-ContainerImage $image -ErrorAction Stop).IsComplete | Should -BeTrue -Because "kill ${kill}: $image is listed" }
            Get-Container -ErrorAction Stop | Remove-Container -ErrorAction Stop
            # One that was mounted when its maker was killed is mounted still, and can be taken away as ever.
            try { Dismount-ContainerSnapshot "$folder/ram/at" -ErrorAction Stop } catch { $_.FullyQualifiedErrorId | Should -BeLike 'MountNotFound*' }
            Get-ContainerSnapshot -Kind Active, View -ErrorAction Stop | Remove-ContainerSnapshot -ErrorAction Stop
            Get-ContainerSnapshot -ErrorAction Stop | Where-Object IsImageLayer -EQ $false | Remove-ContainerSnapshot -ErrorAction Stop
            $image = Import-ContainerImage -RootfsPath "$folder/ram/tree1" -Reference after:1 -ErrorAction Stop
            Invoke-Container -Image after:1 -Remove -- sh -c 'find /var -type f | wc -l' | Should -Be 400
            $null = Remove-ContainerImage after:1 -ErrorAction Stop
        }
        Get-ContainerImage | Remove-ContainerImage
        $null = Clear-ContainerStorage -Confirm:$false
        Get-Unfinished | Should -BeNullOrEmpty
        Measure-ContainerStorage | ForEach-Object { $_.Count | Should -Be 0 -Because "$($_.Type) is left" }
        Get-Content /proc/self/mountinfo | Where-Object { $_ -like "*$folder*" -and $_ -notlike "* $folder/ram *" } | Should -BeNullOrEmpty
    }
}

Describe 'Many processes with the same layers' {
    It 'make no error, lose nothing and leave nothing' {
        $seconds = $long ? 60 : 3
        $work = "
            `$until = [DateTime]::UtcNow.AddSeconds($seconds); `$random = [Random]::new(); `$done = 0
            while ([DateTime]::UtcNow -lt `$until) {
                `$i = `$random.Next(1, 4); `$own = ""own`${PID}:`$i""
                `$null = Import-ContainerImage -RootfsPath ""`$folder/ram/tree`$i"" -Reference `$own
                `$null = New-Container ""c`$PID"" -Image `$own -ArgumentList true
                if (-not (Test-ContainerImage `$own).IsComplete) { throw 'not complete' }
                Remove-Container ""c`$PID""
                Remove-ContainerImage `$own
                `$done++
            }
            'done ' + `$done"
        $workers = foreach ($i in 1..($long ? 8 : 4)) { Start-Worker $work "worker$i" }
        Get-Complaint $workers | Should -BeNullOrEmpty
        $null = Clear-ContainerStorage -Confirm:$false
        Get-Unfinished | Should -BeNullOrEmpty
        Measure-ContainerStorage | ForEach-Object { $_.Count | Should -Be 0 -Because "$($_.Type) is left" }
    }
}

Describe 'What is pulled' -Skip:([bool] $without) {
    BeforeAll {
        # Three images on one another, so that each pull shares layers with the others.
        $registry = Start-Registry "$folder/ram/registry"
        $null = Import-ContainerImage -RootfsPath "$folder/ram/tree1" -Reference "$registry/p/i:1"
        foreach ($i in 2, 3) {
            Invoke-Container "make$i" -Image "$registry/p/i:$($i - 1)" -- sh -c "head -c 4000000 /dev/urandom >/var/noise$i; rm -r /var/d$i; echo $i >/etc/new"
            $null = New-ContainerImage "make$i" "$registry/p/i:$i"
            Remove-Container "make$i"
        }
        foreach ($i in 1..3) { Publish-ContainerImage "$registry/p/i:$i" -PlainHttp -ErrorAction Stop }
        Clear-Everything
    }

    It 'is whole, or goes on, or is freed, wherever the process was killed' {
        $work = "
            while (`$true) {
                foreach (`$i in 3, 1, 2) { `$null = Receive-ContainerImage ""$registry/p/i:`$i"" -PlainHttp }
                Get-ContainerImage | Remove-ContainerImage
            }"
        $random = [Random]::new()
        foreach ($kill in 1..($long ? 200 : 10)) {
            Stop-Worker (Start-Worker $work pulled) $random.Next(800) "kill $kill"
            foreach ($image in Get-ContainerImage -ErrorAction Stop) { (Test-ContainerImage $image -ErrorAction Stop).IsComplete | Should -BeTrue -Because "kill ${kill}: $image is listed" }
            $null = Receive-ContainerImage "$registry/p/i:3" -PlainHttp -ErrorAction Stop
            Invoke-Container -Image "$registry/p/i:3" -Remove -- sh -c 'find /var -type f | wc -l; cat /etc/new' | Should -Be '362', '3' -Because "kill $kill"
        }
        Clear-Everything
    }

    It 'goes on where a killed process ended' {
        # What the registry answers, until so much went through a connection: then nothing more comes, and nothing ends.
        Add-Type -TypeDefinition @'
            using System; using System.Net; using System.Net.Sockets; using System.Threading.Tasks;
            public sealed class NarrowWay : IDisposable
            {
                readonly TcpListener listener = new TcpListener(IPAddress.Loopback, 0);
                public NarrowWay(string target, long most) { listener.Start(); _ = Accept(target, most); }
                public string Host => listener.LocalEndpoint.ToString();
                public void Dispose() => listener.Stop();
                async Task Accept(string target, long most) { try { while (true) { _ = Serve(await listener.AcceptTcpClientAsync(), target, most); } } catch (Exception) { } }
                async Task Serve(TcpClient client, string target, long most)
                {
                    using (client) using (var there = new TcpClient())
                    {
                        try
                        {
                            await there.ConnectAsync(IPAddress.Loopback, int.Parse(target.Split(':')[1]));
                            var asked = client.GetStream().CopyToAsync(there.GetStream());
                            var buffer = new byte[65536];
                            int n;
                            while (most > 0 && (n = await there.GetStream().ReadAsync(buffer, 0, (int)Math.Min(buffer.Length, most))) > 0) { await client.GetStream().WriteAsync(buffer, 0, n); most -= n; }
                            await asked;
                        }
                        catch (Exception) { }
                    }
                }
            }
'@
        $way = [NarrowWay]::new($registry, 2MB)
        try {
            $worker = Start-Worker "`$null = Receive-ContainerImage '$($way.Host)/p/i:3' -PlainHttp" narrow
            Wait-Until { Get-ChildItem "$env:CONTAINERS_ROOT/content/ingest" -ErrorAction Ignore | Where-Object Length -GT 1MB } 'the half of a layer' 180
            $worker.Kill()
            $worker.WaitForExit()
        }
        finally { $way.Dispose() }
        $lines = Receive-ContainerImage "$registry/p/i:3" -PlainHttp -Verbose -ErrorAction Stop 4>&1
        $lines | Where-Object { "$_" -like 'GET *blobs/sha256:* 206 *' } | Should -Not -BeNullOrEmpty -Because "$lines"
        (Test-ContainerImage "$registry/p/i:3").IsComplete | Should -BeTrue
        Clear-Everything
    }

    It 'is shared by many processes that pull and remove' {
        $seconds = $long ? 60 : 5
        $work = "
            `$until = [DateTime]::UtcNow.AddSeconds($seconds); `$random = [Random]::new(); `$done = 0
            while ([DateTime]::UtcNow -lt `$until) {
                `$image = ""$registry/p/i:`$(`$random.Next(1, 4))""
                `$null = Receive-ContainerImage `$image -PlainHttp -ContainerNamespace ""own`$PID""
                if (-not (Test-ContainerImage `$image -ContainerNamespace ""own`$PID"").IsComplete) { throw 'not complete' }
                Remove-ContainerImage `$image -ContainerNamespace ""own`$PID""
                `$done++
            }
            'done ' + `$done"
        Get-Complaint @(foreach ($i in 1..($long ? 8 : 4)) { Start-Worker $work "puller$i" }) | Should -BeNullOrEmpty
        Clear-Everything
    }

    It 'is told of, and nothing is lost, where the disk is full' {
        $null = New-Item "$folder/narrow" -ItemType Directory
        mount -t tmpfs -o size=7m,mode=700 none "$folder/narrow"
        $before = $env:CONTAINERS_ROOT
        $env:CONTAINERS_ROOT = "$folder/narrow/lib"
        try {
            $null = Receive-ContainerImage "$registry/p/i:1" -PlainHttp -ErrorAction Stop
            Get-ErrorIdOf { Receive-ContainerImage "$registry/p/i:3" -PlainHttp } | Should -BeIn 'UnpackFailed', 'StoreUnavailable'
            (Get-ContainerImage).Reference | Should -Be "$registry/p/i:1"
            (Test-ContainerImage "$registry/p/i:1").IsComplete | Should -BeTrue
            Invoke-Container -Image "$registry/p/i:1" -Remove -- sh -c 'find /var -type f | wc -l' | Should -Be 400
            mount -o remount,ro "$folder/narrow"
            Get-ErrorIdOf { Receive-ContainerImage "$registry/p/i:2" -PlainHttp } | Should -Be 'StoreUnavailable'
            (Test-ContainerImage "$registry/p/i:1").IsComplete | Should -BeTrue
        }
        finally {
            $env:CONTAINERS_ROOT = $before
            umount "$folder/narrow"
        }
    }
}

Describe 'A disk' {
    BeforeAll {
        $null = New-Item "$folder/disk" -ItemType Directory
        chmod 700 "$folder/disk"
        mount -t tmpfs -o size=6m,mode=700 none "$folder/disk"
        $before = $env:CONTAINERS_ROOT
        $env:CONTAINERS_ROOT = "$folder/disk/lib"
        $null = Import-ContainerImage -RootfsPath $store.Rootfs -Reference small:1
    }

    AfterAll {
        mount -o remount,rw "$folder/disk"
        $env:CONTAINERS_ROOT = $before
        umount "$folder/disk"
    }

    It 'that is full is told, and nothing is lost' {
        $null = New-Item "$folder/much" -ItemType Directory
        [IO.File]::WriteAllBytes("$folder/much/zeros", [byte[]]::new(12MB))
        # Too large to be unpacked, and too large to be stored.
        Get-ErrorIdOf { Import-ContainerImage -RootfsPath "$folder/much" -Reference much:1 } | Should -BeIn 'UnpackFailed', 'StoreUnavailable'
        sh -c 'head -c 12000000 /dev/urandom >"$1/noise"' sh "$folder/much"
        Get-ErrorIdOf { Import-ContainerImage -RootfsPath "$folder/much" -Reference much:1 } | Should -BeIn 'PackFailed', 'StoreUnavailable'
        (Get-ContainerImage).Reference | Should -Be 'docker.io/library/small:1'
        (Test-ContainerImage small:1).IsComplete | Should -BeTrue
        Get-Unfinished | Should -BeNullOrEmpty
        $null = Add-ContainerImageTag small:1 small:2 -ErrorAction Stop
    }

    It 'that is read-only is told, and is read' {
        mount -o remount,ro "$folder/disk"
        try {
            Get-ErrorIdOf { Import-ContainerImage -RootfsPath $store.Rootfs -Reference more:1 } | Should -Be 'StoreUnavailable'
            Get-ErrorIdOf { Remove-ContainerImage small:1 } | Should -Be 'StoreUnavailable'
            (Get-ContainerImage small:1).Layers.Count | Should -Be 1
            (Test-ContainerImage small:1).IsComplete | Should -BeTrue
        }
        finally { mount -o remount,rw "$folder/disk" }
        Remove-ContainerImage small:1, small:2 -ErrorAction Stop
    }
}
