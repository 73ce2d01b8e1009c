# A pwsh on a terminal of its own, whose containers get that terminal. What is typed comes through a FIFO, as fast as the test wants.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs

    # Starts pwsh on a terminal and runs a script in it. The terminal belongs to script(1); what it shows is in a file.
    function Start-OnTerminal([string] $Script) {
        $folder = "$($store.Folder)/terminal-$([guid]::NewGuid().ToString('N').Substring(0, 8))"
        $null = New-Item $folder -ItemType Directory
        Set-Content "$folder/code.ps1" @"
Import-Module '$(Get-ModulePath)'
`$before = stty -g
"begin `$PID"
try { $Script } catch { "failed `$(`$_.FullyQualifiedErrorId)" }
"code `$LASTEXITCODE"
"same terminal: `$((stty -g) -eq `$before)"
"@
        mkfifo "$folder/keys"
        $pwsh = (Get-Process -Id $PID).Path
        # The FIFO is opened for both, so that it does not end with what is typed first.
        $process = Start-Beside sh @('-c', "exec script -qfc '$pwsh -NoProfile -File $folder/code.ps1' $folder/seen <> $folder/keys > /dev/null")
        [pscustomobject]@{ Folder = $folder; Process = $process }
    }

    function Get-Seen($Terminal) { if (Test-Path "$($Terminal.Folder)/seen") { (Get-Content "$($Terminal.Folder)/seen" -Raw) -replace "`r" } }
    function Wait-Seen($Terminal, [string] $Pattern) {
        try { Wait-Until { (Get-Seen $Terminal) -match $Pattern } $Pattern -Seconds 120 }
        catch { throw "$_; seen: $(Get-Seen $Terminal)" }
    }
    function Send-Keys($Terminal, [string] $Keys) { [System.IO.File]::AppendAllText("$($Terminal.Folder)/keys", $Keys) }
    function Complete-Terminal($Terminal) {
        Wait-Seen $Terminal 'same terminal: \w+'
        Get-Seen $Terminal
        Stop-Beside
    }
}

AfterAll {
    Stop-Beside
    Exit-TestStore
}

Describe 'A program on the terminal' -Skip:(-not (Get-Command script -CommandType Application -ErrorAction Ignore)) {
    It 'of Invoke-Container reads keys, hears Ctrl+C, and gives terminal and exit code back' {
        $terminal = Start-OnTerminal "Invoke-Container -RootfsPath '$root' -Remove -Interactive -Tty -- sh -c 'trap ''echo interrupted; exit 6'' INT; tty; while read line; do echo got `$line; done'"
        Wait-Seen $terminal '/dev/pts/0'
        Send-Keys $terminal "one`r"
        Wait-Seen $terminal 'got one'
        Send-Keys $terminal "`u{3}"
        $seen = Complete-Terminal $terminal
        $seen | Should -Match 'interrupted'
        $seen | Should -Match 'code 6'
        $seen | Should -Match 'same terminal: True'
        Get-Container | Should -BeNullOrEmpty
    }

    It 'is left by the detach keys, entered, and come back to' {
        $terminal = Start-OnTerminal "Invoke-Container kept -RootfsPath '$root' -Interactive -Tty -DetachKeys 'ctrl-a,x' -- sh -c 'echo ready; while read line; do echo got `$line; done; exit 7'; 'left'; Enter-Container kept -- sh -c 'exit 8'; 'entered ' + `$LASTEXITCODE; Connect-Container kept -Interactive"
        Wait-Seen $terminal 'ready'
        Send-Keys $terminal "`u{1}x"
        Wait-Seen $terminal 'left'
        Wait-Seen $terminal 'entered 8'
        (Get-ContainerTask kept).State | Should -Be 'Running'
        Send-Keys $terminal "again`r"
        Wait-Seen $terminal 'got again'
        Send-Keys $terminal "`u{4}"
        $seen = Complete-Terminal $terminal
        $seen | Should -Match 'code 7'
        $seen | Should -Match 'same terminal: True'
        Remove-Container kept
    }

    It 'is given back also when the psrun between is killed' {
        $terminal = Start-OnTerminal "Invoke-Container shot -RootfsPath '$root' -Interactive -Tty -- sh -c 'echo ready; sleep 1000'"
        Wait-Seen $terminal 'ready'
        $caller = (Get-Seen $terminal) -replace '(?s).*begin (\d+).*', '$1'
        $child = @(Get-Process psrun | Where-Object { $_.Parent.Id -eq $caller })
        $child | Should -HaveCount 1
        kill -KILL $child[0].Id
        $seen = Complete-Terminal $terminal
        $seen | Should -Match 'same terminal: True'
        (Get-ContainerTask shot).State | Should -Be 'Running'
        Remove-Container shot -Force
    }

    It 'of a container that was made for it is started and attached to' {
        $null = New-Container made -RootfsPath $root -Interactive -Tty -- sh -c 'read line; echo got $line; exit 9'
        $terminal = Start-OnTerminal 'Start-ContainerTask made -Attach -Interactive'
        Wait-Until { (Get-Container made).State -eq 'Running' } -Seconds 120
        Send-Keys $terminal "word`r"
        $seen = Complete-Terminal $terminal
        $seen | Should -Match 'got word'
        $seen | Should -Match 'code 9'
        Remove-Container made
    }
}

