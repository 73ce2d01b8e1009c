using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Bind mounts with id maps of their own (mount_setattr(2), MOUNT_ATTR_IDMAP).</summary>
public sealed class IdMappedMountTests : RuntimeTest
{
    const string OldRunc = "1.1 leaves the maps out";

    static JsonArray Map(uint container, uint host, uint size) => new(new JsonObject { ["containerID"] = container, ["hostID"] = host, ["size"] = size });

    string Source()
    {
        var source = Directory.CreateDirectory(Path.Combine(Folder, "source")).FullName;
        File.WriteAllText(Path.Combine(source, "file"), "");
        Native.lchown(Path.Combine(source, "file"), 3, 4);
        return source;
    }

    Bundle Mapped(Bundle bundle, params string[] options) => bundle.Mount("/mnt", "bind", Source(), options).Change(b =>
    {
        b.Mounts[^1]!["uidMappings"] = Map(0, 5000, 10);
        b.Mounts[^1]!["gidMappings"] = Map(0, 6000, 10);
    });

    [RuntimeTheory(NotUnderRunc = OldRunc)]
    [InlineData("bind", "idmap")]
    [InlineData("rbind", "ridmap")]
    [InlineData("rbind", "ro")] // the maps alone ask for it
    public void Owners_are_mapped(string kind, string option)
    {
        var result = Run(Mapped(NewBundle().Shell("stat -c %u:%g /mnt /mnt/file"), kind, option)).Ends(0);
        Assert.Equal("5000:6000\n5003:6004\n", result.Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void What_is_written_has_the_unmapped_owner()
    {
        var bundle = Mapped(NewBundle().Shell("touch /mnt/new"), "bind", "idmap")
            .Change(b => b.Process["user"] = new JsonObject { ["uid"] = 5000, ["gid"] = 6000 });
        Run(bundle).Ends(0);
        Assert.Equal("0:0\n", Spawn.Run(Folder, "/bin/busybox", ["stat", "-c", "%u:%g", Path.Combine(Folder, "source/new")]).Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Without_maps_the_containers_own_are_taken()
    {
        var bundle = NewBundle().Shell("stat -c %u:%g /mnt /mnt/file; touch /mnt/new").UserNamespace().Mount("/mnt", "bind", Source(), "bind", "idmap");
        Assert.Equal("0:0\n3:4\n", Run(bundle).Ends(0).Stdout);
        Assert.Equal("0:0\n", Spawn.Run(Folder, "/bin/busybox", ["stat", "-c", "%u:%g", Path.Combine(Folder, "source/new")]).Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void In_a_joined_user_namespace_its_maps_are_taken()
    {
        var (_, holder) = Start(Sleeper().UserNamespace());
        var bundle = NewBundle().Shell("stat -c %u:%g /mnt/file").UserNamespace().Mount("/mnt", "bind", Source(), "bind", "idmap", "ro");
        bundle.Namespace("user", $"/proc/{holder}/ns/user");
        Assert.Equal("3:4\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void A_mapping_of_the_top_leaves_what_is_mounted_below()
    {
        var source = Source();
        var inner = Directory.CreateDirectory(Path.Combine(source, "inner")).FullName;
        Assert.Equal(0, Native.mount("tmpfs", inner, "tmpfs", 0, null));
        try
        {
            string Seen(string option) => Run(NewBundle().Shell("stat -c %u /mnt /mnt/inner").Mount("/mnt", "bind", source, "rbind", option).Change(b =>
            {
                b.Mounts[^1]!["uidMappings"] = Map(0, 5000, 10);
                b.Mounts[^1]!["gidMappings"] = Map(0, 6000, 10);
            })).Ends(0).Stdout;
            Assert.Equal("5000\n0\n", Seen("idmap"));
            // A tmpfs can be mapped since Linux 6.3.
            if (Environment.OSVersion.Version >= new Version(6, 3))
                Assert.Equal("5000\n5000\n", Seen("ridmap"));
        }
        finally
        {
            Native.umount2(inner, 0);
        }
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Half_a_mapping_is_refused_by_name()
    {
        var result = Run(Mapped(NewBundle().Args("true"), "bind").Change(b => b.Mounts[^1]!.AsObject().Remove("gidMappings"))).Ends(1);
        Assert.Contains("gidMappings", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void An_idmap_without_maps_and_without_a_user_namespace_is_refused_by_name()
    {
        var result = Run(NewBundle().Args("true").Mount("/mnt", "bind", Source(), "bind", "idmap")).Ends(1);
        Assert.Contains("/mnt", result.Stderr);
        Assert.Contains("user namespace", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = OldRunc)]
    public void Only_bind_mounts_can_be_mapped()
    {
        var result = Run(NewBundle().Args("true").Mount("/mnt", "tmpfs", "tmpfs", "idmap")).Ends(1);
        Assert.Contains("/mnt: id mapping", result.Stderr);
        AssertNothingLeft();
    }
}
