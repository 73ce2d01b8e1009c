namespace Containers.Tests.Runtime;

/// <summary>process.apparmorProfile, on a host that has AppArmor and can load a profile.</summary>
public sealed class AppArmorTests : EngineTest
{
    sealed class HostFactAttribute : FactAttribute
    {
        public HostFactAttribute() => Skip = Native.geteuid() != 0 ? "needs root"
            : HostState.Text("/sys/module/apparmor/parameters/enabled")?.StartsWith('Y') != true ? "this host has no AppArmor"
            : UnderTest.InPath("apparmor_parser") is null ? "apparmor_parser is not installed" : null;
    }

    string Profile => Tag + "-profile";

    string File => Path.Combine(Folder, "profile");

    void Load(string option) => Do("apparmor_parser", "--quiet", "--skip-cache", option, File).Ends(0);

    [HostFact]
    public void The_program_and_an_exec_run_under_the_profile()
    {
        System.IO.File.WriteAllText(File, $"profile {Profile} flags=(attach_disconnected) {{\n  file,\n  signal,\n  capability,\n  network,\n  deny /etc/group r,\n}}\n");
        Load("--replace");
        try
        {
            Bundle With(Bundle bundle) => bundle.Change(b => b.Process["apparmorProfile"] = Profile);
            const string script = "cat /proc/self/attr/current; cat /etc/group && echo read it";
            var result = Run(With(NewBundle().Shell(script)));
            Assert.Equal($"{Profile} (enforce)", result.Lines[0]);
            Assert.DoesNotContain("read it", result.Stdout);

            var (id, _) = Start(With(Sleeper()));
            Assert.StartsWith(Profile, Runtime.Exec(id, "/bin/sh", "-c", script).Stdout);
            var (free, _) = Start(Sleeper());
            Assert.StartsWith("unconfined", Runtime.Exec(free, "cat", "/proc/self/attr/current").Ends(0).Stdout);
            Assert.StartsWith(Profile, Runtime.Exec(free, "--apparmor", Profile, "--", "cat", "/proc/self/attr/current").Ends(0).Stdout);
            foreach (var one in (string[])[id, free])
                Runtime.Do("delete", "--force", one).Ends(0);
        }
        finally
        {
            Load("--remove");
        }
    }

    [HostFact]
    public void A_profile_that_is_not_loaded_is_refused_by_name()
    {
        var result = Run(NewBundle().Args("true").Change(b => b.Process["apparmorProfile"] = "nosuchprofile")).Ends(1);
        Assert.Contains("nosuchprofile", result.Stderr);
        AssertNothingLeft();
    }
}
