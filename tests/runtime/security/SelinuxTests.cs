namespace Containers.Tests.Runtime;

/// <summary>process.selinuxLabel and linux.mountLabel, on a host whose kernel has a policy.</summary>
public sealed class SelinuxTests : RuntimeTest
{
    sealed class HostFactAttribute : FactAttribute
    {
        public HostFactAttribute() => Skip = Native.geteuid() != 0 ? "needs root"
            : !File.Exists("/sys/fs/selinux/enforce") || Current.Length < 3 ? "this host has no SELinux, or no policy" : null;
    }

    static string[] Current { get; } = (HostState.Text("/proc/thread-self/attr/current") ?? "").TrimEnd('\0', '\n').Split(':');

    const string Categories = ":s0:c1,c2";

    /// <summary>Our own user, role and type, which every policy lets us keep, with categories of its own.</summary>
    static string Label => string.Join(':', Current[..3]) + Categories;

    /// <summary>In all policies that come from the reference policy.</summary>
    const string ForFiles = "system_u:object_r:tmp_t" + Categories;

    static Bundle With(Bundle bundle) => Free(bundle).Change(b => b.Process["selinuxLabel"] = Label);

    /// <summary>A change of label that no_new_privs stands in the way of is another rule of the policy's.</summary>
    static Bundle Free(Bundle bundle) => bundle.Change(b => b.Process["noNewPrivileges"] = false);

    [HostFact]
    public void The_program_and_an_exec_run_under_the_label_and_so_does_their_keyring()
    {
        Hostile.Program("keylabel");
        Bundle Keys(Bundle bundle)
        {
            Hostile.Install("keylabel", bundle, "/bin/keylabel");
            return bundle;
        }

        const string script = "cat /proc/self/attr/current; echo; keylabel";
        string[] Said(Result result) => [.. result.Ends(0).Stdout.Replace("\0", "").Split('\n', StringSplitOptions.RemoveEmptyEntries)];
        Assert.Equal([Label, Label], Said(Run(With(Keys(NewBundle())).Shell(script))));

        var (id, _) = Start(With(Keys(Sleeper())));
        Assert.Equal([Label, Label], Said(Runtime.Exec(id, "/bin/sh", "-c", script)));
        var (free, _) = Start(Free(Keys(Sleeper())));
        Assert.DoesNotContain(Categories, Runtime.Exec(free, "/bin/sh", "-c", script).Ends(0).Stdout);
        Assert.Equal(Label, Said(Runtime.Exec(free, "--process-label", Label, "--", "cat", "/proc/self/attr/current"))[0]);
    }

    [HostFact]
    public void New_mounts_get_the_label_and_others_keep_theirs()
    {
        var bundle = With(NewBundle()).Mount("/own", "tmpfs", "tmpfs", "context=system_u:object_r:tmp_t:s0:c7").Change(b => b.Linux["mountLabel"] = ForFiles);
        var lines = Run(bundle.Args("cat", "/proc/self/mountinfo")).Ends(0).Lines;
        string Of(string target) => lines.Last(line => line.Split(' ')[4] == target);
        foreach (var target in (string[])["/dev", "/dev/pts", "/dev/shm", "/sys/firmware"])
            Assert.Contains($"context=\"{ForFiles}\"", Of(target));
        foreach (var target in (string[])["/proc", "/sys", "/dev/mqueue"])
            Assert.DoesNotContain("context=", Of(target));
        Assert.Contains("c7", Of("/own"));
    }

    [HostFact]
    public void A_label_that_the_policy_does_not_know_is_refused_by_name()
    {
        Assert.Contains("process.selinuxLabel", Run(NewBundle().Args("true").Change(b => b.Process["selinuxLabel"] = "no:such:label:s0")).Ends(1).Stderr);
        Assert.Contains("linux.mountLabel", Run(NewBundle().Args("true").Change(b => b.Linux["mountLabel"] = "no:such:label:s0")).Ends(1).Stderr);
        AssertNothingLeft();
    }
}
