using System.Security.Cryptography;

namespace Containers.Tests.Runtime;

/// <summary>
/// CVE-2019-5736: a container that makes the runtime start inside of it must not get a way to write the runtime's file on the host. Each test tries it on a copy.
/// </summary>
public sealed class RuntimeFileTests : RuntimeTest
{
    const string Loader = "/lib64/ld-linux-x86-64.so.2";

    /// <summary>A root in which every program of the host becomes the attacker: its loader is ours.</summary>
    Bundle Attacker()
    {
        var bundle = NewBundle();
        bundle.Config["root"]!["readonly"] = false;
        Hostile.Install("loader", bundle, Loader);
        Hostile.Install("overwrite", bundle, "/bin/overwrite");
        bundle.WriteFile("/bin/script", "#!/proc/self/exe\n", Permission.Program);
        File.CreateSymbolicLink(bundle.InRootfs("/bin/link"), "/proc/self/exe");
        return bundle.Save();
    }

    (Runtime Runtime, byte[] Digest) Copy()
    {
        var copy = Path.Combine(Folder, "runtime-copy");
        File.Copy(UnderTest.Program, copy);
        File.SetUnixFileMode(copy, Permission.Program);
        return (new Runtime(copy, Runtime.Root, Folder), Digest(copy));
    }

    static byte[] Digest(string file) => SHA256.HashData(File.ReadAllBytes(file));

    void AssertUntouched(Runtime runtime, byte[] before, Bundle bundle)
    {
        // The attacker was started as the runtime, or it was refused before: both is well. That it was started and gave up is what the file tells.
        var result = HostState.Text(bundle.InRootfs("/work/result"));
        Assert.DoesNotContain("WRITTEN", result ?? "");
        Assert.Equal(before, Digest(runtime.Program));
    }

    [RuntimeTheory]
    [InlineData("/proc/self/exe")]
    [InlineData("/bin/script")]
    [InlineData("/bin/link")]
    public void An_init_that_is_the_runtime_itself_cannot_write_its_file(string program)
    {
        var (runtime, before) = Copy();
        var bundle = Attacker().Args(program);
        var id = NewId();
        // Detached: nobody of the host runs the file any more while the attacker tries.
        var result = runtime.Do("run", "--detach", "--bundle", bundle.Folder, id);
        if (result.ExitCode == 0)
        {
            Assert.True(Directory.Exists(bundle.InRootfs("/work")));
            Until(() => runtime.Status(id) == "stopped");
            Assert.StartsWith("reached", HostState.Text(bundle.InRootfs("/work/result")));
        }
        AssertUntouched(runtime, before, bundle);
    }

    [RuntimeTheory]
    [InlineData("/proc/self/exe")]
    [InlineData("/bin/script")]
    [InlineData("/bin/link")]
    public void An_exec_of_the_runtime_itself_cannot_write_its_file(string program)
    {
        var (runtime, before) = Copy();
        var bundle = Attacker().Args("/bin/sleep", "1000");
        var id = NewId();
        runtime.Do("run", "--detach", "--bundle", bundle.Folder, id).Ends(0);
        Watch(runtime.Pid(id));
        if (runtime.Do("exec", "--detach", id, program).ExitCode == 0)
            Until(() => HostState.Text(bundle.InRootfs("/work/result")) is { Length: > 0 });
        AssertUntouched(runtime, before, bundle);
    }

    [RuntimeFact]
    public void The_attack_works_on_a_file_that_is_not_protected()
    {
        // What the tests above rest on: the same programs, and a file reached as a careless runtime leaves it.
        var (_, before) = Copy();
        var victim = Path.Combine(Folder, "runtime-copy");
        var bundle = Attacker();
        bundle.Mount("/victim", "bind", victim, "bind");
        bundle.Shell("exec 3</victim; exec /bin/overwrite");
        Run(bundle).Ends(0);
        Assert.Contains("WRITTEN", File.ReadAllText(bundle.InRootfs("/work/result")));
        Assert.NotEqual(before, Digest(victim));
    }
}
