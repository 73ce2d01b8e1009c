using System.Globalization;
using System.Text;
using Containers.Linux;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>list: as runc's, a table or JSON.</summary>
static class ListVerb
{
    public static readonly string[] Known = ["q,quiet", "f,format="];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 0, out int used);
        if (used != args.Length)
            throw new PsrunException($"list: \"{args[used]}\" is not expected");
        var rows = new List<(StateFile State, string Status)>();
        int all = Libc.open(root, Libc.O_PATH | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (all < 0 && Libc.errno is not (Libc.ENOENT or Libc.ENOTDIR))
            throw new PsrunException($"open {root}: {Errnos.Text(Libc.errno)}");
        if (all >= 0)
        {
            bool statusToo = !options.Has("quiet");
            string[] names = Directory.GetDirectories(root);
            Array.Sort(names, StringComparer.Ordinal);
            foreach (string name in names)
            {
                StateFolder folder = StateFolder.Peek(root, all, Path.GetFileName(name));
                try
                {
                    if (folder.TryReadState() is { } state)
                        rows.Add((state, statusToo ? Status.Of(folder, state) : ""));
                }
                catch (PsrunException e)
                {
                    Log.Write(2, $"load container {Path.GetFileName(name)}: {e.Message}\n");
                }
            }
            Libc.close(all);
        }
        switch (options.Value("format"))
        {
            case null or "table" or "json" when options.Has("quiet"):
                var ids = new StringBuilder();
                foreach ((StateFile state, _) in rows)
                    ids.Append(state.Id).Append('\n');
                Log.Write(1, ids.ToString());
                break;
            case "json":
                WriteJson(rows);
                break;
            case null or "table":
                WriteTable(rows);
                break;
            case string other:
                throw new PsrunException($"--format: \"{other}\" is none of table, json");
        }
        return 0;
    }

    static void WriteJson(List<(StateFile State, string Status)> rows)
    {
        if (rows.Count == 0)
        {
            Log.Write(1, "null");
            return;
        }
        Log.Write(1, StateVerb.Json(json =>
        {
            json.WriteStartArray();
            foreach ((StateFile state, string status) in rows)
                state.WritePublic(json, status, forHook: false);
            json.WriteEndArray();
        }, indented: false));
    }

    static void WriteTable(List<(StateFile State, string Status)> rows)
    {
        var cells = new List<string[]> { new[] { "ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER" } };
        foreach ((StateFile state, string status) in rows)
            cells.Add([state.Id, (status == StateFile.Stopped ? 0 : state.Pid).ToString(CultureInfo.InvariantCulture), status, state.Bundle,
                state.CreatedAt.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", CultureInfo.InvariantCulture), state.OwnerName]);
        var widths = new int[cells[0].Length];
        foreach (string[] row in cells)
            for (int column = 0; column < row.Length; column++)
                widths[column] = Math.Max(widths[column], Math.Max(12, row[column].Length + 3));
        var text = new StringBuilder();
        foreach (string[] row in cells)
        {
            for (int column = 0; column < row.Length - 1; column++)
                text.Append(row[column].PadRight(widths[column]));
            text.Append(row[^1]).Append('\n');
        }
        Log.Write(1, text.ToString());
    }
}
