using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Containers.Tests.Units.Seccomp;

/// <summary>The verdicts of programs that libseccomp makes of the same profiles, in the way in which runc calls it; where libseccomp is installed.</summary>
public unsafe class LibseccompTests
{
    const uint X86 = 0x40000003, X32 = 0x4000003e, Arm = 0x40000028, Arm64 = 0xc00000b7;

    static readonly bool s_present = NativeLibrary.TryLoad("libseccomp.so.2", out _);

    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    [InlineData(13)]
    public void Both_programs_say_the_same(int seed)
    {
        if (!s_present)
            return;
        var random = new Random(seed);
        for (var round = 0; round < 25; round++)
        {
            var profile = RandomProfile.Make(random, plain: true);
            foreach (var syscall in profile.Syscalls!)
                syscall.Names!.RemoveAll(IsYounger);
            profile.Syscalls.RemoveAll(syscall => syscall.Names!.Count == 0);
            Compare(profile, random, 3, $"seed {seed}, round {round}");
        }
    }

    [Fact]
    public void Both_say_the_same_of_podmans_profile()
    {
        const string file = "/usr/share/containers/seccomp.json";
        if (!s_present || !File.Exists(file))
            return;
        Compare(Template.Read(file), new Random(5), 4, file);
    }

    [Theory]
    [InlineData(SyscallAbi.Arm, Arm)]
    [InlineData(SyscallAbi.Arm64, Arm64)]
    [InlineData(SyscallAbi.I386, X86)]
    public void Names_have_the_same_numbers(SyscallAbi abi, uint architecture)
    {
        if (!s_present)
            return;
        var compared = 0;
        foreach (var name in SyscallTable.Names())
        {
            var theirs = seccomp_syscall_resolve_name_arch(architecture, name);
            SyscallTable.TryFind(name, out var ours);
            // Negative: libseccomp's own number for a call that this ABI has not, or that its version does not know.
            if (theirs >= 0)
                Assert.Equal((name, theirs), (name, ours[abi]));
            compared += theirs >= 0 ? 1 : 0;
        }
        Assert.True(compared > 250);
    }

    /// <summary>Our table has a number that the installed libseccomp, which may be older, does not know.</summary>
    static bool IsYounger(string name) => SyscallTable.TryFind(name, out var ours)
        && ((SyscallAbi, uint)[])[(SyscallAbi.X64, Libc.AUDIT_ARCH_X86_64), (SyscallAbi.I386, X86), (SyscallAbi.X32, X32)] is var abis
        && abis.Any(abi => ours[abi.Item1] >= 0 && seccomp_syscall_resolve_name_arch(abi.Item2, name) < 0);

    static void Compare(LinuxSeccomp profile, Random random, int each, string what)
    {
        var ours = SeccompCompilerTests.Compile(profile);
        var theirs = Theirs(profile);
        foreach (var call in RandomProfile.Calls(profile, random, each))
        {
            // libseccomp looks at all 32 bits of ipc(2)'s and socketcall(2)'s first argument, and -1 is of x32 for it when x32 is listed.
            if (call.Number == uint.MaxValue || call.Architecture == Libc.AUDIT_ARCH_I386 && call.Number is 102 or 117)
                continue;
            // Calls younger than the profile are told apart by runc, not by libseccomp.
            var (mine, other) = (FilterMachine.Run(ours, call).Action, FilterMachine.Run(theirs, call).Action);
            if (mine == (Libc.SECCOMP_RET_ERRNO | 38) && other == ProfileReference.Action(profile.DefaultAction!, profile.DefaultErrnoRet))
                continue;
            if (mine != other)
                Assert.Fail($"{what}: {call.Architecture:x} {call.Number} {string.Join(' ', call.Arguments.Select(a => a.ToString("x")))}: {mine:x}, libseccomp {other:x}\n" +
                    Encoding.UTF8.GetString(OciJson.Write(profile)));
        }
    }

    static sock_filter[] Theirs(LinuxSeccomp profile)
    {
        var usual = ProfileReference.Action(profile.DefaultAction!, profile.DefaultErrnoRet);
        var context = seccomp_init(usual);
        try
        {
            const int badArchitecture = 2;
            Done(seccomp_attr_set(context, badArchitecture, Libc.SECCOMP_RET_KILL_PROCESS));
            foreach (var word in profile.Architectures ?? [])
                if (word is "SCMP_ARCH_X86" or "SCMP_ARCH_X32")
                    Done(seccomp_arch_add(context, word == "SCMP_ARCH_X86" ? X86 : X32));
            foreach (var syscall in profile.Syscalls ?? [])
            {
                var action = ProfileReference.Action(syscall.Action!, syscall.ErrnoRet);
                if (action == usual)
                    continue;
                scmp_arg_cmp[] conditions = [.. (syscall.Args ?? []).Select(a => new scmp_arg_cmp
                {
                    arg = a.Index!.Value,
                    op = 1 + Array.IndexOf(["SCMP_CMP_NE", "SCMP_CMP_LT", "SCMP_CMP_LE", "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_MASKED_EQ"], a.Op),
                    a = a.Value ?? 0,
                    b = a.ValueTwo ?? 0,
                })];
                foreach (var name in syscall.Names!)
                {
                    var number = seccomp_syscall_resolve_name(name);
                    if (number == -1)
                        continue; // not known to its version
                    fixed (scmp_arg_cmp* p = conditions)
                        Done(seccomp_rule_add_array(context, action, number, (uint)conditions.Length, p));
                }
            }
            var folder = Directory.CreateTempSubdirectory("containers-units-");
            var file = Path.Combine(folder.FullName, "program");
            try
            {
                using (SafeFileHandle handle = File.OpenHandle(file, FileMode.CreateNew, FileAccess.Write))
                    Done(seccomp_export_bpf(context, (int)handle.DangerousGetHandle()));
                return MemoryMarshal.Cast<byte, sock_filter>(File.ReadAllBytes(file)).ToArray();
            }
            finally
            {
                folder.Delete(recursive: true);
            }
        }
        finally
        {
            seccomp_release(context);
        }
    }

    static void Done(int result) => Assert.Equal(0, result);

    struct scmp_arg_cmp
    {
        public uint arg;
        public int op;
        public ulong a, b;
    }

    [DllImport("libseccomp.so.2")]
    static extern nint seccomp_init(uint action);

    [DllImport("libseccomp.so.2")]
    static extern void seccomp_release(nint context);

    [DllImport("libseccomp.so.2")]
    static extern int seccomp_arch_add(nint context, uint architecture);

    [DllImport("libseccomp.so.2")]
    static extern int seccomp_attr_set(nint context, int attribute, uint value);

    [DllImport("libseccomp.so.2", CharSet = CharSet.Ansi)]
    static extern int seccomp_syscall_resolve_name([MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    [DllImport("libseccomp.so.2", CharSet = CharSet.Ansi)]
    static extern int seccomp_syscall_resolve_name_arch(uint architecture, [MarshalAs(UnmanagedType.LPUTF8Str)] string name);

    [DllImport("libseccomp.so.2")]
    static extern int seccomp_rule_add_array(nint context, uint action, int number, uint count, scmp_arg_cmp* conditions);

    [DllImport("libseccomp.so.2")]
    static extern int seccomp_export_bpf(nint context, int fd);
}
