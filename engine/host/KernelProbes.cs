using Containers.Linux;

namespace Containers;

/// <summary>
/// Tries what a container needs, each on a thread of its own: what the thread makes (namespaces, mounts, filters) ends with it, and
/// the rest of the process never sees it. Null means that it worked; else the words say what did not.
/// </summary>
static unsafe class KernelProbes
{
    const uint ProbeErrno = Libc.EXDEV; // nothing that getpgid(2) could say by itself

    internal static string? Namespace(int flag) => OnThread(() => Libc.unshare(flag) == 0 ? null : Errnos.Text(Libc.errno));

    /// <summary>Mounts an overlay over folders of <paramref name="folder"/> and writes through it.</summary>
    internal static string? Overlay(string folder)
    {
        var (lower, upper, work, merged) = (Path.Combine(folder, "lower"), Path.Combine(folder, "upper"), Path.Combine(folder, "work"), Path.Combine(folder, "merged"));
        foreach (var one in new[] { lower, upper, work, merged }) { Folders.Make(one); }
        File.WriteAllText(Path.Combine(lower, "file"), "lower");
        return OnThread(() =>
        {
            if (OwnMounts() is { } refused) { return refused; }
            if (Libc.mount("overlay", merged, "overlay", 0, $"lowerdir={lower},upperdir={upper},workdir={work}") != 0) { return "mount: " + Errnos.Text(Libc.errno); }
            File.AppendAllText(Path.Combine(merged, "file"), "upper");
            var kept = File.ReadAllText(Path.Combine(lower, "file")) == "lower" && File.ReadAllText(Path.Combine(upper, "file")) == "lowerupper";
            // Away before the folders are: the thread's namespace may outlive it for a moment.
            _ = Libc.umount2(merged, Libc.MNT_DETACH);
            return kept ? null : "a write did not go to the upper layer alone";
        });
    }

    /// <summary>Makes a tmpfs on <paramref name="folder"/> the root of a thread.</summary>
    internal static string? PivotRoot(string folder)
    {
        var old = Path.Combine(folder, "old");
        return OnThread(() =>
        {
            if (OwnMounts() is { } refused) { return refused; }
            if (Libc.mount("tmpfs", folder, "tmpfs", 0, "size=64k") != 0) { return "mount: " + Errnos.Text(Libc.errno); }
            if (Libc.mkdir(old, 0x1c0) != 0) { return "mkdir: " + Errnos.Text(Libc.errno); }
            return Libc.pivot_root(folder, old) == 0 ? null : Errnos.Text(Libc.errno);
        });
    }

    /// <summary>Installs a filter that changes what one system call says, and asks.</summary>
    internal static string? Seccomp() => OnThread(() =>
    {
        var number = (uint)Libc.SYS_getpgid;
        var filter = stackalloc sock_filter[4];
        filter[0] = new sock_filter { code = Libc.BPF_LD | Libc.BPF_W | Libc.BPF_ABS, k = 0 };
        filter[1] = new sock_filter { code = Libc.BPF_JMP | Libc.BPF_JEQ | Libc.BPF_K, jt = 0, jf = 1, k = number };
        filter[2] = new sock_filter { code = Libc.BPF_RET | Libc.BPF_K, k = unchecked((uint)Libc.SECCOMP_RET_ERRNO) | ProbeErrno };
        filter[3] = new sock_filter { code = Libc.BPF_RET | Libc.BPF_K, k = unchecked((uint)Libc.SECCOMP_RET_ALLOW) };
        var program = new sock_fprog { len = 4, filter = filter };
        // Of this thread alone, as is the filter.
        if (Libc.prctl(Libc.PR_SET_NO_NEW_PRIVS, 1) != 0) { return "no_new_privs: " + Errnos.Text(Libc.errno); }
        if (Libc.seccomp(Libc.SECCOMP_SET_MODE_FILTER, 0, &program) != 0) { return Errnos.Text(Libc.errno); }
        var answer = Libc.syscall_errno((nint)number, 0, 0, 0, 0, 0, 0);
        return answer == -1 && Libc.errno == (int)ProbeErrno ? null : "a filter was taken and does nothing";
    });

    /// <summary>Loads the smallest device program ("allow") and lets it go again.</summary>
    internal static string? Bpf()
    {
        var program = stackalloc bpf_insn[2];
        program[0] = new bpf_insn { code = Libc.BPF_ALU64 | Libc.BPF_MOV | Libc.BPF_K, regs = Libc.BPF_REG_0, imm = 1 };
        program[1] = new bpf_insn { code = Libc.BPF_JMP | Libc.BPF_EXIT };
        fixed (byte* license = "MIT\0"u8)
        {
            var attributes = new bpf_attr { prog_type = Libc.BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt = 2, insns = (ulong)program, license = (ulong)license };
            var fd = Libc.bpf(Libc.BPF_PROG_LOAD, &attributes, 48);
            if (fd < 0) { return Errnos.Text(Libc.errno); }
            _ = Libc.close(fd);
            return null;
        }
    }

    internal static string? PidFd()
    {
        var fd = Libc.pidfd_open(Libc.getpid(), 0);
        if (fd < 0) { return "pidfd_open: " + Errnos.Text(Libc.errno); }
        _ = Libc.close(fd);
        var how = new open_how { flags = (ulong)(Libc.O_PATH | Libc.O_CLOEXEC), resolve = Libc.RESOLVE_IN_ROOT };
        fd = Libc.openat2(Libc.AT_FDCWD, "/", how);
        if (fd < 0) { return "openat2: " + Errnos.Text(Libc.errno); }
        _ = Libc.close(fd);
        return null;
    }

    static string? OwnMounts()
    {
        if (Libc.unshare(Libc.CLONE_NEWNS | Libc.CLONE_FS) != 0) { return "unshare: " + Errnos.Text(Libc.errno); }
        return Libc.mount(null, "/", null, Libc.MS_REC | Libc.MS_PRIVATE, null) == 0 ? null : "private mounts: " + Errnos.Text(Libc.errno);
    }

    // Never a pool thread: a thread that has left the process's namespaces must not do anybody else's work.
    static string? OnThread(Func<string?> probe)
    {
        string? result = "it did not run";
        var thread = new Thread(() =>
        {
            try { result = probe(); }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException) { result = e.Message; }
        }) { IsBackground = true };
        thread.Start();
        thread.Join();
        return result;
    }
}
