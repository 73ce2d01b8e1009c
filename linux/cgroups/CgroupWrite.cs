namespace Containers.Linux.Cgroups;

/// <summary>One write to a file of a group.</summary>
/// <param name="Folder">The group's folder in one hierarchy.</param>
/// <param name="Value">The text, written by one call of write(2).</param>
/// <param name="Limit">The word for it in the vocabulary of <see cref="CgroupLimitChange"/>, such as <c>MemorySwap</c>.</param>
/// <param name="Previous">What the file says before; null where it is not there yet or cannot be read.</param>
public sealed record CgroupWrite(string Folder, string File, string Value, string Limit, string? Previous)
{
    /// <summary>Puts back what this write replaces; empty where it goes with the file.</summary>
    internal IReadOnlyList<(string File, string Value)> Undo { get; init; } = [];

    /// <summary>For the v2 tree, whose device rules are a program and not a file.</summary>
    internal bpf_insn[]? Program { get; init; }

    /// <summary>As a plan shows it: <c>/sys/fs/cgroup/memory/x/memory.limit_in_bytes: 9223372036854771712 -> 33554432</c>.</summary>
    public override string ToString() => $"{Folder}/{File}: {(Previous is null ? "" : CgroupPath.Printable(Previous.Replace('\n', ';')) + " ")}-> {CgroupPath.Printable(Value)}";
}

/// <summary>Writes in an order that the kernel takes. All of them are done, or none stays.</summary>
public sealed class CgroupPlan
{
    readonly CgroupHost host;
    readonly List<CgroupWrite> writes;
    int done;

    internal CgroupPlan(CgroupHost host, string path, List<CgroupWrite> writes)
    {
        this.host = host;
        this.writes = writes;
        Path = path;
    }

    /// <summary>The group that it is about.</summary>
    public string Path { get; }

    /// <summary>In their order. Empty when all is as it was asked for.</summary>
    public IReadOnlyList<CgroupWrite> Writes => writes;

    /// <summary>Writes all. What was written is put back when one is refused.</summary>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>, <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>, <c>CgroupNotFound</c>: with the file,
    /// the value, the errno and what it means there.</exception>
    /// <exception cref="CgroupNotSupportedException">The group has no such file.</exception>
    public void Apply()
    {
        for (done = 0; done < writes.Count; done++)
        {
            var write = writes[done];
            if (write.Program is { } program)
            {
                try { host.AttachDeviceProgram(write.Folder, program); }
                catch (Exception e) when (e is LinuxException or CgroupException)
                {
                    throw new CgroupException("CgroupLimitRefused", $"{write.Limit}: the device program of {write.Folder} is refused: {e.Message}{RollBack()}");
                }
                continue;
            }
            var errno = CgroupFiles.TryWrite(write.Folder, write.File, write.Value);
            if (errno == 0) { continue; }
            var back = RollBack();
            throw CgroupRefusal.Of(write.Folder, write.File, write.Value, errno, write.Limit, back);
        }
    }

    /// <summary>Puts back what <see cref="Apply"/> has written, last first. A device program stays: the kernel does not tell what was there before.</summary>
    /// <returns>Empty, or what could not be put back, as the end of a message.</returns>
    public string RollBack()
    {
        var lost = "";
        while (done > 0)
        {
            var write = writes[--done];
            foreach (var (file, value) in write.Undo)
            {
                var errno = CgroupFiles.TryWrite(write.Folder, file, value);
                // A group that is gone has no limits to put back.
                if (errno is not (0 or Libc.ENOENT or Libc.ENODEV)) { lost += $"; {write.Folder}/{file} could not be put back to {CgroupPath.Printable(value)}: {Errnos.Name(errno)}"; }
            }
        }
        return lost;
    }
}
