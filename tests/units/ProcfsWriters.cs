using System.Text;
using Containers.Linux;

namespace Containers.Tests.Units;

/// <summary>Procfs text as the kernel's sources write it, and hostile values to write.</summary>
static class ProcfsWriters
{
    // What the formats use to divide things, what their escapes look like, and letters of one, two, three and four bytes.
    static readonly string[] Pieces = [" ", "\t", "\n", "\\", "#", ")", "(", ":", "-", "0", "4", "040", "\\040", " - ", ") R ", "/", ",", "=", "a", "é", "€", "\U0001f427"];

    /// <summary>Text made of a generated array: what shrinks the array shrinks the text.</summary>
    public static string Text(int[][] seeds, int index, string otherwise = "x") =>
        index < seeds.Length && seeds[index].Length > 0 ? string.Concat(seeds[index].Select(seed => Pieces[(uint)seed % Pieces.Length])) : otherwise;

    public static int Number(int[][] seeds, int index) => index < seeds.Length ? seeds[index].Aggregate(17, (all, seed) => unchecked(all * 31 + seed)) & int.MaxValue : index;

    public static string Escape(string text, string special)
    {
        StringBuilder escaped = new();
        foreach (char c in text)
            escaped.Append(special.Contains(c) ? "\\" + Convert.ToString(c, 8).PadLeft(3, '0') : c.ToString());
        return escaped.ToString();
    }

    public static byte[] Mount(MountInfo m, string laterField = "")
    {
        const string special = " \t\n\\";
        StringBuilder line = new($"{m.Id} {m.ParentId} {m.Major}:{m.Minor} {Escape(m.Root, special)} {Escape(m.MountPoint, special)} {m.Options}");
        if (m.Shared is not null)
            line.Append($" shared:{m.Shared}");
        if (m.Master is not null)
            line.Append($" master:{m.Master}");
        if (m.PropagateFrom is not null)
            line.Append($" propagate_from:{m.PropagateFrom}");
        if (m.Unbindable)
            line.Append(" unbindable");
        line.Append(laterField).Append($" - {Escape(m.Type, special)} {Escape(m.Source, special + "#")} {Escape(m.SuperOptions, special)}\n");
        return Encoding.UTF8.GetBytes(line.ToString());
    }

    public static byte[] Stat(ProcessStat s) => Encoding.UTF8.GetBytes(
        $"{s.Pid} ({s.Comm}) {s.State} {s.ParentPid} {s.ProcessGroup} {s.Session} {s.TerminalDevice} -1 {s.Flags} 1 2 3 4 {s.UserTicks} {s.SystemTicks} -5 -6 20 -19 "
        + $"{s.Threads} 0 {s.StartTime} {s.VirtualSize} {s.ResidentPages} 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n");

    public static byte[] Status(string name, string more) => Encoding.UTF8.GetBytes(
        $"Name:\t{name.Replace("\\", "\\\\").Replace("\n", "\\n")}\nUmask:\t0022\nState:\tS (sleeping)\nTgid:\t41\nNgid:\t0\nPid:\t42\nPPid:\t7\nTracerPid:\t0\n"
        + $"Uid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t4294967295\nFDSize:\t64\nGroups:\t4 20 24 \nNSpid:\t42\t1\nThreads:\t3\nCapEff:\t000001ffffffffff\n{more}");

    public static byte[] Limits(rlimit64[] limits)
    {
        string[] names = ["cpu time", "file size", "data size", "stack size", "core file size", "resident set", "processes", "open files", "locked memory", "address space",
            "file locks", "pending signals", "msgqueue size", "nice priority", "realtime priority", "realtime timeout"];
        static string One(ulong limit) => (limit == ulong.MaxValue ? "unlimited" : limit.ToString()).PadRight(20);
        StringBuilder text = new("Limit                     Soft Limit           Hard Limit           Units     \n");
        for (int i = 0; i < limits.Length; i++)
            text.Append($"{"Max " + names[i],-25} {One(limits[i].rlim_cur)} {One(limits[i].rlim_max)} {(i == 0 ? "seconds   " : "          ")}\n");
        return Encoding.UTF8.GetBytes(text.ToString());
    }
}
