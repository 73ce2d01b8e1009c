using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>
/// psrun's own file, which a container must not be able to write: until its execve a container's process is psrun, so a program named /proc/self/exe (or
/// a script whose interpreter is) becomes psrun inside the container, and through that link the container's root could overwrite the host's file
/// (CVE-2019-5736). What enters a container therefore has the file from a detached read-only mount, which nothing in a container can change.
/// </summary>
static unsafe class OwnProgram
{
    const int StRdonly = 1;
    const string Self = "/proc/self/exe";
    const string Words = "take psrun's file from a read-only mount";

    /// <summary>
    /// First steps of whatever enters a container: maps each part of the program anew, from the read-only mount, where it is already, and then
    /// changes the link /proc/self/exe, which the kernel permits once nothing of the old file is mapped. A fraction of the time that starting psrun over
    /// from there takes (<see cref="RunReadOnly"/>). The command line of psrun is gone from /proc at the same time.
    /// </summary>
    public static void AddSteps(Plan plan)
    {
        if (IsReadOnly() || Rootless.IsPlainUser && IsSealed(Self))
            return;
        int file = plan.Keep(OpenReadOnly());
        nint page = Environment.SystemPageSize;
        var part = (Elf64_Phdr*)Libc.getauxval(Libc.AT_PHDR);
        int count = (int)Libc.getauxval(Libc.AT_PHNUM);
        nint moved = 0;
        var map = (prctl_mm_map*)plan.Allocate(sizeof(prctl_mm_map));
        map->exe_fd = (uint)file;
        for (int i = 0; i < count; i++)
            if (part[i].p_type == Libc.PT_PHDR)
                moved = (nint)part - (nint)part[i].p_vaddr;
        for (int i = 0; i < count; i++)
        {
            if (part[i].p_type != Libc.PT_LOAD)
                continue;
            nint start = (moved + (nint)part[i].p_vaddr) & -page;
            nint size = ((moved + (nint)part[i].p_vaddr + (nint)part[i].p_filesz + page - 1) & -page) - start;
            if ((part[i].p_flags & Libc.PF_W) != 0)
            {
                map->start_data = map->end_data = map->start_brk = map->brk = map->start_stack = (ulong)start;
                map->arg_start = map->arg_end = map->env_start = map->env_end = (ulong)start;
                // Pages that were written since are copied, the others come from the file again. What cannot be looked up counts as written.
                int length = (int)(size / page) * sizeof(ulong);
                byte* pages = plan.Allocate(length);
                new Span<byte>(pages, length).Fill(0x80);
                nint* pagemap = plan.Open(Words, Libc.SYS_openat, Libc.AT_FDCWD, plan.Text("/proc/self/pagemap"), Libc.O_RDONLY | Libc.O_CLOEXEC);
                plan.Call(Words, Libc.SYS_pread64, pagemap, (nint)pages, length, start / page * sizeof(ulong));
                plan.Close(pagemap);
                nint* anew = plan.Open(Words, Libc.SYS_mmap, 0, size, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE, file, (nint)part[i].p_offset & -page);
                plan.Do(Words, StepKind.CopyWritten, anew, start, size, (nint)pages, page);
                plan.Call(Words, Libc.SYS_mremap, anew, size, size, Libc.MREMAP_MAYMOVE | Libc.MREMAP_FIXED, start);
            }
            else
            {
                if ((part[i].p_flags & Libc.PF_X) != 0)
                    (map->start_code, map->end_code) = ((ulong)start, (ulong)(start + size));
                int protection = Libc.PROT_READ | ((part[i].p_flags & Libc.PF_X) != 0 ? Libc.PROT_EXEC : 0);
                plan.Call(Words, Libc.SYS_mmap, start, size, protection, Libc.MAP_PRIVATE | Libc.MAP_FIXED, file, (nint)part[i].p_offset & -page);
            }
        }
        plan.Call(Words, Libc.SYS_prctl, Libc.PR_SET_MM, Libc.PR_SET_MM_MAP, (nint)map, sizeof(prctl_mm_map), 0);
        plan.Call(Words, Libc.SYS_close, file);
    }

    /// <summary>Whether this kernel lets the link be changed: CONFIG_CHECKPOINT_RESTORE.</summary>
    public static bool CanMapAnew()
    {
        uint size;
        return !Rootless.IsPlainUser && Libc.syscall(Libc.SYS_prctl, Libc.PR_SET_MM, Libc.PR_SET_MM_MAP_SIZE, (nint)(&size), 0, 0, 0) == 0;
    }

    /// <summary>
    /// The other way, where there is no plan to walk or the kernel has no choice: starts psrun over from the mount, or, for a plain user, who may mount nothing
    /// yet, from a sealed copy in memory. Comes back when that was done already.
    /// </summary>
    public static void RunReadOnly(string[] args)
    {
        if (Rootless.IsPlainUser && IsSealed(Self))
            return;
        if (IsReadOnly())
            return;
        byte nothing = 0;
        // A plain user may mount nothing yet.
        int file = Rootless.IsPlainUser ? SealedCopy(Self) : MountReadOnly(Self);
        if (file < 0)
            throw Failure();
        nint* argv = (nint*)NativeMemory.AllocZeroed((nuint)(args.Length + 2), (nuint)sizeof(nint));
        argv[0] = Marshal.StringToCoTaskMemUTF8("psrun");
        for (int i = 0; i < args.Length; i++)
            argv[i + 1] = Marshal.StringToCoTaskMemUTF8(args[i]);
        nint environment = *(nint*)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ");
        Libc.syscall(Libc.SYS_execveat, file, (nint)(&nothing), (nint)argv, environment, Libc.AT_EMPTY_PATH, 0);
        throw Failure();
    }

