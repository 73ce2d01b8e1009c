using System.Reflection;
using Containers.Linux.Oci;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>docs/runtime-spec.md: every member of the specification's objects stands in it, and every file and test that it names is there.</summary>
public sealed class RuntimeSpecPageTests
{
    sealed record Row(string Member, string Files, string Tests);

    static readonly string Repository = Find();

    static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "docs/runtime-spec.md"))) { return folder.FullName; }
        }
        throw new FileNotFoundException("docs/runtime-spec.md");
    }

    static List<Row> Rows()
    {
        var rows = new List<Row>();
        foreach (var line in File.ReadLines(Path.Combine(Repository, "docs/runtime-spec.md")))
        {
            if (!line.StartsWith("| `", StringComparison.Ordinal)) { continue; }
            var cells = line.Trim('|').Split(" | ");
            Assert.True(cells.Length == 3, line);
            Assert.All(cells, cell => Assert.False(string.IsNullOrWhiteSpace(cell), line));
            foreach (var member in Quoted(cells[0])) { rows.Add(new(member, cells[1], cells[2])); }
        }
        return rows;
    }

    static IEnumerable<string> Quoted(string cell) => cell.Split('`').Where((_, index) => index % 2 == 1);

    /// <summary>Members as dotted paths, of lists and maps those of what is in them. The spelling of JSON and of C# differs in capitals alone.</summary>
    static void Members(Type type, string prefix, HashSet<string> found)
    {
        foreach (var property in type.GetProperties(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly))
        {
            var path = (prefix + property.Name).ToLowerInvariant();
            found.Add(path);
            var inner = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
            if (inner.IsGenericType) { inner = inner.GetGenericArguments()[^1]; }
            if (typeof(SpecObject).IsAssignableFrom(inner)) { Members(inner, path + ".", found); }
        }
    }

    public static TheoryData<string, Type> Documents => new()
    {
        { "", typeof(Spec) }, { "state.", typeof(OciState) }, { "containerProcessState.", typeof(ContainerProcessState) }, { "features.", typeof(Features) },
    };

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_member_has_a_row(string prefix, Type type)
    {
        var members = new HashSet<string>();
        Members(type, prefix, members);
        Assert.True(members.Count > 4);
        var rows = Rows().Select(row => row.Member.ToLowerInvariant()).ToHashSet();
        Assert.Empty(members.Where(member => !rows.Contains(member)).Order());
    }

    [Fact]
    public void Every_row_is_a_member_and_stands_once()
    {
        var members = new HashSet<string>();
        foreach (var row in Documents) { Members((Type)row[1], (string)row[0], members); }
        var rows = Rows().Select(row => row.Member.ToLowerInvariant()).ToList();
        Assert.Equal(rows.Count, rows.Distinct().Count());
        Assert.DoesNotContain(rows, row => !members.Contains(row));
    }

    [Fact]
    public void Every_file_is_there()
    {
        foreach (var row in Rows())
        {
            Assert.NotEmpty(Quoted(row.Files));
            Assert.All(Quoted(row.Files), file => Assert.True(File.Exists(Path.Combine(Repository, file)), $"{row.Member}: {file}"));
        }
    }

    static Dictionary<string, string> TestFiles()
    {
        var tests = new Dictionary<string, string>();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository, "tests"), "*.cs", SearchOption.AllDirectories)) { tests[Path.GetFileNameWithoutExtension(file)] = File.ReadAllText(file); }
        return tests;
    }

    static bool IsThere(Dictionary<string, string> files, string test)
    {
        var parts = test.Split('.');
        return parts.Length == 2 && files.TryGetValue(parts[0], out var text) && text.Contains($"void {parts[1]}(");
    }

    [Fact]
    public void Every_test_is_there()
    {
        var files = TestFiles();
        foreach (var row in Rows())
        {
            Assert.NotEmpty(Quoted(row.Tests));
            Assert.All(Quoted(row.Tests), test => Assert.True(IsThere(files, test), $"{row.Member}: {test}"));
        }
    }

    /// <summary>docs/runtime-differences.md: the runtime tests read it.</summary>
    [Fact]
    public void Every_test_that_another_runtime_cannot_pass_is_there_with_a_reason()
    {
        var files = TestFiles();
        var rows = File.ReadLines(Path.Combine(Repository, "docs/runtime-differences.md")).Where(line => line.StartsWith("| `", StringComparison.Ordinal)).Select(line => line.Split('|')).ToList();
        Assert.NotEmpty(rows);
        foreach (var row in rows)
        {
            Assert.Equal(5, row.Length);
            Assert.True(IsThere(files, row[1].Trim(' ', '`')), row[1]);
            Assert.NotEqual("", (row[2] + row[3]).Trim());
        }
    }

    [Fact]
    public void What_is_refused_is_on_the_list()
    {
        // intelRdt and rdma where the kernel lacks them, SELinux and AppArmor, and other systems' sections.
        string[] permitted = ["solaris", "windows", "vm", "zos", "freebsd", "process.commandline", "process.user.username", "process.selinuxlabel", "process.apparmorprofile", "linux.mountlabel", "linux.intelrdt"];
        foreach (var row in Rows().Where(row => row.Files.Contains("refused")))
        {
            Assert.Contains(permitted, member => row.Member.Equals(member, StringComparison.OrdinalIgnoreCase) || row.Member.StartsWith(member + ".", StringComparison.OrdinalIgnoreCase));
        }
    }
}
