# What every test file begins and ends with: the built module, a store and a container namespace of its own, a small root, and
# the count of what is left on the host. The name of the container namespace marks all that a file makes.

$module = $env:CONTAINERS_MODULE ? $env:CONTAINERS_MODULE : (Resolve-Path "$PSScriptRoot/../../out/Containers").Path

function Get-ModulePath { $module }

function Import-TestedModule { Import-Module $module -Force -Global }

# Sets this process up for a test file; $Mark is unique, so that two runs at once do not meet.
function Enter-TestStore {
    $script:mark = "pester-$([guid]::NewGuid().ToString('N').Substring(0, 10))"
    $script:store = "/tmp/$mark"
    $script:before = $env:CONTAINERS_ROOT, $env:CONTAINERS_RUN, $env:CONTAINERS_NAMESPACE
    $null = New-Item $store -ItemType Directory
    chmod 0700 $store
    $env:CONTAINERS_ROOT = "$store/lib"
    $env:CONTAINERS_RUN = "$store/run"
    $env:CONTAINERS_NAMESPACE = $mark
    Import-TestedModule
    # The whole suite can be run over another OCI runtime.
    if ($env:CONTAINERS_TEST_RUNTIME) {
        $global:PSDefaultParameterValues['New-Container:Runtime'] = $env:CONTAINERS_TEST_RUNTIME
        $global:PSDefaultParameterValues['Invoke-Container:Runtime'] = $env:CONTAINERS_TEST_RUNTIME
    }
    [pscustomobject]@{ Mark = $mark; Folder = $store; Rootfs = New-TestRootfs "$store/rootfs" }
}

function Exit-TestStore {
    Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force -ErrorAction Continue
    Remove-Item $store -Recurse -Force
    $env:CONTAINERS_ROOT, $env:CONTAINERS_RUN, $env:CONTAINERS_NAMESPACE = $before
    # A process that was killed is out of its control group before it is a zombie, and seen in between.
    $until = [datetime]::UtcNow.AddSeconds(5)
    while (($left = Get-Leftover) -and [datetime]::UtcNow -lt $until) { Start-Sleep -Milliseconds 200 }
    if ($left) { throw "left behind: $($left -join '; ')" }
}

# What on the host carries the mark, but for the files of the store itself.
function Get-Leftover {
    sh "$PSScriptRoot/../../samples/leftovers.sh" $mark | Where-Object { $_ -notlike 'left behind:*' -and $_ -notlike "*file $store" } | ForEach-Object Trim
}

# A root filesystem of busybox alone.
function New-TestRootfs([string] $Path) {
    foreach ($folder in 'bin', 'dev', 'etc', 'proc', 'root', 'sys', 'tmp', 'var') { $null = New-Item "$Path/$folder" -ItemType Directory -Force }
    $busybox = (Get-Command busybox -CommandType Application | Select-Object -First 1).Source
    Copy-Item $busybox "$Path/bin/busybox"
    foreach ($name in & $busybox --list) {
        if ($name -ne 'busybox') { $null = [System.IO.File]::CreateSymbolicLink("$Path/bin/$name", 'busybox') }
    }
    Set-Content "$Path/etc/passwd" "root:x:0:0:root:/root:/bin/sh`nweb:x:1000:1000::/var:/bin/sh"
    Set-Content "$Path/etc/group" "root:x:0:`nweb:x:1000:`nextra:x:2000:web"
    $Path
}

# The config.json of a bundle, as small as it can be.
function New-TestBundle([string] $Path, [string[]] $Arguments, [string] $Rootfs = 'rootfs') {
    @{
        ociVersion = '1.0.2'; hostname = 'bundled'; root = @{ path = $Rootfs }
        process = @{ user = @{ uid = 0; gid = 0 }; args = $Arguments; env = @('PATH=/bin'); cwd = '/' }
        mounts = @(@{ destination = '/proc'; type = 'proc'; source = 'proc' })
        linux = @{ namespaces = @('pid', 'mount', 'network', 'ipc', 'uts').ForEach{ @{ type = $_ } } }
    } | ConvertTo-Json -Depth 8 | Set-Content "$Path/config.json"
}

