using System.Text.RegularExpressions;
using Containers.Linux.Seccomp;
using Xunit;

namespace Containers.Tests.Units.Seccomp;

/// <summary>The numbers against the kernel's headers, in both directions.</summary>
public partial class SyscallTableTests
{
    /// <summary>Calls from this number on have one number everywhere (the kernel's asm-generic/unistd.h).</summary>
    const int SameEverywhere = 424;

    /// <summary>From here on x32 has numbers for calls of its own.</summary>
    const int X32Own = 512;

    /// <summary>Younger than Linux 6.1, whose headers these tests run with, and without a number of the common kind.</summary>
    static readonly HashSet<string> s_younger = ["uretprobe", "uprobe"];

    [Fact]
    public void Names_are_sorted_and_found()
    {
        var names = SyscallTable.Names();
        Assert.Equal(names.Order(StringComparer.Ordinal).Distinct(), names);
        Assert.True(names.Count > 450);
        Assert.All(names, name => Assert.True(SyscallTable.TryFind(name, out _), name));
        Assert.All(names, name => Assert.False(SyscallTable.TryFind(name + "x", out _) && !names.Contains(name + "x"), name));
        Assert.All(["", " ", "a", "zz", "read ", "read 0", "rea", "READ", "-", "\n", "réad"], name => Assert.False(SyscallTable.TryFind(name, out _), name));
    }

    [Theory]
    [InlineData(SyscallAbi.X64, "gcc", "asm/unistd_64.h")]
    [InlineData(SyscallAbi.X32, "gcc", "asm/unistd_x32.h")]
    [InlineData(SyscallAbi.I386, "gcc", "asm/unistd_32.h")]
    [InlineData(SyscallAbi.Arm64, "aarch64-linux-gnu-gcc", "asm/unistd.h")]
    public void Numbers_are_the_headers(SyscallAbi abi, string compilerName, string header)
    {
        if (CCompiler.Find(compilerName) is not string path)
        {
            Assert.NotEqual("gcc", compilerName);
            return;
        }
        using CCompiler compiler = new(path);
        var theirs = Numbers(compiler.Macros(header));
        Assert.True(theirs.Count > 250);
        var newest = theirs.Values.Where(number => number < X32Own).Max();
        Assert.True(newest >= 450);
        List<string> wrong = [];
        foreach (var (name, number) in theirs)
            if (!SyscallTable.TryFind(name, out var ours) || ours[abi] != number)
                wrong.Add($"{name} is {number} in {header}");
        foreach (var name in SyscallTable.Names())
            if (SyscallTable.TryFind(name, out var ours) && ours[abi] >= 0 && !theirs.ContainsKey(name) && ours[abi] <= newest && !s_younger.Contains(name))
                wrong.Add($"{name} is not in {header}");
        Assert.Empty(wrong);
    }

    [Fact]
    public void Young_calls_have_one_number_everywhere()
    {
        var young = 0;
        foreach (var name in SyscallTable.Names())
        {
            SyscallTable.TryFind(name, out var numbers);
            if (numbers[SyscallAbi.X64] < SameEverywhere)
                continue;
            Assert.Equal(numbers[SyscallAbi.X64], numbers[SyscallAbi.X32]);
            Assert.Equal(numbers[SyscallAbi.X64], numbers[SyscallAbi.I386]);
            Assert.Equal(numbers[SyscallAbi.X64], numbers[SyscallAbi.Arm64]);
            Assert.True(numbers[SyscallAbi.Arm] == numbers[SyscallAbi.X64] || name == "memfd_secret", name);
            young++;
        }
        Assert.Equal(470 - SameEverywhere + 1, young);
    }

    /// <summary>The macros of the numbers; some are others with an offset.</summary>
    static Dictionary<string, int> Numbers(Dictionary<string, string> macros)
    {
        var numbers = new Dictionary<string, int>();
        foreach (var (name, value) in macros)
        {
            if (!name.StartsWith("__NR_", StringComparison.Ordinal) || name is "__NR_syscalls" or "__NR_arch_specific_syscall")
                continue;
            var text = value;
            while (macros.TryGetValue(text, out var other))
                text = other;
            if (Number().Match(text) is { Success: true } match)
                numbers[name["__NR_".Length..]] = int.Parse(match.Groups[1].Value);
        }
        return numbers;
    }

    [GeneratedRegex(@"^\(?(?:__X32_SYSCALL_BIT \+ )?(\d+)\)?$")]
    private static partial Regex Number();
}