Describe 'Without a terminal' {
    BeforeAll {
        $null = Start-Sleeper host $root
        function Invoke-Without([string] $Script) {
            $file = "$($store.Folder)/without.ps1"
            Set-Content $file "Import-Module '$(Get-ModulePath)'; try { $Script } catch { `$_.FullyQualifiedErrorId }; 'code ' + `$LASTEXITCODE"
            sh -c "$((Get-Process -Id $PID).Path) -NoProfile -File $file < /dev/null 2> $($store.Folder)/errors"
        }
    }

    It 'a program that wants one is refused by <Name>' -ForEach @(
        @{ Name = 'Invoke-Container'; Script = 'Invoke-Container none -RootfsPath ROOT -Remove -Interactive -Tty -ErrorAction Stop -- true' }
        @{ Name = 'Enter-Container'; Script = 'Enter-Container host -ErrorAction Stop' }
        @{ Name = 'Invoke-ContainerCommand'; Script = 'Invoke-ContainerCommand host -Interactive -Tty -ErrorAction Stop -- true' }
    ) {
        Invoke-Without ($Script -creplace 'ROOT', $root) | Select-Object -First 1 | Should -BeLike 'InvalidArgument,*'
        Get-Container none* | Should -BeNullOrEmpty
    }

    # PowerShell has read a standard input that is no terminal itself by then: the program's has ended.
    It 'PowerShell''s own streams are the program''s with -Interactive' {
        Invoke-Without "Invoke-ContainerCommand host -Interactive -- sh -c 'cat; echo out; echo problem >&2; exit 4'" | Should -Be 'out', 'code 4'
        Get-Content "$($store.Folder)/errors" | Should -Be 'problem'
    }

    It 'an attached pipeline that ends leaves the program alone' {
        $null = New-Container ticking -RootfsPath $root -- sh -c 'while echo tick; do sleep 0.1; done' | Start-ContainerTask
        Connect-Container ticking | Select-Object -First 2 | Should -Be 'tick', 'tick'
        (Get-ContainerTask ticking).State | Should -Be 'Running'
        Remove-Container ticking -Force
    }

    It 'what excludes each other is refused' {
        Get-ErrorIdOf { Connect-Container host -Interactive -AsByteStream } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Connect-Container host -DetachKeys 'ctrl-a' } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Start-ContainerTask host -Interactive } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Invoke-Container -RootfsPath $root -DetachKeys 'ctrl-a' -- true } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Enter-Container host -DetachKeys 'ctrl-1' } | Should -Be 'InvalidArgument'
        Get-ErrorIdOf { Enter-Container nobody } | Should -Be 'ContainerNotFound'
    }
}
