using Containers.Linux;
using System.Text;

namespace Psrun.Shim;

/// <summary>
/// The container's output in the CRI log format: <c>time stdout|stderr F|P text</c>, a record for each line or part of one (P: the line goes on
/// in the stream's next record). What one read gave is written at once, so that nothing is ever held back here. A file that would grow beyond its
/// limit is put aside (<see cref="LogFiles"/>) and a new one begun.
/// </summary>
sealed unsafe class LogWriter
{
    public const int LargestRecord = 16 * 1024;
    /// <summary>The least limit of a file: what is written at once is never more than that.</summary>
    public const int SmallestFile = 64 * 1024;
    const int BufferLength = 512 * 1024;
    const int HeadLength = 38;

    int fd;
    readonly byte* buffer = Sys.Map(BufferLength);
    readonly int room;
    readonly string path;
    readonly long? mostBytes;
    readonly int mostFiles;
    int used;
    bool failing, rotationFails;
    bool touched;
    // The last record of the stream is a part of a line.
    bool openOutput, openError;
    readonly Action<string> complain;

    /// <summary>The file's size: where the next record starts.</summary>
    public long Offset { get; private set; }
    /// <summary>Which file of the log that is, counted from 1: files that are put aside keep their number.</summary>
    public int Number { get; private set; }
    /// <summary>Called when a file was put aside.</summary>
    public Action? Rotated { get; set; }
    /// <summary>Bytes of output that are not in the log because it could not be written.</summary>
    public long Dropped { get; private set; }

    /// <param name="mostBytes">From <see cref="SmallestFile"/>; null: one file that grows without limit.</param>
    /// <param name="mostFiles">From 2, with the one that is written; older ones are removed.</param>
    public LogWriter(string path, long? mostBytes, int mostFiles, Action<string> complain)
    {
        this.path = path;
        this.mostBytes = mostBytes;
        this.mostFiles = mostFiles;
        this.complain = complain;
        room = (int)Math.Min(BufferLength, mostBytes ?? BufferLength);
        fd = Sys.Open(path, Flags, 0x180);
        if (fd < 0) throw ShimException.Of("FileFailed", $"log {path}", fd);
        if (!Sys.IsRegularFile(fd))
        {
            Sys.Close(fd);
            throw new ShimException("FileFailed", $"log {path}: not a regular file");
        }
        Number = LogFiles.Newest(path) + 1;
        Offset = Sys.SeekEnd(fd);
        // A machine that went down in the middle of a record left it without an end.
        byte last = (byte)'\n', end = last;
        if (Offset > 0) Libc.pread(fd, &last, 1, Offset - 1);
        if (last != end && Sys.Write(fd, &end, 1) == 1) Offset++;
        if (mostBytes is not null) LogFiles.RemoveUpTo(path, Number - mostFiles);
        FindOpenLines();
        EndLines();
    }

    /// <summary>A run begins: what the last one left of a line is none of its first.</summary>
    public void EndLines()
    {
        if (openOutput) Write(false, "\n"u8);
        if (openError) Write(true, "\n"u8);
    }

    void FindOpenLines()
    {
        int length = (int)Math.Min(Offset, BufferLength);
        nint n = length == 0 ? 0 : Libc.pread(fd, buffer, (nuint)length, Offset - length);
        touched |= n > 4096;
        var rest = new ReadOnlySpan<byte>(buffer, (int)Math.Max(0, n));
        // Where the tail begins, half a record may stand.
        if (length < Offset) rest = rest[(rest.IndexOf((byte)'\n') + 1)..];
        for (int end; (end = rest.IndexOf((byte)'\n')) >= 0; rest = rest[(end + 1)..])
        {
            if (end <= HeadLength) continue;
            ref bool open = ref openOutput;
            if (rest[(HeadLength - 7)..].StartsWith("stderr"u8)) open = ref openError;
            open = rest[HeadLength] == (byte)'P';
        }
    }

    static int Flags => Libc.O_RDWR | Libc.O_CREAT | Libc.O_APPEND | Libc.O_NOFOLLOW | Libc.O_NOCTTY | Libc.O_NONBLOCK;

