namespace Containers.Linux;

/// <summary>The part that looks for bind mounts.</summary>
public sealed unsafe partial class NamespaceScan
{
    /// <summary>One process or thread of each mount namespace tells the mounts of them all, this process for its own; one without any is visited.</summary>
    void AddMounts()
    {
        var read = new HashSet<ulong>();
        ulong own = NamespaceLink.TryRead(Environment.ProcessId, "mnt", out NamespaceLink link) ? link.Id : 0;
        // Paths of our own mount namespace are the ones that a user can type: they come first.
        if (own != 0 && TryAddMounts(own, $"{Environment.ProcessId}", ""))
            read.Add(own);
        foreach (NamespaceFound space in MountNamespaces())
            if (!read.Contains(space.Id) && Members(space).Any(member => TryAddMounts(space.Id, member, $"/proc/{member}/root")))
                read.Add(space.Id);
        // Which of these there are is known only now: bind mounts hold them.
        foreach (NamespaceFound space in MountNamespaces())
            if (!read.Contains(space.Id))
                Visit(space);
    }

    List<NamespaceFound> MountNamespaces()
    {
        List<NamespaceFound> spaces = [];
        foreach (NamespaceFound one in found.Values)
            if (one.Type == Types[Mnt])
                spaces.Add(one);
        spaces.Sort((a, b) => Nullable.Compare(a.LowestPid, b.LowestPid));
        return spaces;
    }

    /// <summary>Below /proc: who may be asked. The first may have ended meanwhile.</summary>
    static List<string> Members(NamespaceFound space)
    {
        List<string> members = [];
        if (space.LowestPid is { } lowest)
            members.Add($"{lowest}");
        if (space.HighestPid is { } highest && highest != space.LowestPid)
            members.Add($"{highest}");
        if (space.Thread is { } thread)
            members.Add($"{thread.Pid}/task/{thread.Thread}");
        return members;
    }

    /// <param name="space">Its mount namespace.</param>
    /// <param name="member">PID or PID/task/TID.</param>
    /// <param name="root">What its root folder is for this process.</param>
    bool TryAddMounts(ulong space, string member, string root)
    {
        int slash = member.IndexOf('/');
        int pid = int.Parse(slash < 0 ? member : member[..slash], System.Globalization.CultureInfo.InvariantCulture);
        try
        {
            if (!ProcFile.TryRead(pid, slash < 0 ? "mountinfo" : member[(slash + 1)..] + "/mountinfo", out ProcFile file))
                return false;
            using (file)
                AddMounts(file.Bytes, space, root);
            return true;
        }
        catch (LinuxException)
        {
            // Another user's process.
            return false;
        }
    }

    void Visit(NamespaceFound space)
    {
        int holder = NamespaceRelations.Open(space);
        if (holder < 0)
            return;
        int mounts = MountNamespaceVisit.OpenMountInfo(holder);
        Libc.close(holder);
        if (mounts < 0)
            return;
        try
        {
            if (ProcFile.TryReadOpen(mounts, out ProcFile file))
                using (file)
                    AddMounts(file.Bytes, space.Id, $"mnt:[{space.Id}]");
        }
        catch (LinuxException)
        {
            // Too large to be true.
        }
        finally
        {
            Libc.close(mounts);
        }
    }

    void AddMounts(ReadOnlySpan<byte> text, ulong space, string root)
    {
        // A blank in a path is written \040, so this stands before the type and nowhere else.
        ReadOnlySpan<byte> mark = " - nsfs "u8;
        if (text.IndexOf(mark) < 0)
            return;
        List<MountInfo> one = [];
        while (!text.IsEmpty)
        {
            ReadOnlySpan<byte> line = ProcText.Next(ref text, (byte)'\n');
            if (line.IndexOf(mark) < 0)
                continue;
            one.Clear();
            // The root of such a mount is "net:[4026532000]".
            if (MountInfo.TryParse(line, one) && TryParseLink(System.Text.Encoding.UTF8.GetBytes(one[0].Root), out int type, out ulong id))
                Of(id, type).Mounts.Add(new(root + one[0].MountPoint, space, one[0].Shared ?? one[0].Master));
        }
    }
}
