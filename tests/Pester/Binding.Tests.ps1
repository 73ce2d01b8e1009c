# How what is typed becomes what a program gets.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $root = $store.Rootfs
    function Get-Made { (Get-Container | Sort-Object CreatedAt -Descending | Select-Object -First 1).Spec.Process.Args }
}

AfterAll { Exit-TestStore }

Describe 'Arguments of New-Container' {
    AfterEach { Get-Container | Remove-Container }

    It 'come after --, as they were typed' {
        (New-Container -RootfsPath $root -- grep -v foo f).Spec.Process.Args | Should -Be 'grep', '-v', 'foo', 'f'
    }

    It 'leave the id before -- alone' {
        $container = New-Container web -RootfsPath $root -- grep -v foo f
        $container.Id | Should -Be 'web'
        $container.Spec.Process.Args | Should -Be 'grep', '-v', 'foo', 'f'
    }

    It 'leave the id alone where the parameters are splatted' {
        $given = @{ RootfsPath = $root }
        $container = New-Container @given -- echo hello
        $container.Spec.Process.Args | Should -Be 'echo', 'hello'
        $named = @{ RootfsPath = $root; Id = 'named' }
        $container = New-Container @named -- echo hello
        $container.Id | Should -Be 'named'
        $container.Spec.Process.Args | Should -Be 'echo', 'hello'
    }

    It 'keep blanks, quotes, empty ones and stars' {
        $words = 'two  words', '', "it's `"quoted`"", '*', '$HOME', "a`nb", '--', '-x'
        (New-Container -RootfsPath $root -ArgumentList $words).Spec.Process.Args | Should -Be $words
        (New-Container -RootfsPath $root -- echo $words).Spec.Process.Args | Should -Be (@('echo') + $words)
    }

    It 'keep the text of numbers' {
        (New-Container -RootfsPath $root -- chmod 0755 f).Spec.Process.Args | Should -Be 'chmod', '0755', 'f'
        (New-Container -RootfsPath $root -ArgumentList chmod, '0755', f).Spec.Process.Args | Should -Be 'chmod', '0755', 'f'
        (New-Container -RootfsPath $root -ArgumentList sleep, 1000).Spec.Process.Args | Should -Be 'sleep', '1000'
    }

    It 'are the same whatever the culture' {
        Invoke-FreshPwsh "[cultureinfo]::CurrentCulture = 'de-DE'; (New-ContainerSpec -ArgumentList sleep, 1.5).Process.Args[1]" | Should -Be '1.5'
    }

    It 'follow -Entrypoint' {
        (New-Container -RootfsPath $root -Entrypoint /bin/sh, -c -ArgumentList 'echo hi').Spec.Process.Args | Should -Be '/bin/sh', '-c', 'echo hi'
        (New-Container -RootfsPath $root -Entrypoint @() -ArgumentList echo, hi).Spec.Process.Args | Should -Be 'echo', 'hi'
    }
}

Describe 'Ids' {
    BeforeAll {
        foreach ($id in 'a-1', 'a-2', 'b-1') { $null = New-Container $id -RootfsPath $root -ArgumentList true -Label @{ first = $id[0] } }
    }
    AfterAll { Get-Container | Remove-Container }

    It 'are all without any' { (Get-Container).Id | Should -Be 'a-1', 'a-2', 'b-1' }
    It 'take wildcards' { (Get-Container a-*).Id | Should -Be 'a-1', 'a-2' }
    It 'come in a list' { (Get-Container a-1, b-1).Id | Should -Be 'a-1', 'b-1' }
    It 'come down the pipeline as text' { ('a-1', 'b-*' | Get-Container).Id | Should -Be 'a-1', 'b-1' }
    It 'come down the pipeline as objects' { (Get-Container a-* | Get-Container).Id | Should -Be 'a-1', 'a-2' }
    It 'come by the property Id' { ([pscustomobject]@{ Id = 'a-2' } | Get-Container).Id | Should -Be 'a-2' }
    It 'come by the property ContainerId' { ([pscustomobject]@{ ContainerId = 'b-1' } | Get-Container).Id | Should -Be 'b-1' }
    It 'are taken by -ContainerId too' { (Get-Container -ContainerId a-1).Id | Should -Be 'a-1' }
    It 'are selected by label' { (Get-Container -Label @{ first = 'a' }).Id | Should -Be 'a-1', 'a-2' }
    It 'are selected by a pattern of a label' { (Get-Container -Label @{ first = '[bc]' }).Id | Should -Be 'b-1' }
    It 'are nothing where a wildcard matches nothing' { Get-Container nothing-* -ErrorAction Stop | Should -BeNullOrEmpty }

    It 'that are wrong are one error each, and the others go on' {
        $found = Get-Container a-1, missing, b-1, gone -ErrorVariable problems -ErrorAction SilentlyContinue
        $found.Id | Should -Be 'a-1', 'b-1'
        $problems.Count | Should -Be 2
        $problems.TargetObject | Should -Be 'missing', 'gone'
        $problems[0].FullyQualifiedErrorId | Should -Be 'ContainerNotFound,Containers.Cmdlets.GetContainerCommand'
    }

    It 'of another container namespace are not seen' {
        $other = "$($store.Mark)-other"
        $null = New-Container a-1 -RootfsPath $root -ArgumentList true -ContainerNamespace $other
        try {
            (Get-Container -ContainerNamespace $other).Id | Should -Be 'a-1'
            (Get-Container -ContainerNamespace $other | Get-Container).ContainerNamespace | Should -Be $other
            (Get-Container).Count | Should -Be 3
        }
        finally { Get-Container -ContainerNamespace $other | Remove-Container }
    }
}

Describe 'Completion' {
    BeforeAll {
        foreach ($id in 'web-1', 'web-2') { $null = New-Container $id -RootfsPath $root -ArgumentList true }
        function Get-Completion([string] $Line) { (TabExpansion2 $Line $Line.Length).CompletionMatches.CompletionText }
    }
    AfterAll { Get-Container | Remove-Container }

    It 'offers ids' { Get-Completion 'Get-Container w' | Should -Be 'web-1', 'web-2' }
    It 'offers ids of acting cmdlets' { Get-Completion 'Remove-Container -Id web-' | Should -Be 'web-1', 'web-2' }
    It 'offers networks with containers' { Get-Completion 'New-Container -Network container:' | Should -Be 'container:web-1', 'container:web-2' }
    It 'offers signals' { Get-Completion 'Send-ContainerSignal web-1 -Signal us' | Should -Be 'USR1', 'USR2' }
    It 'offers profiles' { Get-Completion 'New-Container -SeccompProfile unc' | Should -Contain 'unconfined' }
    It 'offers capabilities' { Get-Completion 'New-Container -AddCapability net_b' | Should -Contain 'NET_BIND_SERVICE' }
    It 'offers runtimes' { Get-Completion 'New-Container -Runtime ps' | Should -Be 'psrun' }
    It 'offers container namespaces' { Get-Completion "Get-Container -ContainerNamespace $($store.Mark.Substring(0, 10))" | Should -Contain $store.Mark }
    It 'offers the values of enums' { Get-Completion 'Get-Namespace -Type ne' | Should -Contain 'Net' }
}
