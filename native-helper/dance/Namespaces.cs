using Containers.Linux;
using Containers.Linux.Oci;

namespace Psrun.Dance;

/// <summary>linux.namespaces, checked: which are new, which are joined by path.</summary>
sealed class Namespaces
{
    /// <summary>In the order in which they are joined: the user namespace first, because it gives the right to join the others.</summary>
    static readonly (string Type, nint Flag)[] s_types =
    [
        ("user", Libc.CLONE_NEWUSER), ("cgroup", Libc.CLONE_NEWCGROUP), ("ipc", Libc.CLONE_NEWIPC), ("uts", Libc.CLONE_NEWUTS),
        ("network", Libc.CLONE_NEWNET), ("pid", Libc.CLONE_NEWPID), ("time", Libc.CLONE_NEWTIME), ("mount", Libc.CLONE_NEWNS),
    ];

    public nint New { get; private set; }
    public List<(string Type, nint Flag, string Path)> Joined { get; } = [];

    public bool IsNew(nint flag) => (New & flag) != 0;

    public bool Has(nint flag) => IsNew(flag) || Joined.Exists(j => j.Flag == flag);

    public static Namespaces Read(Spec spec)
    {
        var result = new Namespaces();
        List<OciNamespace> asked = spec.Linux?.Namespaces ?? [];
        foreach (OciNamespace one in asked)
        {
            if (Array.FindIndex(s_types, t => t.Type == one.Type) < 0)
                throw new PsrunException($"linux.namespaces: type \"{one.Type}\" is unknown");
            if (asked.FindAll(o => o.Type == one.Type).Count > 1)
                throw new PsrunException($"linux.namespaces: {one.Type} is given twice");
        }
        foreach ((string type, nint flag) in s_types)
        {
            OciNamespace? one = asked.Find(o => o.Type == type);
            if (one == null)
                continue;
            if (string.IsNullOrEmpty(one.Path))
                result.New |= flag;
            else if (one.Path[0] != '/')
                throw new PsrunException($"linux.namespaces: {type}: path \"{one.Path}\" is not absolute");
            else
                result.Joined.Add((type, flag, one.Path));
        }
        return result;
    }
}
