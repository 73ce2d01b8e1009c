using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Processes;

/// <summary>
/// psrun's own file, which a container must not be able to write: until its execve an init is psrun, so a program named /proc/self/exe (or a script whose
/// interpreter is) becomes psrun inside the container, and through that link the container's root could overwrite the host's file (CVE-2019-5736).
/// The verbs that enter a container therefore run from a private read-only mount of the file, which nothing in a container can change.
/// </summary>
static unsafe class OwnProgram
{
    const int StRdonly = 1;

    /// <summary>Comes back when the file is safe; otherwise starts psrun over from a mount on which it is.</summary>
    public static void RunReadOnly(string[] args)
    {
        const string self = "/proc/self/exe";
        statfs found;
        if (Libc.statfs(self, &found) == 0 && (found.f_flags & StRdonly) != 0)
            return;
        byte nothing = 0;
        int file = MountReadOnly(self);
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

    /// <summary>
    /// Puts a read-only mount of a runtime's file over itself, in the shim's own mount namespace: what the shim starts from there need not start itself over,
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
        return moved == 0;
    }

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

    static PsrunException Failure() => new($"run psrun from a read-only mount of its file: {Errnos.Text(*Libc.__errno_location())}");
}
