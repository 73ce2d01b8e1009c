using System.Globalization;
using Containers.Linux;
using Psrun.Pack;
using Psrun.Shim;
using Psrun.Unpack;
using Psrun.Verbs;

namespace Psrun.Items;

/// <summary>psrun item get, item put: files out of a container's root, or another folder, and into it, as tar archives. docs/item.md has the contract.</summary>
static class ItemVerb
{
    public static readonly string[] Known = ["pid=", "start-time=", "folder=", "mounts=", "binds=", "follow", "owner=", "extract"];

    public static int Run(ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: 2, out int used);
        if (options.Arguments.Count != 2 || used != args.Length || options.Arguments[0] is not ("get" or "put"))
            throw new PsrunException("item takes get or put, and a path");
        bool get = options.Arguments[0] == "get";
        // Standard output has the archive, so that the answer goes to the other.
        int answer = get ? 2 : 1;
        try
        {
            int root = options.Value("pid") is { } pid ? ItemRoot.OfProcess((int)Number("pid", pid), Number("start-time", options.Value("start-time") ?? ""))
                : ItemRoot.OfFolder(options.Value("folder") ?? "/", options.Value("mounts"), options.Value("binds"));
            if (get)
                ItemReader.Run(root, options.Arguments[1], options.Has("follow"));
            else
            {
                long entries = new ItemWriter(root, options.Arguments[1], Owner(options.Value("owner")), options.Has("extract")).Run();
                Answer.Line(json => json.WriteNumber("entries", entries));
            }
            return 0;
        }
        catch (ItemException e)
        {
            Answer.Refuse(e.Id, e.Message, answer);
        }
        catch (UnpackException e)
        {
            Answer.Refuse(e.Id, e.Message, answer);
        }
        catch (Exception e) when (e is PackException or LinuxException or ShimException)
        {
            Answer.Refuse("CopyFailed", e.Message, answer);
        }
        return 1;
    }

    static ulong Number(string name, string text) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && (name != "pid" || number is > 0 and <= int.MaxValue) ? number
            : throw new PsrunException($"--{name}: \"{text}\" is not a number");

    static (uint User, uint Group)? Owner(string? text)
    {
        if (text is null)
            return null;
        int colon = text.IndexOf(':');
        return colon > 0 && uint.TryParse(text.AsSpan(0, colon), NumberStyles.None, CultureInfo.InvariantCulture, out uint user)
            && uint.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out uint group) ? (user, group)
            : throw new PsrunException($"--owner: \"{text}\" is not UID:GID");
    }
}

/// <summary>One thing with all that is in it, as an archive on standard output.</summary>
static class ItemReader
{
    public static void Run(int root, string path, bool follow)
    {
        ItemPlace item = ItemPlace.Find(root, path, follow);
        if (item.Found is not { } stat)
            throw new ItemException(ItemException.NotFound, $"there is no '{path}'");
        if (item.WantsFolder && !item.IsFolder)
            throw new ItemException(ItemException.Conflict, $"'{path}' is no folder");
        int type = stat.stx_mode & Libc.S_IFMT;
        if (type == Libc.S_IFSOCK)
            throw new ItemException(ItemException.Conflict, $"'{path}' is a socket, which an archive cannot have");
        using var output = new LayerOutput(1, compress: false);
        var writer = new PackWriter(output, raw: false, layer: false) { Mounted = true };
        if (item.IsFolder)
            writer.Whole(Folder(item, path), item.Called);
        else
            writer.Single(item.Folder, item.Name, item.Called);
        output.Finish();
    }

    static unsafe int Folder(ItemPlace item, string path)
    {
        fixed (byte* name = item.Name)
            return LinuxException.Check(Libc.openat(item.Folder, name, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC), "open", path);
    }
}
