using System.Text;
using Containers.Linux;
using Psrun.Pack;
using Psrun.Unpack;

namespace Psrun.Verbs;

/// <summary>psrun copy: layers as one plain tree. docs/pack.md has the contract.</summary>
static class CopyVerb
{
    public static readonly string[] Known = ["lower=", "path="];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 2, out int used);
        if (options.Arguments.Count != 2 || used != args.Length)
            throw new PsrunException("copy takes a folder and an empty folder to copy it into");
        var layers = new List<string> { Absolute(options.Arguments[0]) };
        foreach (string lower in options.Values("lower"))
            layers.Add(Absolute(lower));
        try
        {
            TreeCopy copy = Copy(layers, options.Value("path"), Absolute(options.Arguments[1]));
            Answer.Line(json =>
            {
                json.WriteNumber("entries", copy.Entries);
                json.WriteNumber("bytes", copy.Bytes);
                json.WriteBoolean("cloned", copy.Cloned);
            });
            return 0;
        }
        catch (Exception e) when (e is PackException or LinuxException or UnpackException)
        {
            Answer.Refuse("CopyFailed", e.Message);
            return 1;
        }
    }

    static string Absolute(string path) => Path.GetFullPath(path, Program.InvocationFolder);

    static TreeCopy Copy(List<string> layers, string? path, string folder)
    {
        int target = Open(folder);
        // As with unpack: whoever wants to remove the folder waits for this lock.
        if (Libc.flock(target, Libc.LOCK_EX | Libc.LOCK_NB) != 0)
            throw new PackException($"another process copies into {folder}");
        Reader.EndWithout();
        if (FolderTree.Names(target).Count > 0)
            throw new PsrunException($"{folder} is not empty");
        Libc.umask(0);
        List<byte[]> parts = [];
        if (path is not null)
        {
            using var merged = new LayeredFolder(layers);
            if (merged.Find(path, followLast: true) is not { IsFolder: true } found)
                throw new PackException($"'{path}' is no folder of the layers");
            parts = Tree.Split(found.Path.AsSpan(0, found.Path.Length - 1), () => Encoding.UTF8.GetString(found.Path));
        }
        var open = new List<int>();
        foreach (string layer in layers)
            open.Add(Open(layer));
        return TreeCopy.Run(open, parts, target);
    }

    static int Open(string path) => LinuxException.Check(Libc.open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", path);
}
