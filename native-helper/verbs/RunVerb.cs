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

    /// <summary>Gives the exit code, or 128 and the signal.</summary>
    public static int Wait(Launch launch)
    {
        int pid = launch.Pid;
        var registrations = new PosixSignalRegistration[s_forwarded.Length];
        for (int i = 0; i < s_forwarded.Length; i++)
        {
            int signal = s_forwarded[i];
            registrations[i] = PosixSignalRegistration.Create((PosixSignal)signal, context =>
            {
                context.Cancel = true;
                Libc.kill(pid, signal);
            });
        }
        launch.RestoreSignals();
        int status;
        while (Libc.waitpid(pid, &status, 0) != pid)
        {
        }
        GC.KeepAlive(registrations);
        return Libc.WIFSIGNALED(status) ? 128 + Libc.WTERMSIG(status) : Libc.WEXITSTATUS(status);
    }
}
