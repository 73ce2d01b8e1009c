using System.Text;
using Containers.Linux.Oci;

namespace Containers.Linux.Cgroups;

/// <summary>
/// What the v2 tree has in place of the devices controller: a program of type BPF_PROG_TYPE_CGROUP_DEVICE that the kernel asks at every mknod
/// and open of a device by a process of the group or below it (kernel: admin-guide/cgroup-v2, Device controller; bpf(2)). The programs of the
/// groups above are asked too, and all must agree. It goes with its group.
/// </summary>
public static unsafe class DeviceProgram
{
    const int AccessType = Libc.BPF_REG_2;
    const int Open = Libc.BPF_REG_3;
    const int Major = Libc.BPF_REG_4;
    const int Minor = Libc.BPF_REG_5;
    const int Spare = Libc.BPF_REG_1;

    // As many as the kernel lets a group have (BPF_CGROUP_MAX_PROGS).
    const int MostPrograms = 64;
    const int MostAttempts = 20;
    const int LogSize = 1 << 16;

    /// <summary>
    /// The program of a spec's rules: everything is denied, then the rules hold in their order, a later one over an earlier one, then the devices
    /// that every container has, unless everything was allowed. Each of read, write and mknod is decided apart, by the last rule about it; a request for
    /// several passes when all of them do. A request for none passes: nothing can be done with it.
    /// </summary>
    /// <exception cref="CgroupException"><c>CgroupLimitRefused</c>: a rule that makes no sense.</exception>
    public static bpf_insn[] Build(List<LinuxDeviceCgroup>? spec)
    {
        var (everything, rules) = DeviceRules.Read(spec);
        var code = new BpfAssembler();
        code.Load(Open, Libc.BPF_REG_1, 0);
        code.Load(Major, Libc.BPF_REG_1, 4);
        code.Load(Minor, Libc.BPF_REG_1, 8);
        code.Copy(AccessType, Open);
        code.And(AccessType, 0xffff);
        code.ShiftRight(Open, 16);

        // From the last rule to the first, so that the first that matches decides. "Open" are the accesses no rule has decided yet.
        for (var i = rules.Count - 1; i >= 0; i--)
        {
            var rule = rules[i];
            if (rule.Type != 'a') { code.SkipUnless(AccessType, (uint)(rule.Type == 'b' ? Libc.BPF_DEVCG_DEV_BLOCK : Libc.BPF_DEVCG_DEV_CHAR)); }
            if (rule.Major is { } major) { code.SkipUnless(Major, major); }
            if (rule.Minor is { } minor) { code.SkipUnless(Minor, minor); }
            if (rule.Allow)
            {
                code.And(Open, ~rule.Access);
                code.SkipUnless(Open, 0);
                code.Return(1);
            }
            else
            {
                code.Copy(Spare, Open);
                code.And(Spare, rule.Access);
                code.SkipIf(Spare, 0);
                code.Return(0);
            }
            code.EndOfSkips();
        }
        if (!everything)
        {
            code.SkipIf(Open, 0);
            code.Return(0);
            code.EndOfSkips();
        }
        code.Return(1);
        return code.ToArray();
    }

