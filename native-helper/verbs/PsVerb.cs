using System.Globalization;
using System.Text;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>ps: the processes of the container's cgroup, as pids of the host.</summary>
static class PsVerb
{
    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, ["f,format="], limit: int.MaxValue, out _);
        string id = ContainerId.Check(CreateVerb.OneId(options, "ps"));
        using StateFolder folder = StateFolder.Open(root, id) ?? throw StateFolder.NotFound(id);
        StateFile state = folder.TryReadState() ?? throw StateFolder.NotFound(id);
        if (Status.Of(folder, state) == StateFile.Stopped)
            throw new PsrunException("container not running");
        List<int> pids = state.CgroupPath == null ? [state.Pid] : CgroupSetup.Processes(state.CgroupPath);
        switch (options.Value("format"))
        {
            case "json":
                Log.Write(1, "[" + string.Join(',', pids) + "]\n");
                return 0;
            case null or "table":
                var text = new StringBuilder("PID       CMD\n");
                foreach (int pid in pids)
                    text.Append(pid.ToString(CultureInfo.InvariantCulture).PadRight(10)).Append(Command(pid)).Append('\n');
                Log.Write(1, text.ToString());
                return 0;
            case string other:
                throw new PsrunException($"--format: \"{other}\" is none of table, json");
        }
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
