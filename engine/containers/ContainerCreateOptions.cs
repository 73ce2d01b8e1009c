using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// What a container is made from. Exactly one of <see cref="Image"/>, <see cref="RootfsPath"/> and <see cref="Bundle"/> is given. Null means "as the
/// defaults of docs/security.md have it"; sizes are bytes, and -1 means "no limit".
/// </summary>
public sealed class ContainerCreateOptions
{
    /// <summary>Made up where null.</summary>
    public string? Id { get; set; }

    public string? ContainerNamespace { get; set; }

    /// <summary>An image by name or digest. The program gets what it says, where nothing else is said here, and a private writable layer over it.</summary>
    public string? Image { get; set; }

    /// <summary>It goes with its first run: its record need not outlive a power cut, and so nothing waits for the disk.</summary>
    public bool Transient { get; set; }

    /// <summary>The platform of the image, such as <c>linux/arm64</c>; this host's by default.</summary>
    public string? Platform { get; set; }

    /// <summary>How the writable layer is kept: <c>overlayfs</c>, or <c>native</c>, which copies; null for what the configuration says, or else what the store's file system can.</summary>
    public string? Snapshotter { get; set; }

    /// <summary>When the image is pulled.</summary>
    public ImagePullPolicy Pull { get; set; }

    /// <summary>How its registry is spoken to.</summary>
    public RegistryOptions? Registry { get; set; }

    /// <summary>Told how pulling and unpacking go on.</summary>
    public IProgress<ImageProgress>? Progress { get; set; }

    /// <summary>An absolute folder, used in place.</summary>
    public string? RootfsPath { get; set; }

    /// <summary>A private writable layer over <see cref="RootfsPath"/>, which then stays as it is.</summary>
    public bool Overlay { get; set; }

    /// <summary>An absolute folder with <c>config.json</c> and a root filesystem. Its spec is taken as it is when the container is made.</summary>
    public string? Bundle { get; set; }

    /// <summary>A spec in place of the one that the other options make; it needs <see cref="RootfsPath"/>.</summary>
    public Spec? Spec { get; set; }

    /// <summary>Name (<c>psrun</c>, <c>runc</c>, <c>crun</c> …) or absolute path.</summary>
    public string? Runtime { get; set; }

    public IReadOnlyList<string>? Entrypoint { get; set; }
    public IReadOnlyList<string>? ArgumentList { get; set; }
    public IReadOnlyDictionary<string, string>? Environment { get; set; }

    /// <summary>Files of <c>NAME=value</c> lines, as docker reads them; <see cref="Environment"/> wins.</summary>
    public IReadOnlyList<string>? EnvironmentFile { get; set; }

    public string? WorkingDirectory { get; set; }

    /// <summary><c>uid</c>, <c>uid:gid</c>, <c>name</c> or <c>name:group</c>, looked up inside the root filesystem.</summary>
    public string? User { get; set; }

    /// <summary>Additional groups, by number or by name.</summary>
    public IReadOnlyList<string>? GroupAdd { get; set; }

    public string? HostName { get; set; }
    public IReadOnlyDictionary<string, string>? Label { get; set; }
    public IReadOnlyDictionary<string, string>? Annotation { get; set; }

    public long? Memory { get; set; }

    /// <summary>Memory and swap together.</summary>
    public long? MemorySwap { get; set; }

    public long? MemoryReservation { get; set; }

    /// <summary>Processors, above 0, such as 0.5.</summary>
    public double? Cpu { get; set; }

    /// <summary>1–10000 as in cgroup v2; 100 is the default. On a v1 host it becomes the shares of the same proportion.</summary>
    public long? CpuWeight { get; set; }

    public string? CpuSet { get; set; }
    public string? MemorySet { get; set; }
    public long? ProcessLimit { get; set; }
    public IReadOnlyList<ContainerIoLimit>? IoLimit { get; set; }

    /// <summary>Absolute cgroup path that the container's group is made in.</summary>
    public string? CgroupParent { get; set; }

    public IReadOnlyList<ContainerMount>? Mount { get; set; }

    /// <summary><c>none</c> (default: a network namespace with a loopback alone), <c>host</c>, <c>container:ID</c>, a path.</summary>
    public NamespaceChoice? Network { get; set; }

    public NamespaceChoice? ProcessNamespace { get; set; }
    public NamespaceChoice? IpcNamespace { get; set; }
    public NamespaceChoice? UtsNamespace { get; set; }
    public NamespaceChoice? CgroupNamespace { get; set; }

    /// <summary><c>host</c> (default) or a path; a private one needs id maps, which do not exist yet.</summary>
    public NamespaceChoice? UserNamespace { get; set; }

    /// <summary>The ids of a private user namespace. The container's files belong to its own root then, by a mount that maps ids; on disk they keep their owners.</summary>
    public IReadOnlyList<NamespaceIdMap>? UidMap { get; set; }

    /// <summary>The same for groups; <see cref="UidMap"/> by default, and the other way round.</summary>
    public IReadOnlyList<NamespaceIdMap>? GidMap { get; set; }

