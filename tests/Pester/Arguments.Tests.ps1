# Arguments as the program itself sees them, read back from the kernel, whatever way they were given.

BeforeDiscovery {
    $words = @(
        @{ Name = 'an empty one'; Words = @('') }
        @{ Name = 'empty ones around another'; Words = @('', 'a', '') }
        @{ Name = 'blanks'; Words = @('two  words', ' leading', 'trailing ', "`t") }
        @{ Name = 'quotes of both kinds'; Words = @("it's", '"quoted"', "'single'", "it's `"both`"") }
        @{ Name = 'backslashes'; Words = @('\', '\\', '\"', 'a\b', 'end\') }
        @{ Name = 'what shells expand'; Words = @('$HOME', '*', '~', '`id`', '$(id)', '{a,b}', '!x', 'a;b', 'a&b', 'a|b', '>f') }
        @{ Name = 'what PowerShell expands'; Words = @('$env:PATH', '@(1)', '$_', '%', '?', '#x') }
        @{ Name = 'what looks like parameters'; Words = @('-Tty', '-v', '--', '-', '--verbose=1', '-Id:x', '/?') }
        @{ Name = 'line feeds'; Words = @("a`nb", "`n", "a`r`nb") }
        @{ Name = 'other scripts'; Words = @('größer', '日本語', '🐧', "e`u{301}") }
        @{ Name = 'a long one'; Words = @('x' * 100000) }
        @{ Name = 'many'; Words = @(1..2000 | ForEach-Object { "word $_" }) }
    )
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $null = Start-Sleeper web $root
    Set-Content "$root/tmp/f" "foo`nbar`n-v`nfoo bar"

    # A program that prints its own arguments as the kernel keeps them, each ended by NUL.
    $show = 'sh', '-c', 'cat /proc/$$/cmdline; :', 'sh'
    function Get-Shown($Chunks) {
        $all = [Text.Encoding]::UTF8.GetString([byte[]] ($Chunks | ForEach-Object { $_ }))
        # The last NUL ends the last word; the first four are the shell's.
        $all.Substring(0, $all.Length - 1).Split("`0") | Select-Object -Skip 4
    }
}

AfterAll { Exit-TestStore }

Describe 'Invoke-ContainerCommand gives <Name>' -ForEach $words {
    It 'after --' {
        Get-Shown (Invoke-ContainerCommand web -AsByteStream -- sh -c 'cat /proc/$$/cmdline; :' sh $Words) | Should -BeExactly $Words
        $LASTEXITCODE | Should -Be 0
    }

    It 'by -ArgumentList' {
        Get-Shown (Invoke-ContainerCommand web -AsByteStream -ArgumentList ($show + $Words)) | Should -BeExactly $Words
    }

    It 'to a container from the pipeline, splatted' {
        $given = @{ ArgumentList = $show + $Words; AsByteStream = $true }
        Get-Shown (Get-Container web | Invoke-ContainerCommand @given) | Should -BeExactly $Words
    }
}

Describe 'A container''s own program gets <Name>' -ForEach $words {
    It 'by Invoke-Container' {
        Get-Shown (Invoke-Container -RootfsPath $root -Remove -AsByteStream -- sh -c 'cat /proc/$$/cmdline; :' sh $Words) | Should -BeExactly $Words
    }

    It 'by New-Container and a start, over the store' {
        $null = New-Container kept -RootfsPath $root -RedirectStandardOutput "$($store.Folder)/out" -ArgumentList ($show + $Words)
        try {
            (Start-ContainerTask kept -PassThru | Wait-ContainerTask -TimeoutSec 60).ExitCode | Should -Be 0
            Get-Shown ([IO.File]::ReadAllBytes("$($store.Folder)/out")) | Should -BeExactly $Words
        }
        finally { Remove-Container kept -Force }
    }
}

Describe 'Lines as a person types them' {
    It 'web -- grep -v foo f' {
        Invoke-ContainerCommand web -- grep -v foo /tmp/f | Should -Be 'bar', '-v'
        $LASTEXITCODE | Should -Be 0
    }

    It 'web -- grep -e -v f' {
        Invoke-ContainerCommand web -- grep -e -v /tmp/f | Should -Be '-v'
    }

    It '-ArgumentList chmod,''0755'',f' {
        Invoke-ContainerCommand web -ArgumentList chmod, '0755', /tmp/f
        (Get-Item "$root/tmp/f").UnixFileMode.value__ | Should -Be 0x1ed
        Invoke-ContainerCommand web -ArgumentList chmod, '0600', /tmp/f
        (Get-Item "$root/tmp/f").UnixFileMode.value__ | Should -Be 0x180
    }

    It 'a bare number keeps its text: <Line>' -ForEach @(
        @{ Line = 'web -- echo 0755'; Is = '0755' }
        @{ Line = 'web -- echo 1.50'; Is = '1.50' }
        @{ Line = 'web -- echo 1e3'; Is = '1e3' }
        @{ Line = 'web -- echo 0x10'; Is = '0x10' }
        @{ Line = 'web -- echo 1KB'; Is = '1KB' }
        @{ Line = 'web -- echo -1'; Is = '-1' }
        @{ Line = 'web -- echo 00'; Is = '00' }
    ) {
        Invoke-Expression "Invoke-ContainerCommand $Line" | Should -BeExactly $Is
    }

    It 'a comma makes one list of words, a quoted one stays: <Line>' -ForEach @(
        @{ Line = "web -- printf '[%s]' a,b"; Is = '[a][b]' }
        @{ Line = "web -- printf '[%s]' 'a,b'"; Is = '[a,b]' }
        @{ Line = "web -- printf '[%s]' (1..3)"; Is = '[1][2][3]' }
        @{ Line = "web -- printf '[%s]' `$true"; Is = '[True]' }
        @{ Line = "web -- printf '[%s]' `$null"; Is = '[]' }
    ) {
        Invoke-Expression "Invoke-ContainerCommand $Line" | Should -BeExactly $Is
    }

    It 'what was typed without a blank is one word: <Line>' -ForEach @(
        @{ Line = 'a=b -x:y --z'; Is = '[a=b][-x:y][--z]' }
        @{ Line = '-v:/a:/b:ro -I./include -l:libx.a'; Is = '[-v:/a:/b:ro][-I./include][-l:libx.a]' }
        @{ Line = '-x.y.z -p:0080:80'; Is = '[-x.y.z][-p:0080:80]' }
        @{ Line = '-n:05 -x: y -x:"a b"'; Is = '[-n:05][-x:][y][-x:a b]' }
        @{ Line = '-v:$text @list -v:/c'; Is = '[-v:a b c][a b][c][-v:/c]' }
        @{ Line = '@list -x:y $list -z:(1 + 1)'; Is = '[a b][c][-x:y][a b][c][-z:2]' }
    ) {
        $list = 'a b', 'c'
        $text = 'a b c'
        $null = $list, $text # for the line
        Invoke-Expression "Invoke-ContainerCommand web -- printf '[%s]' $Line" | Should -BeExactly $Is
        Invoke-Expression "(New-Container -RootfsPath '$root' -- printf $Line).Spec.Process.Args" | Select-Object -Skip 1 | ForEach-Object { "[$_]" } | Join-String | Should -BeExactly $Is
        Get-Container -Id '????????*' | Remove-Container
    }

    It 'a variable with several words is several arguments, a text is one' {
        $list = 'a b', 'c'
        $text = 'a b c'
        Invoke-ContainerCommand web -- printf '[%s]' $list $text | Should -BeExactly '[a b][c][a b c]'
    }

    It 'an environment of any text arrives' {
        $variables = @{ QUOTES = "it's `"x`""; LINES = "a`nb"; EMPTY = ''; EQUALS = 'a=b=c'; WIDE = '日本' }
        $result = Invoke-ContainerCommand web -PassThru -Environment $variables -- cat /proc/self/environ
        $seen = $result.StandardOutput.TrimEnd("`0").Split("`0")
        foreach ($name in $variables.Keys) { $seen | Should -Contain "$name=$($variables[$name])" }
    }

    It 'nothing of the caller''s environment does' {
        $env:PESTER_SECRET = 'caller'
        try { Invoke-ContainerCommand web -- env | Should -Not -Match 'PESTER_SECRET|CONTAINERS_' }
        finally { Remove-Item env:PESTER_SECRET }
    }
}
