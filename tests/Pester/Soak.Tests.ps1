# Half a minute of what ./bootstrap.sh soak does for ten.

Describe 'Random verbs, random kills' {
    It 'give no error and no lie, and leave nothing' -Skip:(-not $env:CONTAINERS_TEST_LONG) {
        $said = & (Get-Process -Id $PID).Path -NoProfile -NonInteractive -File "$PSScriptRoot/../soak/soak.ps1" -Seconds 30
        $LASTEXITCODE | Should -Be 0 -Because ($said -join "`n")
    }
}
