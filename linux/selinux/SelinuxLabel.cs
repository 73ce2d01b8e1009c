namespace Containers.Linux.Selinux;

/// <summary>How a new mount of a container gets the bundle's label (config-linux.md, Mount Label).</summary>
public enum MountLabelWay
{
    /// <summary>Not at all: the kernel labels what is in it by itself, or it has its labels already.</summary>
    None,

    /// <summary>By the option <c>context</c>, which gives every file of it the same label.</summary>
    Context,

    /// <summary>On its root alone, as an attribute, once it is made.</summary>
    Attribute,
}

/// <summary>Security contexts of SELinux (kernel: security/selinux): whether the host has it, and what a label may be.</summary>
public static class SelinuxLabel
{
    /// <summary>Where the label of a file is kept (xattr(7)).</summary>
    public const string Attribute = "security.selinux";

    /// <summary>What the kernel calls every process until a policy is loaded.</summary>
    const string NoPolicy = "kernel";

    /// <summary>Whether labels mean something here: selinuxfs is mounted and can be written, and a policy is loaded.</summary>
    /// <param name="mounts">Those of the calling process. A read-only selinuxfs says, by convention, that there is no SELinux for whoever is in this mount namespace.</param>
    /// <param name="current">/proc/thread-self/attr/current; null where it cannot be read.</param>
    public static bool IsEnabled(IReadOnlyList<MountInfo> mounts, string? current)
    {
        if (current?.TrimEnd('\0', '\n') is null or "" or NoPolicy)
            return false;
        // The last one counts: it covers those before it.
        for (int i = mounts.Count - 1; i >= 0; i--)
            if (mounts[i].Type == "selinuxfs")
                return IsWritable(mounts[i].Options) && IsWritable(mounts[i].SuperOptions);
        return false;
    }

    static bool IsWritable(string options) => options == "rw" || options.StartsWith("rw,", StringComparison.Ordinal);

    /// <summary>
    /// What is wrong with the form of a label, or null. Whether there is such a user, role and type is the policy's to say. The length is that which the kernel takes
    /// in one write to a file of /proc, 4096 bytes less the closing zero.
    /// </summary>
    public static string? Problem(string label)
    {
        if (System.Text.Encoding.UTF8.GetByteCount(label) > 4095)
            return "is longer than 4095 bytes";
        foreach (char c in label)
            if (char.IsControl(c))
                return "holds a control character";
        return null;
    }

    /// <summary>As runc does it: procfs and sysfs are labelled by the kernel alone, and mqueue takes no <c>context</c>.</summary>
    /// <param name="type">The type of a new file system; bind mounts and control groups keep the labels that they have.</param>
    public static MountLabelWay WayOf(string type) => type switch
    {
        "proc" or "sysfs" or "cgroup" or "cgroup2" => MountLabelWay.None,
        "mqueue" => MountLabelWay.Attribute,
        _ => MountLabelWay.Context,
    };

    /// <summary>Whether the options name a label themselves: the kernel refuses a second one.</summary>
    public static bool IsNamedBy(IEnumerable<string> options)
    {
        foreach (string option in options)
            if (option.StartsWith("context=", StringComparison.Ordinal) || option.StartsWith("fscontext=", StringComparison.Ordinal)
                || option.StartsWith("defcontext=", StringComparison.Ordinal) || option.StartsWith("rootcontext=", StringComparison.Ordinal))
                return true;
        return false;
    }
}