    /// <summary>Makes a program the only one of a group of the v2 tree itself (those of the groups above stay). At no moment is there none.</summary>
    /// <param name="folder">The group's, in the v2 tree.</param>
    /// <exception cref="CgroupException"><c>CgroupNotFound</c>; <c>CgroupLimitRefused</c>, with the verifier's last words where it has any.</exception>
    /// <exception cref="CgroupNotSupportedException">A kernel without such programs, or no group of the v2 tree.</exception>
    public static void Attach(string folder, ReadOnlySpan<bpf_insn> program)
    {
        var group = Libc.open(folder, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        if (group < 0)
        {
            throw Libc.errno == Libc.ENOENT ? new CgroupException("CgroupNotFound", $"{folder}: there is no such group") : new LinuxException("open", folder, Libc.errno);
        }
        var loaded = -1;
        try
        {
            statfs system;
            if (Libc.fstatfs(group, &system) != 0 || system.f_type != Libc.CGROUP2_SUPER_MAGIC) { throw NotSupported($"{folder} is no group of the v2 tree"); }
            loaded = Load(program);
            for (var attempt = 1; !TryReplace(folder, group, loaded, last: attempt == MostAttempts); attempt++) { }
        }
        finally
        {
            if (loaded >= 0) { Libc.close(loaded); }
            Libc.close(group);
        }
    }

    static int Load(ReadOnlySpan<bpf_insn> program)
    {
        fixed (bpf_insn* instructions = program)
        fixed (byte* license = "MIT\0"u8) // no helper is called that would want another
        {
            var attr = new bpf_attr { prog_type = Libc.BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt = (uint)program.Length, insns = (ulong)instructions, license = (ulong)license };
            var fd = Libc.bpf(Libc.BPF_PROG_LOAD, &attr, (uint)sizeof(bpf_attr));
            if (fd >= 0) { return fd; }
            var errno = Libc.errno;
            if (errno == Libc.ENOSYS) { throw NotSupported("this kernel has no bpf(2)"); }

            // A log costs time, so that the verifier is only asked for its reasons when it has refused.
            var log = new byte[LogSize];
            fixed (byte* buffer = log)
            {
                attr.log_level = 1;
                attr.log_size = LogSize;
                attr.log_buf = (ulong)buffer;
                fd = Libc.bpf(Libc.BPF_PROG_LOAD, &attr, (uint)sizeof(bpf_attr));
                // It may just have been a signal (EAGAIN).
                if (fd >= 0) { return fd; }
            }
            throw Refused("loading the device program", errno, LastWords(log));
        }
    }

    /// <returns>False when others changed the group's programs at the same time, and nothing was done; never so with <paramref name="last"/>.</returns>
    static bool TryReplace(string folder, int group, int program, bool last)
    {
        var ids = stackalloc uint[MostPrograms];
        var query = new bpf_attr { query_target_fd = (uint)group, query_attach_type = Libc.BPF_CGROUP_DEVICE, query_prog_ids = (ulong)ids, query_prog_cnt = MostPrograms };
        if (Libc.bpf(Libc.BPF_PROG_QUERY, &query, (uint)sizeof(bpf_attr)) != 0)
        {
            throw Libc.errno == Libc.EINVAL ? NotSupported("this kernel has no device programs (CONFIG_CGROUP_BPF)") : Refused($"asking for the device programs of {folder}", Libc.errno);
        }
        var count = (int)query.query_prog_cnt;
        var old = new int[count];
        Array.Fill(old, -1);
        try
        {
            for (var i = 0; i < count; i++)
            {
                var attr = new bpf_attr { prog_id = ids[i] };
                old[i] = Libc.bpf(Libc.BPF_PROG_GET_FD_BY_ID, &attr, (uint)sizeof(bpf_attr));
                if (old[i] >= 0) { continue; }
                if (Libc.errno != Libc.ENOENT) { throw Refused($"opening the device program {ids[i]} of {folder}", Libc.errno); }
                if (!last) { return false; }
            }
            if (!TryAttach(folder, group, program, count == 0 ? Libc.BPF_F_ALLOW_MULTI : (int)query.query_attach_flags, count == 0 ? -1 : old[0], last)) { return false; }
            for (var i = 1; i < count; i++) { Detach(folder, group, old[i]); }
            return true;
        }
        finally
        {
            foreach (var fd in old)
            {
                if (fd >= 0) { Libc.close(fd); }
            }
        }
    }

    static bool TryAttach(string folder, int group, int program, int flags, int old, bool last)
    {
        var attr = new bpf_attr { target_fd = (uint)group, attach_bpf_fd = (uint)program, attach_type = Libc.BPF_CGROUP_DEVICE, attach_flags = (uint)flags };
        // One that was attached without ALLOW_MULTI is replaced by attaching another in the same way: the kernel takes no third way.
        var replace = old >= 0 && (flags & Libc.BPF_F_ALLOW_MULTI) != 0;
        if (replace)
        {
            attr.attach_flags |= Libc.BPF_F_REPLACE;
            attr.replace_bpf_fd = (uint)old;
        }
        if (Libc.bpf(Libc.BPF_PROG_ATTACH, &attr, (uint)sizeof(bpf_attr)) == 0) { return true; }
        var errno = Libc.errno;
        if (replace && errno == Libc.ENOENT && !last) { return false; }
        if (replace && errno is Libc.EINVAL or Libc.ENOENT)
        {
            // Linux before 5.6 replaces none, and one that hangs on a BPF link is its holder's. With both attached, both must agree.
            attr.attach_flags = (uint)flags;
            attr.replace_bpf_fd = 0;
            if (Libc.bpf(Libc.BPF_PROG_ATTACH, &attr, (uint)sizeof(bpf_attr)) == 0)
            {
                Detach(folder, group, old);
                return true;
            }
            errno = Libc.errno;
        }
        throw Refused($"attaching the device program to {folder}", errno,
            errno == Libc.EPERM ? "a group above may have a program that allows none below it" : "");
    }

    static void Detach(string folder, int group, int program)
    {
        if (program < 0) { return; }
        var attr = new bpf_attr { target_fd = (uint)group, attach_bpf_fd = (uint)program, attach_type = Libc.BPF_CGROUP_DEVICE };
        // Another one may have been faster, or it hangs on a link.
        if (Libc.bpf(Libc.BPF_PROG_DETACH, &attr, (uint)sizeof(bpf_attr)) != 0 && Libc.errno != Libc.ENOENT)
        {
            throw Refused($"detaching an old device program from {folder}", Libc.errno);
        }
    }

    // The reason stands before the count of instructions, at the end of a log that may be long.
    static string LastWords(byte[] log)
    {
        var end = Array.IndexOf(log, (byte)0);
        var lines = Encoding.UTF8.GetString(log, 0, end < 0 ? log.Length : end).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var words = "";
        for (var i = Math.Max(0, lines.Length - 3); i < lines.Length; i++) { words += (words.Length > 0 ? "; " : "") + CgroupPath.Printable(lines[i]); }
        return words;
    }

    static CgroupException Refused(string what, int errno, string why = "")
    {
        if (errno == Libc.EPERM && why.Length == 0) { why = "it needs CAP_BPF and CAP_NET_ADMIN or CAP_SYS_ADMIN, and before Linux 5.11 enough of RLIMIT_MEMLOCK"; }
        return ResourceValues.Refused($"devices: {what}: {Errnos.Text(errno)} ({Errnos.Name(errno)}){(why.Length > 0 ? ": " + why : "")}");
    }

    static CgroupNotSupportedException NotSupported(string why) => new("linux.resources.devices", why);
}
