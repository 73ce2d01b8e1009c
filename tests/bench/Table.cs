using System.Globalization;

namespace Containers.Bench;

sealed class Table(List<string> names)
{
    readonly List<string[]> rows = [];

    IEnumerable<string> Peers => names.Skip(1);

    public void Add(string work, Dictionary<string, List<double>> times)
    {
        double? ours = Median(times["psrun"]);
        rows.Add([work, .. names.Select(name => Number(Median(times[name]))), .. Peers.Select(peer => Number(ours / Median(times[peer])))]);
    }

    public static double? Median(List<double> times)
    {
        if (times.Count == 0)
            return null;
        List<double> sorted = [.. times.Order()];
        return sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
    }

    public void Print(TextWriter writer)
    {
        string[] heads = ["work", .. names, .. Peers.Select(peer => "to " + peer)];
        int[] widths = heads.Select((head, column) => rows.Select(row => row[column].Length).Append(head.Length).Max()).ToArray();
        Line(heads);
        Line(widths.Select(width => new string('-', width)).ToArray());
        rows.ForEach(Line);

        void Line(string[] cells)
            => writer.WriteLine("| " + string.Join(" | ", cells.Select((cell, column) => column == 0 ? cell.PadRight(widths[0]) : cell.PadLeft(widths[column]))) + " |");
    }

    static string Number(double? value) => value?.ToString("0.00", CultureInfo.InvariantCulture) ?? "-";
}
