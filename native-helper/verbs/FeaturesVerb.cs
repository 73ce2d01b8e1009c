using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;

namespace Psrun.Verbs;

/// <summary>features: features.md. What is not listed here is refused by name.</summary>
static class FeaturesVerb
{
    public static int Run(ReadOnlySpan<string> args)
    {
        if (args.Length > 0)
            throw new PsrunException($"features: \"{args[0]}\" is not expected");
        var capabilities = new List<string>();
        for (int i = 0; Capabilities.Name(i) is string name; i++)
            capabilities.Add(name);
        var features = new Features
        {
            OciVersionMin = "1.0.0",
            OciVersionMax = Program.SpecVersion,
            Hooks = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
            MountOptions = Rootfs.MountOptions.Names(),
            Linux = new LinuxFeatures
            {
                Namespaces = ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
                Capabilities = capabilities,
                Cgroup = new CgroupFeatures { V1 = true, V2 = true, Systemd = Systemd.SystemdDriver.IsAvailable, SystemdUser = Systemd.SystemdDriver.IsAvailable, Rdma = CgroupHost.Detect().Find("rdma") != null },
                Seccomp = new SeccompFeatures
                {
                    Enabled = true,
                    Actions = [.. SeccompWords.Actions],
                    Operators = [.. SeccompWords.Operators],
                    Archs = [.. SeccompWords.Architectures],
                    KnownFlags = [.. SeccompWords.Flags],
                    SupportedFlags = SeccompWords.SupportedFlags(),
                },
                Apparmor = new ToggleFeature { Enabled = true },
                Selinux = new ToggleFeature { Enabled = true },
                IntelRdt = new IntelRdtFeatures { Enabled = true, Schemata = true, Monitoring = true },
                MountExtensions = new MountExtensionFeatures { IdMap = new ToggleFeature { Enabled = true } },
                MemoryPolicy = new MemoryPolicyFeatures { Modes = Processes.MemoryPolicy.Modes, Flags = Processes.MemoryPolicy.Flags },
                NetDevices = new ToggleFeature { Enabled = true },
            },
            // It has CRIU read a file of the host.
            PotentiallyUnsafeConfigAnnotations = ["org.criu.config"],
            Annotations = new Dictionary<string, string> { ["org.containers.psrun.version"] = Program.Version },
        };
        Log.Write(1, OciJson.Write(features, indented: true));
        Log.Write(1, "\n");
        return 0;
    }
}
