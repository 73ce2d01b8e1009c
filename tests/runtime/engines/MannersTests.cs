using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>What engines take for granted of a runtime.</summary>
public sealed class MannersTests : RuntimeTest
{
    [RuntimeFact]
    public void Cleans_up_from_a_folder_that_is_gone()
    {
        var (id, pid) = Start(Sleeper());
        const string Script = "mkdir \"$1\" && cd \"$1\" && rmdir \"$1\" && shift && exec \"$@\"";
        Spawn.Run(Folder, "/bin/sh", ["-c", Script, "sh", Path.Combine(Folder, "gone"), Runtime.Program, "--root", Runtime.Root, "delete", "--force", id]).Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
    }

    [RuntimeFact]
    public void A_path_relative_to_a_folder_that_is_gone_is_nowhere()
    {
        const string Script = "mkdir \"$1\" && cd \"$1\" && rmdir \"$1\" && shift && exec \"$@\"";
        var id = NewId();
        Spawn.Run(Folder, "/bin/sh", ["-c", Script, "sh", Path.Combine(Folder, "gone"), Runtime.Program, "--root", Runtime.Root, "create", id]).Ends(1);
        Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
    }

    [RuntimeFact]
    public void A_file_systems_own_options_do_no_harm_to_a_bind_mount()
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        var bundle = NewBundle().Mount("/work", "bind", source, "bind", "mode=755", "ro").Args("touch", "/work/x");
        Assert.Contains("Read-only", Run(bundle).Ends(1).Stderr);
        Run(NewBundle().Mount("/work", "bind", source, "bind", "r0").Args("true")).Ends(1);
    }

    [RuntimeFact(NotUnderRunc = "tells creating")]
    public void A_prestart_hook_is_told_a_created_container()
    {
        var told = Path.Combine(Folder, "told");
        var bundle = NewBundle().Args("true").Change(b => b.Config["hooks"] = new JsonObject
        {
            ["prestart"] = new JsonArray(new JsonObject { ["path"] = "/bin/sh", ["args"] = new JsonArray("sh", "-c", $"cat > {told}") }),
        });
        Run(bundle).Ends(0);
        Assert.Equal("created", (string)JsonNode.Parse(File.ReadAllText(told))!["status"]!);
    }
}
