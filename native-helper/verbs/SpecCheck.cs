using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Processes;

namespace Psrun.Verbs;

/// <summary>What is missing in a bundle, or asked for and not supported, is refused here, by name, before anything is made.</summary>
static class SpecCheck
{
    public static Spec ReadBundle(string bundle)
    {
        string path = bundle + "/config.json";
        int fd = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            throw new PsrunException($"{path}: {Errnos.Text(Libc.errno)}");
        byte[] bytes = State.StateFolder.ReadAll(fd, 16 << 20, path);
        Libc.close(fd);
        try
        {
            return OciJson.ReadSpec(bytes);
        }
        catch (SpecException e)
        {
            throw new PsrunException($"{path}: {e.Message}");
        }
    }

    public static void Check(Spec spec)
    {
        string version = spec.OciVersion ?? throw new PsrunException("config.json: ociVersion is missing");
        if (!version.StartsWith("1.", StringComparison.Ordinal))
            throw new PsrunException($"ociVersion: \"{version}\" is not supported: 1.0 to 1.3 are");
        Process(spec.Process ?? throw new PsrunException("config.json: process is missing"), "process");
        if (string.IsNullOrEmpty(spec.Root?.Path))
            throw new PsrunException("config.json: root.path is missing");
        Text(spec.Root.Path, "root.path");
        Refuse(spec.Windows != null, "windows");
        Refuse(spec.Solaris != null, "solaris");
        Refuse(spec.Vm != null, "vm");
        Refuse(spec.Zos != null, "zos");
        Refuse(spec.FreeBsd != null, "freebsd");
        LinuxConfig linux = spec.Linux ?? throw new PsrunException("config.json: linux is missing");
        State.ResctrlSetup.Check(linux.IntelRdt);
        MemoryPolicy.Check(linux.MemoryPolicy);
        linux.MountLabel = Selinux.UsableMountLabel(linux.MountLabel);
        foreach (Mount mount in spec.Mounts ?? [])
        {
            Text(mount.Destination, "mounts.destination");
            Text(mount.Source, "mounts.source");
            Text(mount.Type, "mounts.type");
            Texts(mount.Options, "mounts.options");
        }
        Texts(linux.MaskedPaths, "linux.maskedPaths");
        Texts(linux.ReadonlyPaths, "linux.readonlyPaths");
        Text(spec.Hostname, "hostname");
        Text(spec.Domainname, "domainname");
        Text(linux.CgroupsPath, "linux.cgroupsPath");
        foreach ((string key, string value) in linux.Sysctl ?? [])
        {
            Text(key, "linux.sysctl");
            Text(value, "linux.sysctl");
        }
        foreach (LinuxDevice device in linux.Devices ?? [])
            Text(device.Path, "linux.devices.path");
        if (spec.Hooks is { } hooks)
        {
            HookRunner.Check("prestart", hooks.Prestart);
            HookRunner.Check("createRuntime", hooks.CreateRuntime);
            HookRunner.Check("createContainer", hooks.CreateContainer);
            HookRunner.Check("startContainer", hooks.StartContainer);
            HookRunner.Check("poststart", hooks.Poststart);
            HookRunner.Check("poststop", hooks.Poststop);
        }
    }

    public static void Process(Process process, string name)
    {
        if (process.Args is not { Count: > 0 } args)
            throw new PsrunException($"{name}.args: must not be empty");
        if (process.Cwd is not { Length: > 0 } cwd)
            throw new PsrunException($"{name}.cwd: must not be empty");
        if (cwd[0] != '/')
            throw new PsrunException($"{name}.cwd: \"{cwd}\" is not absolute");
        Text(cwd, name + ".cwd");
        Texts(args, name + ".args");
        Texts(process.Env, name + ".env");
        foreach (string entry in process.Env ?? [])
            if (entry.IndexOf('=') <= 0)
                throw new PsrunException($"{name}.env: \"{entry}\" is not NAME=VALUE");
        AppArmor.Check(process.ApparmorProfile, name + ".apparmorProfile");
        Selinux.Check(process.SelinuxLabel, name + ".selinuxLabel");
        Refuse(process.User?.Username != null, name + ".user.username");
        Affinity.Check(process.ExecCpuAffinity, name);
        Refuse(process.CommandLine != null, name + ".commandLine");
    }

    static void Refuse(bool asked, string field)
    {
        if (asked)
            throw new PsrunException($"{field}: is not supported");
    }

    static void Texts(List<string>? texts, string field)
    {
        foreach (string text in texts ?? [])
            Text(text, field);
    }

    /// <summary>C would take a NUL for the end: another path than the one that was checked.</summary>
    static void Text(string? text, string field)
    {
        if (text != null && text.Contains('\0'))
            throw new PsrunException($"{field}: holds a NUL character");
    }
}
