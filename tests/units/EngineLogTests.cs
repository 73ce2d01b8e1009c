using System.Text;
using Containers;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Containers.Tests.Units;

public sealed class EngineLogTests : IDisposable
{
    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    async Task<string> WithLog(string content)
    {
        var c = await f.Engine.Containers.CreateAsync(f.Plain());
        File.WriteAllText(c.LogPath!, content);
        return c.Id;
    }

    const string Four = """
        2026-01-01T00:00:01.123456789Z stdout F one
        2026-01-01T00:00:02.000000000+00:00 stderr F two
        2026-01-01T00:00:03Z stdout P th
        2026-01-01T00:00:03.5Z stdout F ree

        """;

    [Fact]
    public async Task Records_are_read_with_time_stream_and_part()
    {
        var entries = f.Engine.Logs.Read(await WithLog(Four)).ToList();
        Assert.Equal(["one", "two", "th", "ree"], entries.Select(e => e.Line));
        Assert.Equal(ContainerLogStream.Stderr, entries[1].Stream);
        Assert.Equal([false, false, true, false], entries.Select(e => e.Partial));
        Assert.Equal(new DateTimeOffset(2026, 1, 1, 0, 0, 1, TimeSpan.Zero).AddTicks(1234567), entries[0].Time);
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "th|ree")]
    [InlineData(2, "two|th|ree")]
    [InlineData(9, "one|two|th|ree")]
    public async Task A_tail_counts_lines_not_parts(int tail, string expected)
    {
        var entries = f.Engine.Logs.Read(await WithLog(Four), new ContainerLogOptions { Tail = tail });
        Assert.Equal(expected, string.Join('|', entries.Select(e => e.Line)));
    }

    [Fact]
    public async Task Since_until_and_stream_choose()
    {
        var id = await WithLog(Four);
        var second = new DateTimeOffset(2026, 1, 1, 0, 0, 2, TimeSpan.Zero);
        Assert.Equal(["two", "th", "ree"], f.Engine.Logs.Read(id, new ContainerLogOptions { Since = second }).Select(e => e.Line));
        Assert.Equal(["one", "two"], f.Engine.Logs.Read(id, new ContainerLogOptions { Until = second }).Select(e => e.Line));
        Assert.Equal(["one", "th", "ree"], f.Engine.Logs.Read(id, new ContainerLogOptions { Stream = ContainerLogStream.Stdout }).Select(e => e.Line));
    }

    [Fact]
    public async Task What_is_no_record_is_skipped_and_the_rest_is_read()
    {
        var hostile = "\n \nstdout F x\n9999-99-99T00:00:00.000000000Z stdout F bad time\n2026-01-01T00:00:01.000000000Z stdlog F x\n"
            + "2026-01-01T00:00:01.000000000Z stdout X x\n" + new string('a', 3 << 20) + "\n2026-01-01T00:00:09.000000000Z stdout F good\n2026-01-01T00:00:09.000000000Z stdout F unfinished";
        Assert.Equal("good", Assert.Single(f.Engine.Logs.Read(await WithLog(hostile))).Line);
    }

    [Fact]
    public async Task A_container_that_printed_nothing_has_no_entries_and_one_without_a_log_says_so()
    {
        var c = await f.Engine.Containers.CreateAsync(f.Plain());
        Assert.Empty(f.Engine.Logs.Read(c.Id));
        await foreach (var _ in f.Engine.Logs.FollowAsync(c.Id)) { Assert.Fail("nothing was printed"); }
        var options = f.Plain();
        options.LogUri = "none:";
        var silent = await f.Engine.Containers.CreateAsync(options);
        Assert.Equal(ErrorIds.LogNotFound, Assert.Throws<ContainerException>(() => f.Engine.Logs.Read(silent.Id)).Id);
    }

    [Fact]
    public void Any_bytes_in_any_chunks_make_the_same_lines()
    {
        Prop.ForAll<string[], byte>((texts, size) =>
        {
            var all = Encoding.UTF8.GetBytes(string.Join('\n', texts.Select(t => (t ?? "").Replace("\n", "").Replace("\r", "") + "ä€😀")));
            var reader = new ContainerLineReader();
            var lines = new List<string>();
            for (var at = 0; at < all.Length;)
            {
                var count = Math.Min(size % 7 + 1, all.Length - at);
                lines.AddRange(reader.Add(all.AsSpan(at, count)));
                at += count;
            }
            if (reader.Flush() is { } last) { lines.Add(last); }
            return string.Join('\n', lines) == Encoding.UTF8.GetString(all);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_line_that_never_ends_is_handed_out_in_parts_with_whole_characters()
    {
        var reader = new ContainerLineReader();
        var text = string.Concat(Enumerable.Repeat("€", 1_000_000));
        var parts = reader.Add(Encoding.UTF8.GetBytes(text)).ToList();
        parts.Add(reader.Flush()!);
        Assert.True(parts.Count > 2);
        Assert.Equal(text, string.Concat(parts));
        Assert.Null(reader.Flush());
    }

    [Fact]
    public void Carriage_returns_before_line_feeds_belong_to_the_end()
    {
        var reader = new ContainerLineReader();
        Assert.Equal(["a", "", "b\rc"], reader.Add("a\r\n\r\nb\rc\nrest"u8));
        Assert.Equal("rest", reader.Flush());
    }
}
