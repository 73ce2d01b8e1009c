using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units.Cgroups;

/// <summary>Device programs in the kernel's own v2 tree, and what a process in the group meets.</summary>
public sealed unsafe class DeviceProgramLiveTests : IDisposable
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("devices-");

    public void Dispose() => folder.Delete(recursive: true);

    static LiveGroup NewGroup() => new(LiveGroup.Part(2));

    static LinuxDeviceCgroup Rule(bool allow, string type, long? major, long? minor, string access) => new() { Allow = allow, Type = type, Major = major, Minor = minor, Access = access };

    static string FolderOf(LiveGroup live) => live.Group.FolderIn(live.Host.Unified!);

    /// <summary>One word for each try: <c>yes</c>, <c>EPERM</c>, or what else the shell had to say.</summary>
    string[] Try(LiveGroup live, params string[] tries)
    {
        var script = """try() { out=$( (eval "$1") 2>&1 ); if [ $? = 0 ]; then echo yes; else case $out in *"Operation not permitted"*) echo EPERM;; *) echo "$out";; esac; fi; }; """;
        var process = live.Start(script + string.Concat(tries.Select(one => $"try '{one}'; ")).Replace("$D", folder.FullName));
        var answers = process.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.True(process.WaitForExit(Patience));
        return answers;
    }

    static List<uint> Attached(string folder)
    {
        var fd = LinuxException.Check(Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", folder);
        var ids = stackalloc uint[64];
        var attr = new bpf_attr { query_target_fd = (uint)fd, query_attach_type = Libc.BPF_CGROUP_DEVICE, query_prog_ids = (ulong)ids, query_prog_cnt = 64 };
        var result = Libc.bpf(Libc.BPF_PROG_QUERY, &attr, (uint)sizeof(bpf_attr));
        Libc.close(fd);
        LinuxException.Check(result, "bpf", folder);
        return [.. new Span<uint>(ids, (int)attr.query_prog_cnt)];
    }

    static bool IsInKernel(uint program)
    {
        var attr = new bpf_attr { prog_id = program };
        var fd = Libc.bpf(Libc.BPF_PROG_GET_FD_BY_ID, &attr, (uint)sizeof(bpf_attr));
        if (fd < 0) { return false; }
        Libc.close(fd);
        return true;
    }

    [CgroupFact(v2: true)]
    public void A_new_container_opens_the_default_devices_and_no_others()
    {
        using var live = NewGroup();
        live.Group.Apply(null, create: true);
        Assert.Equal(["yes", "yes", "yes", "EPERM", "EPERM", "yes", "yes"],
            Try(live, ": </dev/null", ": >/dev/null", ": <>/dev/zero", ": </dev/kmsg", ": >/dev/kmsg", "mknod $D/node c 1 11", "mknod $D/disk b 7 0"));
        Assert.Single(Attached(FolderOf(live)));
    }

    [CgroupFact(v2: true)]
    public void Reading_and_writing_are_decided_apart_and_both_together()
    {
        using var live = NewGroup();
        live.Group.Apply(new() { Devices = [Rule(false, "a", null, null, "rwm"), Rule(true, "c", 1, 11, "r")] }, create: true);
        Assert.Equal(["yes", "EPERM", "EPERM"], Try(live, ": </dev/kmsg", ": >/dev/kmsg", ": <>/dev/kmsg"));
        live.Group.Apply(new() { Devices = [Rule(true, "c", 1, -1, "r"), Rule(true, "c", 1, 11, "w")] });
        Assert.Equal(["yes", "yes", "yes"], Try(live, ": </dev/kmsg", ": >/dev/kmsg", ": <>/dev/kmsg"));
    }

    [CgroupFact(v2: true)]
    public void A_hole_in_everything_is_a_hole()
    {
        using var live = NewGroup();
        live.Group.Apply(new() { Devices = [Rule(true, "a", null, null, "rwm"), Rule(false, "c", 1, 5, "wm"), Rule(false, "b", 7, null, "m")] });
        Assert.Equal(["yes", "EPERM", "EPERM", "EPERM", "yes", "yes"],
            Try(live, ": </dev/zero", ": >/dev/zero", "mknod $D/zero c 1 5", "mknod $D/loop b 7 3", "mknod $D/null c 1 3", ": </dev/kmsg"));
    }

    [CgroupFact(v2: true)]
    public void An_update_takes_the_place_of_the_program_before()
    {
        using var live = NewGroup();
        live.Group.Apply(null, create: true);
        var first = Assert.Single(Attached(FolderOf(live)));
        live.Group.Apply(new() { Devices = [Rule(true, "c", 1, 11, "rw")] });
        var second = Assert.Single(Attached(FolderOf(live)));
        Assert.NotEqual(first, second);
        Assert.Equal(["yes"], Try(live, ": </dev/kmsg"));
        // An update that says nothing of devices leaves them as they are.
        live.Group.Apply(new());
        Assert.Equal([second], Attached(FolderOf(live)));
        Assert.True(SpinWait.SpinUntil(() => !IsInKernel(first), Patience));
    }

    [CgroupFact(v2: true)]
    public void While_rules_change_what_no_rule_allows_is_never_open()
    {
        using var live = NewGroup();
        live.Group.Apply(null, create: true);
        var process = live.Start($"echo ready; n=0; while [ ! -e {folder.FullName}/stop ]; do true </dev/kmsg && echo open; n=$((n+1)); done 2>/dev/null; echo $n");
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        for (var i = 0; i < 200; i++) { live.Group.Apply(new() { Devices = [Rule(true, "c", 10, i, "rw")] }); }
        File.WriteAllText(folder.FullName + "/stop", "");
        Assert.True(int.TryParse(process.StandardOutput.ReadLine(), out var tries));
        Assert.InRange(tries, 100, int.MaxValue);
        Assert.Single(Attached(FolderOf(live)));
    }

    [CgroupFact(v2: true)]
    public void Updates_at_once_leave_one_program()
    {
        using var live = NewGroup();
        live.Group.Apply(null, create: true);
        Parallel.For(0, 100, new ParallelOptions { MaxDegreeOfParallelism = 4 }, i => live.Group.Apply(new() { Devices = [Rule(true, "c", 10, i, "rw")] }));
        Assert.Single(Attached(FolderOf(live)));
        Assert.Equal(["yes", "EPERM"], Try(live, ": </dev/null", ": </dev/kmsg"));
    }

    [CgroupFact(v2: true)]
    public void Programs_of_others_are_replaced_however_they_were_attached()
    {
        using var live = NewGroup();
        foreach (var flags in (int[])[0, Libc.BPF_F_ALLOW_OVERRIDE, Libc.BPF_F_ALLOW_MULTI])
        {
            var group = live.Make(live.Host.Group($"{live.Group.Path}/{flags}"));
            var path = group.FolderIn(live.Host.Unified!);
            for (var i = 0; i < (flags == Libc.BPF_F_ALLOW_MULTI ? 3 : 1); i++) { AttachForeign(path, flags); }
            var others = Attached(path);
            group.Apply(new() { Devices = [Rule(true, "a", null, null, "rwm")] });
            Assert.DoesNotContain(Assert.Single(Attached(path)), others);
            group.Remove();
        }
    }

    static void AttachForeign(string folder, int flags)
    {
        fixed (bpf_insn* program = DeviceProgram.Build(null))
        fixed (byte* license = "GPL\0"u8)
        {
            var load = new bpf_attr { prog_type = Libc.BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt = (uint)DeviceProgram.Build(null).Length, insns = (ulong)program, license = (ulong)license };
            var loaded = LinuxException.Check(Libc.bpf(Libc.BPF_PROG_LOAD, &load, (uint)sizeof(bpf_attr)), "bpf");
            var group = Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
            var attach = new bpf_attr { target_fd = (uint)group, attach_bpf_fd = (uint)loaded, attach_type = Libc.BPF_CGROUP_DEVICE, attach_flags = (uint)flags };
            LinuxException.Check(Libc.bpf(Libc.BPF_PROG_ATTACH, &attach, (uint)sizeof(bpf_attr)), "bpf", folder);
            Libc.close(group);
            Libc.close(loaded);
        }
    }

    [CgroupFact(v2: true)]
    public void A_program_goes_with_its_group_and_leaves_no_descriptor()
    {
        uint id;
        var before = DescriptorsOfPrograms();
        using (var live = NewGroup())
        {
            live.Group.Apply(null, create: true);
            live.Group.Apply(null, create: true);
            id = Assert.Single(Attached(FolderOf(live)));
            Assert.True(IsInKernel(id));
        }
        Assert.True(SpinWait.SpinUntil(() => !IsInKernel(id), Patience));
        Assert.Equal(before, DescriptorsOfPrograms());

        static int DescriptorsOfPrograms() => Directory.GetFiles("/proc/self/fd").Count(fd => new FileInfo(fd).LinkTarget == "anon_inode:bpf-prog");
    }

    [CgroupFact(v2: true)]
    public void A_group_below_is_bound_by_the_one_above()
    {
        using var live = NewGroup();
        var child = live.Make(live.Host.Group(live.Group.Path + "/child"));
        live.Group.Apply(null, create: true);
        child.Apply(new() { Devices = [Rule(true, "a", null, null, "rwm")] });
        var process = live.Start("true </dev/kmsg || echo no; true </dev/null && echo yes", child);
        Assert.Equal("no\nyes\n", process.StandardOutput.ReadToEnd());
    }

    [CgroupFact(v2: true)]
    public void The_verifier_takes_programs_of_any_shape_and_of_many_rules()
    {
        using var live = NewGroup();
        var random = new Random(20);
        foreach (var count in (int[])[0, 1, 2, 3, 5, 10, 100, 1000, 5000])
        {
            List<LinuxDeviceCgroup> rules = [];
            for (var i = 0; i < count; i++)
            {
                rules.Add(Rule(random.Next(2) == 0, "abc"[random.Next(3)].ToString(), random.Next(3) == 0 ? null : uint.MaxValue - random.Next(3), random.Next(3) == 0 ? null : i, ((string[])["r", "w", "m", "rw", "rwm"])[random.Next(5)]));
            }
            live.Group.Apply(new() { Devices = rules });
            Assert.Single(Attached(FolderOf(live)));
        }
    }

    [CgroupFact(v2: true)]
    public void What_the_verifier_refuses_is_told_in_its_own_words()
    {
        using var live = NewGroup();
        // An exit with nothing in register 0.
        var e = Assert.Throws<CgroupException>(() => DeviceProgram.Attach(FolderOf(live), [new bpf_insn { code = Libc.BPF_JMP | Libc.BPF_EXIT }]));
        Assert.Equal("CgroupLimitRefused", e.Id);
        Assert.StartsWith("linux.resources.devices: ", e.Message);
        Assert.Contains("R0 !read_ok", e.Message);
        Assert.Empty(Attached(FolderOf(live)));
    }

    [CgroupFact(v2: true)]
    public void What_is_no_group_is_told_from_a_group_that_is_missing()
    {
        using var live = NewGroup();
        Assert.Equal("CgroupNotFound", Assert.Throws<CgroupException>(() => live.Host.Group(live.Parent + "/none").Apply(null, create: true)).Id);
        Assert.Equal("linux.resources.devices", Assert.Throws<CgroupNotSupportedException>(() => DeviceProgram.Attach(folder.FullName, DeviceProgram.Build(null))).Feature);
    }
}
