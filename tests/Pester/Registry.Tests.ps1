# Registries as a user types them, against Debian's docker-registry on a port of loopback that it chooses itself.

BeforeDiscovery {
    $skopeo = [bool](Get-Command skopeo -CommandType Application -ErrorAction Ignore)
    $without = if (-not (Get-Command docker-registry -CommandType Application -ErrorAction Ignore)) { 'no docker-registry on PATH' }
}

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $folder = $store.Folder
    $kept = $env:DOCKER_CONFIG, $env:REGISTRY_AUTH_FILE, $env:CONTAINERS_CERTS_DIR, $env:CONTAINERS_REGISTRIES_CONF
    $env:DOCKER_CONFIG = "$folder/docker"
    $env:REGISTRY_AUTH_FILE = $null
    $env:CONTAINERS_CERTS_DIR = "$folder/certs.d"
    $env:CONTAINERS_REGISTRIES_CONF = "$folder/registries.conf"

    # alice with s3cret-word, by bcrypt.
    Set-Content "$folder/htpasswd" 'alice:$2b$05$abcdefghijklmnopqrstuuEpHRRKIlpAGo.iP7Bpa.htQEJMAAnRe'
    $alice = [pscredential]::new('alice', (ConvertTo-SecureString 's3cret-word' -AsPlainText))
    $mallory = [pscredential]::new('mallory', (ConvertTo-SecureString 'another-word' -AsPlainText))

    if (Get-Command docker-registry -CommandType Application -ErrorAction Ignore) {
        $open = Start-Registry "$folder/open"
        $closed = Start-Registry "$folder/closed" "auth:`n  htpasswd:`n    realm: test`n    path: $folder/htpasswd"
        # An image that runs: what umoci and skopeo would make is not needed for that.
        tar -C $store.Rootfs -cf "$folder/busybox.tar" .
        $null = Import-ContainerImage -RootfsPath "$folder/busybox.tar" -Reference "$open/tools/busybox:1"
        Add-ContainerImageTag "$open/tools/busybox:1" "$closed/tools/busybox:1"
    }
}

AfterAll {
    Stop-Beside
    $env:DOCKER_CONFIG, $env:REGISTRY_AUTH_FILE, $env:CONTAINERS_CERTS_DIR, $env:CONTAINERS_REGISTRIES_CONF = $kept
    Get-ContainerImage -ErrorAction SilentlyContinue | Remove-ContainerImage -Force -ErrorAction SilentlyContinue
    Exit-TestStore
}

