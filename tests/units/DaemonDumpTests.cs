using Containers;
using Xunit;

namespace Containers.Tests.Units;

public sealed class DaemonDumpTests
{
    [Fact]
    public void Goroutines_are_read_one_by_one()
    {
        const string text = """
            SIGABRT: abort
            PC=0x46 m=0 sigcode=0

            goroutine 0 [idle]:
            runtime.futex()
            	/usr/lib/go/src/runtime/sys_linux_amd64.s:560 +0x21

            goroutine 1 [chan receive, 12 minutes, locked to thread]:
            main.main()
            	/build/main.go:7 +0x1f

            goroutine 77 gp=0xc000 m=nil [IO wait]:
            internal/poll.runtime_pollWait(0x7f, 0x72)
            created by net/http.(*Server).Serve
            rax    0xca

            goroutine x [select]:
            goroutine 5 without brackets:
            """;
        var found = ContainerGoroutine.Parse(text);
        Assert.Equal([0L, 1L, 77L], found.Select(one => one.Id));
        Assert.Equal(["idle", "chan receive", "IO wait"], found.Select(one => one.State));
        Assert.Equal([null, TimeSpan.FromMinutes(12), null], found.Select(one => one.Waiting));
        Assert.Equal(["main.main()", "/build/main.go:7 +0x1f"], found[1].Stack);
        Assert.Equal(3, found[2].Stack.Count);
        Assert.Empty(ContainerGoroutine.Parse(""));
    }
}
