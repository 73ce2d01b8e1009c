# What passes through a program: bytes stay bytes, long lines whole, and whoever breaks off leaves nothing.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    $size = ($env:CONTAINERS_TEST_LONG ? 64 : 6) * 1MB
    $random = [byte[]]::new($size)
    [System.Random]::new(7).NextBytes($random)
    [System.IO.File]::WriteAllBytes("$($store.Folder)/random", $random)
    $hash = (Get-FileHash "$($store.Folder)/random").Hash
}

AfterAll { Exit-TestStore }

Describe 'Random bytes' {
    It 'come back from cat as they went in: <Name>' -ForEach @(
        @{ Name = 'in one piece'; Pieces = 1 }
        @{ Name = 'in many'; Pieces = 97 }
    ) {
        $out = [System.IO.File]::Create("$($store.Folder)/out")
        try {
            & {
                $piece = [int][Math]::Ceiling($random.Length / $Pieces)
                for ($at = 0; $at -lt $random.Length; $at += $piece) {
                    , [byte[]] [ArraySegment[byte]]::new($random, $at, [Math]::Min($piece, $random.Length - $at)).ToArray()
                }
            } | Invoke-Container -RootfsPath $root -Remove -LogUri none: -AsByteStream -- cat | ForEach-Object { $out.Write($_, 0, $_.Length) }
        }
        finally { $out.Dispose() }
        $LASTEXITCODE | Should -Be 0
        (Get-FileHash "$($store.Folder)/out").Hash | Should -Be $hash
    }

    It 'pass from file to file' {
        Invoke-Container -RootfsPath $root -Remove -RedirectStandardInput "$($store.Folder)/random" -RedirectStandardOutput "$($store.Folder)/copy" -- cat | Should -BeNullOrEmpty
        (Get-FileHash "$($store.Folder)/copy").Hash | Should -Be $hash
    }

    It 'pass through a further program''s files' {
        $null = Start-Sleeper host $root
        Invoke-ContainerCommand host -RedirectStandardInput "$($store.Folder)/random" -RedirectStandardOutput "$($store.Folder)/exec" -- cat
        (Get-FileHash "$($store.Folder)/exec").Hash | Should -Be $hash
        Remove-Container host -Force
    }
}

Describe 'Text' {
    It 'has lines of a megabyte whole, on the pipeline and in the log' {
        $line = Invoke-Container wide -RootfsPath $root -- sh -c 'head -c 1000000 /dev/zero | tr "\0" x; echo; echo short'
        ($line | ForEach-Object Length) | Should -Be 1000000, 5
        ((Get-ContainerLog wide).Text | ForEach-Object Length) | Should -Be 1000000, 5
        Remove-Container wide
        ('y' * 1000000) | Invoke-Container -RootfsPath $root -Remove -- sh -c 'wc -c' | Should -Be '1000001'
    }

    It 'that is no UTF-8 is kept in files and replaced in strings' {
        $script = 'printf "a\377b\n"'
        Invoke-Container odd -RootfsPath $root -- sh -c $script | Should -Be "a`u{FFFD}b"
        (Get-ContainerLog odd).Text | Should -Be "a`u{FFFD}b"
        [System.IO.File]::ReadAllBytes((Get-Container odd).LogPath)[-4..-1] | Should -Be 97, 255, 98, 10
        Remove-Container odd
        Invoke-Container -RootfsPath $root -Remove -RedirectStandardOutput "$($store.Folder)/odd" -- sh -c $script
        [System.IO.File]::ReadAllBytes("$($store.Folder)/odd") | Should -Be 97, 255, 98, 10
        Invoke-Container -RootfsPath $root -Remove -AsByteStream -- sh -c $script | ForEach-Object { $_ } | Should -Be 97, 255, 98, 10
    }

    It 'of both streams stands in the log in the order in which it came' {
        # Two pipes: what lies in both while the shim is kept from running has no order any more. So it is tried again then.
        foreach ($attempt in 1..5) {
            Invoke-Container order -RootfsPath $root -- sh -c 'for i in 1 2 3; do echo out $i; sleep 0.2; echo err $i >&2; sleep 0.2; done' 6>$null | Out-Null
            $seen = (Get-ContainerLog order).Text
            Remove-Container order
            if ("$seen" -eq 'out 1 err 1 out 2 err 2 out 3 err 3') { break }
        }
        $seen | Should -Be 'out 1', 'err 1', 'out 2', 'err 2', 'out 3', 'err 3'
    }
}

Describe 'A pipeline that is stopped' {
    It 'in the middle of <Name> leaves nothing' -ForEach @(
        @{ Name = 'output'; Script = '"x" | Out-Null; Invoke-Container stopped -RootfsPath ROOT -Remove -- yes | Out-Null' }
        @{ Name = 'input'; Script = '& { while ($true) { "x" } } | Invoke-Container stopped -RootfsPath ROOT -Remove -- sleep 1000' }
        @{ Name = 'silence'; Script = 'Invoke-Container stopped -RootfsPath ROOT -Remove -- sleep 1000' }
    ) {
        $shell = [powershell]::Create().AddScript("Import-Module '$(Get-ModulePath)'; $($Script -creplace 'ROOT', $root)")
        $null = $shell.BeginInvoke()
        Wait-Until { (Get-Container stopped -ErrorAction Ignore).State -eq 'Running' }
        $shell.Stop()
        $shell.Dispose()
        Wait-Until { -not (Get-Container stopped* -ErrorAction Ignore) } 'the container is gone'
    }
}
