# What is told of a shim that is stuck, or gone.

BeforeAll {
    Import-Module "$PSScriptRoot/Common.psm1" -Force
    $store = Enter-TestStore
    $task = Start-Sleeper web $store.Rootfs
}

AfterAll { Exit-TestStore }

Describe 'Debug-ContainerShim' {
    It 'tells what the shim says, and what /proc says of it and of the task' {
        $null = Invoke-ContainerCommand web -Detach -ExecId side -- sleep 1000
        $dump = Debug-ContainerShim web
        $dump.ContainerId, $dump.State, $dump.ShimProcessId | Should -Be 'web', 'Running', $task.ShimProcessId
        $dump.Inside.State | Should -Be 'running'
        # The one that asks.
        $dump.Inside.Connections.Count | Should -Be 1
        $dump.Inside.Processes.Id | Should -Be 'init', 'side'
        $dump.Unanswered | Should -BeNullOrEmpty
        $dump.Threads[0].ProcessId | Should -Be $task.ShimProcessId
        $dump.Descriptors[0] | Should -Be '/dev/null'
        $dump.Descriptors.Values | Should -Contain "$env:CONTAINERS_RUN/$($store.Mark)/web/shim.log"
        $init = $dump.Processes | Where-Object ProcessId -eq $task.ProcessId
        $init.Name, $init.State | Should -Be 'sleep', 'S'
        $init.WaitChannel | Should -Match 'nanosleep'
        $init.Stack[0] | Should -Match 'nanosleep'
    }

    It 'tells of a shim that does not answer' {
        /bin/kill -STOP $task.ShimProcessId
        try {
            $dump = Debug-ContainerShim web
            $dump.Inside | Should -BeNullOrEmpty
            $dump.Unanswered | Should -Not -BeNullOrEmpty
            ($dump.Threads | Where-Object ThreadId -eq $task.ShimProcessId).State | Should -Be 'T'
            $dump.Processes.ProcessId | Should -Contain $task.ProcessId
        }
        finally { /bin/kill -CONT $task.ShimProcessId }
        (Debug-ContainerShim web).Inside.State | Should -Be 'running'
    }

    It 'tells of a task whose shim is gone' {
        /bin/kill -KILL $task.ShimProcessId
        Wait-Until { $null -eq (Get-ContainerTask web).ShimProcessId } 'the end of the shim'
        $dump = Debug-ContainerShim web
        $dump.ShimProcessId | Should -BeNullOrEmpty
        $dump.Inside | Should -BeNullOrEmpty
        $dump.Threads | Should -BeNullOrEmpty
        $dump.Processes.ProcessId | Should -Contain $task.ProcessId
        Get-ErrorIdOf { Debug-ContainerShim nobody } | Should -Be 'ContainerNotFound'
    }
}
