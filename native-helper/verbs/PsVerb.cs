using System.Globalization;
using System.Text;
using Containers.Linux;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>ps: the processes of the container's cgroup, as pids of the host. The table is ps(1)'s own, with its options; where there is no ps, a plain one.</summary>
static unsafe class PsVerb
{
    public static readonly string[] Known = ["f,format="];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        // What follows the id is ps's.
        Options options = Options.Parse(args, Known, limit: 1, out int used);
        string id = ContainerId.Check(CreateVerb.OneId(options, "ps"));
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        if (Status.Of(folder, state) == StateFile.Stopped)
            throw new PsrunException("container not running");
        List<int> pids = state.CgroupPath == null ? InitProcess.InItsPidNamespace(state.Pid) : CgroupSetup.Processes(state.CgroupPath);
        switch (options.Value("format"))
        {
            case "json":
                Log.Write(1, "[" + string.Join(',', pids) + "]\n");
                return 0;
            case null or "table":
                Log.Write(1, Table(pids, args[used..]));
                return 0;
            case string other:
                throw new PsrunException($"--format: \"{other}\" is none of table, json");
        }
    }

    static string Table(List<int> pids, ReadOnlySpan<string> psOptions)
    {
        if (FindPs() is not string ps)
            return psOptions.Length == 0 ? PlainTable(pids) : throw new PsrunException("ps: executable file not found in $PATH");
        string[] lines = Ask(ps, psOptions.Length == 0 ? ["-ef"] : psOptions).Split('\n');
        int column = Array.IndexOf(lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries), "PID");
        if (column < 0)
            throw new PsrunException("couldn't find PID field in ps output");
        var text = new StringBuilder(lines[0]).Append('\n');
        foreach (string line in lines[1..])
        {
            string[] fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length > column && int.TryParse(fields[column], out int pid) && pids.Contains(pid))
                text.Append(line).Append('\n');
        }
        return text.ToString();
    }

    static string? FindPs()
    {
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':'))
            if (folder.StartsWith('/') && Libc.faccessat(Libc.AT_FDCWD, folder + "/ps", Libc.X_OK, 0) == 0)
                return folder + "/ps";
        return null;
    }

    static string Ask(string ps, ReadOnlySpan<string> arguments)
    {
        int output = Shim.Sys.Above(Shim.Sys.Memfd("ps"));
        int nothing = Shim.Sys.Above(Libc.open("/dev/null", Libc.O_RDONLY | Libc.O_CLOEXEC));
        string[] all = ["ps", .. arguments];
        int pid = new Shim.Spawn { Program = ps, Arguments = all, Environment = Shim.RuntimeCall.MinimalEnvironment(), Stdin = nothing, Stdout = output, Stderr = output }.Start();
        if (pid < 0)
            throw new PsrunException($"{ps}: {Errnos.Text(-pid)}");
        int status;
        while (Libc.waitpid(pid, &status, 0) < 0)
            if (Libc.errno != Libc.EINTR)
                throw new PsrunException($"waitpid: {Errnos.Text(Libc.errno)}");
        Shim.Sys.SeekStart(output);
        string text = Encoding.UTF8.GetString(StateFolder.ReadAll(output, 64 << 20, "ps"));
        Libc.close(output);
        Libc.close(nothing);
        return status == 0 ? text : throw new PsrunException($"ps: {text}");
    }

    static string PlainTable(List<int> pids)
    {
        var text = new StringBuilder("PID       CMD\n");
        foreach (int pid in pids)
            text.Append(pid.ToString(CultureInfo.InvariantCulture).PadRight(10)).Append(Command(pid)).Append('\n');
        return text.ToString();
    }

    static string Command(int pid)
    {
        try
        {
            string line = File.ReadAllText($"/proc/{pid}/cmdline").TrimEnd('\0');
            var shown = new StringBuilder();
            foreach (char c in line)
                shown.Append(c == '\0' ? ' ' : char.IsControl(c) ? '?' : c);
            return shown.ToString();
        }
        catch (IOException)
        {
            return "";
        }
    }
}
