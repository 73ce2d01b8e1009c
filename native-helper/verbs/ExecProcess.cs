using System.Globalization;
using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>The process object of exec: a file (--process), or the bundle's own with what the command line changes in it.</summary>
static class ExecProcess
{
    public static Process Read(Options options, ReadOnlySpan<string> args, StateFile state)
    {
        Process process;
        if (options.Value("process") is string file)
        {
            if (args.Length > 0)
                throw new PsrunException("exec: --process and a program exclude each other");
            process = ReadFile(Path.GetFullPath(file, Program.InvocationFolder));
        }
        else
        {
            if (args.Length == 0)
                throw new PsrunException("exec: process.args: must not be empty");
            process = SpecCheck.ReadBundle(state.Bundle).Process ?? throw new PsrunException("config.json: process is missing");
            process.Args = [.. args];
            process.Terminal = options.Has("tty");
            process.ConsoleSize = null;
            Change(process, options);
        }
        if (options.Value("apparmor") is { Length: > 0 } profile)
            process.ApparmorProfile = profile;
        if (options.Value("process-label") is { Length: > 0 } label)
            process.SelinuxLabel = label;
        SpecCheck.Process(process, "process");
        return process;
    }

    static Process ReadFile(string file)
    {
        int fd = Libc.open(file, Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            throw new PsrunException($"--process: {file}: {Errnos.Text(Libc.errno)}");
        byte[] bytes = StateFolder.ReadAll(fd, 16 << 20, file);
        Libc.close(fd);
        try
        {
            return OciJson.ReadProcess(bytes);
        }
        catch (SpecException e)
        {
            throw new PsrunException($"{file}: {e.Message}");
        }
    }

    static void Change(Process process, Options options)
    {
        if (options.Value("cwd") is string cwd)
            process.Cwd = cwd;
        if (options.Values("env").Count > 0)
        {
            process.Env = [.. process.Env ?? []];
            foreach (string entry in options.Values("env"))
            {
                // A name that is there already gets the new value; two entries of one name would leave the choice to the program.
                int equals = entry.IndexOf('=');
                if (equals <= 0)
                    throw new PsrunException($"--env: \"{entry}\" is not NAME=VALUE");
                process.Env.RemoveAll(e => e.StartsWith(entry[..(equals + 1)], StringComparison.Ordinal));
                process.Env.Add(entry);
            }
        }
        if (options.Value("user") is string user)
        {
            string[] parts = user.Split(':', 2);
            process.User = new User { Uid = Id("--user", parts[0]), Gid = parts.Length > 1 ? Id("--user", parts[1]) : process.User?.Gid ?? 0, Umask = process.User?.Umask };
        }
        if (options.Values("additional-gids").Count > 0)
        {
            process.User ??= new User();
            process.User.AdditionalGids = [.. process.User.AdditionalGids ?? []];
            foreach (string gid in options.Values("additional-gids"))
                process.User.AdditionalGids.Add(Id("--additional-gids", gid));
        }
        if (options.Value("no-new-privs") != null)
            process.NoNewPrivileges = options.Has("no-new-privs");
        foreach (string capability in options.Values("cap"))
        {
            if (!Capabilities.TryNumber(capability, out _))
                throw new PsrunException($"--cap: \"{capability}\" is unknown");
            LinuxCapabilities sets = process.Capabilities ??= new LinuxCapabilities();
            Add(sets.Bounding ??= [], capability);
            Add(sets.Effective ??= [], capability);
            Add(sets.Permitted ??= [], capability);
            // Never inheritable: a file with inheritable capabilities would hand them to whoever runs it (CVE-2022-29162). Ambient ones need what is inheritable.
            if (sets.Inheritable?.Contains(capability) == true)
                Add(sets.Ambient ??= [], capability);
        }
    }

    static void Add(List<string> set, string capability)
    {
        if (!set.Contains(capability))
            set.Add(capability);
    }

    static uint Id(string option, string text) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint id)
        ? id
        : throw new PsrunException($"{option}: \"{text}\" is not a number");
}
