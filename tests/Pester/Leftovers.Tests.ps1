# However a container ends, nothing of it stays: no mount, cgroup, process, namespace or file. Counted by a shell script that
# knows the kernel and nothing of the module, and by the tree of the store.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $bundle = (New-Item "$($store.Folder)/bundle" -ItemType Directory).FullName

    # What an empty store is made of; whatever else stands there was left by somebody.
    # The first container with a writable layer asks whether overlayfs can write in the store: the empty folder of that question stays, as those of the store do.
    # The journal of events outlives what it tells of.
    function Get-StoreTree { (find "$($store.Folder)/lib" "$($store.Folder)/run").Substring($store.Folder.Length + 1) | Where-Object { $_ -ne 'lib/snapshots' -and $_ -notlike 'lib/events*' } | Sort-Object }
    function Get-RootfsTree { find $root -printf '%P %y %m %s %T@\n' | Sort-Object }
    function Get-NamespaceDescriptor { Get-ChildItem "/proc/$PID/fd" | Where-Object { $_.LinkTarget -match '^(cgroup|ipc|mnt|net|pid|time|user|uts)(_for_children)?:\[' } }
}

AfterAll { Exit-TestStore }

Describe 'Nothing is left of' {
    It '<What>' -ForEach @(
        @{ What = 'a pipeline through Wait'; Do = {
                New-Container t -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container } }
        @{ What = 'a pipeline through Stop'; Do = {
                New-Container t -RootfsPath $root -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru | Stop-ContainerTask -TimeoutSec 1 -PassThru | Remove-Container } }
        @{ What = 'one that ignores the stop'; Do = {
                New-Container t -RootfsPath $root -- sh -c 'trap "" TERM; while :; do sleep 1; done' |
                    Start-ContainerTask -PassThru | Stop-ContainerTask -TimeoutSec 0.3 -PassThru | Remove-Container } }
        @{ What = 'one that never started'; Do = { New-Container t -RootfsPath $root -ArgumentList true | New-ContainerTask | Remove-Container } }
        @{ What = 'one without a task'; Do = { New-Container t -RootfsPath $root -ArgumentList true | Remove-Container } }
        @{ What = 'one that was removed by force as it ran'; Do = { Start-Sleeper t $root | Remove-Container -Force } }
        @{ What = 'its task first, then itself'; Do = {
                $null = Start-Sleeper t $root
                Stop-ContainerTask t -TimeoutSec 0
                Remove-ContainerTask t
                Remove-Container t } }
        @{ What = 'a writable layer with what was written to it'; Do = {
                New-Container t -RootfsPath $root -Overlay -- sh -c 'mkdir -p /a/b/c; echo x >/a/b/c/d; rm /etc/passwd; chmod 0 /a/b; ln -s /etc /l; mkfifo /p' |
                    Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container } }
        @{ What = 'mounts of its own'; Do = {
                New-Container t -RootfsPath $root -Overlay -Mount "$($store.Folder):/bound", @{ Type = 'Tmpfs'; Target = '/quick' } -- sh -c 'echo x >/quick/f; sleep 1000' |
                    Start-ContainerTask -PassThru | Stop-ContainerTask -TimeoutSec 0 -PassThru | Remove-Container } }
        @{ What = 'orphans in the host''s pid namespace'; Do = {
                New-Container t -RootfsPath $root -ProcessNamespace host -- sh -c 'for i in 1 2 3; do setsid sleep 1000 & done; sleep 0.3' |
                    Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container } }
        @{ What = 'programs that joined it'; Do = {
                $null = Start-Sleeper t $root
                $null = Invoke-ContainerCommand t -Detach -- sleep 1000
                $null = Invoke-ContainerCommand t -Detach -- sh -c 'trap "" TERM; sleep 1000'
                Stop-ContainerTask t -TimeoutSec 1
                Remove-Container t } }
        @{ What = 'groups that a program made'; Do = {
                New-Container t -RootfsPath $root -Overlay -Privileged -CgroupNamespace host -Mount '/sys/fs/cgroup:/sys/fs/cgroup' -- sh -c (
                    'path=$(sed -n "s/^[0-9]*:memory://p" /proc/self/cgroup); made=1; for h in /sys/fs/cgroup/*; do mkdir -p "$h$path/deep/er" && made=0; done; exit $made') |
                    Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 -OutVariable result | Remove-Container
                $result.ExitCode | Should -Be 0 } }
        @{ What = 'two that share a namespace, the first removed first'; Do = {
                $null = Start-Sleeper t $root
                $null = New-Container u -RootfsPath $root -Network container:t -IpcNamespace container:t -ArgumentList sleep, 1000 | Start-ContainerTask
                Remove-Container t -Force
                (Get-ContainerTask u).State | Should -Be 'Running'
                Remove-Container u -Force } }
        @{ What = 'Invoke-Container -Remove'; Do = {
                Invoke-Container t -RootfsPath $root -Remove -- sh -c 'echo out; sleep 1000 & exit 3' | Should -Be 'out' } }
        @{ What = 'a program that is not there'; Do = {
                Get-ErrorIdOf { Invoke-Container t -RootfsPath $root -Overlay -- /nonexistent } | Should -Be 'ExecutableNotFound' } }
        @{ What = 'a runtime that refuses'; Do = {
                $spec = New-ContainerSpec -ArgumentList true
                $spec.OciVersion = '9.0.0'
                $null = New-Container t -RootfsPath $root -Overlay -Spec $spec
                Get-ErrorIdOf { Start-ContainerTask t } | Should -Be 'RuntimeFailed'
                Remove-Container t } }
        @{ What = 'a bundle of another tool'; Do = {
                Copy-Item $root "$bundle/rootfs" -Recurse
                runc spec --bundle $bundle
                $spec = Get-Content "$bundle/config.json" -Raw | ConvertFrom-Json -AsHashtable
                $spec.process.terminal = $false
                $spec.process.args = @('sleep', '1000')
                $spec | ConvertTo-Json -Depth 32 | Set-Content "$bundle/config.json"
                New-Container t -Bundle $bundle | Start-ContainerTask -PassThru | Stop-ContainerTask -TimeoutSec 0 -PassThru | Remove-Container } }
    ) {
        $before = Get-RootfsTree
        & $Do
        Get-Container | Should -BeNullOrEmpty
        Get-Leftover | Should -BeNullOrEmpty
        Get-StoreTree | Should -Be 'lib', 'lib/containers', 'lib/format', 'run'
        Get-NamespaceDescriptor | Should -BeNullOrEmpty
        # The root was used in place, and no mount point was made in it for good that was not there.
        Get-RootfsTree | Should -Be $before
    }
}

