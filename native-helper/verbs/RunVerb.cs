using System.Runtime.InteropServices;
using Containers.Linux;
using Psrun.Dance;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>run: create and start in one, without the wait between them; in the foreground also wait and delete.</summary>
static class RunVerb
{
    public static int Run(string root, ReadOnlySpan<string> args)
    {
        string[] known = [.. CreateVerb.Known, "d,detach", "keep"];
        Options options = Options.Parse(args, known, limit: int.MaxValue, out _);
        bool detach = options.Has("detach");
        if (!detach)
            Foreground.CatchSignals();
        using Creation creation = Creation.Make(CreateVerb.Read(root, options, "run", waitForStart: false, foreground: !detach));
        if (detach)
            return 0;
        int status = Foreground.Wait(creation.Launch);
        if (!options.Has("keep"))
        {
            creation.Folder.Lock();
            DeleteVerb.Remove(creation.Folder, creation.State);
        }
        return status;
    }
}

/// <summary>A program that psrun stays with: signals go on to it, its end is psrun's.</summary>
static unsafe class Foreground
{
    static readonly int[] s_forwarded = [Libc.SIGHUP, Libc.SIGINT, Libc.SIGQUIT, Libc.SIGTERM, Libc.SIGUSR1, Libc.SIGUSR2, Libc.SIGWINCH, Libc.SIGCONT, Libc.SIGALRM];

    static readonly Lock s_gate = new();
    static readonly List<int> s_early = [];
    static readonly List<PosixSignalRegistration> s_registrations = [];
    static int s_pid;

    /// <summary>Before the program is there: it may speak, and its caller answer with a signal, before <see cref="Wait"/> is reached.</summary>
    public static void CatchSignals()
    {
        foreach (int signal in s_forwarded)
        {
            s_registrations.Add(PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                lock (s_gate)
                {
                    if (s_pid == 0)
                        s_early.Add(signal);
                    else
                        Libc.kill(s_pid, signal);
                }
            }));
        }
    }

    /// <summary>Gives the exit code, or 128 and the signal. <see cref="CatchSignals"/> was called before the launch.</summary>
    public static int Wait(Launch launch)
    {
        int pid = launch.Pid;
        launch.RestoreSignals();
        lock (s_gate)
        {
            s_pid = pid;
            foreach (int signal in s_early)
                Libc.kill(pid, signal);
        }
        int status;
        while (Libc.waitpid(pid, &status, 0) != pid)
        {
        }
        lock (s_gate)
            s_registrations.Clear();
        return Libc.WIFSIGNALED(status) ? 128 + Libc.WTERMSIG(status) : Libc.WEXITSTATUS(status);
    }
}