    /// <summary>Names with or without <c>CAP_</c>, or <c>ALL</c>.</summary>
    public IReadOnlyList<string>? AddCapability { get; set; }

    public IReadOnlyList<string>? DropCapability { get; set; }
    public bool Privileged { get; set; }
    public bool NoNewPrivileges { get; set; }

    /// <summary><c>default</c> (also where null, unless <see cref="Privileged"/>), <c>unconfined</c>, or the absolute path of a profile in the OCI specification's or docker's form.</summary>
    public string? SeccompProfile { get; set; }

    /// <summary>The name of a loaded profile, or <c>unconfined</c>; null leaves the runtime's caller's.</summary>
    public string? AppArmorProfile { get; set; }

    /// <summary><c>user:role:type[:level]</c> of the container's programs; null leaves what the policy says.</summary>
    public string? SELinuxLabel { get; set; }

    /// <summary>A program of the host, by name or absolute path, that is the container's first process, reaps what others leave and hands signals on; linked statically.</summary>
    public string? Init { get; set; }

    /// <summary>Docker's <c>host[:container[:rwm]]</c>.</summary>
    public IReadOnlyList<string>? Device { get; set; }

    /// <summary>Docker's <c>name=soft[:hard]</c>, such as <c>nofile=1024:2048</c>; <c>unlimited</c> or -1 for no limit.</summary>
    public IReadOnlyList<string>? ResourceLimit { get; set; }

    public IReadOnlyDictionary<string, string>? Sysctl { get; set; }
    public bool ReadOnly { get; set; }

    /// <summary>Size of <c>/dev/shm</c>; 64 MiB by default.</summary>
    public long? ShmSize { get; set; }

    /// <summary>-1000 to 1000.</summary>
    public int? OomScoreAdjust { get; set; }

    public bool Tty { get; set; }
    public bool Interactive { get; set; }

    /// <summary>Absolute files in place of the pipes.</summary>
    public string? RedirectStandardInput { get; set; }

    public string? RedirectStandardOutput { get; set; }
    public string? RedirectStandardError { get; set; }

    /// <summary>All three streams are <c>/dev/null</c>.</summary>
    public bool NullIO { get; set; }

    /// <summary>
    /// <c>file:///path</c>; <c>journald:</c> and <c>syslog:</c>, each also with the path of another socket; <c>binary:///program?argument=value</c>, by
    /// containerd's contract; <c>none:</c>, which keeps no log; null keeps it in the store. Other kinds are refused.
    /// </summary>
    public string? LogUri { get; set; }

    /// <summary>Bytes from 65536, of each file of the log; null: one file without limit.</summary>
    public long? LogMaxSize { get; set; }

    /// <summary>From 2 to 1000, the one that is written among them; 5 where <see cref="LogMaxSize"/> is given alone. Older ones are removed.</summary>
    public int? LogMaxFiles { get; set; }

    /// <summary><c>no</c> (also where null), <c>on-failure[:N]</c>, <c>always</c> or <c>unless-stopped</c>: whether the shim starts the program again when it has ended.</summary>
    public string? RestartPolicy { get; set; }

    /// <summary>A program and its arguments, or one line for <c>/bin/sh -c</c>; null for what the image says.</summary>
    public IReadOnlyList<string>? HealthCommand { get; set; }

    /// <summary>From the end of one check to the next, and before the first; 30 s by default.</summary>
    public TimeSpan? HealthInterval { get; set; }

    /// <summary>A check that takes longer is killed, and has failed; 30 s by default.</summary>
    public TimeSpan? HealthTimeout { get; set; }

    /// <summary>How long after the start failures do not count; 0 by default.</summary>
    public TimeSpan? HealthStartPeriod { get; set; }

    /// <summary>Failures in a row before the task is unhealthy; 3 by default.</summary>
    public int? HealthRetries { get; set; }

    public ContainerHealthAction? HealthOnFailure { get; set; }

    /// <summary>The image's check is not run.</summary>
    public bool NoHealthCheck { get; set; }

    /// <summary>Name, with or without <c>SIG</c>, or number; <c>SIGTERM</c> by default.</summary>
    public string? StopSignal { get; set; }

    /// <summary>Seconds before a stop kills; 10 by default.</summary>
    public double? StopTimeoutSec { get; set; }

    /// <summary>What the image says of the environment; under everything that is said here.</summary>
    internal IReadOnlyList<string> ImageEnvironment { get; set; } = [];

    internal ContainerCreateOptions Copy() => (ContainerCreateOptions)MemberwiseClone();
}

/// <summary>A limit on one block device; null members are not limited.</summary>
public sealed class ContainerIoLimit
{
    /// <summary>A device file such as <c>/dev/sda</c>, or <c>major:minor</c>.</summary>
    public required string Device { get; init; }

    /// <summary>Bytes a second.</summary>
    public long? ReadBytes { get; init; }

    public long? WriteBytes { get; init; }

    /// <summary>Operations a second.</summary>
    public long? ReadOperations { get; init; }

    public long? WriteOperations { get; init; }
}
