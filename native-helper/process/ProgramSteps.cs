using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>The last steps: the working directory, the program's file, a clean slate of signals and descriptors, execve(2).</summary>
static unsafe class ProgramSteps
{
    /// <summary>
    /// Enters the working directory. An init's is made where it is missing, as runc does. Links of /proc that lead out of the root are
    /// refused by RESOLVE_IN_ROOT, so a descriptor that was left open cannot serve as one.
    /// </summary>
    public static void AddWorkingDirectory(Plan plan, string cwd, bool make)
    {
        string words = $"process.cwd: {cwd}";
        nint* root = plan.Open(words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/"), Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        nint* folder;
        if (make)
        {
            folder = plan.Cell();
            plan.Do(words, StepKind.OpenTarget, root, plan.Text(Rootfs.Mounts.Destination(cwd)), Child.TargetInProc)->Result = folder;
        }
        else
        {
            folder = Rootfs.Mounts.Target(plan, root, cwd, words);
        }
        plan.Call(words, Libc.SYS_fchdir, folder);
        plan.Close(folder);
        plan.Close(root);
    }

    /// <summary>Finds the program as the user it will run as; the cell holds the path for <see cref="AddExecute"/>.</summary>
    public static nint* AddFind(Plan plan, IReadOnlyList<string> args, IReadOnlyList<string> environment)
    {
        string name = args[0];
        var candidates = new List<string>();
        if (name.Contains('/'))
            candidates.Add(name);
        else if (name.Length > 0)
            foreach (string folder in PathOf(environment).Split(':'))
                if (folder.StartsWith('/'))
                    candidates.Add(folder.TrimEnd('/') + "/" + name);
        Step* find = plan.Do($"exec: \"{name}\"", StepKind.FindProgram, plan.Texts(candidates), candidates.Count);
        return find->Result = plan.Cell();
    }

    /// <param name="parentWaits">The parent still reads the child's reports. Without a reader the report would be a SIGPIPE for the program.</param>
    public static void AddExecute(Plan plan, nint* program, IReadOnlyList<string> args, IReadOnlyList<string> environment, int preservedDescriptors, SystemCallFilter? filter,
        bool parentWaits)
    {
        plan.Call("mark descriptors", Libc.SYS_close_range, 3 + preservedDescriptors, uint.MaxValue, Libc.CLOSE_RANGE_CLOEXEC);
        plan.Do("reset signals", StepKind.ResetSignals);
        if (parentWaits)
            plan.Do("tell that the program comes next", StepKind.Sync, InitPlan.PointExecute, 0);
        filter?.Add(plan);
        plan.Do($"exec: \"{args[0]}\"", StepKind.Execute, program, plan.Texts(args), plan.Texts(environment));
    }

    static string PathOf(IReadOnlyList<string> environment)
    {
        // The last one wins, as in a shell.
        for (int i = environment.Count - 1; i >= 0; i--)
            if (environment[i].StartsWith("PATH=", StringComparison.Ordinal))
                return environment[i][5..];
        return "";
    }

    /// <summary>The words that docker and podman look for in a runtime's message.</summary>
    public static string Explain(string words, int errno) => errno switch
    {
        Libc.ENOENT when !words.Contains('/') => $"{words}: executable file not found in $PATH",
        Libc.ENOENT => $"{words}: no such file or directory",
        Libc.EACCES => $"{words}: permission denied",
        Libc.ENOEXEC => $"{words}: exec format error",
        _ => $"{words}: {Errnos.Text(errno)}",
    };
}
