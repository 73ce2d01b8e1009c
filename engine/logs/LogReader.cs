using System.Globalization;

namespace Containers;

/// <summary>A place in a container's log: a file by its number, and the bytes before it in that file's text.</summary>
readonly record struct LogPlace(int File, long Offset);

/// <summary>
/// Reads a container's log from file to file (docs/shim.md, "The log's files"): PATH.1.gz, PATH.2 …, at last PATH, which is written; at the end it
/// can be asked again when more was written. It goes by the files' numbers, which never change, so that nothing is lost or comes twice while
/// the shim puts files aside, compresses and removes them.
/// </summary>
sealed class LogReader : IDisposable
{
    readonly string path;
    readonly LogPlace? until;
    CriLogReader? reader;
    int number;
    long offset;
    // The shim writes no more to the file that is open.
    bool whole;

    /// <param name="from">null: the oldest file that is there</param>
    /// <param name="until">null: all that is written</param>
    internal LogReader(string path, LogPlace? from = null, LogPlace? until = null)
    {
        this.path = path;
        this.until = until;
        (number, offset) = (from?.File ?? 0, from?.Offset ?? 0);
    }

    /// <summary>The next whole record; false at the end of what is written so far.</summary>
    /// <exception cref="ContainerException"><c>OutputLost</c>: the file that comes next was removed before it was read; <c>StoreDamaged</c>.</exception>
    internal bool TryRead(out CriRecord record)
    {
        record = default;
        while (true)
        {
            if (reader is null && !Open()) { return false; }
            if (number == until?.File && reader!.Offset >= until?.Offset) { return false; }
            if (reader!.TryRead(out record)) { return true; }
            if (!whole)
            {
                if (Newest() < number) { return false; }
                // Put aside since it was opened. What was written to it before is all there now: once more to its end.
                whole = true;
                continue;
            }
            reader.Dispose();
            reader = null;
            number++;
            offset = 0;
        }
    }

    bool Open()
    {
        while (true)
        {
            var newest = Newest();
            var first = number == 0;
            if (first) { number = Oldest() ?? newest + 1; }
            whole = number <= newest;
            if (whole) { reader = CriLogReader.TryOpen(Aside(number), offset) ?? CriLogReader.TryOpen(Aside(number) + ".gz", offset); }
            // The name is another file's as soon as that file is put aside: looked at once more when it is open.
            else if (number == newest + 1 && (reader = CriLogReader.TryOpen(path, offset)) is not null && Newest() != newest)
            {
                reader.Dispose();
                reader = null;
                if (first) { number = 0; }
                continue;
            }
            if (reader is not null) { return true; }
            if (!whole) { return false; }
            if (first) { number = 0; }
            // Compressed just now, and there under its other name; or gone for good.
            else if (Oldest() is not { } oldest || oldest > number)
            {
                throw new ContainerException(ErrorIds.OutputLost,
                    $"A file of the log '{path}' was removed before it was read: more was printed than LogMaxSize and LogMaxFiles keep. Read again for what is there; keep more files to lose nothing.",
                    path, ContainerErrorCategory.ReadError);
            }
        }
    }

    string Aside(int file) => string.Create(CultureInfo.InvariantCulture, $"{path}.{file}");

    int Newest() => Numbers(path).DefaultIfEmpty(0).Max();

    int? Oldest() => Numbers(path).Select(n => (int?)n).Min();

    /// <summary>Where what is written from now on begins, or began a moment ago.</summary>
    internal static LogPlace End(string path)
    {
        while (true)
        {
            var newest = Numbers(path).DefaultIfEmpty(0).Max();
            using var reader = CriLogReader.TryOpen(path);
            var length = reader?.Length ?? 0;
            if (Numbers(path).DefaultIfEmpty(0).Max() == newest) { return new LogPlace(newest + 1, length); }
        }
    }

    /// <summary>The files of a log, those put aside included, as far as they are there.</summary>
    internal static IEnumerable<string> Files(string path) =>
        Numbers(path).SelectMany(n => new[] { $"{path}.{n}", $"{path}.{n}.gz" }).Append(path).Where(File.Exists);

    static List<int> Numbers(string path)
    {
        var numbers = new List<int>();
        var name = Path.GetFileName(path) + ".";
        try
        {
            foreach (var file in Directory.EnumerateFiles(Path.GetDirectoryName(path)!))
            {
                var rest = Path.GetFileName(file.AsSpan());
                if (!rest.StartsWith(name, StringComparison.Ordinal)) { continue; }
                rest = rest[name.Length..];
                if (rest.EndsWith(".gz", StringComparison.Ordinal)) { rest = rest[..^3]; }
                if (int.TryParse(rest, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0) { numbers.Add(number); }
            }
        }
        catch (DirectoryNotFoundException) { }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(path, e); }
        return numbers;
    }

    public void Dispose() => reader?.Dispose();
}

/// <summary>Makes entries of records: lines that the shim wrote in parts are one again.</summary>
sealed class LogLines(string containerId)
{
    /// <summary>More than this of one line is given out in parts of about so many bytes.</summary>
    const int LongestLine = 1 << 20;

    sealed class Line
    {
        internal required DateTimeOffset Time;
        internal readonly MemoryStream Text = new();
    }

    readonly Line?[] open = new Line?[2];

    /// <summary>The line that ends with this record; null when it goes on.</summary>
    internal ContainerLogEntry? Add(CriRecord record)
    {
        ref var line = ref open[(int)record.Stream];
        if (line is null && !record.Partial) { return Entry(record.Time, record.Stream, record.Text, partial: false); }
        line ??= new Line { Time = record.Time };
        line.Text.Write(record.Text);
        if (record.Partial && line.Text.Length < LongestLine) { return null; }
        var text = line.Text.GetBuffer().AsSpan(0, (int)line.Text.Length);
        var cut = record.Partial ? ContainerLineReader.WholeCharacters(text, text.Length - 1) : text.Length;
        var entry = Entry(line.Time, record.Stream, text[..cut], record.Partial);
        var rest = text[cut..].ToArray();
        line = record.Partial ? new Line { Time = record.Time } : null;
        line?.Text.Write(rest);
        return entry;
    }

    /// <summary>The lines that the program has not ended.</summary>
    internal IEnumerable<ContainerLogEntry> Unended()
    {
        for (var stream = 0; stream < open.Length; stream++)
        {
            if (open[stream] is not { } line) { continue; }
            open[stream] = null;
            yield return Entry(line.Time, (ContainerLogStream)stream, line.Text.GetBuffer().AsSpan(0, (int)line.Text.Length), partial: true);
        }
    }

    ContainerLogEntry Entry(DateTimeOffset time, ContainerLogStream stream, ReadOnlySpan<byte> text, bool partial) =>
        new() { Time = time, Stream = stream, Text = System.Text.Encoding.UTF8.GetString(text), ContainerId = containerId, Partial = partial };
}
