using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>Every constant, every structure's size and every field's offset of linux/syscalls against the C compiler's headers.</summary>
public class ConstantsMatchTheCompiler
{
    /// <summary>Younger than the headers of Debian 12 (Linux 6.1): proved where the installed headers have them.</summary>
    static readonly Dictionary<string, string> Younger = new()
    {
        ["MFD_NOEXEC_SEAL"] = "6.3",
        ["MFD_EXEC"] = "6.3",
        ["MOVE_MOUNT_BENEATH"] = "6.5",
        ["FSCONFIG_CMD_CREATE_EXCL"] = "6.6",
        ["PID_FS_MAGIC"] = "6.9",
    };

    /// <summary>In the headers of one machine alone.</summary>
    static readonly Dictionary<string, Architecture> OneMachine = new() { ["__X32_SYSCALL_BIT"] = Architecture.X64 };

    /// <summary>Names that libc and the kernel use for different numbers: whose is meant here.</summary>
    static readonly Dictionary<string, CHeaders> Meant = new()
    {
        ["SIGRTMIN"] = CHeaders.Libc,
        ["SIGRTMAX"] = CHeaders.Libc,
        ["O_LARGEFILE"] = CHeaders.Kernel,
    };

    /// <summary>Structures whose C name is another one, or that mean one of two of the same name.</summary>
    static readonly Dictionary<Type, (CHeaders Headers, string Name)> Renamed = new()
    {
        [typeof(kernel_sigaction)] = (CHeaders.KernelSignals, "struct sigaction"),
        [typeof(termios)] = (CHeaders.KernelTerminals, "struct termios"),
        [typeof(cap_user_header)] = (CHeaders.Libc, "struct __user_cap_header_struct"),
        [typeof(cap_user_data)] = (CHeaders.Libc, "struct __user_cap_data_struct"),
        [typeof(linux_dirent64)] = (CHeaders.Libc, "struct dirent64"),
        [typeof(bpf_attr)] = (CHeaders.Libc, "union bpf_attr"),
        [typeof(Elf64_Phdr)] = (CHeaders.Libc, "Elf64_Phdr"),
        [typeof(mount_attr)] = (CHeaders.Kernel, "struct mount_attr"),
    };

    /// <summary>Only a front part is declared here, or the kernel lets the structure grow.</summary>
    static readonly HashSet<Type> FrontPart = [typeof(linux_dirent64), typeof(bpf_attr)];

    [Fact]
    public void On_this_machine()
    {
        using CCompiler compiler = CCompiler.Native();
        Architecture machine = RuntimeInformation.ProcessArchitecture;
        List<Fact> proved = [];
        foreach ((CHeaders headers, List<Fact> facts) in Sorted(compiler, machine))
        {
            long[] values = compiler.Evaluate(headers, [.. facts.Select(f => f.Expression)]);
            Assert.Equal(facts.Count, values.Length);
            Assert.Equal([], facts.Zip(values).Where(f => f.First.Value != f.Second)
                .Select(f => $"{f.First.Name}: {f.First.Value} here, {f.Second} in '{headers.Name}'"));
            proved.AddRange(facts);
        }
        NothingIsLeft(proved, machine);
    }

    [Arm64CompilerFact]
    public void On_arm64()
    {
        using CCompiler compiler = new(CCompiler.Find(Arm64CompilerFactAttribute.Compiler)!);
        List<Fact> proved = [];
        foreach ((CHeaders headers, List<Fact> facts) in Sorted(compiler, Architecture.Arm64))
        {
            // libc computes these two when asked, so no compiler knows them; they come from the same source for all machines.
            List<Fact> constant = [.. facts.Where(f => f.Name is not ("SIGRTMIN" or "SIGRTMAX"))];
            Assert.Equal([], compiler.Refute(headers, [.. constant.Select(f => (f.Expression, f.Value))]).Select(i => $"{constant[i].Name} is not {constant[i].Value}"));
            proved.AddRange(facts);
        }
        NothingIsLeft(proved, Architecture.Arm64);
    }

    [Fact]
    public void A_wrong_constant_is_found()
    {
        using CCompiler compiler = CCompiler.Native();
        Assert.Equal([1], compiler.Refute(CHeaders.Libc, [("O_CREAT", Libc.O_CREAT), ("O_EXCL", Libc.O_EXCL + 1), ("EPERM", 1)]));
        Assert.Equal(["O_CREAT"], compiler.Known(CHeaders.Libc, ["O_CREAT", "O_NO_SUCH_FLAG", "sizeof(struct no_such)", "O_NO_SUCH_FLAG + 1"]));
    }

