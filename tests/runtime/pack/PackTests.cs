using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What a container has written, packed into a layer: unpacked again over the same layers it shows the same tree, and it holds nothing else.</summary>
public class PackTests : UnpackTest
{
    const string NotRunc = "pack is psrun's own";

    // Without sizes and link counts of folders, which overlayfs makes up, and without the root, whose times are nobody's.
    const string List = """
        list() { (cd "$1" && find . -mindepth 1 \( -type d -printf '%P %y %#m %U:%G %T@\n' -o -printf '%P %y %#m %U:%G %s %T@ %n %l\n' \) | LC_ALL=C sort
            find . -mindepth 1 -exec getfattr -h -d -m - -e hex {} \; 2>/dev/null | tr '\n' ' ' | sed 's/# file: /\n/g' | LC_ALL=C sort; find . -type f -exec sha256sum {} + | LC_ALL=C sort); }

        """;

    string Upper => Path.Combine(Folder, "upper");

    /// <summary>Changes a tree under overlayfs in a mount namespace of its own, and tells how it looks then.</summary>
    string[] Change(string changes, params string[] lowers)
    {
        Directory.CreateDirectory(Path.Combine(Folder, "merged"));
        return Tool("/usr/bin/unshare", "-m", "/bin/sh", "-c", List + $$"""
            set -e; mkdir -p "$1/upper" "$1/work"; mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work,redirect_dir=off,metacopy=off" "$1/merged"
            cd "$1/merged"
            {{changes}}
            cd "$1"; list merged
            """, "sh", Folder, string.Join(':', lowers));
    }

    string[] Show(params string[] layers) =>
        Tool("/usr/bin/unshare", "-m", "/bin/sh", "-c", List + "set -e; mount -t overlay overlay -o \"ro,lowerdir=$2\" \"$1/merged\"; list \"$1/merged\"", "sh", Folder, string.Join(':', layers));

    JsonNode Pack(string file, params string[] arguments) => JsonNode.Parse(Runtime.Do(["pack", .. arguments, file]).Ends(0).Lines[^1])!;

    static string[] Over(params string[] lowers) => [.. lowers.SelectMany(lower => new[] { "--lower", lower })];

    (string One, string Two) Below()
    {
        var one = Unpack(new TarFile().Folder("etc").File("etc/passwd", "root").File("etc/motd", "hello").Folder("usr").Folder("usr/lib").File("usr/lib/so", "library", mode: 0x9ed)
            .Folder("gone").File("gone/x").Folder("gone/deep").File("gone/deep/y").Folder("again").File("again/same", "s").File("again/other", "o").Folder("again/sub").File("again/sub/z", "z")
            .File("file").Folder("folder").File("folder/f").Link("link", "etc").File("old", "old").File("opened", "o").File("mode", "m").File("bytes", "abc", time: 5).Entry('3', "null", major: 1, minor: 3));
        var two = Unpack(new TarFile().Folder("etc").File("etc/motd", "hello again").File("etc/.wh.passwd").Folder("two").File("two/t", "t"), "--lower", one);
        return (one, two);
    }

    const string Everything = """
        echo new >added; ln added added2; ln old oldlink; echo more >>etc/motd; echo back >etc/passwd; rm -r gone
        rm -r again; mkdir again; printf s >again/same; touch -d @1700000000 again/same; chmod 644 again/same; mkdir again/sub; echo n >again/sub/n
        rm file; mkdir file; echo in >file/in; rm -r folder; echo f >folder; rm link; ln -s two link
        : >>opened; chmod 700 mode; printf xyz >bytes; touch -d @5 bytes; mv usr usr2; rm two/t
        mkfifo fifo; mknod tty c 5 0; mknod disk b 259 300; mkdir -m 1777 tmp; chmod 4755 added
        chown 4000000000:70000 mode; setfattr -n user.k -v v added; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 bytes
        mkdir -p "$(printf 'l%.0s' $(seq 200))/x"; echo deep >"$(printf 'l%.0s' $(seq 200))/x/$(printf 'n%.0s' $(seq 250))"; printf q >"$(printf 'a\nb\377')"; ln -s "$(printf 'l%.0s' $(seq 200))" long
        touch -d '1969-12-31 23:59:58.500000000 UTC' folder; touch -d '2001-01-01 00:00:00.123456789' again; truncate -s 3M hole; mkdir empty; mkdir .hidden
        """;

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_layer_unpacked_over_the_same_layers_shows_the_same_tree()
    {
        var (one, two) = Below();
        var before = Change(Everything, two, one);
        var layer = Path.Combine(Folder, "layer");
        var answer = Pack(layer, [.. Over(two, one), "--compression", "gzip", Upper]);
        Assert.Equal((string)answer["digest"]!, Sha256(File.ReadAllBytes(layer)));
        Assert.Equal((long)answer["stored"]!, new FileInfo(layer).Length);
        var root = Path.Combine(Folder, "unpacked");
        Directory.CreateDirectory(root);
        Runtime.Do(["unpack", "--diff-id", (string)answer["diffId"]!, .. Over(two, one), layer, root]).Ends(0);
        Assert.Equal(before, Show(root, two, one));

        var again = Path.Combine(Folder, "again.gz");
        Pack(again, [.. Over(two, one), "--compression", "gzip", Upper]);
        Assert.Equal(File.ReadAllBytes(layer), File.ReadAllBytes(again));
        Assert.Equal("rw-------", ToText(File.GetUnixFileMode(layer)));
        // .NET cannot name what is no UTF-8.
        Tool("/bin/rm", "-rf", root, Upper);
    }

