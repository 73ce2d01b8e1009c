namespace Containers.Linux.Cgroups;

/// <summary>Something about control groups that cannot be done; <see cref="Id"/> is the word by which the failure is known.</summary>
public class CgroupException : Exception
{
    /// <summary><c>InvalidCgroupPath</c>, <c>InvalidLimit</c>, <c>CgroupNotFound</c>, <c>CgroupBusy</c>, <c>CgroupLimitRefused</c>, <c>CgroupNotMounted</c>,
    /// <c>CgroupTooDeep</c>, <c>CgroupNotSupported</c>, <c>CgroupNotPermitted</c>, <c>CgroupReadOnly</c>, <c>CgroupThreaded</c>, <c>CgroupUnavailable</c>,
    /// <c>ProcessNotFound</c>.</summary>
    public string Id { get; }

    public CgroupException(string id, string message) : base(message) => Id = id;
}

/// <summary>Asked for what this host, or this version of control groups, does not have: a controller that is mounted nowhere, a file that
/// only v1 or only v2 knows, <c>unified</c> settings on a host with v1 controllers, systemd's paths.</summary>
public sealed class CgroupNotSupportedException : CgroupException
{
    /// <summary>What was asked for: a spec's member in full, such as <c>linux.resources.memory.swappiness</c>, or a controller.</summary>
    public string Feature { get; }

    public CgroupNotSupportedException(string feature, string why) : base("CgroupNotSupported", feature + ": " + why) => Feature = feature;
}
