using System.Security.Cryptography;
using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>A folder of its own with a witness beside what is unpacked: nothing outside may ever change.</summary>
public abstract class UnpackTest : RuntimeTest
{
    int count;

    protected string Outside => Path.Combine(Folder, "outside");

    protected UnpackTest()
    {
        Directory.CreateDirectory(Outside);
        File.WriteAllText(Path.Combine(Outside, "witness"), "untouched");
    }

    private protected Result Try(byte[] layer, out string root, params string[] options)
    {
        var file = Path.Combine(Folder, $"layer{++count}");
        File.WriteAllBytes(file, layer);
        root = Path.Combine(Folder, $"root{count}");
        Directory.CreateDirectory(root);
        return Runtime.Do(["unpack", .. options, file, root]);
    }

    /// <summary>Unpacks what must be taken, and gives the folder.</summary>
    private protected string Unpack(TarFile layer, params string[] options) => Unpack(layer.ToArray(), options);

    private protected string Unpack(byte[] layer, params string[] options)
    {
        Try(layer, out var root, options.Length > 0 ? options : ["--base"]).Ends(0);
        AssertWitness();
        return root;
    }

    /// <summary>Unpacks what must be refused, and gives the error's id.</summary>
    private protected string Refused(byte[] layer, params string[] options)
    {
        var result = Try(layer, out _, options.Length > 0 ? options : ["--base"]).Ends(1);
        AssertWitness();
        return (string)JsonNode.Parse(result.Lines[^1])!["error"]!["id"]!;
    }

    protected void AssertWitness()
    {
        Assert.Equal(["witness"], Directory.GetFileSystemEntries(Outside).Select(Path.GetFileName));
        Assert.Equal("untouched", File.ReadAllText(Path.Combine(Outside, "witness")));
    }

    protected static string Sha256(byte[] content) => "sha256:" + Convert.ToHexStringLower(SHA256.HashData(content));

    /// <summary>What a tree looks like: every entry with type, mode, owner, size, time, target and attributes.</summary>
    protected static string[] Listing(string root) =>
        Tool("/bin/sh", "-c", "cd \"$1\" && find . -printf '%P %y %#m %U:%G %s %T@ %n %l\\n' | sort; getfattr -R -P -h -d -m - -e hex . 2>/dev/null | sort; find . -type f -exec sha256sum {} + | sort", "sh", root);

    protected static string[] Tool(string program, params string[] arguments)
    {
        var info = new System.Diagnostics.ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var argument in arguments)
            info.ArgumentList.Add(argument);
        using var process = System.Diagnostics.Process.Start(info)!;
        var complaint = process.StandardError.ReadToEndAsync();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} {string.Join(' ', arguments)}: {complaint.Result}");
        return text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }
}