# Runs a script block and gives the first error record it makes, terminating or not; nothing when it makes none.
function Get-ErrorOf([scriptblock] $Script) {
    $ErrorActionPreference = 'Continue'
    try { & $Script 2>&1 6>$null | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | Select-Object -First 1 }
    catch { $_ }
}

# The error's own word, without the name of the command.
function Get-ErrorIdOf([scriptblock] $Script) { "$((Get-ErrorOf $Script).FullyQualifiedErrorId)".Split(',')[0] }

# A running container that sleeps.
function Start-Sleeper([string] $Id, [string] $Rootfs) {
    New-Container $Id -RootfsPath $Rootfs -ArgumentList sleep, 1000 | Start-ContainerTask -PassThru
}

# Starts a shell script inside a control group; nothing of it runs before it is in there. Its output waits in StandardOutput.
function Start-InCgroup([string] $Path, [string] $Script) {
    $start = [System.Diagnostics.ProcessStartInfo]::new('/bin/sh', [string[]] ('-c', "read go; $Script"))
    $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $process = [System.Diagnostics.Process]::Start($start)
    try { Add-CgroupProcess $Path -ProcessId $process.Id -ErrorAction Stop }
    catch {
        $process.Kill()
        throw
    }
    $process.StandardInput.WriteLine('go')
    $process
}

# Runs a script that mounts hierarchies at $point, in a mount namespace of its own, so that no other program of this host meets them. A hierarchy is
# the kernel's for all that, so that they take turns; hugetlb has its lock with those who mount it for crun.
function Invoke-Apart([string] $Script, [string] $Lock = '/run/lock/containers-hierarchies.lock') {
    $point = "$store/hierarchy"
    $null = New-Item $point -ItemType Directory -Force
    $pwsh = (Get-Process -Id $PID).Path
    flock $Lock unshare -m --propagation private $pwsh -NoProfile -NonInteractive -Command "`$ErrorActionPreference = 'Stop'; `$PSStyle.OutputRendering = 'PlainText'; Import-Module '$module'; `$point = '$point'; `$top = '/$mark'; $Script" 2>&1
}

# A pwsh of its own, for what can happen once in a process only. Gives its output lines.
function Invoke-FreshPwsh([string] $Script) {
    $pwsh = (Get-Process -Id $PID).Path
    & $pwsh -NoProfile -NonInteractive -Command "Import-Module '$module'; $Script"
}

# A pwsh of its own that does work until it is killed. It says that it is ready after what comes first. $folder is the test's.
function Start-Worker([string] $Script, [string] $Name, [string] $First = '') {
    Set-Content "$store/$Name.ps1" "`$ErrorActionPreference = 'Stop'; Import-Module '$module'; `$folder = '$store'`n$First`n[Console]::Out.WriteLine('ready')`n$Script"
    $info = [System.Diagnostics.ProcessStartInfo]::new((Get-Process -Id $PID).Path, [string[]] ('-NoProfile', '-NonInteractive', '-File', "$store/$Name.ps1"))
    $info.RedirectStandardOutput = $true
    $info.RedirectStandardError = $true
    [System.Diagnostics.Process]::Start($info)
}

