namespace Containers.Tests.Runtime;

/// <summary>Ids become folder names and cgroup names: what could leave its folder is refused before it is used.</summary>
public sealed class IdTests : RuntimeTest
{
    public static TheoryData<string> Hostile => new()
    {
        "", ".", "..", "a/b", "../escape", "/absolute", "a b", "line\nfeed", "tab\tid", "nul*", "ünder", new string('x', 1025),
    };

    [RuntimeTheory]
    [MemberData(nameof(Hostile))]
    public void A_hostile_id_is_refused_by_create(string id)
    {
        var result = Runtime.Create(id, Sleeper()).Ends(1);
        Assert.Single(result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        AssertNothingLeft();
        Assert.False(Directory.Exists(Path.Combine(Folder, "escape")));
    }

    [RuntimeTheory]
    [InlineData("..")]
    [InlineData("../bundle0")]
    [InlineData("")]
    public void A_hostile_id_is_refused_by_forced_delete(string id)
    {
        var bundle = Sleeper();
        Directory.CreateDirectory(Runtime.Root);
        var result = Runtime.Do("delete", "--force", id);
        Assert.True(File.Exists(Path.Combine(bundle.Folder, "config.json")), result.ToString());
        Assert.True(Directory.Exists(Runtime.Root), result.ToString());
    }

    [RuntimeFact]
    public void An_id_may_hold_letters_digits_and_four_signs()
    {
        var id = NewId() + "_A.b-9+z";
        Runtime.Run(id, NewBundle().Args("true")).Ends(0);
    }
}
