using System.Diagnostics;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Containers.Tests.Units;

/// <summary>A process of a test's own, ended with it. It counts as started when it has written its first line.</summary>
sealed class TestChild : IDisposable
{
    readonly Process _process;

    public TestChild(string program, params string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.Environment["CONTAINERS_TEST"] = "one\ntwo = three";
        _process = Process.Start(start)!;
        Pid = _process.Id;
        FirstLine = _process.StandardOutput.ReadLine() ?? "";
    }

    /// <summary>Lives until its standard input is closed; reads it with a program whose file has the given name, which becomes its comm.</summary>
    public static TestChild Named(string folder, string name)
    {
        string file = Path.Combine(folder, name);
        // A copy could be "text file busy": a process that another test is just starting may hold it open for writing.
        File.CreateSymbolicLink(file, "/bin/cat");
        return new(file, "/proc/self/comm", "-");
    }

    public static TestChild Shell(string script, params string[] arguments) => new("/bin/sh", ["-c", script, "sh", .. arguments]);

    public int Pid { get; }

    public string FirstLine { get; }

    public static unsafe void WaitForEnd(SafeFileHandle pidfd)
    {
        pollfd poll = new() { fd = (int)pidfd.DangerousGetHandle(), events = Libc.POLLIN };
        if (Libc.poll(&poll, 1, 10_000) != 1)
            throw new TimeoutException("the process did not end within 10 s");
    }

    public void End()
    {
        _process.Kill();
        _process.WaitForExit();
    }

    public void Dispose()
    {
        End();
        _process.Dispose();
    }
}
