using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;linux/keyctl.h&gt;: a container gets a session keyring of its own, else it would see its starter's keys.</summary>
public static unsafe partial class Libc
{
    public const int KEYCTL_GET_KEYRING_ID = 0;
    public const int KEYCTL_JOIN_SESSION_KEYRING = 1;
    public const int KEYCTL_SETPERM = 5;
    public const int KEYCTL_DESCRIBE = 6;
    public const int KEY_SPEC_SESSION_KEYRING = -3;

    /// <param name="name">Null: an anonymous one.</param>
    /// <returns>The keyring's serial number.</returns>
    public static int keyctl_join_session_keyring(string? name) => (int)syscall_keyctl(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);

    public static int keyctl(int operation, nint arg2 = 0, nint arg3 = 0, nint arg4 = 0, nint arg5 = 0) =>
        (int)syscall_errno(SYS_keyctl, operation, arg2, arg3, arg4, arg5, 0);

    [LibraryImport(C, EntryPoint = "syscall", SetLastError = true, StringMarshallingCustomType = typeof(CString))]
    private static partial nint syscall_keyctl(nint number, nint operation, string? name);
}
