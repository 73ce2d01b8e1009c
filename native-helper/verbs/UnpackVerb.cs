using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Verbs;

/// <summary>psrun unpack: a layer into an empty folder, in the form in which overlayfs takes it. docs/unpack.md has the contract.</summary>
static class UnpackVerb
{
    public static readonly string[] Known = ["compression=", "diff-id=", "base", "lower=", "max-bytes=", "max-entries=", "max-ratio=", "progress"];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 2, out int used);
        if (options.Arguments.Count != 2 || used != args.Length)
            throw new PsrunException("unpack takes a layer (a file, or - for standard input) and an empty folder");
        string? diffId = options.Value("diff-id");
        if (diffId is not null && !IsDigest(diffId))
            throw new PsrunException($"--diff-id: \"{diffId}\" is no sha256 or sha512 digest");
        IReadOnlyList<string> lowers = options.Values("lower");
        if (options.Has("base") && lowers.Count > 0)
            throw new PsrunException("--base says that there is no lower layer: it cannot be given with --lower");
        var limits = new Limits(Number(options, "max-bytes"), Number(options, "max-entries"), options.Value("max-ratio") is null ? 0 : Number(options, "max-ratio"));
        Below below = options.Has("base") ? Below.Nothing : lowers.Count > 0 ? Below.Known : Below.Unknown;
        try
        {
            Report(Unpack(options.Arguments[0], options.Arguments[1], options.Value("compression") ?? "auto", diffId, lowers, below, limits, options.Has("progress")));
            return 0;
        }
        catch (UnpackException e)
        {
            Answer.Refuse(e.Id, e.Message);
        }
        catch (LinuxException e)
        {
            Answer.Refuse(UnpackException.UnpackFailed, e.Message);
        }
        return 1;
    }

    sealed record Result(string DiffId, long Size, long Entries, long Bytes, bool Root);

    static Result Unpack(string layer, string folder, string compression, string? diffId, IReadOnlyList<string> lowers, Below below, Limits limits, bool tellProgress)
    {
        int fd = layer == "-" ? 0 : LinuxException.Check(Libc.open(Path.GetFullPath(layer, Program.InvocationFolder), Libc.O_RDONLY | Libc.O_CLOEXEC), "open", layer);
        string path = Path.GetFullPath(folder, Program.InvocationFolder);
        int root = LinuxException.Check(Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", folder);
        // Whoever wants to remove the folder waits for this lock: the one that began may have been killed, and this goes on for a moment.
        if (Libc.flock(root, Libc.LOCK_EX | Libc.LOCK_NB) != 0)
            throw new UnpackException(UnpackException.UnpackFailed, $"another process unpacks into {folder}");
        Reader.EndWithout();
        if (FolderTree.Names(root).Count > 0)
            throw new PsrunException($"{folder} is not empty");
        // What an entry's mode says is what it gets.
        Libc.umask(0);
        string algorithm = diffId is null ? "sha256" : diffId[..diffId.IndexOf(':')];
        using LayeredFolder? layers = below == Below.Known ? new LayeredFolder([path, .. lowers]) : null;
        using var input = new LayerInput(fd, compression, algorithm, limits, tellProgress ? TellProgress : null);
        var tree = new Tree(root, below, layers);
        var reader = new TarReader(input, limits);
        var writer = new LayerWriter(tree, reader);
        while (reader.Next() is TarEntry entry)
            writer.Apply(entry);
        string found = input.Finish()!;
        if (diffId is not null && found != diffId)
            throw new UnpackException(UnpackException.DigestMismatch, $"the uncompressed layer is {found}, and {diffId} was asked for");
        tree.SetFolderTimes();
        return new Result(found, input.Taken, reader.Entries, writer.Bytes, writer.HasRoot);
    }

    static long Number(Options options, string name)
    {
        string? value = options.Value(name);
        if (value is null)
            return long.MaxValue;
        return long.TryParse(value, out long number) && number > 0 ? number : throw new PsrunException($"--{name}: \"{value}\" is not a number above 0");
    }

    static bool IsDigest(string text)
    {
        int digits = text.StartsWith("sha256:") ? 64 : text.StartsWith("sha512:") ? 128 : 0;
        if (digits == 0 || text.Length != 7 + digits)
            return false;
        foreach (char c in text.AsSpan(7))
            if (!char.IsAsciiHexDigitLower(c))
                return false;
        return true;
    }

    static void Report(Result result) => Answer.Line(json =>
    {
        json.WriteString("diffId", result.DiffId);
        json.WriteNumber("size", result.Size);
        json.WriteNumber("entries", result.Entries);
        json.WriteNumber("bytes", result.Bytes);
        json.WriteBoolean("root", result.Root);
    });

    static void TellProgress(long read) => Answer.Line(json => json.WriteNumber("read", read));
}
