using System.Text.Json.Nodes;

namespace Containers.Tests.Runtime;

/// <summary>create, start, state, kill, delete: the states of runtime-spec/runtime.md and runc's exit statuses.</summary>
public sealed class StateTests : RuntimeTest
{
    [RuntimeFact]
    public void A_created_container_has_not_started_its_program()
    {
        var bundle = NewBundle().Shell("echo started >/work/mark; sleep 1000")
            .Change(b => b.Config["root"]!["readonly"] = false);
        var (id, pid) = Create(bundle);

        Assert.Equal("created", Runtime.Status(id));
        Assert.True(pid > 1);
        Assert.NotNull(HostState.ProcessState(pid));
        Assert.False(File.Exists(bundle.InRootfs("/work/mark")));
    }

    [RuntimeFact]
    public void A_container_goes_from_created_over_running_to_stopped_and_away()
    {
        var (id, pid) = Create(Sleeper());
        Runtime.Do("start", id).Ends(0);
        Assert.Equal("running", Runtime.Status(id));

        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Assert.Equal("stopped", Runtime.Status(id));

        Runtime.Do("delete", id).Ends(0);
        Runtime.Do("state", id).Ends(1);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void Start_keeps_the_process_that_create_made()
    {
        var (id, pid) = Create(Sleeper());
        var born = HostState.StartTime(pid);
        Runtime.Do("start", id).Ends(0);

        Assert.Equal(pid, Runtime.Pid(id));
        Assert.Equal(born, HostState.StartTime(pid));
    }

    [RuntimeFact]
    public void State_prints_the_members_of_the_specification()
    {
        var bundle = Sleeper().Change(b => b.Config["annotations"] = new JsonObject { ["org.example.key"] = "value" });
        var (id, pid) = Create(bundle);
        var state = Runtime.State(id);

        Assert.StartsWith("1.", (string)state["ociVersion"]!);
        Assert.Equal(id, (string)state["id"]!);
        Assert.Equal("created", (string)state["status"]!);
        Assert.Equal(pid, (int)state["pid"]!);
        Assert.Equal(bundle.Folder, (string)state["bundle"]!);
        Assert.Equal("value", (string)state["annotations"]!["org.example.key"]!);
    }

    [RuntimeFact]
    public void A_started_container_cannot_be_started_again()
    {
        var (id, pid) = Start(Sleeper());
        var result = Runtime.Do("start", id).Ends(1);
        Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal("running", Runtime.Status(id));
        Assert.Equal(pid, Runtime.Pid(id));
    }

    [RuntimeFact]
    public void A_stopped_container_cannot_be_started()
    {
        var (id, pid) = Create(Sleeper());
        Runtime.Do("kill", id, "KILL").Ends(0);
        Runtime.WaitForEnd(pid);
        Runtime.Do("start", id).Ends(1);
    }

    [RuntimeTheory]
    [InlineData("state")]
    [InlineData("start")]
    [InlineData("kill")]
    [InlineData("delete")]
    public void An_unknown_container_is_refused(string verb)
    {
        var result = Runtime.Do(verb, NewId()).Ends(1);
        Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("does not exist", result.Stderr);
        Assert.Empty(result.Stdout);
    }

    [RuntimeFact]
    public void Forced_delete_of_an_unknown_container_is_no_error() => Runtime.Do("delete", "--force", NewId()).Ends(0);

    [RuntimeFact]
    public void A_running_container_cannot_be_deleted()
    {
        var (id, _) = Start(Sleeper());
        var result = Runtime.Do("delete", id).Ends(1);
        Assert.Contains("running", result.Stderr);
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact]
    public void Forced_delete_ends_a_running_container()
    {
        var (id, pid) = Start(Sleeper());
        Runtime.Do("delete", "--force", id).Ends(0);
        Assert.True(HostState.ProcessState(pid) is null or "Z");
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_created_container_is_deleted_without_force()
    {
        var (id, _) = Create(Sleeper());
        Runtime.Do("delete", id).Ends(0);
        AssertNothingLeft();
    }

    [RuntimeFact]
    public void A_container_is_deleted_once()
    {
        var (id, _) = Create(Sleeper());
        Runtime.Do("delete", "--force", id).Ends(0);
        Runtime.Do("delete", id).Ends(1);
    }

    [RuntimeFact]
    public void A_duplicate_id_is_refused_and_harms_nobody()
    {
        var (id, pid) = Start(Sleeper());
        var result = Runtime.Create(id, NewBundle().Args("true")).Ends(1);
        Assert.Contains("exist", result.Stderr);
        Runtime.Run(id, NewBundle().Args("true")).Ends(1);

        Assert.Equal("running", Runtime.Status(id));
        Assert.Equal(pid, Runtime.Pid(id));
    }

    [RuntimeFact]
    public void The_same_id_may_stand_in_two_roots()
    {
        var (id, pid) = Start(Sleeper());
        var other = new Runtime(Runtime.Program, Path.Combine(Folder, "other"), Folder);
        other.Run(id, NewBundle().Args("sleep", "1000"), "-d").Ends(0);
        try
        {
            Assert.NotEqual(pid, other.Pid(id));
        }
        finally
        {
            other.Do("delete", "--force", id).Ends(0);
        }
        Assert.Equal("running", Runtime.Status(id));
    }

    [RuntimeFact]
    public void An_init_that_was_killed_from_outside_is_told_as_stopped()
    {
        var (id, pid) = Start(Sleeper());
        Native.kill(pid, Native.SIGKILL);
        Runtime.WaitForEnd(pid);

        Assert.Equal("stopped", Runtime.Status(id));
        Runtime.Do("delete", id).Ends(0);
    }

    [RuntimeFact]
    public void A_program_that_ended_by_itself_is_told_as_stopped()
    {
        var (id, pid) = Create(NewBundle().Args("true"));
        Runtime.Do("start", id).Ends(0);
        Runtime.WaitForEnd(pid);

        Assert.Equal("stopped", Runtime.Status(id));
        Runtime.Do("delete", id).Ends(0);
    }

    [RuntimeFact]
    public void A_pid_is_believed_only_with_its_start_time()
    {
        var (id, pid) = Start(Sleeper());
        var file = Path.Combine(Runtime.Root, id, "state.json");
        var honest = File.ReadAllText(file);
        var changed = JsonNode.Parse(honest)!.AsObject();
        // As if the container's init had died and its number had gone to a process that was born later.
        Assert.True(ChangeStartTime(changed), honest);
        File.WriteAllText(file, changed.ToJsonString());
        try
        {
            Assert.Equal("stopped", Runtime.Status(id));
            Runtime.Do("kill", id, "KILL").Ends(1);
            Assert.False(HostState.ProcessState(pid) is null or "Z" or "X");
        }
        finally
        {
            File.WriteAllText(file, honest);
        }
        Assert.Equal("running", Runtime.Status(id));

        static bool ChangeStartTime(JsonObject node)
        {
            foreach (var (name, value) in node.ToArray())
            {
                var isStart = name.Contains("start", StringComparison.OrdinalIgnoreCase);
                if (isStart && value is JsonValue number && number.TryGetValue(out ulong ticks) && ticks > 0)
                {
                    node[name] = ticks + 1;
                    return true;
                }
                if (value is JsonObject child && ChangeStartTime(child))
                    return true;
            }
            return false;
        }
    }

    [RuntimeFact]
    public void State_files_are_for_their_owner_alone()
    {
        var (id, _) = Start(Sleeper());
        const UnixFileMode others = UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;
        var folder = Path.Combine(Runtime.Root, id);
        Assert.Equal((UnixFileMode)0, File.GetUnixFileMode(Runtime.Root) & others & ~UnixFileMode.OtherExecute);
        Assert.True((File.GetUnixFileMode(folder) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) == 0);
    }
}