Describe 'A registry for everybody' -Skip:([bool] $without) {
    It 'takes an image and gives it back' {
        $pushed = Publish-ContainerImage "$open/tools/busybox:1" -PlainHttp
        $pushed | Should -BeOfType Containers.ContainerImagePush
        $pushed.Sent | Should -Be 2
        (Publish-ContainerImage "$open/tools/busybox:1" "$open/tools/busybox:2" -PlainHttp).Skipped | Should -Be 2
        Remove-ContainerImage "$open/tools/busybox:1"
        $image = Receive-ContainerImage "$open/tools/busybox:2" -PlainHttp
        $image | Should -BeOfType Containers.ContainerImage
        $image.Digest | Should -Be $pushed.Digest
        (Test-ContainerImage "$open/tools/busybox:2").IsComplete | Should -BeTrue
    }

    It 'gives skopeo what came from here, and gives us what came from skopeo' -Skip:(-not $skopeo) {
        $image = Receive-ContainerImage "$open/tools/busybox:2" -PlainHttp
        skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$open/tools/busybox:2" | Should -Be $image.Digest
        skopeo copy --quiet --src-tls-verify=false --dest-tls-verify=false "docker://$open/tools/busybox:2" "docker://$closed/skopeo/busybox:1" --dest-creds alice:s3cret-word
        $LASTEXITCODE | Should -Be 0
        # It compresses on its way, so that digests differ; what is in the layer does not.
        (Receive-ContainerImage "$closed/skopeo/busybox:1" -PlainHttp -Credential $alice).Layers.DiffId | Should -Be $image.Layers.DiffId
        Remove-ContainerImage "$closed/skopeo/busybox:1"
    }

    It 'tells what it has' {
        (Find-ContainerImage -Registry $open -PlainHttp).Repository | Should -Be 'tools/busybox'
        Find-ContainerImage -Registry $open 'other/*' -PlainHttp | Should -BeNullOrEmpty
        (Find-ContainerImage "$open/tools/busybox" -PlainHttp).Tag | Sort-Object | Should -Be '1', '2'
        (Find-ContainerImage -Registry $open -PlainHttp | Find-ContainerImage -PlainHttp | Receive-ContainerImage -PlainHttp -NoUnpack).Count | Should -Be 2
    }

    It 'is asked for an image that a container needs, and only then' {
        Remove-ContainerImage "$open/*" -Force
        Get-ErrorIdOf { Invoke-Container -Image "$open/tools/busybox:1" -Pull Never -Remove -ArgumentList true } | Should -Be 'ImageNotFound'
        Invoke-Container -Image "$open/tools/busybox:1" -PlainHttp -Remove -ArgumentList sh, -c, 'echo $HOME; exit 3' | Should -Be '/root'
        $LASTEXITCODE | Should -Be 3
        # Now it is here: nobody is asked, and http is not needed.
        Invoke-Container -Image "$open/tools/busybox:1" -Remove -ArgumentList echo, again | Should -Be 'again'
        $lines = Invoke-Container -Image "$open/tools/busybox:1" -Pull Always -PlainHttp -Remove -ArgumentList true -Verbose 4>&1
        $lines | Where-Object { "$_" -like "GET http://$open/v2/tools/busybox/manifests/1*" } | Should -HaveCount 1
        $lines | Where-Object { "$_" -like '*/blobs/*' } | Should -BeNullOrEmpty
    }

    It 'is not spoken to by -WhatIf' {
        Receive-ContainerImage "$open/tools/busybox:none" -WhatIf
        Publish-ContainerImage "$open/tools/busybox:1" "$open/tools/busybox:what" -WhatIf
        Remove-ContainerImage "$open/tools/busybox:1" -Remote -WhatIf
        (Find-ContainerImage "$open/tools/busybox" -PlainHttp).Tag | Sort-Object | Should -Be '1', '2'
    }

    It 'removes by digest, and the pipeline goes on after one that is not there' {
        $digest = (Receive-ContainerImage "$open/tools/busybox:1" -PlainHttp).Digest
        $errors = "$open/tools/busybox@sha256:$('0' * 64)", "$open/tools/busybox@$digest" | Remove-ContainerImage -Remote -PlainHttp -ErrorAction Continue 2>&1
        $errors.FullyQualifiedErrorId | Should -BeLike 'ImageNotFound,*'
        Get-ErrorIdOf { Receive-ContainerImage "$open/tools/busybox:1" -PlainHttp } | Should -Be 'ImageNotFound'
    }

    It 'is RegistryNotTrusted by https, which it does not speak' {
        Get-ErrorIdOf { Receive-ContainerImage "$open/tools/busybox:1" } | Should -Be 'RegistryNotTrusted'
    }

    It 'may be named by hosts.toml and by a short name' {
        $null = New-Item "$folder/certs.d/short.example" -ItemType Directory -Force
        Set-Content "$folder/certs.d/short.example/hosts.toml" "server = 'http://$open'"
        Set-Content "$folder/registries.conf" "[aliases]`n'tool' = 'short.example/team/tool'"
        Add-ContainerImageTag "$closed/tools/busybox:1" 'short.example/team/tool:1'
        $null = Publish-ContainerImage 'short.example/team/tool:1'
        Remove-ContainerImage 'short.example/team/tool:1'
        (Receive-ContainerImage tool:1).Reference | Should -Be 'short.example/team/tool:1'
        Invoke-Container -Image tool:1 -Pull Never -Remove -ArgumentList echo, short | Should -Be 'short'
    }
}

Describe 'A registry for some' -Skip:([bool] $without) {
    AfterEach { Disconnect-ContainerRegistry $closed }

    It 'is RegistryDenied for nobody and for others' {
        Get-ErrorIdOf { Publish-ContainerImage "$closed/tools/busybox:1" -PlainHttp } | Should -Be 'RegistryDenied'
        $record = Get-ErrorOf { Publish-ContainerImage "$closed/tools/busybox:1" -PlainHttp -Credential $mallory }
        $record.FullyQualifiedErrorId | Should -BeLike 'RegistryDenied,*'
        $record.CategoryInfo.Category | Should -Be 'PermissionDenied'
        $record.ErrorDetails.RecommendedAction | Should -Be 'Connect-ContainerRegistry'
        "$($record | Format-List * -Force | Out-String)" | Should -Not -Match 'another-word'
    }

    It 'takes credentials once' {
        (Publish-ContainerImage "$closed/tools/busybox:1" -PlainHttp -Credential $alice).Reference | Should -Be "$closed/tools/busybox:1"
        Test-Path "$folder/docker/config.json" | Should -BeFalse
    }

    It 'is connected to, and that is kept for oneself alone' {
        Get-ErrorIdOf { Connect-ContainerRegistry $closed -Credential $mallory -PlainHttp } | Should -Be 'RegistryDenied'
        Connect-ContainerRegistry $closed -Credential $alice -PlainHttp -WhatIf
        Test-Path "$folder/docker/config.json" | Should -BeFalse
        $registry = Connect-ContainerRegistry $closed -Credential $alice -PlainHttp -PassThru
        $registry.UserName | Should -Be 'alice'
        $registry.StoredIn | Should -Be "$folder/docker/config.json"
        (Get-Item "$folder/docker/config.json").UnixFileMode.ToString() | Should -Be 'UserWrite, UserRead'
        $lines = Publish-ContainerImage "$closed/tools/busybox:1" "$closed/tools/busybox:2" -PlainHttp -Verbose 4>&1
        $lines | Where-Object { $_ -is [System.Management.Automation.VerboseRecord] } | Should -Not -BeNullOrEmpty
        "$lines" | Should -Not -Match 's3cret-word|Basic|YWxpY2U6'
        (TabExpansion2 "Disconnect-ContainerRegistry " -cursorColumn 29).CompletionMatches.CompletionText | Should -Contain $closed
        Disconnect-ContainerRegistry $closed
        Get-ErrorIdOf { Find-ContainerImage "$closed/tools/busybox" -PlainHttp } | Should -Be 'RegistryDenied'
    }
}

