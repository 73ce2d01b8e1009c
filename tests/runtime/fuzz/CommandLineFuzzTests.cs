namespace Containers.Tests.Runtime;

/// <summary>Command lines of verbs, options, values and rubbish in any order, against a container that is there and ids that are not.</summary>
public sealed class CommandLineFuzzTests : FuzzTest
{
    static readonly string[] Verbs =
        ["create", "start", "run", "exec", "state", "kill", "delete", "list", "ps", "pause", "resume", "update", "spec", "features", "help", "checkpoint", "restore", "events", "bogus", "", "shim"];

    static readonly string[] Flags =
    [
        "--bundle", "-b", "--pid-file", "--console-socket", "--preserve-fds", "--no-pivot", "--no-new-keyring", "--force", "-f", "--all", "-a", "--detach", "-d", "--keep", "--tty", "-t", "--user", "-u",
        "--env", "-e", "--cwd", "--process", "-p", "--cap", "-c", "--format", "-q", "--quiet", "--help", "-h", "--version", "--debug", "--log-format", "--rootless", "--systemd-cgroup", "--stats",
        "--resources", "-r", "--memory", "--cpu-share", "--pids-limit", "--blkio-weight", "--ignore-paused", "--additional-gids", "-g", "--no-new-privs", "--bogus", "-", "--", "---", "-=", "--=x", "--user=", "--all=maybe",
    ];

    static readonly string[] Values =
    [
        "", "0", "1", "-1", "9", "15", "99999999999", "KILL", "SIGTERM", "TERM", "BOGUS", "json", "table", "text", "true", "false", "0:0", "1000:1000", "x:y", "A=B", "=B", "A", "/", "/work", "relative", "..", "../..", ".", "a/b",
        "CAP_KILL", "CAP_BOGUS", "/dev/null", "/absent/file", "echo", "1k", "64M", "-9", "\u001b[0m", "line\nbreak", "\ud83d\ude00", "auto",
    ];

    [RuntimeFact(NotUnderRunc = "its words are its own")]
    public void Whatever_a_command_line_says_the_runtime_answers_decently()
    {
        var random = new Random(Seed);
        var here = Path.Combine(Folder, "here");
        Directory.CreateDirectory(here);
        var short_lived = NewBundle().Args("true");
        var id = "";
        for (var i = 0; i < Rounds.Of(150, 2000); i++)
        {
            if (i % 25 == 0)
            {
                Clear();
                (id, _) = Start(Sleeper());
            }
            var line = Line(random, id, short_lived.Folder, here);
            var result = Runtime.Do(Limited with { WorkingDirectory = here }, line);
            // Usage goes where the rest goes; a list of states with one that was deleted meanwhile is as long as it is.
            AssertDecent(result, () => string.Join(" ", line.Select(a => $"'{a}'")));
        }
        Clear();
        AssertNothingLeft();
    }

    [RuntimeFact(NotUnderRunc = "its words are its own")]
    public void No_verb_repeats_the_controls_of_a_terminal()
    {
        foreach (var verb in Verbs)
        {
            foreach (var word in new[] { "\u001b[0m", "--\u001b[0m", "a\nb", "--x=\u0007" })
                AssertDecent(Runtime.Do(Limited with { WorkingDirectory = Folder }, verb, word), () => $"'{verb}' '{word}'");
        }
        AssertNothingLeft();
    }

    string[] Line(Random random, string id, string bundle, string here)
    {
        var verb = Pick(random, Verbs);
        List<string> line = [];
        if (random.Next(12) == 0)
            line.AddRange(Pick<string[]>(random, ["--log", Path.Combine(here, "log")], ["--log-format", "json"], ["--debug=false"], ["--bogus"], ["--root"], ["--log-format", "xml"]));
        line.Add(verb);
        for (var n = random.Next(5); n > 0; n--)
        {
            var flag = Pick(random, Flags);
            line.Add(flag);
            if (random.Next(2) == 0)
                line.Add(flag switch
                {
                    "--bundle" or "-b" => random.Next(2) == 0 ? bundle : here,
                    // These are written, or waited for: only where it does no harm.
                    "--pid-file" => Path.Combine(here, "pid"),
                    "--console-socket" => Path.Combine(here, "no.sock"),
                    "--process" or "-p" => Path.Combine(bundle, "config.json"),
                    _ => Pick(random, Values),
                });
        }
        // One that follows events ends with its container, not by itself.
        if (verb == "events")
            line.Add("--stats");
        if (random.Next(4) != 0)
            line.Add(random.Next(3) == 0 ? Pick(random, Values) : verb is "create" or "run" ? $"{Tag}-n{random.Next(20)}" : id);
        for (var n = random.Next(3); n > 0; n--)
            line.Add(verb == "exec" ? Pick(random, "true", "echo", "absent", "") : Pick(random, Values));
        return [.. line];
    }

    void Clear()
    {
        if (!Directory.Exists(Runtime.Root))
            return;
        foreach (var folder in Directory.GetDirectories(Runtime.Root))
            Runtime.Do("delete", "--force", Path.GetFileName(folder)).Ends(0);
        Assert.Empty(Directory.GetFileSystemEntries(Runtime.Root));
    }
}
