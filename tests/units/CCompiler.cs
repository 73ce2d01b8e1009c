using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Containers.Tests.Units;

/// <summary>Asks a C compiler what its headers say.</summary>
sealed partial class CCompiler(string path) : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("containers-units-");

    /// <summary>The compiler for the machine that the tests run on; fails where there is none.</summary>
    public static CCompiler Native() =>
        new(Find("gcc") ?? throw new InvalidOperationException(
            "gcc is not on PATH: constants cannot be proved against the headers (Debian: apt-get install gcc libc6-dev)"));

    public static string? Find(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    public void Dispose() => _folder.Delete(recursive: true);

    /// <summary>Those of the expressions that compile: all of whose names the headers declare.</summary>
    public HashSet<string> Known(CHeaders headers, IReadOnlyList<string> expressions)
    {
        // One line for each expression, so that an error's line number names it.
        StringBuilder c = new("#define _GNU_SOURCE\n" + headers.Text + "\nint main(void) {\n");
        int firstLine = c.ToString().Count(x => x == '\n') + 1;
        foreach (string expression in expressions)
            c.Append($"{{ volatile long long v = (long long)({expression}); (void)v; }}\n");
        c.Append("}\n");
        string errors = Run("-fsyntax-only", "-fmax-errors=0", Save(c.ToString())).Errors;
        if (AnyError().Matches(errors).Count != ErrorLine().Matches(errors).Count)
            throw new InvalidOperationException($"the headers '{headers.Name}' do not compile: {errors}");
        HashSet<string> known = [.. expressions];
        foreach (Match error in ErrorLine().Matches(errors))
        {
            int index = int.Parse(error.Groups[1].Value) - firstLine;
            if (index < 0 || index >= expressions.Count)
                throw new InvalidOperationException($"the headers '{headers.Name}' do not compile: {errors}");
            known.Remove(expressions[index]);
        }
        return UndeclaredOnce(errors, known);
    }

    // The compiler names an undeclared identifier once for each function: later lines with the same one go unreported.
    static HashSet<string> UndeclaredOnce(string errors, HashSet<string> known)
    {
        foreach (Match name in Undeclared().Matches(errors))
            known.RemoveWhere(e => Regex.IsMatch(e, $@"\b{name.Groups[1].Value}\b"));
        return known;
    }

    /// <summary>What the expressions are, as a compiled and executed program prints it.</summary>
    public long[] Evaluate(CHeaders headers, IReadOnlyList<string> expressions)
    {
        StringBuilder c = new("#define _GNU_SOURCE\n" + headers.Text + "\nint main(void) {\n");
        foreach (string expression in expressions)
            c.Append($"printf(\"%lld\\n\", (long long)({expression}));\n");
        c.Append("}\n");
        string program = Path.Combine(_folder.FullName, "program");
        (int status, _, string errors) = Run("-o", program, Save(c.ToString()));
        if (status != 0)
            throw new InvalidOperationException(errors);
        return [.. Start(program, []).Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(long.Parse)];
    }

    /// <summary>What a header defines: every macro without parameters.</summary>
    public Dictionary<string, string> Macros(string header)
    {
        Dictionary<string, string> macros = [];
        foreach (string line in Run("-E", "-dM", Save($"#include <{header}>\n")).Output.Split('\n'))
            if (line.Split(' ', 3) is ["#define", string name, string value])
                macros[name] = value;
        return macros;
    }

    /// <summary>The indices of those equations that do not hold, told by the compiler without running anything.</summary>
    public List<int> Refute(CHeaders headers, IReadOnlyList<(string Expression, long Value)> equations)
    {
        StringBuilder c = new("#define _GNU_SOURCE\n" + headers.Text + "\n");
        for (int i = 0; i < equations.Count; i++)
            c.Append($"_Static_assert((long long)({equations[i].Expression}) == (long long){unchecked((ulong)equations[i].Value)}ULL, \"equation {i};\");\n");
        (int status, _, string errors) = Run("-fsyntax-only", "-fmax-errors=0", Save(c.ToString()));
        List<int> refuted = [.. Equation().Matches(errors).Select(m => int.Parse(m.Groups[1].Value)).Distinct()];
        return status == 0 || refuted.Count > 0 ? refuted : throw new InvalidOperationException(errors);
    }

    string Save(string c)
    {
        string file = Path.Combine(_folder.FullName, "program.c");
        File.WriteAllText(file, c);
        return file;
    }

    (int Status, string Output, string Errors) Run(params string[] arguments) => Start(path, ["-w", .. arguments]);

    static (int Status, string Output, string Errors) Start(string program, string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["LC_ALL"] = "C";
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    [GeneratedRegex(@"program\.c:(\d+):\d+: error:")]
    private static partial Regex ErrorLine();

    [GeneratedRegex(@"^\S+: (fatal )?error: ", RegexOptions.Multiline)]
    private static partial Regex AnyError();

    [GeneratedRegex(@"error: '(\w+)' undeclared")]
    private static partial Regex Undeclared();

    [GeneratedRegex(@"error: static assertion failed: ""equation (\d+);")]
    private static partial Regex Equation();
}

/// <summary>Skipped, by name, where no compiler for arm64 is installed or the tests run on arm64 themselves.</summary>
sealed class Arm64CompilerFactAttribute : Xunit.FactAttribute
{
    public const string Compiler = "aarch64-linux-gnu-gcc";

    public Arm64CompilerFactAttribute()
    {
        if (RuntimeInformation.ProcessArchitecture == Architecture.Arm64)
            Skip = "the native compiler is arm64's";
        else if (CCompiler.Find(Compiler) is null)
            Skip = $"{Compiler} is not installed (Debian: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross)";
    }
}
