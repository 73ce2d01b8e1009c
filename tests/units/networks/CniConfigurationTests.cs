using Containers;
using Xunit;

namespace Containers.Tests.Units.Networks;

public sealed class CniConfigurationTests : IDisposable
{
    readonly CniTest t = new();

    public void Dispose() => t.Dispose();

    [Fact]
    public void A_list_is_read_with_its_order_and_what_its_plugins_declare()
    {
        var one = CniTest.Parse("""{"cniVersion":"1.0.0","name":"web.1","disableCheck":"true","plugins":[{"type":"bridge","ipam":{"type":"host-local"}},{"type":"portmap","capabilities":{"portMappings":true,"other":false}}]}""");
        Assert.Equal(("web.1", "1.0.0", true, false), (one.Name, one.Version, one.DisableCheck, one.DisableGc));
        Assert.Equal(["bridge", "portmap"], one.Plugins.Select(plugin => plugin.Type));
        Assert.Equal(["portMappings"], one.Plugins[1].Capabilities);
    }

    [Fact]
    public void A_file_with_one_plugin_is_a_list_of_one()
    {
        var one = CniTest.Parse("""{"cniVersion":"0.3.1","name":"old","type":"macvlan","master":"eth0"}""");
        Assert.Equal(("old", "0.3.1", "macvlan"), (one.Name, one.Version, Assert.Single(one.Plugins).Type));
    }

    [Theory]
    [InlineData("""{"cniVersion":"0.4.0","cniVersions":["0.3.1","1.1.0","2.0.0"],"name":"a","type":"x"}""", "1.1.0")]
    [InlineData("""{"cniVersions":["1.0.0","0.4.0"],"name":"a","type":"x"}""", "1.0.0")]
    [InlineData("""{"cniVersion":"0.3.1","name":"a","type":"x"}""", "0.3.1")]
    public void The_highest_known_version_that_is_offered_counts(string file, string version) => Assert.Equal(version, CniTest.Parse(file).Version);

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x"} {}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x","type":"y"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"x","deep":{"b":1,"b":2}}]}""")]
    [InlineData("""{"cniVersion":"1.0.0","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"../a","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":".a","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":1,"type":"x"}""")]
    [InlineData("""{"name":"a","type":"x"}""")]
    [InlineData("""{"cniVersion":"0.2.0","name":"a","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.2.0","name":"a","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","cniVersions":"1.0.0","name":"a","type":"x"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","plugins":[]}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","plugins":{}}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","plugins":[1]}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"/bin/sh"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"../sh"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":".."}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x\u0000y"}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x","ipam":{"type":"a/b"}}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x","ipam":[]}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x","capabilities":{"mac":"yes"}}""")]
    [InlineData("""{"cniVersion":"1.0.0","name":"a","type":"x","disableCheck":"perhaps"}""")]
    public void What_is_no_configuration_is_refused(string file) => CniTest.Refused(ErrorIds.NetworkInvalid, () => CniTest.Parse(file));

    [Fact]
    public void Too_many_plugins_and_too_deep_a_nesting_are_refused()
    {
        var many = string.Join(',', Enumerable.Repeat("""{"type":"x"}""", 65));
        CniTest.Refused(ErrorIds.NetworkInvalid, () => CniTest.Parse($$"""{"cniVersion":"1.0.0","name":"a","plugins":[{{many}}]}"""));
        var deep = new string('[', 100) + new string(']', 100);
        CniTest.Refused(ErrorIds.NetworkInvalid, () => CniTest.Parse($$"""{"cniVersion":"1.0.0","name":"a","type":"x","deep":{{deep}}}"""));
    }

    [Fact]
    public void A_folder_gives_its_networks_in_order_and_says_what_it_cannot_use()
    {
        t.Configuration("20-b.conf", """{"cniVersion":"1.0.0","name":"b","type":"x"}""");
        t.Configuration("10-a.conflist", """{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"x"}]}""");
        t.Configuration("30-again.conflist", """{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"y"}]}""");
        t.Configuration("40-bad.json", "{");
        t.Configuration("readme.txt", "not looked at");
        File.CreateSymbolicLink(Path.Combine(t.Configurations, "50-loop.conf"), "50-loop.conf");
        File.SetUnixFileMode(t.Configuration("60-open.conf", """{"cniVersion":"1.0.0","name":"open","type":"x"}"""), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherWrite);
        File.WriteAllBytes(Path.Combine(t.Configurations, "70-long.conf"), new byte[CniConfiguration.LongestFile + 1]);
        var (networks, refused) = new CniFolder(t.Configurations).Load();
        Assert.Equal([("a", "x"), ("b", "x")], networks.Select(one => (one.Name, one.Plugins[0].Type)));
        Assert.Equal(["30-again.conflist", "40-bad.json", "50-loop.conf", "60-open.conf", "70-long.conf"], refused.Select(e => Path.GetFileName((string)e.Target!)));
        Assert.All(refused, e => Assert.Equal(ErrorIds.NetworkInvalid, e.Id));
    }

    [Fact]
    public void A_network_is_found_by_its_name_alone()
    {
        t.Configuration("10-a.conflist", """{"cniVersion":"1.0.0","name":"a","plugins":[{"type":"x"}]}""");
        t.Configuration("bad.conflist", "{");
        var folder = new CniFolder(t.Configurations);
        Assert.Equal("a", folder.Get("a").Name);
        CniTest.Refused(ErrorIds.NetworkNotFound, () => folder.Get("10-a"));
        CniTest.Refused(ErrorIds.NetworkNotFound, () => folder.Get("../a"));
        CniTest.Refused(ErrorIds.NetworkInvalid, () => folder.Get("bad"));
        CniTest.Refused(ErrorIds.NetworkNotFound, () => new CniFolder(t.Folder + "/none").Get("a"));
    }

    [Fact]
    public void Plugins_beside_a_list_follow_it_unless_it_excludes_them()
    {
        Directory.CreateDirectory(Path.Combine(t.Configurations, "a"));
        t.Configuration("a/10-more.conf", """{"type":"more"}""");
        t.Configuration("a.conflist", """{"cniVersion":"1.1.0","name":"a","plugins":[{"type":"x"}]}""");
        Assert.Equal(["x", "more"], new CniFolder(t.Configurations).Get("a").Plugins.Select(plugin => plugin.Type));
        t.Configuration("a.conflist", """{"cniVersion":"1.1.0","name":"a","loadOnlyInlinedPlugins":true,"plugins":[{"type":"x"}]}""");
        Assert.Equal(["x"], new CniFolder(t.Configurations).Get("a").Plugins.Select(plugin => plugin.Type));
    }
}
