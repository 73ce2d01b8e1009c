using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>linux.sysctl: written through the host's /proc, whose files show the namespaces of whoever opens them. What is not namespaced is refused.</summary>
static class Sysctl
{
    public static void Add(Plan plan, Spec spec, Namespaces namespaces)
    {
        foreach ((string key, string value) in spec.Linux?.Sysctl ?? [])
        {
            // Both spellings are in use: with dots, or with slashes where an interface's name has a dot.
            string path = key.Contains('/') ? key : key.Replace('.', '/');
            if (path.Contains("..", StringComparison.Ordinal) || path.StartsWith('/'))
                throw new PsrunException($"linux.sysctl: \"{key}\" is not a name");
            nint needed = Needed(path);
            if (needed == 0)
                throw new PsrunException($"linux.sysctl: {key} is not separate in any namespace and would change the host");
            if (!namespaces.Has(needed))
                throw new PsrunException($"linux.sysctl: {key} would change the host: the container shares that namespace with it");
            plan.WriteProc($"linux.sysctl: {key}", "sys/" + path, value);
        }
    }

    static nint Needed(string path) => path switch
    {
        "kernel/msgmax" or "kernel/msgmnb" or "kernel/msgmni" or "kernel/sem" or "kernel/shmall" or "kernel/shmmax" or "kernel/shmmni" or "kernel/shm_rmid_forced" => Libc.CLONE_NEWIPC,
        "kernel/domainname" or "kernel/hostname" => Libc.CLONE_NEWUTS,
        _ when path.StartsWith("fs/mqueue/", StringComparison.Ordinal) => Libc.CLONE_NEWIPC,
        _ when path.StartsWith("net/", StringComparison.Ordinal) => Libc.CLONE_NEWNET,
        _ when path.StartsWith("user/", StringComparison.Ordinal) => Libc.CLONE_NEWUSER,
        _ => 0,
    };
}
