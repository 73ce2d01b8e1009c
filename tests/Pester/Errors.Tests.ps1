# Bad input: each is one error record with a word as its id, a real category and the thing it is about, and leaves nothing.

BeforeDiscovery {
    # A bundle that is right but for one thing. Null takes a member away.
    function New-Case([string] $What, [hashtable] $Change, [string] $Id, [string] $Category, [string] $At = 'New', [string] $Target) {
        @{ What = $What; Change = $Change; Id = $Id; Category = $Category; At = $At; Target = $Target ? $Target : $At -eq 'New' ? '{bundle}/config.json' : 'x' }
    }

    $specs = @(
        New-Case 'no program' @{ 'process.args' = @() } InvalidSpec InvalidData
        New-Case 'an empty program' @{ 'process.args' = @('') } InvalidSpec InvalidData
        New-Case 'no process' @{ 'process' = $null } InvalidSpec InvalidData
        New-Case 'no working folder' @{ 'process.cwd' = $null } InvalidSpec InvalidData
        New-Case 'a relative working folder' @{ 'process.cwd' = 'tmp' } InvalidSpec InvalidData
        New-Case 'no root' @{ 'root' = $null } InvalidSpec InvalidData
        New-Case 'an empty root' @{ 'root.path' = '' } InvalidSpec InvalidData
        New-Case 'a root that is not there' @{ 'root.path' = 'gone' } RootfsNotFound ObjectNotFound -Target '{bundle}/gone'
        New-Case 'a root that is a file' @{ 'root.path' = 'config.json' } RootfsNotFound ObjectNotFound
        New-Case 'text where an array is due' @{ 'process.args' = 'true' } InvalidSpec InvalidData
        New-Case 'a number where text is due' @{ 'hostname' = 7 } InvalidSpec InvalidData
        New-Case 'text where a number is due' @{ 'process.user' = @{ uid = 'root'; gid = 0 } } InvalidSpec InvalidData
        New-Case 'a negative user' @{ 'process.user' = @{ uid = -1; gid = 0 } } InvalidSpec InvalidData
        New-Case 'a cgroup outside of the tree' @{ 'linux.cgroupsPath' = '/../../escape' } InvalidSpec InvalidData
        New-Case 'a cgroup that is the root of all' @{ 'linux.cgroupsPath' = '//' } InvalidSpec InvalidData
        New-Case 'a cgroup with a line feed' @{ 'linux.cgroupsPath' = "/a`nb" } InvalidSpec InvalidData
        New-Case 'a list where an object is due' @{ 'linux' = @() } InvalidSpec InvalidData

        New-Case 'no version' @{ 'ociVersion' = $null } RuntimeFailed InvalidOperation -At Start
        New-Case 'a version to come' @{ 'ociVersion' = '9.0.0' } RuntimeFailed InvalidOperation -At Start
        New-Case 'an unknown namespace' @{ 'linux.namespaces' = @(@{ type = 'mount' }, @{ type = 'galaxy' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a namespace given twice' @{ 'linux.namespaces' = @(@{ type = 'mount' }, @{ type = 'mount' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a namespace that is not there' @{ 'linux.namespaces' = @(@{ type = 'mount' }, @{ type = 'network'; path = '/nonexistent' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a namespace that is a file' @{ 'linux.namespaces' = @(@{ type = 'mount' }, @{ type = 'network'; path = '/etc/passwd' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a namespace of another type' @{ 'linux.namespaces' = @(@{ type = 'mount' }, @{ type = 'network'; path = '/proc/self/ns/uts' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a host name without a namespace for it' @{ 'linux.namespaces' = @(@{ type = 'mount' }); 'hostname' = 'x' } RuntimeFailed InvalidOperation -At Start
        New-Case 'an unknown file system' @{ 'mounts' = @(@{ destination = '/x'; type = 'nosuchfs'; source = 'x' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a mount without a target' @{ 'mounts' = @(@{ type = 'tmpfs'; source = 'tmpfs' }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a bind of what is not there' @{ 'mounts' = @(@{ destination = '/x'; type = 'bind'; source = '/nonexistent'; options = @('bind') }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'an option that the file system does not know' @{ 'mounts' = @(@{ destination = '/x'; type = 'tmpfs'; source = 'tmpfs'; options = @('nonsense=1') }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'an unknown limit' @{ 'process.rlimits' = @(@{ type = 'RLIMIT_NONSENSE'; soft = 1; hard = 1 }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a limit whose soft is above its hard' @{ 'process.rlimits' = @(@{ type = 'RLIMIT_NOFILE'; soft = 20; hard = 10 }) } RuntimeFailed InvalidOperation -At Start
        New-Case 'a sysctl of the host' @{ 'linux.sysctl' = @{ 'kernel.panic' = '1' } } RuntimeFailed InvalidOperation -At Start
        New-Case 'a hook that is not there' @{ 'hooks' = @{ createRuntime = @(@{ path = '/nonexistent' }) } } RuntimeFailed InvalidOperation -At Start
        New-Case 'a hook that fails' @{ 'hooks' = @{ createRuntime = @(@{ path = '/bin/false' }) } } RuntimeFailed InvalidOperation -At Start
        New-Case 'an unknown seccomp action' @{ 'linux.seccomp' = @{ defaultAction = 'SCMP_ACT_NONSENSE' } } RuntimeFailed InvalidOperation -At Start
        New-Case 'a program that is not there, by path' @{ 'process.args' = @('/nonexistent') } ExecutableNotFound ObjectNotFound -At Start
        New-Case 'a program that is not there, by name' @{ 'process.args' = @('nonexistent') } ExecutableNotFound ObjectNotFound -At Start
        New-Case 'a program whose folder is a file' @{ 'process.args' = @('/etc/passwd/true') } ExecutableNotFound ObjectNotFound -At Start
        New-Case 'a program that is a loop of links' @{ 'process.args' = @('/bin/loop') } 'ExecutableNotFound|RuntimeFailed' 'ObjectNotFound|InvalidOperation' -At Start
        New-Case 'a program that may not be executed' @{ 'process.args' = @('/etc/passwd') } ExecutableNotPermitted PermissionDenied -At Start
        New-Case 'a program that is a folder' @{ 'process.args' = @('/etc') } ExecutableNotPermitted PermissionDenied -At Start
        New-Case 'a program of no known format' @{ 'process.args' = @('/bin/noformat') } 'RuntimeFailed|ExecutableNotPermitted' 'InvalidOperation|PermissionDenied' -At Start
        New-Case 'a script whose interpreter is missing' @{ 'process.args' = @('/bin/lostscript') } 'ExecutableNotFound' 'ObjectNotFound' -At Start
    )
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    ln -s loop "$root/bin/loop"
    Set-Content "$root/bin/noformat" 'no program at all'
    Set-Content "$root/bin/lostscript" "#!/nonexistent/sh`n"
    chmod 755 "$root/bin/noformat" "$root/bin/lostscript"

    function Set-Member([hashtable] $Spec, [string] $Path, $Value) {
        $names = $Path.Split('.')
        $at = $Spec
        foreach ($name in $names | Select-Object -SkipLast 1) { $at = $at[$name] }
        if ($null -eq $Value) { $at.Remove($names[-1]) } else { $at[$names[-1]] = $Value }
    }

    function New-TestBundle([hashtable] $Change) {
        $path = (New-Item "$($store.Folder)/bundle-$([guid]::NewGuid().ToString('N'))" -ItemType Directory).FullName
        $spec = @{
            ociVersion = '1.2.0'
            root = @{ path = $root }
            process = @{ args = @('true'); cwd = '/'; env = @('PATH=/bin') }
            mounts = @(@{ destination = '/proc'; type = 'proc'; source = 'proc' })
            linux = @{ namespaces = @('mount', 'pid', 'ipc', 'uts', 'network').ForEach{ @{ type = $_ } } }
        }
        foreach ($name in $Change.Keys) { Set-Member $spec $name $Change[$name] }
        $spec | ConvertTo-Json -Depth 32 | Set-Content "$path/config.json"
        $path
    }

    # The record of a failure as it has to be, and a store as it was.
    function Assert-Refused($Problem, [string] $Id, [string] $Category, $Target) {
        $Problem | Should -BeOfType System.Management.Automation.ErrorRecord
        $Problem.FullyQualifiedErrorId.Split(',')[0] | Should -Match "^($Id)$"
        $Problem.FullyQualifiedErrorId.Split(',')[1] | Should -BeLike 'Containers.Cmdlets.*Command'
        "$($Problem.CategoryInfo.Category)" | Should -Match "^($Category)$"
        $Problem.Exception | Should -BeOfType Containers.ContainerException
        $Problem.Exception.Id | Should -Be $Problem.FullyQualifiedErrorId.Split(',')[0]
        $Problem.Exception.Message | Should -Not -BeNullOrEmpty
        if ($null -ne $Target) { $Problem.TargetObject | Should -Be $Target }
        else { $Problem.TargetObject | Should -Not -BeNullOrEmpty }
    }

    $null = New-Item "$($store.Folder)/run" -ItemType Directory
    chmod 0700 "$($store.Folder)/run"
    function Get-RunTree { find "$($store.Folder)/run" -mindepth 1 }
    function Get-Group { find /sys/fs/cgroup -type d -name "*$($store.Mark)*" }
}

AfterAll { Exit-TestStore }

Describe 'A bundle' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'with <What> is <Id> at <At>' -ForEach $specs {
        $bundle = New-TestBundle $Change
        $problem = Get-ErrorOf { New-Container x -Bundle $bundle }
        if ($At -eq 'Start') {
            $problem | Should -BeNullOrEmpty
            $problem = Get-ErrorOf { Start-ContainerTask x }
        }
        $wanted = $What -eq 'a root that is a file' ? "$bundle/config.json" : $Target.Replace('{bundle}', $bundle)
        Assert-Refused $problem $Id $Category $wanted
        if ($At -eq 'Start') {
            (Get-Container x).State | Should -Be 'None'
            Get-ErrorIdOf { Get-ContainerTask x } | Should -Be 'TaskNotFound'
            Remove-Container x
        }
        Get-Container | Should -BeNullOrEmpty
        Get-RunTree | Should -BeNullOrEmpty
        Get-Group | Should -BeNullOrEmpty
    }

    It 'that is right but for nothing runs, so that the cases above prove something' {
        $bundle = New-TestBundle @{}
        (New-Container x -Bundle $bundle | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60).ExitCode | Should -Be 0
        Remove-Container x
    }

    It 'whose config.json is <What> is InvalidSpec' -ForEach @(
        @{ What = 'empty'; Bytes = [byte[]] @() }
        @{ What = 'cut off'; Bytes = [Text.Encoding]::UTF8.GetBytes('{"ociVersion":"1.0.0","process":{') }
        @{ What = 'a list'; Bytes = [Text.Encoding]::UTF8.GetBytes('[]') }
        @{ What = 'null'; Bytes = [Text.Encoding]::UTF8.GetBytes('null') }
        @{ What = 'text'; Bytes = [Text.Encoding]::UTF8.GetBytes('"true"') }
        @{ What = 'two objects'; Bytes = [Text.Encoding]::UTF8.GetBytes('{}{}') }
        @{ What = 'nested a thousand times'; Bytes = [Text.Encoding]::UTF8.GetBytes(('{"a":' * 1000) + '1' + ('}' * 1000)) }
        @{ What = 'binary'; Bytes = [byte[]] (0..255) }
        @{ What = 'in UTF-16'; Bytes = [Text.Encoding]::Unicode.GetBytes('{"ociVersion":"1.0.0"}') }
    ) {
        $bundle = New-TestBundle @{}
        [IO.File]::WriteAllBytes("$bundle/config.json", $Bytes)
        Assert-Refused (Get-ErrorOf { New-Container x -Bundle $bundle }) InvalidSpec InvalidData "$bundle/config.json"
        Get-Container | Should -BeNullOrEmpty
    }

    It 'that <What> is an error about it' -ForEach @(
        @{ What = 'is not there'; Make = { "$($store.Folder)/no-such-bundle" } }
        @{ What = 'is empty'; Make = { $path = New-TestBundle @{}; Remove-Item "$path/config.json"; $path } }
        @{ What = 'is a file'; Make = { $path = "$($store.Folder)/file-bundle"; Set-Content $path x; $path } }
        @{ What = 'is a dangling link'; Make = { $path = "$($store.Folder)/link-bundle"; ln -s /nonexistent/bundle $path; $path } }
        @{ What = 'has a folder for a config.json'; Make = { $path = New-TestBundle @{}; Remove-Item "$path/config.json"; $null = New-Item "$path/config.json" -ItemType Directory; $path } }
        @{ What = 'has a link to nowhere for a config.json'; Make = { $path = New-TestBundle @{}; Remove-Item "$path/config.json"; ln -s gone "$path/config.json"; $path } }
        @{ What = 'has a named pipe for a config.json'; Make = { $path = New-TestBundle @{}; Remove-Item "$path/config.json"; mkfifo "$path/config.json"; $path } }
    ) {
        $bundle = & $Make
        $problem = Get-ErrorOf { New-Container x -Bundle $bundle }
        Assert-Refused $problem InvalidSpec InvalidData
        "$($problem.TargetObject)" | Should -BeLike "$bundle*"
        Get-Container | Should -BeNullOrEmpty
    }
}

Describe 'Ids' {
    It '<Text> is none: InvalidId from <Command>' -ForEach $(
        foreach ($text in 'a/b', '/etc', '..', '.', '../../../tmp/x', '-x', '.hidden', "a`0b", "a`nb", 'a b', 'ü', 'a;b', ('a' * 77)) {
            foreach ($command in 'New-Container', 'Get-Container', 'Start-ContainerTask', 'Remove-Container', 'Invoke-ContainerCommand') {
                # All of the ids through the first, the most dangerous of them through the others.
                if ($command -eq 'New-Container' -or $text -in 'a/b', '..', '../../../tmp/x') {
                    @{ Text = $text.Length -gt 70 ? '77 characters' : ($text -replace '\p{C}', '?'); Value = $text; Command = $command }
                }
            }
        }
    ) {
        $problem = switch ($Command) {
            'New-Container' { Get-ErrorOf { New-Container -Id $Value -RootfsPath $root -ArgumentList true } }
            'Invoke-ContainerCommand' { Get-ErrorOf { Invoke-ContainerCommand -Id $Value -ArgumentList true } }
            default { Get-ErrorOf { & $Command -Id $Value } }
        }
        Assert-Refused $problem InvalidId InvalidArgument $Value
        Get-Container | Should -BeNullOrEmpty
        (find "$($store.Folder)/lib" -mindepth 2 -not -path '*/lib/events/*') | Should -BeNullOrEmpty
    }

    It 'of 76 characters and of one are ids' {
        foreach ($id in ('a' * 76), '7') {
            New-Container $id -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60 | Remove-Container
        }
        Get-Container | Should -BeNullOrEmpty
    }

    It 'that are taken are ContainerExists, once for each, and the others are made' {
        $null = New-Container one -RootfsPath $root -ArgumentList true
        $made = 'one', 'two', 'one' | ForEach-Object { [pscustomobject]@{ Id = $_ } } |
            New-Container -RootfsPath $root -ArgumentList true -ErrorVariable problems -ErrorAction SilentlyContinue
        $made.Id | Should -Be 'two'
        $problems | Should -HaveCount 2
        $problems[0].FullyQualifiedErrorId | Should -BeLike 'ContainerExists,*'
        $problems[0].TargetObject | Should -Be 'one'
        Get-Container | Remove-Container
    }

    It 'of tenants are held to the same' -ForEach @('../x', 'a/b', '..', 'ns', "a`0b") {
        Assert-Refused (Get-ErrorOf { New-Container x -ContainerNamespace $_ -RootfsPath $root -ArgumentList true }) InvalidId InvalidArgument $_
        Assert-Refused (Get-ErrorOf { Get-Container x -ContainerNamespace $_ }) InvalidId InvalidArgument $_
    }
}

Describe 'The wrong moment' {
    BeforeAll {
        $null = Start-Sleeper runs $root
        $null = New-Container idle -RootfsPath $root -ArgumentList true
        $null = New-Container made -RootfsPath $root -ArgumentList sleep, 1000 | New-ContainerTask
        New-Container ended -RootfsPath $root -ArgumentList true | Start-ContainerTask -PassThru | Wait-ContainerTask -TimeoutSec 60
    }
    AfterAll { Get-Container | Remove-Container -Force }

    It '<What> is <Id>' -ForEach @(
        @{ What = 'a start of one that runs'; Id = 'TaskRunning'; Category = 'InvalidOperation'; Target = 'runs'; Try = { Start-ContainerTask runs } }
        @{ What = 'an attached start of one that runs'; Id = 'TaskRunning'; Category = 'InvalidOperation'; Target = 'runs'; Try = { Start-ContainerTask runs -Attach } }
        @{ What = 'a task for one that has one'; Id = 'TaskExists'; Category = 'ResourceExists'; Target = 'made'; Try = { New-ContainerTask made } }
        @{ What = 'a task for one whose task has ended'; Id = 'TaskExists'; Category = 'ResourceExists'; Target = 'ended'; Try = { New-ContainerTask ended } }
        @{ What = 'the removal of a task that runs'; Id = 'TaskRunning'; Category = 'ResourceBusy'; Target = 'runs'; Try = { Remove-ContainerTask runs } }
        @{ What = 'the removal of a container that runs'; Id = 'TaskRunning'; Category = 'ResourceBusy'; Target = 'runs'; Try = { Remove-Container runs } }
        @{ What = 'the removal of a task that is not there'; Id = 'TaskNotFound'; Category = 'ObjectNotFound'; Target = 'idle'; Try = { Remove-ContainerTask idle } }
        @{ What = 'a stop without a task'; Id = 'TaskNotFound'; Category = 'ObjectNotFound'; Target = 'idle'; Try = { Stop-ContainerTask idle } }
        @{ What = 'a signal to one that has ended'; Id = 'TaskNotRunning'; Category = 'InvalidOperation'; Target = 'ended'; Try = { Send-ContainerSignal ended -Signal TERM } }
        @{ What = 'a signal to one that has not begun'; Id = 'TaskNotRunning'; Category = 'InvalidOperation'; Target = 'made'; Try = { Send-ContainerSignal made -Signal TERM } }
        @{ What = 'a program in one that has ended'; Id = 'TaskNotRunning'; Category = 'InvalidOperation'; Target = 'ended'; Try = { Invoke-ContainerCommand ended -- true } }
        @{ What = 'a program in one that has not begun'; Id = 'TaskNotRunning'; Category = 'InvalidOperation'; Target = 'made'; Try = { Invoke-ContainerCommand made -- true } }
        @{ What = 'a program with an id that is taken'; Id = 'ExecExists'; Category = 'ResourceExists'; Target = 'runs'; Try = {
                $null = Invoke-ContainerCommand runs -Detach -ExecId taken -- sleep 1000
                Invoke-ContainerCommand runs -ExecId taken -- true } }
        @{ What = 'a program with an id that is none'; Id = 'InvalidId'; Category = 'InvalidArgument'; Target = '../x'; Try = { Invoke-ContainerCommand runs -ExecId '../x' -- true } }
        @{ What = 'a program of a user that is not there'; Id = 'UserNotFound'; Category = 'ObjectNotFound'; Target = 'nobodyhere'; Try = { Invoke-ContainerCommand runs -User nobodyhere -- true } }
        @{ What = 'a program in a folder that is not there'; Id = 'RuntimeFailed|ExecutableNotFound'; Category = 'InvalidOperation|ObjectNotFound'; Target = 'runs'; Try = { Invoke-ContainerCommand runs -WorkingDirectory /nonexistent -- true } }
        @{ What = 'a signal that is none'; Id = 'InvalidArgument'; Category = 'InvalidArgument'; Target = 'NONSENSE'; Try = { Send-ContainerSignal runs -Signal NONSENSE } }
        @{ What = 'a signal above all'; Id = 'InvalidArgument'; Category = 'InvalidArgument'; Target = '65'; Try = { Send-ContainerSignal runs -Signal 65 } }
        @{ What = 'a signal below all'; Id = 'InvalidArgument'; Category = 'InvalidArgument'; Target = '0'; Try = { Send-ContainerSignal runs -Signal 0 } }
        @{ What = 'a namespace of one that does not run'; Id = 'TaskNotRunning'; Category = 'InvalidOperation'; Target = 'idle'; Try = {
                $null = New-Container joins -RootfsPath $root -Network container:idle -ArgumentList true
                try { Start-ContainerTask joins } finally { Remove-Container joins } } }
        @{ What = 'a namespace of one that is not there'; Id = 'ContainerNotFound'; Category = 'ObjectNotFound'; Target = 'missing'; Try = {
                New-Container joins -RootfsPath $root -Network container:missing -ArgumentList true } }
        @{ What = 'a log of one that is not there'; Id = 'ContainerNotFound'; Category = 'ObjectNotFound'; Target = 'missing'; Try = { Get-ContainerLog missing } }
    ) {
        Assert-Refused (Get-ErrorOf $Try) $Id $Category $Target
        (Get-ContainerTask runs, made, ended).State | Should -Be 'Running', 'Created', 'Stopped'
    }
}

Describe 'What was changed behind the back of the store' {
    AfterEach { Get-Container -ErrorAction SilentlyContinue | Remove-Container -Force }

    It 'is RootfsNotFound when the root has gone, and comes back with it' {
        $copy = New-TestRootfs "$($store.Folder)/copy"
        $null = New-Container x -RootfsPath $copy -ArgumentList true
        Move-Item $copy "$copy-away"
        Assert-Refused (Get-ErrorOf { Start-ContainerTask x }) RootfsNotFound ObjectNotFound $copy
        (Get-Container x).State | Should -Be 'None'
        Move-Item "$copy-away" $copy
        (Start-ContainerTask x -PassThru | Wait-ContainerTask -TimeoutSec 60).ExitCode | Should -Be 0
    }

    It 'is StoreDamaged for a record that is <What>, and the others are told' -ForEach @(
        @{ What = 'cut off'; Content = '{"Id":' }, @{ What = 'empty'; Content = '' }, @{ What = 'a list'; Content = '[]' }, @{ What = 'another''s'; Content = $null }
    ) {
        $null = New-Container good -RootfsPath $root -ArgumentList true
        $null = New-Container bad -RootfsPath $root -ArgumentList true
        $record = "$($store.Folder)/lib/containers/$($store.Mark)/bad/container.json"
        $kept = Get-Content $record -Raw
        if ($null -eq $Content) { Copy-Item ($record -replace '/bad/', '/good/') $record } else { [IO.File]::WriteAllText($record, $Content) }
        Assert-Refused (Get-ErrorOf { Get-Container bad }) StoreDamaged InvalidData
        Assert-Refused (Get-ErrorOf { Start-ContainerTask bad }) StoreDamaged InvalidData
        (Get-Container good).Id | Should -Be 'good'
        [IO.File]::WriteAllText($record, $kept)
        (Get-Container bad).Id | Should -Be 'bad'
    }

    It 'is StoreDamaged for a record that is <What>, and nobody is held up' -ForEach @(
        @{ What = 'a link'; Make = { ln -s "$record.kept" $record } }
        @{ What = 'a named pipe'; Make = { mkfifo $record } }
        @{ What = 'a folder'; Make = { $null = New-Item $record -ItemType Directory } }
    ) {
        $null = New-Container good -RootfsPath $root -ArgumentList true
        $null = New-Container bad -RootfsPath $root -ArgumentList true
        $record = "$($store.Folder)/lib/containers/$($store.Mark)/bad/container.json"
        Move-Item $record "$record.kept"
        & $Make
        try {
            Assert-Refused (Get-ErrorOf { Get-Container bad }) StoreDamaged InvalidData $record
            (Get-Container good).Id | Should -Be 'good'
        }
        finally {
            Remove-Item $record
            Move-Item "$record.kept" $record
        }
    }

    It 'is StoreFormatUnsupported for a store of the future' {
        $format = "$($store.Folder)/lib/format"
        $null = New-Container x -RootfsPath $root -ArgumentList true
        $kept = Get-Content $format -Raw
        Set-Content $format '999'
        try { $problem = Get-ErrorOf { New-Container y -RootfsPath $root -ArgumentList true } }
        finally { [IO.File]::WriteAllText($format, $kept) }
        Assert-Refused $problem StoreFormatUnsupported 'InvalidData|NotImplemented|InvalidOperation'
        (Get-Container).Id | Should -Be 'x'
    }

    It 'is StoreUnavailable for a store that is open to others' {
        chmod 0777 "$($store.Folder)/lib"
        try { $problem = Get-ErrorOf { New-Container y -RootfsPath $root -ArgumentList true } }
        finally { chmod 0700 "$($store.Folder)/lib" }
        Assert-Refused $problem StoreUnavailable 'PermissionDenied|SecurityError'
    }

    It 'is HelperNotTrusted for a psrun that others may write' {
        $copy = "$($store.Folder)/psrun"
        Copy-Item (Get-Item "$(Get-ModulePath)/bin/linux-*/psrun").FullName $copy
        chmod 0757 $copy
        $null = New-Container x -RootfsPath $root -ArgumentList true
        $before = $env:CONTAINERS_PSRUN
        $env:CONTAINERS_PSRUN = $copy
        try { $problem = Get-ErrorOf { Start-ContainerTask x } }
        finally { $env:CONTAINERS_PSRUN = $before }
        Assert-Refused $problem HelperNotTrusted SecurityError $copy
        (Get-Container x).State | Should -Be 'None'
    }

    It 'is HelperNotFound for a psrun that is not there' {
        $null = New-Container x -RootfsPath $root -ArgumentList true
        $before = $env:CONTAINERS_PSRUN
        $env:CONTAINERS_PSRUN = '/nonexistent/psrun'
        try { $problem = Get-ErrorOf { Start-ContainerTask x } }
        finally { $env:CONTAINERS_PSRUN = $before }
        Assert-Refused $problem HelperNotFound 'NotInstalled|ObjectNotFound' '/nonexistent/psrun'
    }
}

Describe 'A file of variables' {
    It 'that is <What> is EnvironmentFileInvalid' -ForEach @(
        @{ What = 'not there'; Make = { } }
        @{ What = 'a folder'; Make = { $null = New-Item $file -ItemType Directory } }
        @{ What = 'a named pipe'; Make = { mkfifo $file } }
        @{ What = 'not UTF-8'; Make = { [IO.File]::WriteAllBytes($file, [byte[]] (65, 61, 255, 254)) } }
        @{ What = 'a line without a name'; Make = { Set-Content $file '=x' } }
    ) {
        $file = "$($store.Folder)/vars-$([guid]::NewGuid().ToString('N'))"
        & $Make
        Assert-Refused (Get-ErrorOf { New-Container x -RootfsPath $root -EnvironmentFile $file -ArgumentList true }) EnvironmentFileInvalid InvalidData $file
        Get-Container | Should -BeNullOrEmpty
    }
}

Describe 'A cgroup of the user''s choice' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'in which others live is refused, and they live on' {
        $task = Start-Sleeper first $root
        $null = New-Container guest -Bundle (New-TestBundle @{ 'linux.cgroupsPath' = "/pscontainers/$($store.Mark)/first" })
        Assert-Refused (Get-ErrorOf { Start-ContainerTask guest }) CgroupUnavailable ResourceBusy "/pscontainers/$($store.Mark)/first"
        Remove-Container guest -Force
        (Get-ContainerTask first).State | Should -Be 'Running'
        Get-Process -Id $task.ProcessId | Should -Not -BeNullOrEmpty
        (Invoke-ContainerCommand first -- echo alive) | Should -Be 'alive'
    }

    It 'that was made before is used, and its parent stays' {
        $parent = "/sys/fs/cgroup/memory/$($store.Mark)-parent"
        $null = New-Item $parent -ItemType Directory
        try {
            New-Container x -RootfsPath $root -CgroupParent "/$($store.Mark)-parent" -ArgumentList sleep, 1000 | Start-ContainerTask
            "$parent/x" | Should -Exist
            Remove-Container x -Force
            "$parent/x" | Should -Not -Exist
            $parent | Should -Exist
        }
        finally { find /sys/fs/cgroup -depth -type d -name "$($store.Mark)-parent" -exec rmdir '{}' ';' }
    }
}

Describe 'One bad item of many' {
    AfterEach { Get-Container | Remove-Container -Force }

    It 'is one error, and the pipeline goes on to the others' {
        foreach ($id in 'a', 'b', 'c') { $null = New-Container $id -RootfsPath $root -ArgumentList ($id -eq 'b' ? '/nonexistent' : 'true') }
        $results = Get-Container | Start-ContainerTask -PassThru -ErrorVariable problems -ErrorAction SilentlyContinue | Wait-ContainerTask -TimeoutSec 60
        $results.ContainerId | Should -Be 'a', 'c'
        $problems | Should -HaveCount 1
        $problems[0].TargetObject | Should -Be 'b'
    }

    It 'ends the pipeline with -ErrorAction Stop, and what was done stays done' {
        foreach ($id in 'a', 'b', 'c') { $null = New-Container $id -RootfsPath $root -ArgumentList ($id -eq 'b' ? '/nonexistent' : 'true') }
        { Get-Container | Start-ContainerTask -ErrorAction Stop } | Should -Throw -ErrorId 'ExecutableNotFound,Containers.Cmdlets.StartContainerTaskCommand'
        $null = Wait-ContainerTask a -TimeoutSec 60
        (Get-Container).State | Should -Be 'Stopped', 'None', 'None'
    }

    It 'goes to the error stream alone' {
        $ErrorActionPreference = 'Continue'
        Get-Container missing 2>$null | Should -BeNullOrEmpty
        $null = Get-Container missing -ErrorAction SilentlyContinue
        $? | Should -BeFalse
    }
}

Describe 'Nothing' {
    It 'is left after all of this' { Get-Leftover | Should -BeNullOrEmpty }
}