    [Fact]
    public void Names_chosen_at_run_time_are_this_machines()
    {
        foreach (FieldInfo number in Machine(RuntimeInformation.ProcessArchitecture).GetFields())
        {
            PropertyInfo? chosen = typeof(Libc).GetProperty(number.Name);
            Assert.True(chosen is not null, $"{number.Name} cannot be used");
            Assert.Equal(number.GetRawConstantValue(), chosen.GetValue(null));
        }
        Assert.Equal(typeof(MachineX64).GetFields().Select(f => f.Name), typeof(MachineArm64).GetFields().Select(f => f.Name));
    }

    sealed record Fact(string Name, string Expression, long Value, CHeaders? Headers = null);

    static Type Machine(Architecture machine) => machine == Architecture.X64 ? typeof(MachineX64) : typeof(MachineArm64);

    /// <summary>Every fact with each of the headers that know it.</summary>
    static IEnumerable<(CHeaders, List<Fact>)> Sorted(CCompiler compiler, Architecture machine)
    {
        List<Fact> all = [.. Constants(machine), .. Layouts(machine), .. Others()];
        Assert.True(all.Count > 1000, $"only {all.Count} facts were found");
        foreach (CHeaders headers in CHeaders.All)
        {
            List<Fact> candidates = [.. all.Where(f => f.Headers is null || f.Headers == headers)];
            HashSet<string> known = compiler.Known(headers, [.. candidates.Select(f => f.Expression)]);
            yield return (headers, [.. candidates.Where(f => known.Contains(f.Expression))]);
        }
    }

    static void NothingIsLeft(List<Fact> proved, Architecture machine)
    {
        HashSet<string> names = [.. proved.Select(f => f.Name)];
        Assert.Equal([], new[] { Constants(machine), Layouts(machine), Others() }.SelectMany(f => f)
            .Where(f => !names.Contains(f.Name) && !Younger.ContainsKey(f.Name)).Select(f => $"{f.Name} is in no header"));
    }

    static IEnumerable<Fact> Constants(Architecture machine) =>
        new[] { typeof(Libc), Machine(machine) }
            .SelectMany(type => type.GetFields(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static))
            .Where(field => field.IsLiteral && field.FieldType != typeof(string) && OneMachine.GetValueOrDefault(field.Name, machine) == machine)
            .Select(field => new Fact(field.Name, field.Name, Widen(field.GetRawConstantValue()!), Meant.GetValueOrDefault(field.Name)));

    static long Widen(object value) => value is ulong number ? unchecked((long)number) : Convert.ToInt64(value);

    /// <summary>C's own spelling is what marks a type as one of C's.</summary>
    static IEnumerable<Fact> Layouts(Architecture machine) =>
        typeof(Libc).Assembly.GetTypes()
            .Where(type => type.IsValueType && !type.IsEnum && type.Namespace == typeof(Libc).Namespace && !type.IsNested && char.IsAsciiLetterLower(type.Name[0]))
            .Where(type => type != typeof(epoll_event) || machine == Architecture.X64)
            .Where(type => type.Name != "epoll_event_aligned" || machine == Architecture.Arm64)
            .SelectMany(Layout);

    static IEnumerable<Fact> Layout(Type type)
    {
        CHeaders? headers = null;
        string name = type.Name == "epoll_event_aligned" ? "struct epoll_event" : type.Name.EndsWith("_t", StringComparison.Ordinal) ? type.Name : $"struct {type.Name}";
        if (Renamed.TryGetValue(type, out var renamed))
            (headers, name) = renamed;
        if (!FrontPart.Contains(type))
            yield return new($"sizeof {name}", $"sizeof({name})", Size(type), headers);
        foreach (FieldInfo field in type.GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            // Two bit-fields in C, which have no address; their neighbours leave it this one byte.
            if (type == typeof(bpf_insn) && field.Name == nameof(bpf_insn.regs))
                continue;
            string member = type == typeof(bpf_attr) && field.Name.StartsWith("query_", StringComparison.Ordinal) ? $"query.{field.Name[6..]}" : field.Name;
            yield return new($"offset of {type.Name}.{field.Name}", $"offsetof({name}, {member})", Marshal.OffsetOf(type, field.Name), headers);
            yield return new($"size of {type.Name}.{field.Name}", $"sizeof((({name} *)0)->{member})", Size(field.FieldType), headers);
        }
    }

    static long Size(Type type) =>
        type.IsPointer ? IntPtr.Size : (int)typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type).Invoke(null, null)!;

    static IEnumerable<Fact> Others() =>
    [
        new("sockaddr_un.PathSize", "sizeof(((struct sockaddr_un *)0)->sun_path)", sockaddr_un.PathSize),
        new("linux_dirent64.NameOffset", "offsetof(struct dirent64, d_name)", linux_dirent64.NameOffset),
        new("Signals.Highest", "_NSIG - 1", Signals.Highest, CHeaders.Libc),
        new("ResourceLimits.Count", "RLIM_NLIMITS", ResourceLimits.Count, CHeaders.Libc),
        new("Capabilities.Last", "CAP_LAST_CAP", Capabilities.Last),
    ];
}