Describe 'How far it is' -Skip:([bool] $without) {
    BeforeAll {
        # Layers that no other image here has: what is there already is not fetched.
        Set-Content "$($store.Rootfs)/etc/far" far
        $null = Import-ContainerImage -RootfsPath $store.Rootfs -Reference first:1
        Invoke-Container second -Image first:1 -- sh -c 'head -c 3000000 /dev/urandom >/var/noise'
        $image = New-ContainerImage second "$open/far/image:1"
        Remove-Container second
        Export-ContainerImage "$open/far/image:1" "$folder/far" -Directory

        # In a runspace of its own, which keeps its progress as objects.
        function Get-Progress([string] $Script) {
            $shell = [powershell]::Create()
            try {
                $null = $shell.AddScript("Import-Module '$(Get-ModulePath)'; $Script").Invoke()
                "$($shell.Streams.Error)" | Should -BeNullOrEmpty
                $shell.Streams.Progress | Where-Object ActivityId -GE 1000
            }
            finally { $shell.Dispose() }
        }

        # Each layer has activities of its own below that of all; all of them end.
        function Assert-Progress($Record, [string[]] $Activity) {
            $own = $Record | Where-Object StatusDescription -In $image.Layers.Digest
            foreach ($layer in $image.Layers.Digest) { ($own | Where-Object { $_.StatusDescription -eq $layer -and $_.RecordType -eq 'Completed' }).Activity | Should -Be $Activity }
            $own | Group-Object ActivityId | Should -HaveCount ($image.Layers.Count * $Activity.Count)
            $own.ParentActivityId | Select-Object -Unique | Should -Be 1000
            $own.PercentComplete | Where-Object { $_ -lt -1 -or $_ -gt 100 } | Should -BeNullOrEmpty
            $all = @($Record | Where-Object ActivityId -EQ 1000)
            $all[-1].RecordType | Should -Be Completed
            $all[-2].StatusDescription | Should -Match '^([1-9]\d*) of \1 done$'
        }
    }

    It 'is shown for each layer of a push' {
        Assert-Progress (Get-Progress "Publish-ContainerImage '$open/far/image:1' -PlainHttp") Uploading
    }

    It 'is shown for each layer of a pull' {
        Remove-ContainerImage "$open/far/image:1", first:1
        Assert-Progress (Get-Progress "Receive-ContainerImage '$open/far/image:1' -PlainHttp") Downloading, Unpacking
    }

    It 'is shown for each layer of an import' {
        Remove-ContainerImage "$open/far/image:1"
        Assert-Progress (Get-Progress "Import-ContainerImage '$folder/far'") Reading, Unpacking
        Remove-ContainerImage "$open/far/image:1"
    }
}

Describe 'What is refused before anybody is asked' {
    It 'is <Id> for <What>' -ForEach @(
        @{ What = 'no name of an image'; Id = 'InvalidReference'; Do = { Receive-ContainerImage 'A B' } }
        @{ What = 'one platform and all'; Id = 'InvalidArgument'; Do = { Receive-ContainerImage a.example/b -Platform linux/arm64 -AllPlatforms } }
        @{ What = 'no registry'; Id = 'InvalidReference'; Do = { Connect-ContainerRegistry word -Credential ([pscredential]::new('a', (ConvertTo-SecureString b -AsPlainText))) } }
        @{ What = 'a list of nothing'; Id = 'InvalidArgument'; Do = { Find-ContainerImage } }
        @{ What = 'a type without referrers'; Id = 'InvalidArgument'; Do = { Find-ContainerImage a.example/b -ArtifactType x } }
        @{ What = 'an image that is not there'; Id = 'ImageNotFound'; Do = { Publish-ContainerImage a.example/nothere } }
        @{ What = 'a blocked registry'; Id = 'RegistryBlocked'; Do = { Set-Content $env:CONTAINERS_REGISTRIES_CONF "[[registry]]`nlocation = 'bad.example'`nblocked = true"; Receive-ContainerImage bad.example/a } }
    ) { Get-ErrorIdOf $Do | Should -Be $Id }
}
