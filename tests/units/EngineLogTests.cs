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
    public async Task Records_are_read_with_time_and_stream_and_parts_become_lines()
    {
        var entries = f.Engine.Logs.Read(await WithLog(Four)).ToList();
        Assert.Equal(["one", "two", "three"], entries.Select(e => e.Text));
        Assert.Equal(ContainerLogStream.Stderr, entries[1].Stream);
        Assert.All(entries, e => Assert.False(e.Partial));
        Assert.Equal(new DateTimeOffset(2026, 1, 1, 0, 0, 3, TimeSpan.Zero), entries[2].Time);
        Assert.Equal(new DateTimeOffset(2026, 1, 1, 0, 0, 1, TimeSpan.Zero).AddTicks(1234567), entries[0].Time);
    }

    [Theory]
    [InlineData(0, "")]
    [InlineData(1, "three")]
    [InlineData(2, "two|three")]
    [InlineData(9, "one|two|three")]
    public async Task A_tail_counts_lines_not_parts(int tail, string expected)
    {
        var entries = f.Engine.Logs.Read(await WithLog(Four), new ContainerLogOptions { Tail = tail });
        Assert.Equal(expected, string.Join('|', entries.Select(e => e.Text)));
    }

    [Fact]
    public async Task Since_until_and_stream_choose()
    {
        var id = await WithLog(Four);
        var second = new DateTimeOffset(2026, 1, 1, 0, 0, 2, TimeSpan.Zero);
        Assert.Equal(["two", "three"], f.Engine.Logs.Read(id, new ContainerLogOptions { Since = second }).Select(e => e.Text));
        Assert.Equal(["one", "two"], f.Engine.Logs.Read(id, new ContainerLogOptions { Until = second }).Select(e => e.Text));
        Assert.Equal(["one", "three"], f.Engine.Logs.Read(id, new ContainerLogOptions { Stream = ContainerLogStream.Stdout }).Select(e => e.Text));
    }

    [Fact]
    public async Task What_is_no_record_is_skipped_and_the_rest_is_read()
    {
        var hostile = "\n \nstdout F x\n9999-99-99T00:00:00.000000000Z stdout F bad time\n2026-01-01T00:00:01.000000000Z stdlog F x\n"
            + "2026-01-01T00:00:01.000000000Z stdout X x\n" + new string('a', 3 << 20) + "\n2026-01-01T00:00:09.000000000Z stdout F good\n2026-01-01T00:00:09.000000000Z stdout F unfinished";
        Assert.Equal("good", Assert.Single(f.Engine.Logs.Read(await WithLog(hostile))).Text);
    }

    static string Record(int second, string text, char tag = 'F') => $"2026-01-01T00:00:{second:00}Z stdout {tag} {text}\n";

    [Fact]
    public async Task A_line_in_parts_is_whole_with_characters_that_the_cut_went_through_and_an_unended_one_says_so()
    {
        var c = await f.Engine.Containers.CreateAsync(f.Plain());
        var euro = Encoding.UTF8.GetBytes("€");
        using (var log = File.Create(c.LogPath!))
        {
            log.Write([.. Encoding.UTF8.GetBytes("2026-01-01T00:00:01Z stdout P one "), .. euro[..2], (byte)'\n']);
            log.Write(Encoding.UTF8.GetBytes("2026-01-01T00:00:02Z stderr F between\n"));
            log.Write([.. Encoding.UTF8.GetBytes("2026-01-01T00:00:03Z stdout F "), .. euro[2..], (byte)'!', (byte)'\n']);
            log.Write(Encoding.UTF8.GetBytes("2026-01-01T00:00:04Z stdout P prompt> \n"));
        }
        var entries = f.Engine.Logs.Read(c.Id).ToList();
        Assert.Equal(["between", "one €!", "prompt> "], entries.Select(e => e.Text));
        Assert.Equal([false, false, true], entries.Select(e => e.Partial));
        Assert.All(entries, e => Assert.Equal(c.Id, e.ContainerId));
    }

    [Fact]
    public async Task A_line_of_megabytes_comes_in_parts_with_whole_characters()
    {
        var text = string.Concat(Enumerable.Repeat("€", 600_000));
        var bytes = Encoding.UTF8.GetBytes(text);
        var log = new MemoryStream();
        for (var at = 0; at < bytes.Length; at += 16384)
        {
            var last = at + 16384 >= bytes.Length;
            log.Write([.. Encoding.UTF8.GetBytes($"2026-01-01T00:00:01Z stdout {(last ? 'F' : 'P')} "), .. bytes[at..Math.Min(at + 16384, bytes.Length)], (byte)'\n']);
        }
        var c = await f.Engine.Containers.CreateAsync(f.Plain());
        File.WriteAllBytes(c.LogPath!, log.ToArray());
        var entries = f.Engine.Logs.Read(c.Id).ToList();
        Assert.Equal([true, false], entries.Select(e => e.Partial));
        Assert.Equal(text, string.Concat(entries.Select(e => e.Text)));
    }

    static void Gzip(string path, string text)
    {
        using var zip = new System.IO.Compression.GZipStream(File.Create(path), System.IO.Compression.CompressionLevel.Fastest);
        zip.Write(Encoding.UTF8.GetBytes(text));
    }

    [Fact]
    public async Task Files_that_were_put_aside_are_read_as_one_log()
    {
        var id = await WithLog(Record(5, "five") + Record(6, "six"));
        var path = f.Engine.Containers.Get(id).LogPath!;
        Gzip(path + ".9.gz", Record(1, "one") + Record(2, "two"));
        File.WriteAllText(path + ".10", Record(3, "three") + Record(4, "fo", 'P'));
        File.WriteAllText(path, Record(5, "ur") + Record(6, "five"));
        File.WriteAllText(path + ".9.gz.new", "not yet");
        File.WriteAllText(path + ".other", "of somebody else");
        Assert.Equal(["one", "two", "three", "four", "five"], f.Engine.Logs.Read(id).Select(e => e.Text));
        Assert.Equal(["four", "five"], f.Engine.Logs.Read(id, new ContainerLogOptions { Tail = 2 }).Select(e => e.Text));
        File.WriteAllText(path + ".8.gz", "no gzip");
        Assert.Equal(ErrorIds.StoreDamaged, Assert.Throws<ContainerException>(() => f.Engine.Logs.Read(id).ToList()).Id);
    }

    [Fact]
    public async Task A_reader_goes_from_file_to_file_while_they_are_put_aside_compressed_and_removed()
    {
        var id = await WithLog(Record(1, "one"));
        var path = f.Engine.Containers.Get(id).LogPath!;
        using var reader = new LogReader(path);
        List<string> Rest()
        {
            var rest = new List<string>();
            while (reader.TryRead(out var record)) { rest.Add(Encoding.UTF8.GetString(record.Text)); }
            return rest;
        }

        Assert.Equal(["one"], Rest());
        File.AppendAllText(path, Record(2, "two"));
        File.Move(path, path + ".1");
        // In the moment between two renames there is no file to go on with.
        Assert.Equal(["two"], Rest());
        Assert.Empty(Rest());
        File.WriteAllText(path, Record(3, "three"));
        Assert.Equal(["three"], Rest());
        // Two more go while nobody looks, and the one that is open is compressed meanwhile.
        File.AppendAllText(path, Record(4, "four"));
        Gzip(path + ".2.gz", File.ReadAllText(path));
        File.Delete(path);
        Gzip(path + ".3.gz", Record(5, "five"));
        File.WriteAllText(path, Record(6, "six"));
        Assert.Equal(["four", "five", "six"], Rest());
        Assert.Equal(new LogPlace(4, new FileInfo(path).Length), LogReader.End(path));
    }

    [Fact]
    public async Task A_reader_whose_next_file_was_removed_is_told()
    {
        var id = await WithLog(Record(1, "one"));
        var path = f.Engine.Containers.Get(id).LogPath!;
        using var reader = new LogReader(path);
        Assert.True(reader.TryRead(out _));
        File.Move(path, path + ".1");
        File.Move(path + ".1", path + ".3");
        File.WriteAllText(path, Record(9, "nine"));
        Assert.Equal(ErrorIds.OutputLost, Assert.Throws<ContainerException>(() => reader.TryRead(out _)).Id);
    }

    [Fact]
    public async Task What_lies_between_two_places_is_read_across_files()
    {
        var id = await WithLog(Record(5, "five") + Record(6, "six"));
        var path = f.Engine.Containers.Get(id).LogPath!;
        var first = Record(1, "one");
        Gzip(path + ".1.gz", first + Record(2, "two"));
        File.WriteAllText(path + ".2", Record(3, "three"));
        string Between(LogPlace from, LogPlace? to) => string.Concat(CriLog.ReadOutput(path, from, to).Select(o => Encoding.UTF8.GetString(o.Item2))).Replace('\n', ' ');
        Assert.Equal("two three five six ", Between(new(1, first.Length), null));
        Assert.Equal("two three ", Between(new(1, first.Length), new(3, 0)));
        Assert.Equal("three five ", Between(new(2, 0), new(3, Record(5, "five").Length)));
        Assert.Equal("", Between(new(3, 0), new(3, 0)));
    }

    [Theory]
    [InlineData("file:///nowhere/at/all/log", null, null, ErrorIds.InvalidArgument)]
    [InlineData("file://host/tmp/log", null, null, ErrorIds.InvalidArgument)]
    [InlineData("file:///tmp/../etc/log", null, null, ErrorIds.InvalidArgument)]
    [InlineData("file:///tmp/", null, null, ErrorIds.InvalidArgument)]
    [InlineData("carrier-pigeon:", null, null, ErrorIds.NotSupported)]
    [InlineData("none:", 1L << 20, null, ErrorIds.InvalidArgument)]
    [InlineData(null, 65535L, null, ErrorIds.InvalidArgument)]
    [InlineData(null, 65536L, 1, ErrorIds.InvalidArgument)]
    [InlineData(null, null, 3, ErrorIds.InvalidArgument)]
    public async Task Wrong_words_about_the_log_are_refused(string? uri, long? size, int? files, string id)
    {
        var options = f.Plain();
        (options.LogUri, options.LogMaxSize, options.LogMaxFiles) = (uri, size, files);
        var e = await Assert.ThrowsAsync<ContainerException>(() => f.Engine.Containers.CreateAsync(options));
        Assert.Equal(id, e.Id);
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
