using Containers.Linux;
using System.Globalization;

namespace Psrun.Shim;

/// <summary>
/// The files of a log at PATH: PATH is written; PATH.1, PATH.2 … were put aside, the highest number last, and are PATH.N.gz when they are compressed.
/// A number is given once: readers go by it from file to file while others are put aside and removed.
/// </summary>
static class LogFiles
{
    public static string Aside(string path, int number) => $"{path}.{number}";
    public static string Compressed(string path, int number) => $"{path}.{number}.gz";
    public static string Compressing(string path, int number) => $"{path}.{number}.gz.new";

    /// <summary>The highest number that was given; 0 for none.</summary>
    public static int Newest(string path)
    {
        int newest = 0;
        foreach (var (number, _) in All(path)) newest = Math.Max(newest, number);
        return newest;
    }

    /// <summary>The lowest number whose file waits to be compressed; 0 for none.</summary>
    public static int OldestPlain(string path)
    {
        int oldest = 0;
        foreach (var (number, suffix) in All(path))
            if (suffix.Length == 0 && (oldest == 0 || number < oldest)) oldest = number;
        return oldest;
    }

    /// <summary>Removes the files with this number and lower ones, and what a compression that was broken off has left.</summary>
    public static void RemoveUpTo(string path, int last)
    {
        foreach (var (number, suffix) in All(path))
            if (number <= last || suffix == ".gz.new" && !File.Exists(Aside(path, number))) Sys.Unlink($"{path}.{number}{suffix}");
    }

    static List<(int Number, string Suffix)> All(string path)
    {
        var all = new List<(int, string)>();
        string name = Path.GetFileName(path) + ".";
        try
        {
            foreach (string file in Directory.EnumerateFiles(Path.GetDirectoryName(path)!))
            {
                ReadOnlySpan<char> rest = Path.GetFileName(file.AsSpan());
                if (!rest.StartsWith(name, StringComparison.Ordinal)) continue;
                rest = rest[name.Length..];
                string suffix = rest.EndsWith(".gz.new", StringComparison.Ordinal) ? ".gz.new" : rest.EndsWith(".gz", StringComparison.Ordinal) ? ".gz" : "";
                if (int.TryParse(rest[..^suffix.Length], NumberStyles.None, CultureInfo.InvariantCulture, out int number) && number > 0) all.Add((number, suffix));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The folder was taken away under us: there is nothing to find.
        }
        return all;
    }
}

/// <summary>
/// Compresses files that were put aside, one at a time, in a child at the lowest priority: gzip takes longer for a file than its writer may have to
/// wait. The child has two descriptors and no name; the shim alone renames, and knows by then whether the file is still wanted.
/// </summary>
sealed class LogCompressor(Server server, string path)
{
    int number;

    public int Pid { get; private set; }

    public void Begin()
    {
        if (Pid > 0 || (number = LogFiles.OldestPlain(path)) == 0) return;
        int from = Sys.Above(Sys.Open(LogFiles.Aside(path, number), Libc.O_RDONLY | Libc.O_NOFOLLOW));
        int to = Sys.Above(Sys.Open(LogFiles.Compressing(path, number), Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_NOFOLLOW, 0x180));
        try
        {
            if (from < 0 || to < 0) throw ShimException.Of("FileFailed", $"log: {LogFiles.Compressing(path, number)}", Math.Min(from, to));
            Pid = server.StartHelper(["shim", "--compress"], from, to, Ended);
        }
        catch (ShimException e)
        {
            Server.Complain(e.Message);
            Sys.Unlink(LogFiles.Compressing(path, number));
        }
        finally
        {
            Sys.Close(from);
            Sys.Close(to);
        }
    }

    void Ended(int status)
    {
        Pid = 0;
        string temporary = LogFiles.Compressing(path, number);
        if (status != 0 || !File.Exists(LogFiles.Aside(path, number)) || Sys.Rename(temporary, LogFiles.Compressed(path, number)) < 0)
        {
            Sys.Unlink(temporary);
            // Tried again when the next file is put aside.
            if (status != 0) return;
        }
        else Sys.Unlink(LogFiles.Aside(path, number));
        Begin();
    }

    /// <summary>What is not compressed when the task has ended stays as it is: the next task of the container goes on with it.</summary>
    public void Stop()
    {
        if (Pid == 0) return;
        server.EndHelper(Pid);
        Sys.Unlink(LogFiles.Compressing(path, number));
        Pid = 0;
    }
}
