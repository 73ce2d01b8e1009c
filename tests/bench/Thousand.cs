using System.Diagnostics;

namespace Containers.Bench;

/// <summary>A thousand created containers: whether one more costs more, and how long a list of them takes.</summary>
static class Thousand
{
    public static void Measure(List<Runtime> runtimes)
    {
        Console.WriteLine();
        Console.WriteLine("1,000 created containers, milliseconds");
        Console.WriteLine("| runtime | create, first hundred | create, last hundred | list | delete |");
        foreach (Runtime runtime in runtimes)
        {
            var ids = new List<string>();
            var times = new List<double>();
            var lists = new List<double>();
            long from;
            try
            {
                for (int i = 0; i < 1000; i++)
                {
                    from = Stopwatch.GetTimestamp();
                    ids.Add(runtime.Create());
                    times.Add(Stopwatch.GetElapsedTime(from).TotalMilliseconds);
                }
                for (int i = 0; i < 11; i++)
                {
                    from = Stopwatch.GetTimestamp();
                    runtime.List();
                    lists.Add(Stopwatch.GetElapsedTime(from).TotalMilliseconds);
                }
            }
            catch (RuntimeRefused e)
            {
                Console.Error.WriteLine(e.Message);
            }
            from = Stopwatch.GetTimestamp();
            ids.ForEach(runtime.Delete);
            double deleted = Stopwatch.GetElapsedTime(from).TotalMilliseconds / Math.Max(1, ids.Count);
            if (lists.Count > 0)
                Console.WriteLine($"| {runtime.Name} | {Table.Median(times.Take(100).ToList()):0.00} | {Table.Median(times.TakeLast(100).ToList()):0.00} | {Table.Median(lists):0.0} | {deleted:0.00} |");
        }
    }
}
