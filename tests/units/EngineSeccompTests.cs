using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Containers;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;
using Containers.Tests.Units.Seccomp;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>The default profile, and profiles of the user's.</summary>
public sealed class EngineSeccompTests : IDisposable
{
    const uint NotPermitted = Libc.SECCOMP_RET_ERRNO | 1, NotThere = Libc.SECCOMP_RET_ERRNO | 38, NoFamily = Libc.SECCOMP_RET_ERRNO | 97;

    readonly EngineFixture f = new();

    public void Dispose() => f.Dispose();

    LinuxSeccomp? Profile(Action<ContainerCreateOptions>? change = null)
    {
        var options = f.Plain();
        change?.Invoke(options);
        return f.Engine.Containers.CreateAsync(options).GetAwaiter().GetResult().Spec.Linux!.Seccomp;
    }

    static uint Verdict(LinuxSeccomp profile, string name, params ulong[] arguments)
    {
        Assert.True(SyscallTable.TryFind(name, out var numbers));
        var program = SeccompCompiler.Compile(profile, Architecture.X64).Program;
        FilterMachine.Check(program);
        return FilterMachine.Run(program, new(Libc.AUDIT_ARCH_X86_64, (uint)numbers[SyscallAbi.X64], [.. arguments, .. new ulong[6 - arguments.Length]])).Action;
    }

    static JsonNode Own()
    {
        using var stream = typeof(ContainerEngine).Assembly.GetManifestResourceStream("seccomp.default.json")!;
        return JsonNode.Parse(stream)!;
    }

    [Fact]
    public void Every_call_that_is_known_is_decided()
    {
        var named = new HashSet<string>(Own()["syscalls"]!.AsArray().SelectMany(rule => rule!["names"]!.AsArray()).Select(name => (string)name!));
        Assert.Equal(SyscallTable.Names().ToHashSet(), named);
        // With its capability a call is decided in one way, without it in the other: no name falls through.
        foreach (var capabilities in (string[][])[[], [.. Enumerable.Range(0, Capabilities.Last + 1).Select(i => Capabilities.Name(i)!)]])
        {
            var rules = SeccompProfile.Build("default", privileged: false, capabilities)!.Syscalls!;
            Assert.Equal(named, rules.SelectMany(rule => rule.Names!).ToHashSet());
            // Allowed and refused at once, without a condition, would be decided by the order.
            var plain = rules.Where(rule => rule.Args is null).SelectMany(rule => rule.Names!.Select(name => (name, rule.Action))).Distinct().ToList();
            Assert.Equal(plain.Count, plain.Select(p => p.name).Distinct().Count());
        }
    }

