using System.Text;
using Containers;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>
/// A newer module and shims that run since before its upgrade. shims/version1.txt is what the first shim that ran psrun said and wrote, recorded from that program; it is never
/// changed. The other direction, old clients and a new shim, is with the shim's own tests.
/// </summary>
public sealed class EngineOldShimTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose()
    {
        // No task is left by then: what the fixture removes, it ends first.
        if (Directory.Exists(RunFolder("web"))) { Directory.Delete(RunFolder("web"), recursive: true); }
        f.Dispose();
    }

    string RunFolder(string id) => Path.Combine(f.Options.RunRoot, f.Options.ContainerNamespace, id);

    async Task<OldShim> Shim(string policy = "no")
    {
        var options = f.Plain("web");
        options.RestartPolicy = policy;
        options.LogUri = "none:";
        await f.Engine.Containers.CreateAsync(options, f.Limit);
        Directory.CreateDirectory(f.Options.RunRoot, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return new OldShim(RunFolder("web"), "version1.txt");
    }

    [Fact]
    public async Task Everything_that_the_old_shim_could_do_is_done()
    {
        using var shim = await Shim();
        shim.Put("created", "task.json");
        shim.Asked = op =>
        {
            if (op == "start") { shim.Put("running", "task.json"); }
        };
        Assert.Equal(ContainerTaskState.Created, f.Engine.Tasks.Get("web").State);
        using var attachment = await f.Engine.Tasks.AttachAsync("web", stdin: true, cancel: f.Limit);
        var started = await f.Engine.Tasks.StartAsync("web", cancel: f.Limit);
        Assert.Equal((ContainerTaskState.Running, shim.Program, shim.Shim), (started.State, started.ProcessId!.Value, started.ShimProcessId!.Value));
        // What it does not write has the value of before.
        Assert.Equal((0, null), (started.RestartCount, started.Health));

        await f.Engine.Tasks.PauseAsync("web", cancel: f.Limit);
        await Refused(ErrorIds.TaskPaused, f.Engine.Tasks.PauseAsync("web", cancel: f.Limit));
        await Refused(ErrorIds.TaskPaused, Exec("e0"));
        await f.Engine.Tasks.ResumeAsync("web", cancel: f.Limit);
        await Refused(ErrorIds.TaskNotPaused, f.Engine.Tasks.ResumeAsync("web", cancel: f.Limit));
        await f.Engine.Tasks.SignalAsync("web", 28, cancel: f.Limit);

        using (var exec = await Exec("e1"))
        {
            Assert.Equal(("inside\n", "problem\n"), await ReadAll(exec));
            Assert.Equal(6, exec.Result!.ExitCode);
        }
        await Refused(ErrorIds.ExecutableNotFound, Exec("e2"));

        Assert.Equal(("out\ngot line\n", "err\n"), await ReadAll(attachment));
        Assert.Equal((3, "Exited"), (attachment.Result!.ExitCode, attachment.Result.StoppedReason));
        Assert.Equal(3, (await f.Engine.Tasks.WaitAsync("web", cancel: f.Limit)).ExitCode);
        shim.Put("exit", "exit.json");
        shim.Put("stopped", "task.json");
        var stopped = f.Engine.Tasks.Get("web");
        Assert.Equal((ContainerTaskState.Stopped, 3, "Exited"), (stopped.State, stopped.ExitCode, stopped.StoppedReason));
        Assert.NotNull(stopped.FinishedAt);
    }

    [Fact]
    public async Task What_it_never_heard_of_is_done_without_or_refused_by_name()
    {
        using var shim = await Shim("always");
        shim.Put("running", "task.json");
        // It takes no word of removal, and is attached to all the same.
        using (var attachment = await f.Engine.Tasks.AttachAsync("web", stdin: true, removes: true, cancel: f.Limit)) { Assert.Equal("out\ngot line\n", (await ReadAll(attachment)).Out); }
        var dump = await f.Engine.Tasks.DebugAsync("web", cancel: f.Limit);
        Assert.Null(dump.Inside);
        Assert.Contains("older version", dump.Unanswered);
        Assert.Equal(ContainerTaskState.Running, dump.State);
        Assert.NotEmpty(dump.Threads);
        // It starts nothing again, so that there is nothing to end.
        Assert.Equal(3, (await f.Engine.Tasks.StopAsync("web", cancel: f.Limit)).ExitCode);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("99999999999")]
    [InlineData("\"1\"")]
    [InlineData("null")]
    public async Task A_version_that_was_not_offered_is_not_spoken(string version)
    {
        using var shim = await Shim();
        shim.Put("running", "task.json");
        shim.Answer("hello version", $"{{\"seq\":1,\"version\":{version},\"pid\":1}}");
        await Refused(ErrorIds.ShimProtocol, f.Engine.Tasks.PauseAsync("web", cancel: f.Limit));
    }

    [Fact]
    public async Task A_shim_that_knows_no_version_of_ours_says_so()
    {
        using var shim = await Shim();
        shim.Put("running", "task.json");
        shim.Answer("hello version", """{"seq":1,"error":{"id":"BadRequest","message":"hello without a version from 7 on"}}""");
        await Refused(ErrorIds.ShimTooOld, f.Engine.Tasks.PauseAsync("web", cancel: f.Limit));
    }

    Task<ContainerAttachment> Exec(string exec) => f.Engine.Tasks.ExecAsync("web", new ContainerExecOptions { ExecId = exec, ArgumentList = ["sh"] }, cancel: f.Limit);

    static async Task Refused(string id, Task work) => Assert.Equal(id, (await Assert.ThrowsAsync<ContainerException>(() => work)).Id);

    async Task<(string Out, string Error)> ReadAll(ContainerAttachment attachment)
    {
        var streams = new[] { new MemoryStream(), new MemoryStream() };
        while (await attachment.ReadAsync(f.Limit) is { } output) { streams[(int)output.Stream].Write(output.Data); }
        return (Encoding.UTF8.GetString(streams[0].ToArray()), Encoding.UTF8.GetString(streams[1].ToArray()));
    }
}
