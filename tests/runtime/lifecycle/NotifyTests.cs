using System.Net.Sockets;
using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>NOTIFY_SOCKET, sd_notify(3): a service manager hears from psrun that the program in the container is ready.</summary>
public sealed class NotifyTests : RuntimeTest
{
    const string OtherWords = "it tells the same in several messages, and at other times";

    readonly Lazy<Socket> manager;

    string Address => Path.Combine(Folder, "manager");

    public NotifyTests() => manager = new(() =>
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 30_000 };
        socket.Bind(new UnixDomainSocketEndPoint(Address));
        return socket;
    });

    protected override void CleanUp()
    {
        if (manager.IsValueCreated)
            manager.Value.Dispose();
    }

    /// <summary>One message. A descriptor that came along is closed by not being taken.</summary>
    string Heard()
    {
        var buffer = new byte[4096];
        return Encoding.UTF8.GetString(buffer, 0, manager.Value.Receive(buffer));
    }

    SpawnOptions Told
    {
        get
        {
            _ = manager.Value;
            return new() { Environment = { ["NOTIFY_SOCKET"] = Address } };
        }
    }

    /// <summary>Is ready as soon as a file is there.</summary>
    Bundle Service(Bundle bundle, string then = "sleep 1000")
    {
        Hostile.Install("notify", bundle, "/bin/notify");
        bundle.Config["root"]!["readonly"] = false;
        return bundle.Shell($"notify STATUS=begins; until [ -e /work/go ]; do sleep 0.1; done; notify 'STATUS=up\nREADY=1'; {then}");
    }

    static void Go(Bundle bundle) => File.WriteAllText(bundle.InRootfs("/work/go"), "");

    [RuntimeFact(NotUnderRunc = OtherWords, NotUnderCrun = OtherWords)]
    public void A_detached_run_ends_when_the_program_is_ready_and_names_its_pid()
    {
        var bundle = Service(NewBundle());
        var id = NewId();
        using var run = Runtime.Begin(Told, "run", "--detach", "--bundle", bundle.Folder, id);
        Until(() => Runtime.Do("state", id).Stdout.Contains("\"running\""));
        Watch(Runtime.Pid(id));
        Assert.Equal(0, manager.Value.Available);
        Assert.NotNull(HostState.ProcessState(run.Pid));
        Go(bundle);
        Assert.Equal($"MAINPID={Runtime.Pid(id)}\nREADY=1", Heard());
        Assert.Equal("BARRIER=1", Heard());
        run.Wait().Ends(0);
    }

    [RuntimeTheory(NotUnderRunc = OtherWords, NotUnderCrun = OtherWords)]
    [InlineData(false)]
    [InlineData(true)]
    public void A_start_ends_when_the_program_is_ready(bool userNamespace)
    {
        var bundle = Service(userNamespace ? NewBundle().UserNamespace() : NewBundle());
        var id = NewId();
        Runtime.Do(Told, "create", "--bundle", bundle.Folder, id).Ends(0);
        Watch(Runtime.Pid(id));
        using var start = Runtime.Begin(Told, "start", id);
        Until(() => Runtime.Status(id) == "running");
        Go(bundle);
        Assert.Equal($"MAINPID={Runtime.Pid(id)}\nREADY=1", Heard());
        Assert.Equal("BARRIER=1", Heard());
        start.Wait().Ends(0);
        // Nobody to tell any more: other verbs do not wait.
        Runtime.Exec(id, "true").Ends(0);
        Runtime.Do("delete", "--force", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = OtherWords, NotUnderCrun = OtherWords)]
    public void In_the_foreground_psrun_is_the_process_to_watch()
    {
        var bundle = Service(NewBundle(), then: "exit 7");
        var id = NewId();
        using var run = Runtime.Begin(Told, "run", "--bundle", bundle.Folder, id);
        Go(bundle);
        Assert.Equal($"MAINPID={run.Pid}\nREADY=1", Heard());
        Assert.Equal("BARRIER=1", Heard());
        run.Wait().Ends(7);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = OtherWords, NotUnderCrun = OtherWords)]
    public void A_program_that_ends_without_being_ready_is_not_waited_for()
    {
        var id = NewId();
        Runtime.Do(Told, "run", "--detach", "--bundle", NewBundle().Args("true").Folder, id).Ends(0);
        Assert.Equal(0, manager.Value.Available);
    }

    [RuntimeTheory(NotUnderRunc = OtherWords, NotUnderCrun = OtherWords)]
    [InlineData("vsock:2:1")]
    [InlineData("relative")]
    public void An_address_of_another_kind_is_refused_by_name(string address)
    {
        var result = Runtime.Do(new SpawnOptions { Environment = { ["NOTIFY_SOCKET"] = address } }, "run", "--bundle", NewBundle().Args("true").Folder, NewId()).Ends(1);
        Assert.Contains("NOTIFY_SOCKET", result.Stderr);
        AssertNothingLeft();
    }
}