    [Fact]
    public void What_belongs_to_a_capability_goes_with_it()
    {
        var usual = Profile()!;
        var admin = SeccompProfile.Build(null, privileged: false, ["CAP_SYS_ADMIN"])!;
        foreach (var name in (string[])["mount", "setns", "unshare", "fsopen", "open_tree_attr", "bpf", "perf_event_open"])
            Assert.Equal((NotPermitted, Libc.SECCOMP_RET_ALLOW), (Verdict(usual, name), Verdict(admin, name)));
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, Verdict(usual, "chroot")); // CAP_SYS_CHROOT is a default one
        Assert.Equal(NotPermitted, Verdict(admin, "chroot"));
        Assert.Equal(NotPermitted, Verdict(usual, "reboot"));
        Assert.Equal(NotPermitted, Verdict(admin, "keyctl"));
        foreach (var name in (string[])["read", "execve", "ptrace", "openat2", "fchmodat2", "statmount", "mseal", "file_setattr", "futex_wait"])
            Assert.Equal(Libc.SECCOMP_RET_ALLOW, Verdict(usual, name));
    }

    [Fact]
    public void Arguments_count_where_they_can_be_seen()
    {
        var usual = Profile()!;
        Assert.Equal(Libc.SECCOMP_RET_ALLOW, Verdict(usual, "clone", 0x3d0f00)); // pthread_create
        foreach (var flag in (ulong[])[0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
            Assert.Equal(NotPermitted, Verdict(usual, "clone", flag | 17));
        Assert.Equal(NotThere, Verdict(usual, "clone3"));
        Assert.Equal((Libc.SECCOMP_RET_ALLOW, NoFamily), (Verdict(usual, "socket", 2), Verdict(usual, "socket", 40)));
        Assert.Equal((Libc.SECCOMP_RET_ALLOW, NotThere), (Verdict(usual, "personality", 0xffffffff), Verdict(usual, "personality", 0x40000)));
        var admin = SeccompProfile.Build(null, privileged: false, ["CAP_SYS_ADMIN"])!;
        Assert.Equal((Libc.SECCOMP_RET_ALLOW, Libc.SECCOMP_RET_ALLOW), (Verdict(admin, "clone", 0x10000011), Verdict(admin, "clone3")));
    }

    [Fact]
    public void Privileged_and_unconfined_are_without_a_filter()
    {
        Assert.Null(Profile(o => o.Privileged = true));
        Assert.Null(Profile(o => o.SeccompProfile = "unconfined"));
        Assert.NotNull(Profile(o => (o.Privileged, o.SeccompProfile) = (true, "default")));
    }

    [Fact]
    public void A_profile_of_the_specification_s_form_is_taken_as_it_is()
    {
        var profile = Profile(o => o.SeccompProfile = Save("""
            { "defaultAction": "SCMP_ACT_ALLOW", "architectures": [ "SCMP_ARCH_X86_64" ],
              "syscalls": [ { "names": [ "mkdir" ], "action": "SCMP_ACT_ERRNO", "errnoRet": 28, "args": [ { "index": 1, "value": 448, "op": "SCMP_CMP_EQ" } ] } ] }
            """))!;
        Assert.Equal(["SCMP_ARCH_X86_64"], profile.Architectures!);
        Assert.Equal((28u, 448ul), (profile.Syscalls![0].ErrnoRet, profile.Syscalls[0].Args![0].Value));
    }

    [Fact]
    public void A_profile_of_docker_s_form_loses_what_does_not_hold()
    {
        var profile = Profile(o => o.SeccompProfile = Save("""
            { "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "defaultErrno": "ENOSYS",
              "archMap": [ { "architecture": "SCMP_ARCH_S390X", "subArchitectures": [ "SCMP_ARCH_S390" ] },
                           { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": [ "SCMP_ARCH_X86" ] }, { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": null } ],
              "syscalls": [
                { "name": "read", "action": "SCMP_ACT_ALLOW", "args": null, "comment": "old form", "includes": {}, "excludes": {} },
                { "names": [ "chown" ], "action": "SCMP_ACT_ALLOW", "includes": { "caps": [ "CAP_CHOWN", "CAP_KILL" ] } },
                { "names": [ "mount" ], "action": "SCMP_ACT_ALLOW", "includes": { "caps": [ "CAP_CHOWN", "CAP_SYS_ADMIN" ] } },
                { "names": [ "reboot" ], "action": "SCMP_ACT_ERRNO", "errno": "EINVAL", "excludes": { "caps": [ "CAP_SYS_BOOT" ] } },
                { "names": [ "kill" ], "action": "SCMP_ACT_ALLOW", "excludes": { "caps": [ "CAP_KILL" ] } },
                { "names": [ "open" ], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8", "arches": [ "amd64", "arm64" ] } },
                { "names": [ "creat" ], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "999.0" } },
                { "names": [ "link" ], "action": "SCMP_ACT_ALLOW", "includes": { "arches": [ "s390x" ] } },
                { "names": [ "sync" ], "action": "SCMP_ACT_ALLOW", "excludes": { "arches": [ "amd64", "arm64" ] } } ] }
            """))!;
        Assert.Equal(["read", "chown", "reboot", "open"], profile.Syscalls!.Select(rule => rule.Names!.Single()));
        Assert.Equal((38u, 22u), (profile.DefaultErrnoRet, profile.Syscalls![2].ErrnoRet));
        Assert.StartsWith("SCMP_ARCH_", profile.Architectures![0]);
        Assert.DoesNotContain("archMap", System.Text.Encoding.UTF8.GetString(OciJson.Write(profile)));
    }

    [Theory]
    [InlineData("no JSON")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_NOSUCH" }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "more": 1 }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "archMap": [], "architectures": [] }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "archMap": 7 }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": "ENOSUCH" }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ERRNO", "defaultErrno": 7 }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_ERRNO", "includes": { "moons": [] } } ] }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_ERRNO", "includes": { "caps": 7 } } ] }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_ERRNO", "includes": { "minKernel": "new" } } ] }""")]
    [InlineData("""{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [ { "names": [ "read" ], "action": "SCMP_ACT_ERRNO", "more": 1 } ] }""")]
    public void What_is_no_profile_is_refused(string json) => Refused(Save(json));

    [Theory]
    [InlineData("/nonexistent")]
    [InlineData("relative.json")]
    [InlineData("/tmp")]
    [InlineData("")]
    public void What_is_no_file_is_refused(string path) => Refused(path);

    [Fact]
    public void Podman_s_own_profile_is_taken()
    {
        const string file = "/usr/share/containers/seccomp.json";
        if (File.Exists(file))
            Assert.Equal((NotPermitted, Libc.SECCOMP_RET_ALLOW), (Verdict(Profile(o => o.SeccompProfile = file)!, "bpf"), Verdict(Profile(o => o.SeccompProfile = file)!, "read")));
    }

    [Fact]
    public void A_spec_says_it_itself() =>
        Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => Profile(o => (o.Spec, o.ArgumentList, o.SeccompProfile) = (new Spec(), null, "default"))).Id);

    void Refused(string path)
    {
        var e = Assert.Throws<ContainerException>(() => Profile(o => o.SeccompProfile = path));
        Assert.Equal((ErrorIds.InvalidArgument, (object)path), (e.Id, e.Target));
        Assert.Contains("SeccompProfile", e.Message);
    }

    string Save(string json)
    {
        var file = Path.Combine(f.Folder, Guid.NewGuid().ToString("n") + ".json");
        File.WriteAllText(file, json);
        return file;
    }
}
