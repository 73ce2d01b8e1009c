using System.Runtime.InteropServices;

namespace Containers.Bench;

/// <summary>posix_spawn and waitpid without anything between: the time of a program and not of its caller.</summary>
static unsafe partial class Spawn
{
    // larger than glibc's and musl's posix_spawn_file_actions_t
    const int ActionsSize = 256;
    const int O_RDWR = 2;

    /// <summary>Runs a program with all three streams on /dev/null.</summary>
    /// <returns>its exit status, or 128 + the signal that ended it</returns>
    public static int Run(string path, string[] arguments, bool showErrors = false) => Wait(Start(path, arguments, showErrors));

    /// <summary>Starts a program with all three streams on /dev/null.</summary>
    /// <returns>its pid</returns>
    public static int Start(string path, string[] arguments, bool showErrors = false)
    {
        nint* argv = stackalloc nint[arguments.Length + 1];
        for (int i = 0; i < arguments.Length; i++)
            argv[i] = Marshal.StringToCoTaskMemUTF8(arguments[i]);
        argv[arguments.Length] = 0;
        byte* actions = stackalloc byte[ActionsSize];
        posix_spawn_file_actions_init(actions);
        for (int descriptor = 0; descriptor < (showErrors ? 2 : 3); descriptor++)
            posix_spawn_file_actions_addopen(actions, descriptor, "/dev/null", O_RDWR, 0);
        int error = posix_spawn(out int pid, path, actions, null, argv, environ());
        posix_spawn_file_actions_destroy(actions);
        for (int i = 0; i < arguments.Length; i++)
            Marshal.FreeCoTaskMem(argv[i]);
        if (error != 0)
            throw new RuntimeRefused($"{path}: {Marshal.GetPInvokeErrorMessage(error)}");
        return pid;
    }

    public static int Wait(int pid)
    {
        int status;
        while (waitpid(pid, &status, 0) < 0)
        {
            if (Marshal.GetLastPInvokeError() != 4) // EINTR
                throw new RuntimeRefused($"waitpid: {Marshal.GetLastPInvokeErrorMessage()}");
        }
        return (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
    }

    static byte** environ() => *(byte***)NativeLibrary.GetExport(NativeLibrary.GetMainProgramHandle(), "environ");

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn_file_actions_addopen(byte* actions, int descriptor, string path, int flags, uint mode);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn(out int pid, string path, byte* actions, void* attributes, nint* argv, byte** envp);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int waitpid(int pid, int* status, int options);
}
