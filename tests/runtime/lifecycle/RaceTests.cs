namespace Containers.Tests.Runtime;

/// <summary>Several callers at once, and callers that die.</summary>
public sealed class RaceTests : RuntimeTest
{
    [RuntimeFact]
    public void Of_many_creates_of_one_id_exactly_one_wins()
    {
        var id = NewId();
        List<Spawn> creates = [];
        foreach (var bundle in Enumerable.Range(0, 6).Select(_ => Sleeper()).ToArray())
            creates.Add(Runtime.Begin(new SpawnOptions(), "create", "--bundle", bundle.Folder, id));
        var results = creates.ConvertAll(create => create.Wait());

        Assert.Equal(1, results.Count(result => result.ExitCode == 0));
        Assert.All(results.Where(result => result.ExitCode != 0), result => result.Ends(1));
        Assert.Equal("created", Runtime.Status(id));
        Watch(Runtime.Pid(id));
        Runtime.Do("delete", "--force", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Two_forced_deletes_at_once_leave_nothing()
    {
        for (var round = 0; round < 5; round++)
        {
            var (id, _) = Start(Sleeper());
            using var first = Runtime.Begin(new SpawnOptions(), "delete", "--force", id);
            using var second = Runtime.Begin(new SpawnOptions(), "delete", "--force", id);
            int[] codes = [first.Wait().ExitCode, second.Wait().ExitCode];
            Assert.Contains(0, codes);
            Runtime.Do("state", id).Ends(1);
        }
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Many_starts_of_one_container_start_it_once()
    {
        var bundle = NewBundle().Shell("echo once >>/work/mark; sleep 1000").Change(b => b.Config["root"]!["readonly"] = false);
        var (id, _) = Create(bundle);
        var starts = Enumerable.Range(0, 4).Select(_ => Runtime.Begin(new SpawnOptions(), "start", id)).ToArray();
        var codes = starts.Select(start => start.Wait().ExitCode).ToArray();
        Assert.Equal(1, codes.Count(code => code == 0));
        Until(() => File.Exists(bundle.InRootfs("/work/mark")));
        Assert.Equal("once\n", File.ReadAllText(bundle.InRootfs("/work/mark")));
    }

    [RuntimeFact(NotUnderRunc = "its init waits for ever in a group that no state names")]
    public void A_create_that_was_killed_at_any_moment_is_cleaned_by_a_forced_delete()
    {
        var random = new Random();
        var survived = 0;
        // Moments spread over one and a half times what a create takes here and now.
        var before = System.Diagnostics.Stopwatch.StartNew();
        var (measured, _) = Create(Sleeper());
        var longest = Math.Max(15_000, (int)Math.Min(before.Elapsed.TotalMicroseconds * 1.5, 3_000_000));
        Runtime.Do("delete", "--force", measured).Ends(0);
        for (var round = 0; round < 40; round++)
        {
            var id = NewId();
            var bundle = Sleeper();
            using (var create = Runtime.Begin(new SpawnOptions(), "create", "--bundle", bundle.Folder, id))
            {
                var spin = TimeSpan.FromMicroseconds(random.Next(0, longest));
                var until = System.Diagnostics.Stopwatch.GetTimestamp() + (long)(spin.TotalSeconds * System.Diagnostics.Stopwatch.Frequency);
                while (System.Diagnostics.Stopwatch.GetTimestamp() < until)
                    Thread.SpinWait(20);
                create.Kill();
            }
            if (Directory.Exists(Path.Combine(Runtime.Root, id)))
                survived++;
            Runtime.Do("delete", "--force", id).Ends(0);
            Assert.False(Directory.Exists(Path.Combine(Runtime.Root, id)));
        }
        AssertNothingLeft();
        Assert.True(survived > 0, "no create was killed after it had begun: the moments are wrong");
    }

    [RuntimeFact(NotUnderRunc = "see above")]
    public void An_id_whose_create_was_killed_can_be_used_again_after_a_delete()
    {
        var id = NewId();
        using (var create = Runtime.Begin(new SpawnOptions(), "create", "--bundle", Sleeper().Folder, id))
        {
            Until(() => Directory.Exists(Path.Combine(Runtime.Root, id)) || !Directory.Exists($"/proc/{create.Pid}"));
            create.Kill();
        }
        Runtime.Do("delete", "--force", id).Ends(0);
        Runtime.Run(id, NewBundle().Args("echo", "again")).Ends(0);
    }
}
