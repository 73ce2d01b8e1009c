using System.Globalization;
using System.Text;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>Maps of ids between a user namespace and its parent (user_namespaces(7)).</summary>
static unsafe class IdMaps
{
    /// <param name="file"><c>uid_map</c> or <c>gid_map</c>.</param>
    /// <param name="field">The specification's member, for the message.</param>
    public static void Write(int pid, string file, List<LinuxIdMapping> maps, string field)
    {
        bool users = file == "uid_map";
        if (Rootless.Active && Rootless.IsPlainUser)
        {
            if (!Rootless.IsOwnIdAlone(maps, users ? Libc.geteuid() : Libc.getegid()))
            {
                WriteByHelper(pid, users ? "newuidmap" : "newgidmap", maps, field);
                return;
            }
            // The kernel's price for a map of groups without privilege (user_namespaces(7)).
            if (!users)
                WriteAtOnce($"/proc/{pid}/setgroups", "deny", field);
        }
        WriteAtOnce($"/proc/{pid}/{file}", Text(maps), field);
    }

    /// <summary>newuidmap(1) and newgidmap(1) may write what /etc/subuid and /etc/subgid give the user.</summary>
    static void WriteByHelper(int pid, string name, List<LinuxIdMapping> maps, string field)
    {
        string? program = null;
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':'))
            if (program == null && folder.StartsWith('/') && Libc.faccessat(Libc.AT_FDCWD, folder + "/" + name, Libc.X_OK, 0) == 0)
                program = folder + "/" + name;
        if (program == null)
            throw new PsrunException($"{field}: a plain user needs {name} (package uidmap) to map other ids than the own, and it is not in $PATH");
        List<string> arguments = [name, pid.ToString(CultureInfo.InvariantCulture)];
        foreach (LinuxIdMapping map in maps)
            foreach (uint number in (ReadOnlySpan<uint>)[map.ContainerId ?? 0, map.HostId ?? 0, map.Size ?? 0])
                arguments.Add(number.ToString(CultureInfo.InvariantCulture));
        var plan = new Plan();
        int nothing = HookRunner.StateFile([]);
        int detail;
        int errno = Child.RunProgram((byte*)plan.Text(program), (byte**)plan.Texts(arguments), (byte**)plan.Texts([]), nothing, 10_000, plan.Scratch, &detail);
        Libc.close(nothing);
        if (errno != 0)
            throw new PsrunException(HookRunner.Explain($"{field}: {program}", errno, detail));
    }

    static void WriteAtOnce(string path, string text, string field)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(text);
        int fd = Libc.open(path, Libc.O_WRONLY | Libc.O_CLOEXEC);
        nint written = -1;
        int errno = Libc.errno;
        if (fd >= 0)
        {
            // The kernel takes a map in one write only.
            fixed (byte* p = bytes)
                written = Libc.write(fd, p, (nuint)bytes.Length);
            errno = Libc.errno;
            Libc.close(fd);
        }
        if (written != bytes.Length)
            throw new PsrunException($"{field}: {Errnos.Text(errno)}", errno);
    }

    public static string Text(List<LinuxIdMapping> maps)
    {
        string text = "";
        foreach (LinuxIdMapping map in maps)
            text += string.Create(CultureInfo.InvariantCulture, $"{map.ContainerId ?? 0} {map.HostId ?? 0} {map.Size ?? 0}\n");
        return text;
    }

    /// <summary>A descriptor of a new user namespace with these maps. A child lives in it just until the descriptor is there.</summary>
    public static int OpenNamespace(List<LinuxIdMapping> uids, List<LinuxIdMapping> gids, string field)
    {
        var plan = new Plan();
        plan.Do("make a user namespace", StepKind.Sync, InitPlan.PointJoin, 1);
        using var launch = new Launch(plan, Libc.CLONE_NEWUSER, -1, clonesAgain: false);
        try
        {
            launch.Await(InitPlan.PointJoin);
            Write(launch.Pid, "uid_map", uids, field + ".uidMappings");
            Write(launch.Pid, "gid_map", gids, field + ".gidMappings");
            int fd = Libc.open($"/proc/{launch.Pid}/ns/user", Libc.O_RDONLY | Libc.O_CLOEXEC);
            return fd >= 0 ? fd : throw new PsrunException($"{field}: {Errnos.Text(Libc.errno)}");
        }
        finally
        {
            launch.Abort();
        }
    }
}
