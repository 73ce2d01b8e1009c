using System.Text.Json;
using Containers.Linux;
using Psrun.Pack;
using Psrun.Unpack;

namespace Psrun.Verbs;

/// <summary>psrun pack: a writable layer, or a whole tree, into an archive. docs/pack.md has the contract.</summary>
static class PackVerb
{
    public static readonly string[] Known = ["lower=", "tree", "whole", "archive", "compression=", "list"];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 2, out int used);
        bool list = options.Has("list");
        if (options.Arguments.Count != (list ? 1 : 2) || used != args.Length)
            throw new PsrunException(list ? "pack --list takes a folder" : "pack takes a folder and the file to write");
        bool archive = options.Has("archive"), whole = archive || options.Has("whole");
        if (list && (whole || options.Value("compression") is not null))
            throw new PsrunException("--list writes nothing: --whole, --archive and --compression cannot be given with it");
        bool tree = options.Has("tree");
        if (tree && whole)
            throw new PsrunException("--tree says that FOLDER alone has everything: there is nothing to see it together with");
        string compression = options.Value("compression") ?? "none";
        if (compression is not ("none" or "gzip"))
            throw new PsrunException($"--compression: \"{compression}\" is none of none, gzip");
        var layers = new List<string> { Absolute(options.Arguments[0]) };
        foreach (string lower in options.Values("lower"))
            layers.Add(Absolute(lower));
        try
        {
            if (list)
                List(layers, tree);
            else
                Pack(layers, tree, whole, archive, compression == "gzip", Absolute(options.Arguments[1]));
            return 0;
        }
        catch (Exception e) when (e is PackException or LinuxException or UnpackException)
        {
            Answer.Refuse(e is UnpackException unpack ? unpack.Id : PackException.Id, e.Message);
            return 1;
        }
    }

    static string Absolute(string path) => Path.GetFullPath(path, Program.InvocationFolder);

    static void Pack(List<string> layers, bool tree, bool whole, bool archive, bool compress, string file)
    {
        Reader.EndWithout();
        int to = LinuxException.Check(Libc.open(file, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_TRUNC | Libc.O_CLOEXEC, 0x180), "open", file);
        using var output = new LayerOutput(to, compress);
        var writer = new PackWriter(output, raw: !whole || layers.Count == 1, layer: !archive);
        if (whole)
            writer.Whole(LayerView.Open(layers));
        else
        {
            (int upper, List<Change> changes) = Scan(layers, tree);
            writer.Layer(upper, changes);
        }
        (string diffId, string digest, long stored) = output.Finish();
        LinuxException.Check(Libc.close(to), "close", file);
        Answer.Line(json =>
        {
            json.WriteString("diffId", diffId);
            json.WriteNumber("size", output.Length);
            json.WriteString("digest", digest);
            json.WriteNumber("stored", stored);
            json.WriteNumber("entries", writer.Entries);
        });
    }

    static (int Upper, List<Change> Changes) Scan(List<string> layers, bool tree)
    {
        int upper = LinuxException.Check(Libc.open(layers[0], Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", layers[0]);
        List<string> lowers = layers[1..];
        int lower = lowers.Count == 0 ? -1 : LayerView.Open(lowers);
        return (upper, ChangeScan.Run(upper, lower, lowerRaw: lowers.Count == 1, tree));
    }

    static void List(List<string> layers, bool tree)
    {
        long count = 0;
        foreach (Change change in Scan(layers, tree).Changes)
        {
            // Not what is in a layer for the sake of something else.
            if (change.Kind == ChangeKind.Same || !change.Stored)
                continue;
            count++;
            Answer.Line(json =>
            {
                json.WriteString("kind", change.Kind switch { ChangeKind.Added => "Added", ChangeKind.Changed => "Changed", _ => "Deleted" });
                json.WriteString("path", Names.Shown(change.Path));
                json.WriteString("type", change.Type switch
                {
                    Libc.S_IFDIR => "Folder",
                    Libc.S_IFLNK => "SymbolicLink",
                    Libc.S_IFCHR => "CharacterDevice",
                    Libc.S_IFBLK => "BlockDevice",
                    Libc.S_IFIFO => "Fifo",
                    Libc.S_IFSOCK => "Socket",
                    _ => "File",
                });
                json.WriteNumber("size", change.Size);
            });
        }
        Answer.Line(json => json.WriteNumber("entries", count));
    }
}