# A worker that takes these steps one after another for ever, and is ready when it stands before the one of that number.
function Start-Circle([string[]] $Step, [int] $Begin, [string] $Name) {
    $first = @($Begin ? $Step[0..($Begin - 1)] : @())
    Start-Worker "while (`$true) {`n$(($Step[$Begin..($Step.Count - 1)] + $first) -join "`n")`n}" $Name ($first -join "`n")
}

# Kills a worker at some moment after it was ready.
function Stop-Worker([System.Diagnostics.Process] $Worker, [int] $Milliseconds, [string] $Because) {
    $Worker.StandardOutput.ReadLine() | Should -Be 'ready'
    Start-Sleep -Milliseconds $Milliseconds
    $Worker.HasExited | Should -BeFalse -Because "${Because}: it works until it is killed"
    $Worker.Kill()
    $Worker.WaitForExit()
    $Worker.Dispose()
}

# A program of the host that goes on beside the test, until Stop-Beside.
$beside = [System.Collections.Generic.List[System.Diagnostics.Process]]::new()
function Start-Beside([string] $Program, [string[]] $Arguments) {
    $process = [System.Diagnostics.Process]::Start([System.Diagnostics.ProcessStartInfo]::new($Program, $Arguments))
    $beside.Add($process)
    $process
}

function Stop-Beside {
    foreach ($process in $beside) {
        if (-not $process.HasExited) { $process.Kill($true) }
        $process.WaitForExit()
    }
    $beside.Clear()
}

# Debian's docker-registry on a port of loopback that it chooses itself, until Stop-Beside. Gives HOST:PORT once it listens.
function Start-Registry([string] $Path, [string] $More = '') {
    $null = New-Item "$Path" -ItemType Directory
    Set-Content "$Path/config.yml" @"
version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: $Path/data
  delete:
    enabled: true
http:
  addr: 127.0.0.1:0
$More
"@
    $start = [System.Diagnostics.ProcessStartInfo]::new((Get-Command docker-registry -CommandType Application | Select-Object -First 1).Source)
    'serve', "$Path/config.yml" | ForEach-Object { $start.ArgumentList.Add($_) }
    # It takes REGISTRY_AUTH_FILE, which is podman's word, for a part of its configuration.
    $start.Environment.Clear()
    $start.RedirectStandardError = $start.RedirectStandardOutput = $true
    $server = [System.Diagnostics.Process]::Start($start)
    $beside.Add($server)
    $null = $server.StandardOutput.BaseStream.CopyToAsync([System.IO.Stream]::Null)
    $words = @()
    while ($null -ne ($line = $server.StandardError.ReadLine())) {
        if ($line -match 'listening on (127\.0\.0\.1:\d+)') {
            $null = $server.StandardError.BaseStream.CopyToAsync([System.IO.Stream]::Null)
            return $Matches[1]
        }
        $words += $line
    }
    throw "docker-registry did not start: $words"
}

# Waits until a script says true.
function Wait-Until([scriptblock] $Condition, [string] $What = "$Condition", [double] $Seconds = 60) {
    $limit = [datetime]::UtcNow.AddSeconds($Seconds)
    while (-not (& $Condition)) {
        if ([datetime]::UtcNow -gt $limit) { throw "not within $Seconds seconds: $What" }
        Start-Sleep -Milliseconds 20
    }
}

# The number of the namespace that a link of /proc/PID/ns leads to.
function Get-Inode([string] $Link) { [ulong]((Get-Item $Link).LinkTarget -replace '\D') }

# A program as unshare(1) starts it, when it is where it was to be.
function Start-Unshared([string] $Type, [string[]] $Arguments) {
    $process = Start-Beside unshare $Arguments
    Wait-Until { (Get-Inode "/proc/$($process.Id)/ns/$Type") -ne (Get-Inode "/proc/self/ns/$Type") }
    $process
}

# Gone, or nobody's but its parent's to collect.
function Test-Ended([int] $Process) {
    $stat = try { [IO.File]::ReadAllText("/proc/$Process/stat") } catch { return $true }
    $stat.Substring($stat.LastIndexOf(')') + 2)[0] -in 'Z', 'X'
}

# What a restart of the host leaves of tasks: nothing in memory. The store is on disk.
function Restart-Host {
    foreach ($task in Get-ContainerTask) {
        foreach ($process in $task.ShimProcessId, $task.ProcessId) {
            if ($process) { /bin/kill -KILL $process; Wait-Until { Test-Ended $process } 'its end' }
        }
    }
    Get-Cgroup | Where-Object Path -in "/pscontainers/$mark", "/pscontainers-shim/$mark" | Remove-Cgroup -Recurse -Force
    Remove-Item $env:CONTAINERS_RUN -Recurse -Force
}

Export-ModuleMember -Function *