    static string ToText(UnixFileMode mode) => string.Concat("rwxrwxrwx".Select((c, i) => ((int)mode & (0x100 >> i)) != 0 ? c : '-'));

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_layer_has_what_is_different_and_nothing_else()
    {
        var (one, two) = Below();
        Change("""
            : >>opened; exec 3<>bytes; exec 3>&-; chmod 600 mode; chmod 644 mode; touch -d @1700000000 mode
            rm two/t; mkdir tmp; rmdir tmp; rm -r again; mkdir again; printf s >again/same; touch -d @1700000000 again/same; mkdir again/sub; chmod 755 again/sub; printf z >again/sub/z; touch -d @1700000000 again/sub/z again/sub again
            ln old linked; touch -d @1700000000 usr
            """, two, one);
        var layer = Path.Combine(Folder, "layer");
        Pack(layer, [.. Over(two, one), Upper]);
        Assert.Equal(["again/", "again/.wh.other", "linked", "old", "two/", "two/.wh.t"], Tool("/bin/tar", "-tf", layer));
        Assert.Contains("old link to linked", string.Join('\n', Tool("/bin/tar", "-tvf", layer)));
        var listed = Runtime.Do(["pack", .. Over(two, one), "--list", Upper]).Ends(0).Lines.Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal(["Deleted /again/other File", "Added /linked File", "Changed /two Folder", "Deleted /two/t File"],
            listed[..^1].Select(line => $"{line["kind"]} {line["path"]} {line["type"]}"));
        Assert.Equal(4, (int)listed[^1]["entries"]!);
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Nothing_changed_is_an_empty_layer()
    {
        var (one, two) = Below();
        Change(":", two, one);
        Assert.Equal(0, (int)Pack(Path.Combine(Folder, "layer"), [.. Over(two, one), Upper])["entries"]!);
        Assert.Empty(Tool("/bin/tar", "-tf", Path.Combine(Folder, "layer")));
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void The_whole_tree_is_what_GNU_tar_unpacks()
    {
        var (one, two) = Below();
        var before = Change(Everything, two, one);
        var archive = Path.Combine(Folder, "whole.tar");
        Pack(archive, [.. Over(two, one), "--archive", Upper]);
        var root = Path.Combine(Folder, "theirs");
        Directory.CreateDirectory(root);
        Tool("/bin/tar", "--xattrs", "--xattrs-include=*", "--same-owner", "-xpf", archive, "-C", root);
        Assert.Equal(before, Tool("/bin/sh", "-c", List + "list \"$1\"", "sh", root));
        Tool("/bin/rm", "-rf", root, Upper);
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void What_a_layer_cannot_say_is_refused()
    {
        var (one, two) = Below();
        Change("mkdir d; : >d/.wh.x", two, one);
        string Refused(params string[] arguments) => (string)JsonNode.Parse(Runtime.Do(["pack", .. arguments, Upper, Path.Combine(Folder, "no")]).Ends(1).Lines[^1])!["error"]!["id"]!;
        Assert.Equal("PackFailed", Refused(Over(two, one)));
        Assert.Equal("PackFailed", Refused([.. Over(two, one), "--whole"]));
        Assert.Contains("d/.wh.x", Tool("/bin/tar", "-tf", Archive(one, two)));
        File.Delete(Path.Combine(Upper, "d/.wh.x"));
        Tool("/usr/bin/setfattr", "-n", "trusted.overlay.redirect", "-v", "/etc", Path.Combine(Upper, "d"));
        Assert.Equal("PackFailed", Refused(Over(two, one)));
        Assert.Equal("PackFailed", Refused("--lower", Path.Combine(Folder, "nonexistent")));
    }

    string Archive(string one, string two)
    {
        var file = Path.Combine(Folder, "a.tar");
        Pack(file, [.. Over(two, one), "--archive", Upper]);
        return file;
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_copy_of_layers_is_the_tree_that_they_are_together()
    {
        var (one, two) = Below();
        var before = Change(Everything + "; setfattr -n trusted.overlay.image -v x added", two, one);
        var copy = Path.Combine(Folder, "copy");
        Directory.CreateDirectory(copy);
        var answer = JsonNode.Parse(Runtime.Do(["copy", .. Over(two, one), Upper, copy]).Ends(0).Lines[^1])!;
        // It is a layer itself: what an image calls by overlayfs's names is escaped in it.
        var nothing = Directory.CreateDirectory(Path.Combine(Folder, "nothing")).FullName;
        Assert.Equal(before, Show(copy, nothing));
        Assert.Contains("trusted.overlay.overlay.image", string.Join(' ', Tool("/usr/bin/getfattr", "-d", "-m", "-", Path.Combine(copy, "added"))));
        Assert.DoesNotContain("opaque", string.Join(' ', Tool("/usr/bin/getfattr", "-R", "-h", "-d", "-m", "-", copy)));
        Assert.Equal(Tool("/usr/bin/find", copy, "-mindepth", "1", "-printf", "x").Single().Length, (int)answer["entries"]!);
        Assert.True(new FileInfo(Path.Combine(copy, "hole")).Length == 3 << 20 && Blocks(Path.Combine(copy, "hole")) == 0);
        Tool("/bin/rm", "-rf", copy, Upper);
    }

    static long Blocks(string path) => long.Parse(Tool("/usr/bin/stat", "-c", "%b", path).Single());

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void A_changed_copy_gives_the_layer_that_overlayfs_would()
    {
        var (one, two) = Below();
        var copy = Path.Combine(Folder, "copy");
        Directory.CreateDirectory(copy);
        Runtime.Do(["copy", .. Over(one), two, copy]).Ends(0);
        Assert.Equal(0, (int)Pack(Path.Combine(Folder, "none"), ["--tree", .. Over(two, one), copy])["entries"]!);
        var before = Tool("/bin/sh", "-c", $"{List}set -e; cd \"$1\"\n{Everything}\nlist \"$1\"", "sh", copy);
        var layer = Path.Combine(Folder, "layer");
        Pack(layer, ["--tree", .. Over(two, one), copy]);
        var root = Path.Combine(Folder, "unpacked");
        Directory.CreateDirectory(root);
        Directory.CreateDirectory(Path.Combine(Folder, "merged"));
        Runtime.Do(["unpack", .. Over(two, one), layer, root]).Ends(0);
        Assert.Equal(before, Show(root, two, one));
        Change(Everything, two, one);
        var overlay = Path.Combine(Folder, "overlay");
        Pack(overlay, [.. Over(two, one), Upper]);
        Assert.Equal(Tool("/bin/tar", "-tf", overlay), Tool("/bin/tar", "-tf", layer));
        Tool("/bin/rm", "-rf", root, copy, Upper);
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void One_folder_is_copied_and_links_of_the_image_lead_nowhere_else()
    {
        var one = Unpack(new TarFile().Folder("data", mode: 0x1c0, owner: 7).File("data/below", "b").Folder("data/sub").File("data/sub/x", "x").Link("out", Outside).Link("up", "../../../../../../.." + Outside)
            .Link("in", "/data").Link("round", "round").File("file", "f"));
        var two = Unpack(new TarFile().Folder("data", mode: 0x1c8, owner: 9).File("data/above", "a").File("data/sub/.wh.x"), "--lower", one);
        foreach (var path in new[] { "/data", "in", "/in/../data/./" })
        {
            var copy = Directory.CreateDirectory(Path.Combine(Folder, "copy")).FullName;
            Runtime.Do("copy", "--lower", one, "--path", path, two, copy).Ends(0);
            Assert.Equal([". 0710 9:9", "above 0644 0:0", "below 0644 0:0", "sub 0755 0:0"], Tool("/bin/sh", "-c", "cd \"$1\" && stat -c '%n 0%a %u:%g' . * | LC_ALL=C sort", "sh", copy));
            Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(copy, "sub")));
            Directory.Delete(copy, recursive: true);
        }
        foreach (var path in new[] { "/out", "up", "round", "file", "nowhere", "out/witness" })
        {
            var copy = Directory.CreateDirectory(Path.Combine(Folder, "copy")).FullName;
            var refused = Runtime.Do("copy", "--lower", one, "--path", path, two, copy).Ends(1);
            Assert.Equal("CopyFailed", (string)JsonNode.Parse(refused.Lines[^1])!["error"]!["id"]!);
            Assert.Empty(Directory.GetFileSystemEntries(copy));
        }
        AssertWitness();
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("copy")]
    [InlineData("copy", "/proc")]
    [InlineData("copy", "/proc", "/proc")]
    [InlineData("copy", "--what", "/proc", "x")]
    [InlineData("pack", "--tree", "--whole", "/proc", "x")]
    [InlineData("pack")]
    [InlineData("pack", "/proc")]
    [InlineData("pack", "--list", "/proc", "x")]
    [InlineData("pack", "--list", "--whole", "/proc")]
    [InlineData("pack", "--compression", "zstd", "/proc", "x")]
    [InlineData("pack", "--what", "/proc", "x")]
    public void Bad_command_lines_are_refused(params string[] arguments) => Assert.StartsWith("psrun: ", Runtime.Do(arguments).Ends(1).Stderr);
}
