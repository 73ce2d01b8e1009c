using System.Text.Json.Nodes;
using Xunit;

namespace Containers.Tests.Runtime;

/// <summary>Bundles that other tools wrote run as they are; only what is to be run in them, and where, is changed.</summary>
public sealed class ForeignBundleTests : RuntimeTest
{
    [EngineFact("runc")]
    public void A_bundle_that_runc_wrote_runs()
    {
        string folder = Directory.CreateDirectory(Path.Combine(Folder, "runc")).FullName;
        Do(UnderTest.InPath("runc")!, "spec", "--bundle", folder);
        Rootfs.Make(Path.Combine(folder, "rootfs"));
        Assert.Equal("runc\n", RunThere(folder));
    }

    [EngineFact("umoci")]
    public void A_bundle_that_umoci_unpacked_runs()
    {
        string layout = Path.Combine(Folder, "layout");
        string folder = Path.Combine(Folder, "umoci");
        Do(UnderTest.InPath("umoci")!, "init", "--layout", layout);
        Do(UnderTest.InPath("umoci")!, "new", "--image", layout + ":test");
        Do(UnderTest.InPath("umoci")!, "unpack", "--image", layout + ":test", folder);
        Rootfs.Make(Path.Combine(folder, "rootfs"));
        Assert.Equal("umoci-default\n", RunThere(folder));
    }

    string RunThere(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        config["process"]!["terminal"] = false;
        config["process"]!["args"] = Bundle.Strings("hostname");
        string id = NewId();
        // What a runtime does with a bundle that names no group differs; the test must find what is left.
        config["linux"]!["cgroupsPath"] = "/" + id;
        File.WriteAllText(path, config.ToJsonString());
        return Runtime.Do("run", "--bundle", folder, id).Ends(0).Stdout;
    }

    void Do(string program, params string[] arguments) => Spawn.Run(Folder, program, arguments).Ends(0);
}
