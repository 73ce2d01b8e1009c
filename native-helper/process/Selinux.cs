using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Selinux;
using Psrun.Dance;

namespace Psrun.Processes;

/// <summary>process.selinuxLabel: the context of the program and of its keyring; linux.mountLabel is checked here, and set where file systems are made (<see cref="Rootfs.Mounts.NewFileSystem"/>).</summary>
static unsafe class Selinux
{
    static bool? s_enabled;

    /// <summary>Looked for only when a label is given.</summary>
    static bool Enabled => s_enabled ??= SelinuxLabel.IsEnabled(MountInfo.ReadSelf(), Shim.Files.ReadText("/proc/thread-self/attr/current"));

    public static void Check(string? label, string member)
    {
        if (string.IsNullOrEmpty(label))
            return;
        CheckForm(label, member);
        if (!Enabled)
            throw new PsrunException($"{member}: \"{label}\": SELinux is not enabled on this host");
    }

    /// <summary>linux.mountLabel where it can be set, else null: a label for files means nothing to a kernel without SELinux, and engines give one all the same.</summary>
    public static string? UsableMountLabel(string? label)
    {
        if (string.IsNullOrEmpty(label))
            return null;
        CheckForm(label, "linux.mountLabel");
        if (Enabled)
            return label;
        Log.Warning("linux.mountLabel: this host has no SELinux, the label is left out");
        return null;
    }

    static void CheckForm(string label, string member)
    {
        if (SelinuxLabel.Problem(label) is string problem)
            throw new PsrunException($"{member}: {problem}");
    }

    /// <summary>Through the host's /proc, and so before the change of root; execve(2) forgets it.</summary>
    public static void AddKeyLabel(Plan plan, Process process) => Write(plan, process, "keycreate");

    /// <summary>As <see cref="AppArmor.Add"/>: behind whatever else is run.</summary>
    public static void AddExec(Plan plan, Process process) => Write(plan, process, "exec");

    static void Write(Plan plan, Process process, string file)
    {
        if (process.SelinuxLabel is { Length: > 0 } label)
            plan.WriteProc($"process.selinuxLabel: \"{label}\" cannot be entered (does the policy know and allow it?)", "thread-self/attr/" + file, label);
    }

    /// <summary>For a file system that takes no option: its root gets the label, before it is seen anywhere.</summary>
    public static void AddAttribute(Plan plan, nint* mount, string words, string label)
    {
        nint* folder = plan.Open(words, Libc.SYS_openat, mount, plan.Text("."), Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        // A policy may give such files no labels at all.
        plan.Call($"{words}: linux.mountLabel", Libc.SYS_fsetxattr, folder, plan.Text(SelinuxLabel.Attribute), plan.Text(label), System.Text.Encoding.UTF8.GetByteCount(label), 0)
            ->Tolerated0 = Libc.EOPNOTSUPP;
        plan.Close(folder);
    }
}
