namespace Containers.Tests.Runtime;

/// <summary>SIGKILL at every system call of a verb, and at random moments.</summary>
public sealed class KilledVerbTests : CrashTest
{
    const string NotRunc = "its init waits for ever in a group that no state names";

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("create")]
    [InlineData("run")]
    public void A_creation_that_is_killed_at_any_call_can_be_cleaned(string verb)
    {
        var random = new Random(Seed);
        string[] Line(string id) => verb == "run" ? ["run", "--detach", "--bundle", bundle!.Folder, id] : ["create", "--bundle", bundle!.Folder, id];
        bundle = Sleeper();
        var probe = NewId();
        var (before, all) = Trace(Line(probe));
        Runtime.Do("delete", "--force", probe).Ends(0);
        foreach (var moment in Moments(random, before, all.Count, 8))
        {
            var id = NewId();
            Traced($"all:signal=SIGKILL:when={moment}", Line(id));
            AssertTruthAndClean(id, () => $"seed {Seed}, {verb} killed at call {moment} ({all[Math.Min(moment, all.Count) - 1]})");
        }
    }

    Bundle? bundle;

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("create")]
    [InlineData("run")]
    public void A_creation_whose_child_is_killed_at_any_step_fails_and_leaves_nothing(string verb)
    {
        var random = new Random(Seed);
        bundle = Sleeper();
        foreach (var moment in Moments(random, 1, 190, 8))
        {
            var id = NewId();
            var result = Traced($"{ChildsCalls}:signal=SIGKILL:when={moment}", verb == "run" ? ["run", "--detach", "--bundle", bundle.Folder, id] : ["create", "--bundle", bundle.Folder, id]);
            // The waiting init may be killed after all was made, and a number beyond the last step kills nobody.
            if (result.ExitCode != 0 && result.Signal == 0)
            {
                AssertDecent(result, () => $"child killed at step {moment}");
                Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)), $"a failed {verb} left its state: step {moment}\n{result}");
            }
            AssertTruthAndClean(id, () => $"seed {Seed}, {verb}: child killed at step {moment}");
        }
    }

    [RuntimeTheory(NotUnderRunc = NotRunc)]
    [InlineData("start")]
    [InlineData("exec")]
    [InlineData("update")]
    [InlineData("pause")]
    [InlineData("delete")]
    public void A_verb_that_is_killed_at_any_call_leaves_what_can_be_cleaned(string verb)
    {
        var random = new Random(Seed);
        string[] Line(string id) => verb switch
        {
            "exec" => ["exec", "--detach", id, "sleep", "1000"],
            "update" => ["update", "--pids-limit", "50", "--memory", "100000000", id],
            "delete" => ["delete", "--force", id],
            _ => [verb, id],
        };
        string Made() => verb == "start" ? Create(Sleeper()).Id : Start(Sleeper()).Id;
        var probe = Made();
        var (before, all) = Trace(Line(probe));
        Runtime.Do("delete", "--force", probe).Ends(0);
        foreach (var moment in Moments(random, before, all.Count, 5))
        {
            var id = Made();
            Traced($"all:signal=SIGKILL:when={moment}", Line(id));
            AssertTruthAndClean(id, () => $"seed {Seed}, {verb} killed at call {moment} ({all[Math.Min(moment, all.Count) - 1]})");
        }
    }

    [RuntimeFact(NotUnderRunc = NotRunc)]
    public void Killed_at_random_moments_nothing_is_left()
    {
        // Without strace the child is as fast as ever.
        var random = new Random(Seed);
        for (var i = 0; i < Rounds.Of(20, 200); i++)
        {
            var verb = Pick(random, "create", "run", "start", "exec", "update", "delete");
            var id = verb switch { "create" or "run" => NewId(), "start" => Create(Sleeper()).Id, _ => Start(Sleeper()).Id };
            string[] line = verb switch
            {
                "create" => ["create", "--bundle", Sleeper().Folder, id],
                "run" => ["run", "--detach", "--bundle", Sleeper().Folder, id],
                "exec" => ["exec", "--detach", id, "sleep", "1000"],
                "update" => ["update", "--pids-limit", "50", id],
                "delete" => ["delete", "--force", id],
                _ => [verb, id],
            };
            using (var spawn = Runtime.Begin(new SpawnOptions(), line))
            {
                var until = System.Diagnostics.Stopwatch.GetTimestamp() + (long)(random.NextDouble() * 0.015 * System.Diagnostics.Stopwatch.Frequency);
                while (System.Diagnostics.Stopwatch.GetTimestamp() < until)
                    Thread.SpinWait(20);
                spawn.Kill();
            }
            AssertTruthAndClean(id, () => $"seed {Seed}, round {i}: {verb}");
        }
    }
}
