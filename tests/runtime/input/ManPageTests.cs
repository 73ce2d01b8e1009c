using System.Text.RegularExpressions;

namespace Containers.Tests.Runtime;

/// <summary>What psrun's help lists is what it takes; the man page and the completion must know all of it.</summary>
public sealed partial class ManPageTests : RuntimeTest
{
    const string NotPsruns = "it has its own";

    static string Repository([System.Runtime.CompilerServices.CallerFilePath] string here = "")
    {
        // Where the build hides the sources' place (/_/), the program was started inside it all the same.
        foreach (var start in (string[])[AppContext.BaseDirectory, Path.GetDirectoryName(here)!, Environment.CurrentDirectory])
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "docs/psrun.8.md")))
                    return folder.FullName;
            }
        }
        throw new FileNotFoundException("docs/psrun.8.md");
    }

    static readonly string Page = File.ReadAllText(Path.Combine(Repository(), "docs/psrun.8.md"));

    static readonly string CompletionFile = Path.Combine(Repository(), "native-helper/completion/psrun.bash");

    [GeneratedRegex(@"^  (-{1,2}[a-z0-9-]+)(?:, (-{1,2}[a-z0-9-]+))?( VALUE)?$")]
    private static partial Regex Option();

    string[] Verbs() => [.. Runtime.Do("--help").Ends(0).Stdout.Split("--help of its own:\n")[1].Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim())];

    string[] Options(params string[] command)
    {
        var lines = Runtime.Do([.. command, "--help"]).Ends(0).Lines.SkipWhile(line => line != "options:").Skip(1).TakeWhile(line => line.StartsWith("  "));
        return [.. lines.SelectMany(line => Option().Match(line) is { Success: true } match
            ? match.Groups.Values.Skip(1).Take(2).Where(group => group.Success).Select(group => group.Value)
            : throw new FormatException(line))];
    }

    [RuntimeFact(NotUnderRunc = NotPsruns)]
    public void The_page_has_every_command_and_option()
    {
        Assert.Contains("create", Verbs());
        List<string> missing = [];
        foreach (var option in Options())
        {
            if (!Page.Contains($"**{option}**"))
                missing.Add(option);
        }
        foreach (var verb in Verbs())
        {
            var section = Section(verb);
            if (section is null)
                missing.Add(verb);
            foreach (var option in Options(verb))
            {
                // run has those of create as well.
                var text = section + (verb == "run" ? Section("create") : "");
                if (!text.Contains($"**{option}**") && !(section ?? "").Split('\n')[0].Contains(option))
                    missing.Add($"{verb} {option}");
            }
        }
        Assert.Empty(missing);
    }

    /// <summary>From the heading that names the verb to the next one.</summary>
    static string? Section(string verb)
    {
        foreach (var section in Page.Split("\n### ").Skip(1))
        {
            if (section.Split('\n')[0].Split(", ").Any(title => title == verb || title.StartsWith(verb + " ")))
                return section;
        }
        return null;
    }

    [RuntimeFact(NotUnderRunc = NotPsruns)]
    public void The_page_has_no_option_that_is_refused_as_unknown()
    {
        foreach (var verb in Verbs())
        {
            var known = Options(verb).Concat(verb == "run" ? Options("create") : []).ToHashSet();
            if (verb is "pause" or "resume")
                continue; // two commands in one section
            foreach (Match match in Regex.Matches(Section(verb)!, @"^\*\*-.*$", RegexOptions.Multiline))
            {
                foreach (Match option in Regex.Matches(match.Value, @"\*\*(-{1,2}[a-z0-9-]+)\*\*"))
                    Assert.Contains(option.Groups[1].Value, known);
            }
        }
    }

    [RuntimeFact(NotUnderRunc = NotPsruns)]
    public void The_completion_offers_every_command_and_option()
    {
        foreach (var verb in Verbs())
        {
            Assert.Contains(verb, Complete("psrun", ""));
            var offered = Complete("psrun", verb, "-");
            Assert.All(Options(verb), option => Assert.Contains(option, offered));
        }
        Assert.All(Options(), option => Assert.Contains(option, Complete("psrun", "-")));
    }

    [RuntimeFact(NotUnderRunc = NotPsruns)]
    public void The_completion_offers_containers_and_signals()
    {
        var (id, _) = Create(Sleeper());
        Assert.Equal([id], Complete("psrun", "--root", Runtime.Root, "start", id[..4]));
        Assert.Contains("SIGKILL", Complete("psrun", "--root", Runtime.Root, "kill", id, "SIGK"));
    }

    /// <summary>What bash offers for the last of these words.</summary>
    string[] Complete(params string[] words) => Spawn.Run(Folder, "/bin/bash",
    [
        "-c", """. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _psrun; printf '%s\n' "${COMPREPLY[@]}" """, CompletionFile, .. words,
    ]).Ends(0).Lines;

    [RuntimeTheory(NotUnderRunc = NotPsruns)]
    [InlineData("create")]
    [InlineData("exec")]
    [InlineData("update")]
    [InlineData("list")]
    public void Every_option_that_help_lists_is_taken(string verb)
    {
        foreach (var option in Options(verb))
            Assert.DoesNotContain("not defined", Runtime.Do(verb, option).Stderr);
    }
}
