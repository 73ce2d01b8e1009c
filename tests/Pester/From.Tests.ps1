# docs/from-*.md: each right side is run, in order. What a page takes for granted is made here.

BeforeDiscovery {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $registry = [bool](Get-Command docker-registry -CommandType Application -ErrorAction Ignore)
    $pages = foreach ($name in 'ctr', 'docker', 'crictl', 'runc') {
        $number = 0
        # A row's right cell: commands between backquotes, a pipe as \|.
        $rows = foreach ($line in Get-Content "$PSScriptRoot/../../docs/from-$name.md") {
            if ($line -notmatch '^\| (?!---)' -or $line -match '^\| (ctr|docker|crictl|runc) \| here \|') { continue }
            $cells = $line -replace '\\\|', "`0" -split ' \| '
            @{ Number = ++$number; Theirs = $cells[0].Substring(2) -replace "`0", '|' -replace '`'; Ours = [regex]::Matches($cells[1], '`([^`]+)`').ForEach{ $_.Groups[1].Value -replace "`0", '|' } }
        }
        @{ Page = $name; Rows = $rows; Network = "$(Get-Content "$PSScriptRoot/../../docs/from-$name.md" -Raw)".Contains('localhost:5000') }
    }
}

Describe 'docs/from-<Page>.md' -ForEach $pages {
    BeforeAll {
        Import-Module "$PSScriptRoot/Common.psm1" -Force
        $store = Enter-TestStore
        $registry = [bool](Get-Command docker-registry -CommandType Application -ErrorAction Ignore)
        $null = New-Item "$($store.Folder)/work/site", "$($store.Folder)/work/mnt", "$($store.Folder)/work/bundle/rootfs" -ItemType Directory
        Push-Location "$($store.Folder)/work"
        Set-Content ./site/index.html '<p>hello</p>'
        Set-Content ./vars 'B=2'
        $env:DOCKER_CONFIG = "$($store.Folder)/docker"
        $credential = [pscredential]::new('admin', (ConvertTo-SecureString 'pw' -AsPlainText -Force))
        function New-TestImage([string] $Name, [hashtable] $How) {
            $null = New-Container make -Image flat:0 -ArgumentList true
            $null = New-ContainerImage make $Name @How
            Remove-Container make
        }
        $null = Import-ContainerImage -RootfsPath $store.Rootfs -Reference flat:0
        New-TestImage docker.io/library/busybox:latest @{ ArgumentList = 'sh' }
        New-TestImage docker.io/library/nginx:latest @{ ArgumentList = 'sh', '-c', 'mkdir -p /srv; echo ready; while :; do sleep 0.1; done' }
        New-TestImage docker.io/library/listing:latest @{ Entrypoint = 'ls'; ArgumentList = '/'; WorkingDirectory = '/etc' }
        Remove-ContainerImage flat:0
        Export-ContainerImage busybox ./k8s.tar
        $null = Import-ContainerImage ./k8s.tar -ContainerNamespace k8s.io
        Remove-Item ./k8s.tar
        if ($Page -eq 'runc') { New-TestBundle ./bundle sleep, 1000 }
        $address = if ($registry -and $Network) { Start-Registry "$($store.Folder)/registry" }
        if ($address -and $Page -eq 'crictl') { $null = Publish-ContainerImage busybox "$address/busybox:mine" -PlainHttp }
    }

    AfterAll {
        Pop-Location
        $env:DOCKER_CONFIG = $null
        foreach ($tenant in 'k8s.io', 'moby', 'team') { Get-ContainerNamespace $tenant -ErrorAction Ignore | Remove-ContainerNamespace -Force -Confirm:$false }
        Stop-Beside
        Exit-TestStore
    }

    It 'line <Number>: <Theirs>' -ForEach $Rows {
        foreach ($code in $Ours) {
            if ($code.Contains('localhost:5000') -and -not $address) { Set-ItResult -Skipped -Because 'there is no docker-registry'; return }
            $code = $code.Replace('localhost:5000', $address)
            # Once for the shape, which has to be PowerShell, and once for what it does; nothing may be an error on the way.
            $ErrorActionPreference = 'Stop'
            { . ([scriptblock]::Create($code)) 6>$null } | Should -Not -Throw -Because $code
        }
    }

    It 'has named every line' { $Rows.Count | Should -BeGreaterThan 12 }
}
