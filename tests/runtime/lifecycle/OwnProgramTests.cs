using Containers.Linux;
using Xunit;

namespace Containers.Tests.Runtime;

/// <summary>Until its execve an init is the runtime itself: the container must not reach the runtime's file, its folders or its locks through it.</summary>
public sealed class OwnProgramTests : RuntimeTest
{
    [RuntimeFact(NotUnderRunc = "it has another way: a copy in memory")]
    public unsafe void A_waiting_inits_program_lies_on_a_read_only_mount()
    {
        int pid = Waiting();
        statfs found;
        Assert.Equal(0, Libc.statfs($"/proc/{pid}/exe", &found));
        Assert.Equal(1, found.f_flags & 1);
        // Not by the mount of the host's own path: that one is writable, and stays so.
        Assert.Equal(0, Libc.statfs(Runtime.Program, &found));
        Assert.Equal(0, found.f_flags & 1);
    }

    [RuntimeFact(NotUnderRunc = "it keeps a descriptor of its fifo")]
    public void A_waiting_init_holds_no_folder_of_the_host()
    {
        int pid = Waiting();
        foreach (string descriptor in Directory.GetFiles($"/proc/{pid}/fd"))
        {
            string? target = new FileInfo(descriptor).LinkTarget;
            Assert.True(target == null || !Directory.Exists(target), $"{descriptor} -> {target}");
        }
    }

    [RuntimeFact]
    public void A_program_named_by_the_runtimes_own_link_does_not_get_the_hosts_file()
    {
        var bundle = NewBundle().Args("/proc/self/exe", "--version");
        var result = Run(bundle);
        Assert.NotEqual(0, result.ExitCode);
        AssertNothingLeft();
    }

    int Waiting()
    {
        string id = NewId();
        Runtime.Do("create", "--bundle", Sleeper().Folder, id).Ends(0);
        var state = System.Text.Json.Nodes.JsonNode.Parse(Runtime.Do("state", id).Ends(0).Stdout)!;
        return (int)state["pid"]!;
    }
}
