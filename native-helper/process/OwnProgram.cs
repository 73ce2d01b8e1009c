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
        int file;
        byte nothing = 0;
        fixed (byte* path = Encoding.ASCII.GetBytes(self + "\0"))
            file = (int)Libc.syscall(Libc.SYS_open_tree, Libc.AT_FDCWD, (nint)path, (nint)Libc.OPEN_TREE_CLONE | Libc.OPEN_TREE_CLOEXEC, 0, 0, 0);
        if (file < 0)
            throw Failure();
        mount_attr readOnly = default;
        readOnly.attr_set = (ulong)Libc.MOUNT_ATTR_RDONLY;
        if (Libc.syscall(Libc.SYS_mount_setattr, file, (nint)(&nothing), Libc.AT_EMPTY_PATH, (nint)(&readOnly), sizeof(mount_attr), 0) < 0)
            throw Failure();
        nint* argv = (nint*)NativeMemory.AllocZeroed((nuint)(args.Length + 2), (nuint)sizeof(nint));
        argv[0] = Marshal.StringToCoTaskMemUTF8("psrun");
        for (int i = 0; i < args.Length; i++)
            argv[i + 1] = Marshal.StringToCoTaskMemUTF8(args[i]);
        nint environment = *(nint*)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ");
        Libc.syscall(Libc.SYS_execveat, file, (nint)(&nothing), (nint)argv, environment, Libc.AT_EMPTY_PATH, 0);
        throw Failure();
    }

    static PsrunException Failure() => new($"run psrun from a read-only mount of its file: {Errnos.Text(*Libc.__errno_location())}");
}
