using Containers.Linux;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>Standard input, output and error belong to the program's user, who may open /dev/stdout again.</summary>
static unsafe class StandardStreams
{
    public static void AddOwner(Plan plan, uint uid)
    {
        for (int fd = 0; fd < 3; fd++)
        {
            statx stat;
            byte nothing = 0;
            if (Libc.syscall(Libc.SYS_statx, fd, (nint)(&nothing), Libc.AT_EMPTY_PATH, (nint)(Libc.STATX_TYPE | Libc.STATX_UID), (nint)(&stat), 0) < 0)
                continue;
            // The host's null device stays root's, and what is the user's already needs nothing.
            bool isNull = (stat.stx_mode & Libc.S_IFMT) == Libc.S_IFCHR && stat.stx_rdev_major == 1 && stat.stx_rdev_minor == 3;
            if (isNull || stat.stx_uid == uid)
                continue;
            Step* own = plan.Call("give the standard streams to process.user", Libc.SYS_fchown, fd, uid, unchecked((nint)uint.MaxValue));
            // Not every file has an owner that can be changed: a socket, a read-only file system, another user namespace's file.
            own->Tolerated0 = Libc.EPERM;
            own->Tolerated1 = Libc.EINVAL;
            own->Tolerated2 = Libc.EROFS;
        }
    }
}
