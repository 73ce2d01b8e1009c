using System.Text;
using Containers.Linux;
using Psrun.Processes;

namespace Psrun.Checkpoint;

/// <summary>The CRIU of this host, asked before anything is touched: whether it is there, how old it is, whether it can work with this kernel.</summary>
/// <param name="Version">31701 for 3.17.1.</param>
/// <param name="TracksMemory">What --pre-dump and --parent-path need.</param>
/// <param name="HasLazyPages">What --lazy-pages needs.</param>
sealed unsafe record CriuProgram(string Path, int Version, bool TracksMemory, bool HasLazyPages)
{
    /// <summary>The first one with external pid namespaces and the notification that stands for a status descriptor.</summary>
    const int LeastVersion = 31500;

    static string? s_named;

    /// <summary>--criu: a path, or a name to look for in $PATH.</summary>
    public static void Configure(string? named) => s_named = named;

    public static CriuProgram Check()
    {
        if (Rootless.Active)
            throw new PsrunException("CRIU needs the host's root: rootless containers stay where they are");
        string path = Find();
        int words = Words();
        try
        {
            using CriuWorker worker = CriuWorker.Start(new CriuStart { Program = path, Output = words, OwnSession = true });
            worker.RestoreSignals();
            CriuAnswer version = worker.Ask(CriuRequest.Version(more: true));
            if (!version.Success || version.Version < LeastVersion)
                throw new PsrunException($"{path}: CRIU {Text(LeastVersion)} or later is needed{(version.Success ? $", this is {Text(version.Version)}" : "")}");
            CriuAnswer features = worker.Ask(CriuRequest.FeatureCheck());
            worker.End();
            if (!features.Success)
                throw new PsrunException($"CRIU {Text(version.Version)} does not work on this kernel: {LastErrors(words) ?? "it does not say why"}");
            Log.Debug($"{path} is CRIU {Text(version.Version)}");
            return new CriuProgram(path, version.Version, features.TracksMemory, features.HasLazyPages);
        }
        finally
        {
            Libc.close(words);
        }
    }

    public void Need(int version, string option)
    {
        if (Version < version)
            throw new PsrunException($"{option}: needs CRIU {Text(version)} or later, {Path} is {Text(Version)}");
    }

    static string Text(int version) => version % 100 == 0 ? $"{version / 10000}.{version / 100 % 100}" : $"{version / 10000}.{version / 100 % 100}.{version % 100}";

    static string Find()
    {
        string name = string.IsNullOrEmpty(s_named) ? "criu" : s_named;
        if (name.Contains('/'))
        {
            string path = System.IO.Path.GetFullPath(name, Program.InvocationFolder);
            return IsProgram(path) ? path : throw new PsrunException($"--criu: {path}: {Errnos.Text(Libc.errno)}");
        }
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
            if (folder.StartsWith('/') && IsProgram(folder + "/" + name))
                return folder + "/" + name;
        throw new PsrunException($"CRIU is not installed: there is no \"{name}\" in $PATH");
    }

    static bool IsProgram(string path) => Libc.faccessat(Libc.AT_FDCWD, path, 1, Libc.AT_EACCESS) == 0;

    /// <summary>A file in memory for what CRIU says before it has a log.</summary>
    public static int Words()
    {
        int fd = Libc.memfd_create("criu", Libc.MFD_CLOEXEC);
        return fd >= 0 ? fd : throw new PsrunException($"memfd_create: {Errnos.Text(Libc.errno)}");
    }

    /// <summary>Why CRIU failed: the last errors of its log, else of its words before it had one, else the one that it tells.</summary>
    /// <param name="log">The log's path.</param>
    /// <param name="words">See <see cref="Words"/>; -1 for none.</param>
    public static PsrunException Failure(CriuAnswer answer, string log, int words = -1)
    {
        int fd = Libc.open(log, Libc.O_RDONLY | Libc.O_CLOEXEC);
        string? why = fd < 0 ? null : LastErrors(fd);
        if (fd >= 0)
            Libc.close(fd);
        if (why == null && words >= 0)
            why = LastErrors(words);
        if (why == null && !string.IsNullOrWhiteSpace(answer.Message))
            why = answer.Message.Trim();
        return new PsrunException($"criu: {why ?? (answer.Errno > 0 ? Errnos.Text(answer.Errno) : "it does not say why")} (its log: {log})");
    }

    /// <summary>
    /// What a log says last before it says that all has failed: of the errors of a run the first are often harmless ones, and the last but one is the reason of the last. Lines are as
    /// <c>(00.07) 1: Error (criu/files-reg.c:2175): File fd/1 has bad size 0</c>.
    /// </summary>
    static string? LastErrors(int fd)
    {
        const int longest = 16 << 20, most = 2;
        const string begin = "Error (";
        Libc.syscall(Libc.SYS_lseek, fd, 0, 0, 0, 0, 0);
        byte[] buffer = new byte[64 * 1024];
        var found = new List<string>();
        string rest = "";
        bool over = false;
        for (int total = 0; total < longest && !over;)
        {
            nint n;
            fixed (byte* p = buffer)
                n = Libc.read(fd, p, (nuint)buffer.Length);
            if (n <= 0)
                break;
            total += (int)n;
            string[] lines = (rest + Encoding.UTF8.GetString(buffer, 0, (int)n)).Split('\n');
            rest = lines[^1];
            foreach (string line in lines)
            {
                int at = line.IndexOf(begin, StringComparison.Ordinal);
                if (at < 0 || over)
                    continue;
                over = line.EndsWith(" FAILED.", StringComparison.Ordinal);
                int place = line.IndexOf("): ", at, StringComparison.Ordinal);
                string text = line[(place < 0 ? at : place + 3)..].TrimEnd('\0', '\r', ' ');
                if (!over && !found.Contains(text))
                    found.Add(text);
            }
        }
        return found.Count == 0 ? null : string.Join("; ", found.GetRange(Math.Max(0, found.Count - most), Math.Min(most, found.Count)));
    }
}