    /// <summary>
    /// The new file is there before the old one leaves its name, so that a full disk takes no file away; nothing is written to the old one after
    /// its rename, so that a reader who has seen that and then comes to its end has all of it.
    /// </summary>
    void Rotate()
    {
        string fresh = path + ".new";
        Sys.Unlink(fresh);
        int opened = Sys.Open(fresh, Flags | Libc.O_EXCL, 0x180), r = opened;
        if (r >= 0) r = Sys.Rename(path, LogFiles.Aside(path, Number));
        bool aside = r >= 0;
        if (r >= 0) r = Sys.Rename(fresh, path);
        if (r < 0)
        {
            if (aside) Sys.Rename(LogFiles.Aside(path, Number), path);
            Sys.Close(opened);
            Sys.Unlink(fresh);
            // It grows instead: better too much than nothing.
            if (!rotationFails) complain($"log: a new file could not be begun: {Sys.Words(-r)}");
            rotationFails = true;
            return;
        }
        rotationFails = false;
        Sys.Close(fd);
        fd = opened;
        Offset = 0;
        Number++;
        LogFiles.RemoveUpTo(path, Number - mostFiles);
        Rotated?.Invoke();
    }

    public void Write(bool error, ReadOnlySpan<byte> output)
    {
        Span<byte> head = stackalloc byte[HeadLength];
        FormatHead(head, error);
        int waiting = 0;
        while (output.Length > 0)
        {
            int newline = output.IndexOf((byte)'\n');
            int length = newline >= 0 ? newline : output.Length;
            bool full = newline >= 0;
            if (length > LargestRecord)
            {
                length = LargestRecord;
                full = false;
            }
            if (used + HeadLength + 2 + length + 1 > room)
            {
                Flush(waiting);
                waiting = 0;
            }
            head.CopyTo(new Span<byte>(buffer + used, HeadLength));
            used += HeadLength;
            buffer[used++] = full ? (byte)'F' : (byte)'P';
            if (error) openError = !full;
            else openOutput = !full;
            buffer[used++] = (byte)' ';
            output[..length].CopyTo(new Span<byte>(buffer + used, length));
            used += length;
            buffer[used++] = (byte)'\n';
            int taken = full ? length + 1 : length;
            waiting += taken;
            output = output[taken..];
        }
        Flush(waiting);
    }

    void Flush(int outputBytes)
    {
        if (mostBytes is { } most && Offset > 0 && Offset + used > most) Rotate();
        int done = 0;
        long r = 0;
        while (done < used)
        {
            r = Sys.Write(fd, buffer + done, used - done);
            if (r == -Libc.EINTR) continue;
            if (r <= 0) break;
            done += (int)r;
        }
        touched |= used > 4096;
        if (done == used)
        {
            Offset += used;
            if (failing) complain($"log: written again; {Dropped} bytes of output were dropped");
            failing = false;
        }
        else
        {
            // Half a record would spoil the next one: back to where the last whole write ended.
            if (done > 0) Sys.Truncate(fd, Offset);
            Dropped += outputBytes;
            if (!failing) complain($"log: {Sys.Words((int)-r)}; output is dropped until it can be written again");
            failing = true;
        }
        used = 0;
    }

    /// <summary>Gives the memory of a burst back.</summary>
    public void Rest()
    {
        if (touched) Sys.GiveBack(buffer + 4096, BufferLength - 4096);
        touched = false;
    }

    // "2026-01-02T03:04:05.123456789Z stdout "
    static void FormatHead(Span<byte> head, bool error)
    {
        timespec now;
        Libc.clock_gettime(Libc.CLOCK_REALTIME, &now);
        var time = DateTimeOffset.FromUnixTimeSeconds(now.tv_sec);
        Digits(head[..4], time.Year);
        head[4] = (byte)'-';
        Digits(head.Slice(5, 2), time.Month);
        head[7] = (byte)'-';
        Digits(head.Slice(8, 2), time.Day);
        head[10] = (byte)'T';
        Digits(head.Slice(11, 2), time.Hour);
        head[13] = (byte)':';
        Digits(head.Slice(14, 2), time.Minute);
        head[16] = (byte)':';
        Digits(head.Slice(17, 2), time.Second);
        head[19] = (byte)'.';
        Digits(head.Slice(20, 9), (int)now.tv_nsec);
        (error ? "Z stderr "u8 : "Z stdout "u8).CopyTo(head[29..]);
    }

    static void Digits(Span<byte> target, int value)
    {
        for (int i = target.Length - 1; i >= 0; i--)
        {
            target[i] = (byte)('0' + value % 10);
            value /= 10;
        }
    }
}