    static bool IsReadOnly()
    {
        statfs found;
        return Libc.statfs(Self, &found) == 0 && (found.f_flags & StRdonly) != 0;
    }

    static int OpenReadOnly()
    {
        if (s_covered != null)
        {
            int covered = Libc.open(s_covered, Libc.O_RDONLY | Libc.O_CLOEXEC);
            return covered >= 0 ? covered : throw Failure();
        }
        int mount = MountReadOnly(Self);
        if (mount < 0)
            throw Failure();
        int file = Libc.open($"/proc/self/fd/{mount}", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (file < 0)
            throw Failure();
        Libc.close(mount);
        return file;
    }

    /// <summary>
    /// Puts a read-only mount of a runtime's file over itself, in the shim's own mount namespace: what the shim starts from there need not care for itself,
    /// and a runtime that has no such care is safe as well.
    /// </summary>
    /// <returns>False, with the errno in place, when it cannot be done.</returns>
    public static bool CoverReadOnly(string path)
    {
        int file = MountReadOnly(path);
        if (file < 0)
            return false;
        byte nothing = 0;
        nint moved;
        fixed (byte* target = Encoding.UTF8.GetBytes(path + "\0"))
            moved = Libc.syscall(Libc.SYS_move_mount, file, (nint)(&nothing), Libc.AT_FDCWD, (nint)target, Libc.MOVE_MOUNT_F_EMPTY_PATH | Libc.MOVE_MOUNT_T_SYMLINKS, 0);
        int errno = *Libc.__errno_location();
        Libc.close(file);
        *Libc.__errno_location() = errno;
        if (moved == 0 && IsThisProgram(path))
            s_covered = path;
        return moved == 0;
    }

    /// <summary>
    /// Whether psrun's own file is covered by <see cref="CoverReadOnly"/>, and so can be had there: a process that has changed its mount namespace cannot mount what
    /// /proc/self/exe leads to, which is in the old one.
    /// </summary>
    public static bool IsCovered => s_covered != null;

    static string? s_covered;

    /// <summary>A psrun that was replaced since is another program.</summary>
    static bool IsThisProgram(string path) =>
        Libc.statx(Libc.AT_FDCWD, Self, 0, Libc.STATX_INO, out statx own) == 0 && Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_INO, out statx other) == 0
        && own.stx_ino == other.stx_ino && own.stx_dev_major == other.stx_dev_major && own.stx_dev_minor == other.stx_dev_minor;

    /// <summary>A detached read-only mount of one file; -1 with errno.</summary>
    static int MountReadOnly(string path)
    {
        byte nothing = 0;
        int file;
        fixed (byte* source = Encoding.UTF8.GetBytes(path + "\0"))
            file = (int)Libc.syscall(Libc.SYS_open_tree, Libc.AT_FDCWD, (nint)source, (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC, 0, 0, 0);
        mount_attr readOnly = default;
        readOnly.attr_set = (ulong)Libc.MOUNT_ATTR_RDONLY;
        if (file < 0 || Libc.syscall(Libc.SYS_mount_setattr, file, (nint)(&nothing), Libc.AT_EMPTY_PATH, (nint)(&readOnly), sizeof(mount_attr), 0) < 0)
            return -1;
        return file;
    }

    const int Seals = Libc.F_SEAL_SEAL | Libc.F_SEAL_SHRINK | Libc.F_SEAL_GROW | Libc.F_SEAL_WRITE;

    static bool IsSealed(string path)
    {
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC);
        nint seals = fd < 0 ? -1 : Libc.syscall(Libc.SYS_fcntl, fd, Libc.F_GET_SEALS, 0, 0, 0, 0);
        if (fd >= 0)
            Libc.close(fd);
        return seals >= 0 && (seals & Libc.F_SEAL_WRITE) != 0;
    }

    /// <summary>A copy in memory that nobody can write any more; -1 with errno.</summary>
    static int SealedCopy(string path)
    {
        int source = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (source < 0)
            return -1;
        int copy = Libc.memfd_create("psrun", Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING | Libc.MFD_EXEC);
        // Kernels before 6.3 do not know the last flag, and need none.
        if (copy < 0 && *Libc.__errno_location() == Libc.EINVAL)
            copy = Libc.memfd_create("psrun", Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING);
        nint moved = copy < 0 ? -1 : 1;
        while (moved > 0)
            moved = Libc.sendfile(copy, source, null, 1 << 24);
        int errno = *Libc.__errno_location();
        Libc.close(source);
        *Libc.__errno_location() = errno;
        return moved == 0 && Libc.syscall(Libc.SYS_fcntl, copy, Libc.F_ADD_SEALS, Seals, 0, 0, 0) == 0 ? copy : -1;
    }

    static PsrunException Failure() => new($"{Words}: {Errnos.Text(*Libc.__errno_location())}");
}
