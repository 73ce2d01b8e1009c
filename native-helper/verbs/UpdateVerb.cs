using System.Globalization;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Resctrl;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>update: other limits for a container that is there. What is not given stays as it is; a limit that is refused takes those set before it back.</summary>
static class UpdateVerb
{
    public static readonly string[] Known =
    [
        "r,resources=", "blkio-weight=", "cpu-period=", "cpu-quota=", "cpu-burst=", "cpu-share=", "cpu-rt-period=", "cpu-rt-runtime=", "cpu-idle=", "cpuset-cpus=", "cpuset-mems=",
        "memory=", "memory-reservation=", "memory-swap=", "kernel-memory=", "kernel-memory-tcp=", "pids-limit=", "l3-cache-schema=", "mem-bw-schema=",
    ];

    public static int Run(string root, ReadOnlySpan<string> args)
    {
        Options options = Options.Parse(args, Known, limit: int.MaxValue, out _);
        string id = CreateVerb.OneId(options, "update");
        LinuxResources resources = options.Value("resources") is { Length: > 0 } file ? ReadFile(file) : new LinuxResources();
        Change(resources, options);

        (StateFolder folder, StateFile state) = StateFolder.OpenLocked(root, id);
        using StateFolder held = folder;
        if (Status.Of(folder, state) == StateFile.Stopped)
            throw new PsrunException("container not running");
        if (IsBundles(resources.Devices, state))
            resources.Devices = null;
        string? cache = options.Value("l3-cache-schema"), bandwidth = options.Value("mem-bw-schema");
        string? asked = cache is { Length: > 0 } ? "l3-cache-schema" : bandwidth is { Length: > 0 } ? "mem-bw-schema" : null;
        if (asked == null)
        {
            Update(state, resources);
            return 0;
        }
        ResctrlGroup group = state.IntelRdt ?? throw new PsrunException($"--{asked}: the container has no group of resctrl (linux.intelRdt)");
        ResctrlTree tree = ResctrlTree.Detect();
        string before = group.Update(tree, cache, bandwidth);
        try
        {
            Update(state, resources);
        }
        catch
        {
            group.Restore(tree, before);
            throw;
        }
        return 0;
    }

    static void Update(StateFile state, LinuxResources resources) =>
        CgroupSetup.Update(state.CgroupPath ?? throw new PsrunException("update: the container has no cgroup"), state.Unit, resources);

    /// <summary>
    /// Callers hand back the whole resources of the bundle with one number changed. Device rules that are the same are left alone: v1 has no way to
    /// replace its list at once, and the container would be without its devices for a moment.
    /// </summary>
    static bool IsBundles(List<LinuxDeviceCgroup>? devices, StateFile state)
    {
        if (devices == null)
            return false;
        try
        {
            var theirs = new LinuxResources { Devices = SpecCheck.ReadBundle(state.Bundle).Linux?.Resources?.Devices };
            return OciJson.Write(theirs).AsSpan().SequenceEqual(OciJson.Write(new LinuxResources { Devices = devices }));
        }
        catch (PsrunException)
        {
            return false;
        }
    }

    static LinuxResources ReadFile(string file)
    {
        bool standardInput = file == "-";
        int fd = standardInput ? 0 : Libc.open(Path.GetFullPath(file, Program.InvocationFolder), Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            throw new PsrunException($"--resources: {file}: {Errnos.Text(Libc.errno)}");
        byte[] bytes = StateFolder.ReadAll(fd, OciJson.MaxSize, file);
        if (!standardInput)
            Libc.close(fd);
        try
        {
            return OciJson.ReadResources(bytes);
        }
        catch (SpecException e)
        {
            throw new PsrunException($"--resources: {file}: {e.Message}");
        }
    }

    static void Change(LinuxResources r, Options options)
    {
        foreach (string name in Known)
        {
            string option = name.TrimEnd('=');
            if (option == "r,resources" || options.Value(option) is not { Length: > 0 } value)
                continue;
            switch (option)
            {
                case "blkio-weight": (r.BlockIo ??= new()).Weight = (ushort)Number(option, value, ushort.MaxValue); break;
                case "cpu-period": (r.Cpu ??= new()).Period = Number(option, value, ulong.MaxValue); break;
                case "cpu-quota": (r.Cpu ??= new()).Quota = Signed(option, value); break;
                case "cpu-burst": (r.Cpu ??= new()).Burst = Number(option, value, ulong.MaxValue); break;
                case "cpu-share": (r.Cpu ??= new()).Shares = Number(option, value, ulong.MaxValue); break;
                case "cpu-rt-period": (r.Cpu ??= new()).RealtimePeriod = Number(option, value, ulong.MaxValue); break;
                case "cpu-rt-runtime": (r.Cpu ??= new()).RealtimeRuntime = Signed(option, value); break;
                case "cpu-idle": (r.Cpu ??= new()).Idle = Signed(option, value); break;
                case "cpuset-cpus": (r.Cpu ??= new()).Cpus = value; break;
                case "cpuset-mems": (r.Cpu ??= new()).Mems = value; break;
                case "memory": (r.Memory ??= new()).Limit = Sizes.Parse(option, value); break;
                case "memory-reservation": (r.Memory ??= new()).Reservation = Sizes.Parse(option, value); break;
                case "memory-swap": (r.Memory ??= new()).Swap = Sizes.Parse(option, value); break;
                case "kernel-memory": (r.Memory ??= new()).Kernel = Sizes.Parse(option, value); break;
                case "kernel-memory-tcp": (r.Memory ??= new()).KernelTcp = Sizes.Parse(option, value); break;
                case "pids-limit": (r.Pids ??= new()).Limit = Signed(option, value); break;
            }
        }
    }

    static ulong Number(string option, string text, ulong most) => ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) && number <= most
        ? number
        : throw new PsrunException($"--{option}: \"{text}\" is not a number from 0 to {most}");

    static long Signed(string option, string text) => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
        ? number
        : throw new PsrunException($"--{option}: \"{text}\" is not a number");
}
