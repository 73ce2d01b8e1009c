namespace Containers.Linux.Cgroups;

/// <summary>What a refused write means: the errno in words, and the kernel's reason for this very file.</summary>
static class CgroupRefusal
{
    /// <param name="limit">The word of the vocabulary that asked for it; empty for none.</param>
    /// <param name="end">What the message ends with.</param>
    internal static CgroupException Of(string folder, string file, string value, int errno, string limit = "", string end = "")
    {
        var what = $"{(limit.Length > 0 ? limit + ": " : "")}{folder}/{file}: {CgroupPath.Printable(value)} is refused: {Errnos.Text(errno)} ({Errnos.Name(errno)})";
        if (errno == Libc.ENOENT && file != "cgroup.subtree_control")
        {
            return CgroupFiles.Exists(folder)
                ? new CgroupNotSupportedException(limit.Length > 0 ? limit : file, $"{folder} has no file {file}; its controller is not enabled there, or this kernel lacks it{end}")
                : new CgroupException("CgroupNotFound", $"{folder}: there is no such group{end}");
        }
        // A group that is removed between open and write.
        if (errno == Libc.ENODEV && !CgroupFiles.Exists(folder)) { return new CgroupException("CgroupNotFound", $"{folder}: the group was removed meanwhile{end}"); }
        if (errno == Libc.EROFS) { return new CgroupException("CgroupReadOnly", $"{what}: the hierarchy is mounted read-only; remount it with mount -o remount,rw, or work where it is writable{end}"); }
        if (errno is Libc.EACCES or Libc.EPERM && !Writable(folder, file))
        {
            return new CgroupException("CgroupNotPermitted", $"{what}: the file belongs to another; be root, or have the group delegated (chown the folder and its {file} to this user){end}");
        }
        if ((errno is Libc.EACCES or Libc.EPERM) && file is "cgroup.procs" or "cgroup.threads" or "tasks")
        {
            return new CgroupException("CgroupNotPermitted", $"{what}: the process belongs to another user, or the move leaves what was delegated to this one; let root make the move, and go on inside{end}");
        }
        if (errno == Libc.EOPNOTSUPP && file.StartsWith("cgroup.", StringComparison.Ordinal))
        {
            return new CgroupException("CgroupThreaded", $"{what}: its type is \"{CgroupFiles.ReadText(folder, "cgroup.type") ?? "unknown"}\"; threads go into threaded groups, whole processes into a domain{end}");
        }
        return new CgroupException("CgroupLimitRefused", $"{what}: {Meaning(file, errno)}{end}");
    }

    static bool Writable(string folder, string file) => Libc.faccessat(Libc.AT_FDCWD, folder + "/" + file, Libc.W_OK, Libc.AT_EACCESS) == 0;

    /// <summary>The reason, as the kernel's own code has it for this file (Documentation/admin-guide: cgroup-v1, cgroup-v2).</summary>
    internal static string Meaning(string file, int errno) => (file, errno) switch
    {
        ("memory.limit_in_bytes" or "memory.memsw.limit_in_bytes", Libc.EBUSY) => "more than that is in use and cannot be reclaimed; stop something in the group first, or choose a higher value",
        ("memory.limit_in_bytes", Libc.EINVAL) => "memory may not be above memory and swap together; raise MemorySwap as well",
        ("memory.memsw.limit_in_bytes", Libc.EINVAL) => "memory and swap together may not be below memory alone; lower Memory as well",
        ("memory.oom_control", Libc.EINVAL) => "it is 0 or 1",
        ("cpu.cfs_quota_us" or "cpu.cfs_period_us", Libc.EINVAL) => "a group's part of the processors may be neither above its parent's nor below its children's, a burst not above the quota, a period is 1 ms to 1 s",
        ("cpu.max", Libc.EINVAL) => "a quota is at least 1 ms and not below the burst, a period is 1 ms to 1 s",
        ("cpu.cfs_burst_us" or "cpu.max.burst", Libc.EINVAL) => "a burst is at most the quota, and needs one",
        ("cpu.weight" or "cpu.shares" or "cpu.weight.nice", Libc.EINVAL) => "an idle group has no weight; set CpuIdle to false first",
        ("cpu.rt_runtime_us" or "cpu.rt_period_us", Libc.EINVAL) => "the parent has not that much real time to give, or the group has real-time threads",
        ("cpuset.cpus" or "cpuset.mems", Libc.EACCES) => "the parent group does not have all of these",
        ("cpuset.cpus" or "cpuset.mems", Libc.EBUSY) => "a group below it uses what would be taken away",
        ("cpuset.cpus" or "cpuset.mems", Libc.ENOSPC) => "there are processes in the group, so that it cannot be left without any",
        ("cpuset.cpus" or "cpuset.mems", Libc.EINVAL or Libc.ERANGE) => "it is no list, such as 0-3,7, of what this machine has, or a sibling has some of them to itself",
        ("cpuset.cpus.partition", _) => "a partition needs CPUs of its own that its siblings do not have, and a parent that is a partition itself",
        ("cgroup.subtree_control", Libc.EBUSY) => "there are processes in that group, which then may not share the controller with children; move them into a child, or a child still uses it",
        ("cgroup.subtree_control", Libc.ENOENT) => "the group above does not offer the controller",
        ("cgroup.procs", Libc.EBUSY) => "the group has children with controllers and takes no processes of its own",
        ("cgroup.procs" or "tasks", Libc.ENOSPC) => "the group's cpuset has no processors or no memory nodes yet: set CpuSet and MemorySet",
        ("cgroup.procs" or "tasks", Libc.EINVAL) => "that is a thread of the kernel, or a real-time thread whose group has no real-time budget",
        ("cgroup.threads", Libc.EINVAL) => "threads move within their process's domain alone",
        ("pids.max", Libc.EINVAL) => "it is a number up to the kernel's most tasks, or max",
        ("freezer.state", Libc.EINVAL) => "it is FROZEN or THAWED",
        ("devices.allow" or "devices.deny", Libc.EPERM) => "the parent group does not allow it",
        ("devices.allow" or "devices.deny", Libc.EINVAL) => "the rule is malformed, or the group has children, so that it cannot be reset as a whole",
        (_, Libc.ENODEV) when file.StartsWith("io.", StringComparison.Ordinal) || file.StartsWith("blkio.", StringComparison.Ordinal) => "there is no block device with these numbers, or it is a partition: name the whole disk",
        (_, Libc.EOPNOTSUPP) when file.StartsWith("io.", StringComparison.Ordinal) || file.StartsWith("blkio.", StringComparison.Ordinal) => "that device's scheduler does not do it",
        ("net_prio.ifpriomap", Libc.ENODEV or Libc.EINVAL) => "there is no such interface in this network namespace",
        (_, Libc.EINVAL) => "the value has the wrong form, or is out of the range that the kernel takes",
        (_, Libc.ERANGE) => "the value is out of the range that the kernel takes",
        (_, Libc.EBUSY) => "something in the group or below it uses it",
        (_, Libc.EACCES or Libc.EPERM) => "the kernel lets this user, or this group, not do it",
        (_, Libc.EIO or Libc.EISDIR) => "the file does not take writes",
        _ => "the kernel gives no other reason",
    };
}
