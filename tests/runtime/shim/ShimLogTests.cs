using System.IO.Compression;
using System.Text;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>The log's files, as docs/shim.md has them.</summary>
public sealed class ShimLogTests : ShimTest
{
    static Action<JsonObject> Rotating(int size, int files) => o => (o["logMaxSize"], o["logMaxFiles"]) = (size, files);

    // "log.*" would match "log" too.
    static IEnumerable<string> Aside(ShimTask task) => Directory.GetFiles(Path.GetDirectoryName(task.LogPath)!).Where(file => file.StartsWith(task.LogPath + ".", StringComparison.Ordinal));

    /// <summary>The log's files by number, with their text; the last is the one that is written.</summary>
    static SortedDictionary<int, string> Files(ShimTask task)
    {
        var files = new SortedDictionary<int, string>();
        foreach (var file in Aside(task))
        {
            var rest = file[(task.LogPath.Length + 1)..];
            Assert.DoesNotContain("new", rest);
            using var content = rest.EndsWith(".gz") ? (Stream)new GZipStream(File.OpenRead(file), CompressionMode.Decompress) : File.OpenRead(file);
            files.Add(int.Parse(rest.Replace(".gz", "")), new StreamReader(content).ReadToEnd());
        }
        files.Add(files.Keys.DefaultIfEmpty(0).Max() + 1, File.ReadAllText(task.LogPath));
        return files;
    }

    static string Printed(IEnumerable<string> files) =>
        string.Concat(string.Concat(files).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(record => record[38] == 'F' ? record[40..] + "\n" : record[40..]));

    static string Numbered(int count) => string.Concat(Enumerable.Range(0, count).Select(i => $"line {i}\n"));

    const string Counting = "i=0; while [ $i -lt COUNT ]; do echo line $i; i=$((i+1)); done";

    [RuntimeFact]
    public void Files_have_their_limit_and_together_every_line_once_in_order()
    {
        var task = Running(Counting.Replace("COUNT", "30000"), Rotating(65536, 1000));
        task.WaitForShim();
        var files = Files(task);
        Assert.Equal(Enumerable.Range(1, files.Count), files.Keys);
        Assert.All(files.Values, text => Assert.InRange(Encoding.UTF8.GetByteCount(text), 1, 65536));
        Assert.Equal(Numbered(30000), Printed(files.Values));
        Assert.InRange(files.Count, 25, 40);
        Assert.All(Directory.GetFiles(Folder, "log0*"), file => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
        Assert.False(task.Has("shim.log"), task.Has("shim.log") ? task.ShimLog : "");
    }

    [RuntimeFact]
    public void A_container_that_goes_on_has_its_older_files_compressed_and_the_oldest_removed()
    {
        var task = Running(Counting.Replace("COUNT", "10000") + "; sleep 1000", Rotating(65536, 4));
        string[] Names() => [.. Aside(task)];
        Until(() => File.ReadAllText(task.LogPath).Contains("line 9999\n") && Names().Length == 3 && Names().All(name => name.EndsWith(".gz")));
        var files = Files(task);
        Assert.Equal(4, files.Count);
        Assert.EndsWith(Printed(files.Values), Numbered(10000));
        Assert.True(files.Keys.First() > 1);
    }

    [RuntimeFact]
    public void Numbers_go_on_with_the_next_task_of_the_log()
    {
        var first = NewTask(Counting.Replace("COUNT", "3000"), Rotating(65536, 1000));
        File.WriteAllText(first.LogPath, "2026-01-01T00:00:00.000000000Z stdout F before\n");
        File.WriteAllText(first.LogPath + ".41", "2026-01-01T00:00:00.000000000Z stdout F long before\n");
        File.WriteAllText(first.LogPath + ".40.gz.new", "broken off");
        first.Launch();
        using (var client = first.Connect())
            Assert.Equal(42, (int)client.Call("attach")["file"]!);
        first.Start();
        first.WaitForShim();
        var files = Files(first);
        Assert.Equal(41, files.Keys.First());
        Assert.Equal("long before\nbefore\n" + Numbered(3000), Printed(files.Values));
    }

    [RuntimeFact]
    public void The_place_that_a_lagging_client_is_told_stays_true_while_files_are_put_aside()
    {
        var task = Created("dd if=/dev/zero bs=65536 count=320 2>/dev/null | tr '\\0' y; echo; echo over", Rotating(1 << 20, 1000));
        using var lagging = task.Connect();
        var at = lagging.Call("attach");
        Assert.Equal((1, 0L), ((int)at["file"]!, (long)at["offset"]!));
        using var waiting = task.Connect();
        task.Start();
        Assert.Equal(0, (int)waiting.Call("wait")["exitCode"]!);
        var lagged = lagging.ReadToEnd()!;
        Assert.Equal("lagged", (string)lagged["event"]!);
        task.WaitForShim();
        var files = Files(task);
        var rest = files.Where(file => file.Key >= (int)lagged["file"]!).Select(file => file.Value).ToList();
        rest[0] = rest[0][(int)lagged["offset"]!..];
        Assert.True((int)lagged["file"]! > 1);
        Assert.Equal(320 * 65536 + 1 + 5, lagging.Stdout.Length + Printed(rest).Length);
    }

    [RuntimeFact]
    public void A_full_disk_lets_the_file_grow_no_more_and_stops_nothing()
    {
        var small = Directory.CreateDirectory(Path.Combine(Folder, "small")).FullName;
        Assert.Equal(0, Native.mount("tmpfs", small, "tmpfs", 0, "size=1m"));
        try
        {
            // Incompressible, so that the older files fill the disk.
            var task = Created("dd if=/dev/urandom bs=65536 count=64 2>/dev/null | tr '\\n' x; echo; echo over", o => (o["log"], o["logMaxSize"], o["logMaxFiles"]) = (small + "/log", 65536, 1000));
            using var client = task.Connect();
            client.Call("attach");
            client.Call("start");
            Assert.Equal(0, (int)client.ReadToEnd()!["exitCode"]!);
            Assert.Equal(64 * 65536 + 6, client.Stdout.Length);
            task.WaitForShim();
            Assert.Contains("No space left", task.ShimLog);
        }
        finally
        {
            Assert.Equal(0, Native.umount2(small, 0));
        }
    }

    [RuntimeFact]
    public void Wrong_limits_are_refused()
    {
        foreach (var (size, files) in new[] { (65535, 5), (65536, 1), (65536, 1001) })
        {
            var (status, line) = NewTask("true", Rotating(size, files)).TryLaunch();
            Assert.Equal((1, "BadOrders"), (status, (string)line["error"]!["id"]!));
        }
    }
}
