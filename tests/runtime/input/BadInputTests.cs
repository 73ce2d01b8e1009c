using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>Bundles that are wrong: runc's exit status, one line that names the matter, and nothing left on the host.</summary>
public sealed class BadInputTests : RuntimeTest
{
    void Refused(Bundle bundle, params string[] words)
    {
        foreach (var verb in (string[])["run", "create"])
        {
            var result = Runtime.Do(verb, "--bundle", bundle.Folder, NewId()).Ends(1);
            if (!UnderTest.IsRunc)
                Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
            Assert.NotEmpty(result.Stderr);
            Assert.Empty(result.Stdout);
            foreach (var word in words)
                Assert.Contains(word, result.Stderr, StringComparison.OrdinalIgnoreCase);
        }
        AssertNothingLeft();
    }

    [RuntimeTheory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\"text\"")]
    [InlineData("{ \"ociVersion\": \"1.0.2\", }")]
    [InlineData("not json at all")]
    public void A_config_that_is_no_object_is_refused(string text) => Refused(NewBundle().SaveText(text));

    [RuntimeFact(NotUnderRunc = "it panics")]
    public void A_config_that_is_null_is_refused() => Refused(NewBundle().SaveText("null"));

    [RuntimeFact]
    public void A_config_of_many_brackets_is_refused() => Refused(NewBundle().SaveText(new string('[', 200_000)));

    [RuntimeFact]
    public void A_bundle_without_a_config_is_refused()
    {
        var bundle = NewBundle();
        File.Delete(Path.Combine(bundle.Folder, "config.json"));
        Refused(bundle, "config.json");
    }

    [RuntimeFact]
    public void A_bundle_that_is_absent_is_refused()
    {
        var result = Runtime.Do("run", "--bundle", Path.Combine(Folder, "absent"), NewId()).Ends(1);
        Assert.Contains("no such file or directory", result.Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_config_that_is_a_folder_is_refused()
    {
        var bundle = NewBundle();
        File.Delete(Path.Combine(bundle.Folder, "config.json"));
        Directory.CreateDirectory(Path.Combine(bundle.Folder, "config.json"));
        Refused(bundle);
    }

    [RuntimeTheory]
    [InlineData("root")]
    [InlineData("process")]
    public void A_missing_part_is_refused_by_name(string name) => Refused(NewBundle().Args("true").Change(b => b.Config.Remove(name)), name);

    [RuntimeTheory(NotUnderRunc = "it takes any version")]
    [InlineData(null)]
    [InlineData("2.0.0")]
    [InlineData("bogus")]
    public void A_version_that_is_missing_or_not_ours_is_refused_by_name(string? version) => Refused(NewBundle().Args("true").Change(b =>
    {
        if (version is null)
            b.Config.Remove("ociVersion");
        else
            b.Config["ociVersion"] = version;
    }), "ociVersion");

    [RuntimeTheory]
    [InlineData("args", null, "args")]
    [InlineData("args", "[]", "args")]
    [InlineData("args", "\"sh\"", "args")]
    [InlineData("args", "[ 1 ]", "args")]
    [InlineData("env", "\"A=1\"", "env")]
    [InlineData("env", "[ \"NOEQUALSIGN\" ]", "NOEQUALSIGN")]
    [InlineData("cwd", "\"relative\"", "cwd")]
    [InlineData("cwd", "\"\"", "cwd")]
    [InlineData("cwd", "7", "cwd")]
    [InlineData("terminal", "\"yes\"", "terminal")]
    [InlineData("user", "{ \"uid\": -1 }", "uid")]
    [InlineData("user", "{ \"uid\": \"root\" }", "uid")]
    [InlineData("user", "{ \"uid\": 4294967296 }", "uid")]
    [InlineData("user", "{ \"gid\": 1.5 }", "gid")]
    [InlineData("rlimits", "[ { \"type\": \"RLIMIT_NOFILE\", \"soft\": -1, \"hard\": 1 } ]", "rlimits")]
    [InlineData("oomScoreAdj", "\"much\"", "oomScoreAdj")]
    [InlineData("capabilities", "[]", "capabilities")]
    [InlineData("noNewPrivileges", "1", "noNewPrivileges")]
    public void A_wrong_process_is_refused_by_name(string name, string? value, string word) =>
        Refused(NewBundle().Args("true").Change(b =>
        {
            if (value is null)
                b.Process.Remove(name);
            else
                b.Process[name] = JsonNode.Parse(value);
        }), word);

    [RuntimeTheory]
    [InlineData("\"absent\"", "no such file or directory")]
    [InlineData("\"config.json\"", "")]
    [InlineData("7", "path")]
    [InlineData("\"\"", "")]
    public void A_wrong_root_is_refused(string path, string word) =>
        Refused(NewBundle().Args("true").Change(b => b.Config["root"]!["path"] = JsonNode.Parse(path)), word);

    [RuntimeTheory]
    [InlineData("{ \"type\": \"bogus\" }", "bogus")]
    [InlineData("{ \"type\": \"\" }", "")]
    [InlineData("{ \"type\": 7 }", "type")]
    [InlineData("{ \"type\": \"ipc\" }", "ipc")] // a second one
    [InlineData("\"ipc\"", "namespaces")]
    public void A_wrong_namespace_is_refused_by_name(string entry, string word) =>
        Refused(NewBundle().Args("true").Change(b => b.Namespaces.Add(JsonNode.Parse(entry))), word);

    [RuntimeTheory]
    [InlineData("{ \"destination\": \"/mnt\", \"type\": \"nosuchfs\", \"source\": \"x\" }", "/mnt")]
    [InlineData("{ \"destination\": \"/mnt\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": [ \"nosuchoption\" ] }", "nosuchoption")]
    [InlineData("{ \"destination\": \"/mnt\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": [ \"size=much\" ] }", "/mnt")]
    [InlineData("{ \"destination\": \"/mnt\", \"type\": \"tmpfs\", \"source\": \"x\", \"options\": \"ro\" }", "options")]
    [InlineData("{ \"destination\": 7, \"type\": \"tmpfs\" }", "destination")]
    public void A_wrong_mount_is_refused_by_name(string entry, string word) =>
        Refused(NewBundle().Args("true").Change(b => b.Mounts.Add(JsonNode.Parse(entry))), word);

    [RuntimeTheory]
    [InlineData("rootfsPropagation", "\"sideways\"", "sideways")]
    [InlineData("namespaces", "{}", "namespaces")]
    [InlineData("maskedPaths", "\"/proc\"", "maskedPaths")]
    [InlineData("resources", "{ \"memory\": { \"limit\": \"much\" } }", "limit")]
    [InlineData("resources", "{ \"pids\": { \"limit\": {} } }", "limit")]
    [InlineData("uidMappings", "[ { \"containerID\": 0, \"hostID\": -5, \"size\": 1 } ]", "hostID")]
    [InlineData("sysctl", "{ \"net.ipv4.ip_forward\": 1 }", "sysctl")]
    [InlineData("seccomp", "{ \"defaultAction\": \"SCMP_ACT_NOSUCH\" }", "seccomp")]
    public void A_wrong_linux_part_is_refused_by_name(string name, string value, string word) =>
        Refused(NewBundle().Args("true").Change(b => b.Linux[name] = JsonNode.Parse(value)), word);

    [RuntimeTheory]
    [InlineData("nosuchprogram", "executable file not found in $PATH")]
    [InlineData("", "executable file not found in $PATH")]
    [InlineData("/nosuch/program", "no such file or directory")]
    [InlineData("./nosuchprogram", "no such file or directory")]
    [InlineData("/etc/passwd", "permission denied")]
    [InlineData("/bin/nosuchinterpreter", "no such file or directory")]
    [InlineData("/bin/garbage", "exec format error")]
    [InlineData("/bin", "")]
    public void A_program_that_cannot_be_run_is_refused_with_the_words_that_callers_look_for(string program, string words)
    {
        var bundle = NewBundle().Args(program).WriteFile("/bin/nosuchinterpreter", "#!/nosuch/interpreter\n", Permission.Program)
            .WriteFile("/bin/garbage", "\u0001\u0002\u0003", Permission.Program);
        // The kernel alone can tell about what is in the file: runc says so when the program is started.
        if (program is "/bin/nosuchinterpreter" or "/bin/garbage")
        {
            Assert.Contains(words, Run(bundle).Ends(1).Stderr);
            AssertNothingLeft();
            return;
        }
        Refused(bundle, program, words);
    }

    [RuntimeFact]
    public void A_program_that_the_user_may_not_run_is_refused()
    {
        var bundle = NewBundle().Args("/root/tool").WriteFile("/root/tool", "#!/bin/sh\n", UnixFileMode.UserRead | UnixFileMode.UserExecute)
            .Change(b => b.Process["user"] = new JsonObject { ["uid"] = 1000, ["gid"] = 1000 });
        Assert.Contains("permission denied", Run(bundle).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_program_on_the_path_that_may_not_be_run_is_no_program()
    {
        var bundle = NewBundle().Args("plain").WriteFile("/bin/plain", "text");
        Assert.Contains("plain", Run(bundle).Ends(1).Stderr);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Unknown_members_are_no_error()
    {
        var bundle = NewBundle().Args("echo", "ok").Change(b =>
        {
            b.Config["org.example"] = new JsonObject { ["deep"] = new JsonArray(1, "two") };
            b.Process["later"] = true;
        });
        Assert.Equal("ok\n", Run(bundle).Ends(0).Stdout);
    }

    [RuntimeFact]
    public void A_config_with_comments_or_a_byte_order_mark_is_told_apart_from_a_good_one()
    {
        var bundle = NewBundle().Args("true");
        bundle.SaveText("// comment\n" + bundle.Config.ToJsonString());
        Refused(bundle);
    }
}
