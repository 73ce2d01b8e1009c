# Programs run from PowerShell: what goes in, what comes out, how it ended.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $null = Start-Sleeper web $root
}

AfterAll { Exit-TestStore }

Describe 'Invoke-ContainerCommand' {
    It 'gives standard output as lines' {
        $lines = Invoke-ContainerCommand web -- printf 'one\ntwo  words\n\nlast'
        $lines | Should -Be 'one', 'two  words', '', 'last'
        $lines | Should -BeOfType string
    }

    It 'sets $LASTEXITCODE' {
        Invoke-ContainerCommand web -- sh -c 'exit 42'
        $LASTEXITCODE | Should -Be 42
        Invoke-ContainerCommand web -- true
        $LASTEXITCODE | Should -Be 0
    }

    It 'gives arguments as they were typed: <Name>' -ForEach @(
        @{ Name = 'blanks'; Words = @('two  words') }
        @{ Name = 'nothing'; Words = @('') }
        @{ Name = 'both kinds of quotes'; Words = @("it's `"quoted`"") }
        @{ Name = 'what a shell would expand'; Words = @('$HOME', '*', '`date`', '\n', '!x') }
        @{ Name = 'what looks like a parameter'; Words = @('-Tty', '--', '-') }
        @{ Name = 'what is not ASCII'; Words = @('größer', '日本', '🐧') }
    ) {
        $shown = Invoke-ContainerCommand web -ArgumentList (@('sh', '-c', 'for word; do printf "%s\0" "$word"; done', 'sh') + $Words)
        ($shown -join "`n").TrimEnd("`0").Split("`0") | Should -Be $Words
    }

    It 'gives standard error as information, tagged, and never as an error' {
        $ErrorActionPreference = 'Stop'
        $lines = Invoke-ContainerCommand web -InformationVariable said -- sh -c 'echo out; echo err >&2' 6>$null
        $lines | Should -Be 'out'
        $said.MessageData.Message | Should -Be 'err'
        $said.Tags | Should -Contain 'stderr'
    }

    It 'gives both on the result with -PassThru' {
        $result = Invoke-ContainerCommand web -PassThru -- sh -c 'echo out; echo err >&2; exit 3'
        $result | Should -BeOfType Containers.ContainerRunResult
        $result.StandardOutput | Should -Be "out`n"
        $result.StandardError | Should -Be "err`n"
        $result.ExitCode | Should -Be 3
        $result.ContainerId | Should -Be 'web'
    }

    It 'gives bytes with -AsByteStream' {
        $bytes = Invoke-ContainerCommand web -AsByteStream -- printf '\001\377\000\n' | ForEach-Object { $_ }
        $bytes | Should -Be 1, 255, 0, 10
    }

    It 'feeds strings as lines' {
        'a', 'b', '', 'ü' | Invoke-ContainerCommand web -- cat | Should -Be 'a', 'b', '', 'ü'
    }

    It 'feeds bytes as they are' {
        , [byte[]] (1, 255, 0) | Invoke-ContainerCommand web -AsByteStream -- cat | ForEach-Object { $_ } | Should -Be 1, 255, 0
    }

    It 'feeds an empty pipeline as an empty input' {
        @() | Invoke-ContainerCommand web -- wc -c | Should -Be '0'
    }

    It 'streams much more than a pipe holds, both ways at once' {
        $count = 20000
        $lines = 1..$count | Invoke-ContainerCommand web -- cat
        $lines.Count | Should -Be $count
        $lines[-1] | Should -Be "$count"
    }

    It 'goes on when the program does not read its input' {
        1..20000 | Invoke-ContainerCommand web -- true
        $LASTEXITCODE | Should -Be 0
    }

    It 'stops the program when the pipeline wants no more' {
        Invoke-ContainerCommand web -- yes | Select-Object -First 3 | Should -Be 'y', 'y', 'y'
        $deadline = [DateTime]::UtcNow.AddSeconds(10)
        while ((Get-ContainerTask web).Execs.State -contains 'Running' -and [DateTime]::UtcNow -lt $deadline) { Start-Sleep -Milliseconds 20 }
        (Get-ContainerTask web).Execs.State | Should -Not -Contain 'Running'
    }

    It 'takes its targets from the pipeline' {
        (Get-ContainerTask web | Invoke-ContainerCommand -PassThru -- hostname).ContainerId | Should -Be 'web'
        (Get-Container web | Invoke-ContainerCommand -PassThru -ArgumentList hostname).ExitCode | Should -Be 0
        ([pscustomobject]@{ ContainerId = 'web' } | Invoke-ContainerCommand -PassThru -- hostname).ContainerId | Should -Be 'web'
    }

    It 'takes environment, user and folder' {
        Invoke-ContainerCommand web -Environment @{ A = 'x y' } -User web -WorkingDirectory /tmp -- sh -c 'echo "$A"; id -u; pwd' | Should -Be 'x y', '1000', '/tmp'
    }

    It 'leaves a program running with -Detach' {
        $exec = Invoke-ContainerCommand web -Detach -ExecId side -- sleep 1000
        $exec.Id | Should -Be 'side'
        $exec.State | Should -Be 'Running'
        Send-ContainerSignal web -ExecId side -Signal KILL
        $deadline = [DateTime]::UtcNow.AddSeconds(10)
        while (((Get-ContainerTask web).Execs | Where-Object Id -eq side).State -eq 'Running' -and [DateTime]::UtcNow -lt $deadline) { Start-Sleep -Milliseconds 20 }
        ((Get-ContainerTask web).Execs | Where-Object Id -eq side).Signal | Should -Be 9
    }

    It 'writes to files where redirected' {
        $out, $err = "$($store.Folder)/out", "$($store.Folder)/err"
        Invoke-ContainerCommand web -RedirectStandardOutput $out -RedirectStandardError $err -- sh -c 'echo out; echo err >&2' | Should -BeNullOrEmpty
        Get-Content $out | Should -Be 'out'
        Get-Content $err | Should -Be 'err'
    }

    It 'is an error and <Code> for a program that <What>' -ForEach @(
        @{ What = 'is not there'; Code = 127; Program = 'nonexistent'; Id = 'ExecutableNotFound' }
        @{ What = 'is not there, by path'; Code = 127; Program = '/bin/nonexistent'; Id = 'ExecutableNotFound' }
        @{ What = 'may not be executed'; Code = 126; Program = '/etc/passwd'; Id = 'ExecutableNotPermitted' }
    ) {
        $global:LASTEXITCODE = 0
        Get-ErrorIdOf { Invoke-ContainerCommand web -- $Program } | Should -Be $Id
        $LASTEXITCODE | Should -Be $Code
    }

    It 'refuses what excludes each other' {
        Get-ErrorIdOf { Invoke-ContainerCommand web -PassThru -AsByteStream -- true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-ContainerCommand web -Detach -PassThru -- true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-ContainerCommand -- true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-ContainerCommand web } | Should -Be 'InvalidArgument'
    }

    It 'runs nothing with -WhatIf' {
        Invoke-ContainerCommand web -WhatIf -- touch /tmp/was-here
        "$root/tmp/was-here" | Should -Not -Exist
    }
}

Describe 'Invoke-Container' {
    It 'leaves nothing with -Remove' {
        Invoke-Container gone -RootfsPath $root -Remove -- sh -c 'echo hi; exit 7' | Should -Be 'hi'
        $LASTEXITCODE | Should -Be 7
        Get-Container gone* | Should -BeNullOrEmpty
    }

    It 'filters system calls unless told otherwise' {
        $script = 'unshare -U true 2>&1; grep ^Seccomp: /proc/self/status'
        Invoke-Container -RootfsPath $root -Remove -- sh -c $script | Should -Be 'unshare: unshare(0x10000000): Operation not permitted', "Seccomp:`t2"
        Invoke-Container -RootfsPath $root -Remove -SeccompProfile unconfined -- sh -c $script | Should -Be "Seccomp:`t0"
        Invoke-Container -RootfsPath $root -Remove -Privileged -- sh -c $script | Should -Be "Seccomp:`t0"
        Set-Content "$($store.Folder)/mkdir.json" '{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "mkdir" ], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 } ] }'
        Invoke-Container -RootfsPath $root -Remove -SeccompProfile "$($store.Folder)/mkdir.json" -- sh -c 'mkdir /tmp/x 2>&1' | Should -BeLike '*No space left*'
    }

    It 'keeps the container without' {
        Invoke-Container kept -RootfsPath $root -- echo hi | Should -Be 'hi'
        (Get-ContainerTask kept).ExitCode | Should -Be 0
        (Get-ContainerLog kept).Text | Should -Be 'hi'
        Remove-Container kept
    }

    It 'gives code, signal and both outputs with -PassThru' {
        $result = Invoke-Container -RootfsPath $root -Remove -PassThru -- sh -c 'echo out; echo err >&2; exit 3'
        $result.ExitCode, $result.StandardOutput, $result.StandardError | Should -Be 3, "out`n", "err`n"
    }

    It 'feeds the pipeline to the program' {
        'x', 'y' | Invoke-Container -RootfsPath $root -Remove -- wc -l | Should -Be '2'
    }

    It 'leaves the task with -Detach' {
        $task = Invoke-Container back -RootfsPath $root -Detach -- sleep 1000
        $task | Should -BeOfType Containers.ContainerTask
        $task.State | Should -Be 'Running'
        Remove-Container back -Force
    }

    It 'removes what never ran, and has exit code 127' {
        $global:LASTEXITCODE = 0
        Get-ErrorIdOf { Invoke-Container never -RootfsPath $root -- nonexistent } | Should -Be 'ExecutableNotFound'
        $LASTEXITCODE | Should -Be 127
        Get-Container never* | Should -BeNullOrEmpty
    }

    It 'does not stop a pipeline for a program that writes to standard error' {
        $ErrorActionPreference = 'Stop'
        { Invoke-Container -RootfsPath $root -Remove -- sh -c 'echo warning >&2' 6>$null } | Should -Not -Throw
        $LASTEXITCODE | Should -Be 0
    }

    It 'removes the container when the pipeline wants no more' {
        Invoke-Container stop -RootfsPath $root -Remove -- yes | Select-Object -First 1 | Should -Be 'y'
        $deadline = [DateTime]::UtcNow.AddSeconds(10)
        while ((Get-Container stop*) -and [DateTime]::UtcNow -lt $deadline) { Start-Sleep -Milliseconds 20 }
        Get-Container stop* | Should -BeNullOrEmpty
    }

    It 'makes nothing with -WhatIf' {
        Invoke-Container plan -RootfsPath $root -WhatIf -- true
        Get-Container plan* | Should -BeNullOrEmpty
    }

    It 'refuses what excludes each other' {
        Get-ErrorIdOf { Invoke-Container -RootfsPath $root -Detach -Remove -- true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-Container -RootfsPath $root -PassThru -AsByteStream -- true } | Should -Be 'InvalidArgument'
    }
}

Describe 'Get-ContainerLog' {
    BeforeAll {
        Invoke-Container logged -RootfsPath $root -- sh -c 'for i in 1 2 3; do echo out $i; done; echo err >&2; printf unfinished' 6>$null | Out-Null
    }

    It 'has time, stream and line' {
        $log = Get-ContainerLog logged
        $log | Should -BeOfType Containers.ContainerLogEntry
        ($log | Where-Object Stream -eq Stdout).Text | Should -Be 'out 1', 'out 2', 'out 3', 'unfinished'
        $log[0].Time | Should -BeOfType DateTimeOffset
    }

    It 'selects a stream' { (Get-ContainerLog logged -Stream Stderr).Text | Should -Be 'err' }
    It 'selects the last lines' { (Get-ContainerLog logged -Stream Stdout -Tail 2).Text | Should -Be 'out 3', 'unfinished' }
    It 'selects by time' { Get-ContainerLog logged -Since ([DateTimeOffset]::UtcNow.AddHours(1)) | Should -BeNullOrEmpty }
    It 'gives strings with -Raw' { Get-ContainerLog logged -Stream Stderr -Raw | Should -BeOfType string }
    It 'takes containers from the pipeline' { (Get-Container logged | Get-ContainerLog -Tail 1).Text | Should -HaveCount 1 }
    It 'is LogNotFound where none is kept' {
        $null = New-Container silent -RootfsPath $root -LogUri none: -ArgumentList true
        Get-ErrorIdOf { Get-ContainerLog silent } | Should -Be 'LogNotFound'
    }

    It 'follows what comes until the task ends' {
        $lines = New-Container slow -RootfsPath $root -- sh -c 'for i in 1 2 3; do echo $i; sleep 0.2; done' | Start-ContainerTask -PassThru | Get-ContainerLog -Follow
        $lines.Text | Should -Be '1', '2', '3'
    }

    It 'stops following when the pipeline wants no more' {
        $null = New-Container chatty -RootfsPath $root -- sh -c 'while echo tick; do sleep 0.1; done' | Start-ContainerTask
        (Get-ContainerLog chatty -Follow | Select-Object -First 2).Text | Should -Be 'tick', 'tick'
        Remove-Container chatty -Force
    }

    It 'gives the time before the text with -Timestamps' {
        Get-ContainerLog logged -Stream Stderr -Timestamps | Should -Match '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z err$'
    }

    It 'gives every line once and in order while the log is put aside, compressed and followed' {
        $count = $env:CONTAINERS_TEST_LONG ? 1000000 : 20000
        # A hundred bytes each, so that the long run has 100 MB.
        $script = "i=0; while [ `$i -lt $count ]; do echo `$i ---------------------------------------------------------------------------------------; i=`$((i+1)); done"
        New-Container turning -RootfsPath $root -LogMaxSize 256KB -LogMaxFiles 1000 -- sh -c $script | Start-ContainerTask
        $next = 0
        Get-ContainerLog turning -Follow -Raw | ForEach-Object {
            if (-not $_.StartsWith("$next -")) { throw "after line $($next - 1) came: $_" }
            $next++
        }
        $next | Should -Be $count
        $again = 0
        Get-ContainerLog turning -Raw | ForEach-Object {
            if (-not $_.StartsWith("$again -")) { throw "after line $($again - 1) came: $_" }
            $again++
        }
        $again | Should -Be $count
        (Get-ContainerLog turning -Tail 2 -Raw) -replace ' .*' | Should -Be "$($count - 2)", "$($count - 1)"
        @(Get-Item "$((Get-Container turning).LogPath).*.gz").Count | Should -BeGreaterThan 2
        Remove-Container turning
    }

    It 'refuses limits that cannot be: <What>' -ForEach @(
        @{ What = 'a limit for a log that is no file'; More = @{ LogUri = 'none:'; LogMaxSize = 1MB } }
        @{ What = 'a number of files without a size'; More = @{ LogMaxFiles = 3 } }
        @{ What = 'a file in a folder that is not there'; More = @{ LogUri = 'file:///nowhere/log' } }
    ) {
        Get-ErrorIdOf { New-Container wrong -RootfsPath $root @More -- true } | Should -Be 'InvalidArgument'
    }
}