Describe 'The counter itself' {
    # One that finds nothing because it looks nowhere proves nothing.
    It 'sees mounts, cgroups, processes, namespaces and files of one that runs' {
        $null = Start-Sleeper seen $root
        try { $kinds = Get-Leftover | ForEach-Object { $_.Split(' ')[0] } | Sort-Object -Unique }
        finally { Remove-Container seen -Force }
        $kinds | Should -Be 'cgroup', 'file', 'mount', 'namespace', 'process'
    }
}

Describe 'A task that has stopped' {
    It 'is files alone: no process, mount, namespace or cgroup waits for its removal' {
        $task = Start-Sleeper idle $root
        Stop-ContainerTask idle -TimeoutSec 0
        # The shim has told its clients before it ends: give it the moment that this takes.
        $null = try { (Get-Process -Id $task.ShimProcessId -ErrorAction Stop).WaitForExit(10000) } catch [Microsoft.PowerShell.Commands.ProcessCommandException] { }
        # The tenant's own group stays as long as the task does: it is its parent and empty.
        Get-Leftover | Where-Object { $_ -notlike 'file *' -and $_ -notlike "cgroup */pscontainers/$($store.Mark)" } | Should -BeNullOrEmpty
        (Get-ContainerTask idle).State | Should -Be 'Stopped'
        (Get-ContainerTask idle).ShimProcessId | Should -BeNullOrEmpty
        Remove-Container idle
    }
}

Describe 'Mounts of one that runs' {
    It 'are not seen on the host' {
        $before = Get-Content /proc/self/mountinfo | Where-Object { $_ -like "*$($store.Mark)*" }
        $null = Start-Sleeper hidden $root
        Get-Content /proc/self/mountinfo | Where-Object { $_ -like "*$($store.Mark)*" } | Should -Be $before
        Get-ChildItem "$env:CONTAINERS_RUN/$($store.Mark)/hidden/rootfs" | Should -BeNullOrEmpty
        Remove-Container hidden -Force
    }

    It 'go when every process of it is killed from outside' {
        $task = Start-Sleeper hit $root
        kill -KILL $task.ShimProcessId $task.ProcessId
        Remove-Container hit -Force
        Get-Leftover | Should -BeNullOrEmpty
    }
}
