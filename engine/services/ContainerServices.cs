using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mono.Unix.Native;

namespace Containers;

/// <summary>
/// Unit files for systemd. There is no daemon that could start containers when the machine has started, so systemd does: one unit for all that have a restart policy, or
/// one for each container. The units run a command and are done (<c>Type=oneshot</c>): what goes on is the shim, in a control group of its own.
/// </summary>
public sealed class ContainerServices
{
    /// <summary>The unit that starts containers by their restart policies.</summary>
    public const string RestartUnit = "pscontainers-restart.service";

    const string SystemFolder = "/etc/systemd/system";
    const string Wanted = "multi-user.target";

    /// <summary>Beyond a container's own time to end: for PowerShell's start, and for what comes after the end.</summary>
    const int StopMargin = 60;

    /// <summary>What the environment says now and systemd's does not: the units are to find the same store.</summary>
    static readonly string[] s_variables = ["CONTAINERS_ROOT", "CONTAINERS_RUN", "CONTAINERS_RUNTIME", "CONTAINERS_PSRUN", "CONTAINERS_SNAPSHOTTER"];

    readonly ContainerEngine engine;

    internal ContainerServices(ContainerEngine engine)
    {
        this.engine = engine;
    }

    /// <summary>Whether systemd is this host's service manager (sd_booted(3)).</summary>
    public static bool IsSystemdRunning => Directory.Exists("/run/systemd/system");

    /// <summary>The unit that starts, once after the machine's start, what <see cref="ContainerTasks.FindEndedByHostRestart"/> finds. Nothing is written.</summary>
    /// <exception cref="ContainerException"><c>SystemdNotRunning</c>, <c>InvalidArgument</c>, <c>HelperNotTrusted</c>.</exception>
    public ContainerServiceUnit ForRestarts(ContainerServiceOptions options) => new()
    {
        Name = RestartUnit,
        Path = Path.Combine(Folder(options), RestartUnit),
        Enabled = options.Enable,
        OfSystem = options.Folder is null,
        Content = Text("Start containers by their restart policies after the host's restart", [], options, null),
    };

    /// <summary>A unit that starts and stops one container. Nothing is written.</summary>
    /// <exception cref="ContainerException"><c>ContainerNotFound</c>, <c>SystemdNotRunning</c>, <c>InvalidArgument</c>, <c>HelperNotTrusted</c>.</exception>
    public ContainerServiceUnit ForContainer(string id, ContainerServiceOptions options, string? containerNamespace = null)
    {
        var ns = engine.NamespaceOr(containerNamespace);
        var record = engine.Containers.Load(ns, id);
        var name = UnitName(ns, id);
        // Whose namespaces it joins has to run first; those may have units or not.
        var before = record.Joins.Values.Distinct().Select(other => UnitName(ns, other)).ToList();
        return new()
        {
            Name = name,
            Path = Path.Combine(Folder(options), name),
            ContainerId = id,
            ContainerNamespace = ns,
            Enabled = options.Enable,
            OfSystem = options.Folder is null,
            Content = Text($"Container {id}" + (ns == "default" ? "" : $" of container namespace {ns}"), before, options, record),
        };
    }

    /// <summary>Ids have no colon: two containers never have one name.</summary>
    static string UnitName(string ns, string id) => ns == "default" ? $"container-{id}.service" : $"container-{ns}:{id}.service";

    /// <summary>Writes the file, whole or not at all, with the link that enables it or without; systemd hears of units of its own folder.</summary>
    /// <param name="force">Also in the place of a file that is there.</param>
    /// <exception cref="ContainerException"><c>ServiceExists</c> without <paramref name="force"/>; <c>StoreUnavailable</c>; <c>SystemdNotRunning</c>: systemctl failed, and the file stays.</exception>
    public async Task<ContainerServiceUnit> WriteAsync(ContainerServiceUnit unit, bool force = false, CancellationToken cancel = default)
    {
        if (!force && File.Exists(unit.Path))
        {
            throw new ContainerException(ErrorIds.ServiceExists, $"The unit file '{unit.Path}' exists. Use -Force to replace it, or -Path for another folder.", unit.Path, ContainerErrorCategory.ResourceExists);
        }
        try
        {
            Folders.Replace(unit.Path, Encoding.UTF8.GetBytes(unit.Content));
            // Others may read it: systemctl cat and status do, and it has no secret.
            File.SetUnixFileMode(unit.Path, Folders.PrivateFile | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
            Link(unit);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw Folders.Unavailable(unit.Path, e); }
        if (unit.OfSystem) { await ReloadAsync(cancel).ConfigureAwait(false); }
        return unit;
    }

    static void Link(ContainerServiceUnit unit)
    {
        var folder = Path.Combine(Path.GetDirectoryName(unit.Path)!, Wanted + ".wants");
        var link = Path.Combine(folder, unit.Name);
        if (!unit.Enabled)
        {
            // Replaced by one that is not to be started: the link of the former would start it.
            Syscall.unlink(link);
            return;
        }
        const UnixFileMode open = Folders.PrivateFolder | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;
        Directory.CreateDirectory(folder, open);
        var temporary = Path.Combine(folder, ".new-" + Names.Random());
        File.CreateSymbolicLink(temporary, "../" + unit.Name);
        if (Stdlib.rename(temporary, link) != 0)
        {
            var why = Stdlib.GetLastError();
            Syscall.unlink(temporary);
            throw new IOException($"rename to '{link}': {why}");
        }
        Folders.Sync(folder);
    }

    static string Folder(ContainerServiceOptions options)
    {
        if (options.Folder is { } folder)
        {
            return Directory.Exists(folder) ? Path.GetFullPath(folder)
                : throw new ContainerException(ErrorIds.InvalidArgument, $"There is no folder '{folder}' for the unit file. Make it first.", folder, ContainerErrorCategory.ObjectNotFound);
        }
        if (IsSystemdRunning) { return SystemFolder; }
        throw new ContainerException(ErrorIds.SystemdNotRunning, "systemd does not run on this host, so nothing would start the unit. Use -Path to write the file into another folder, such as that of an image.", SystemFolder, ContainerErrorCategory.ResourceUnavailable);
    }

    string Text(string description, IReadOnlyList<string> before, ContainerServiceOptions options, ContainerRecord? record)
    {
        // root runs it at each start of the machine.
        foreach (var file in options.Reads.Prepend(options.Start[0])) { RuntimeLookup.Trusted(file); }
        var text = new StringBuilder();
        text.Append("# Written by the PowerShell module Containers. Changes are lost when it is written again.\n[Unit]\n");
        text.Append("Description=").Append(description).Append('\n');
        text.Append("After=network.target local-fs.target");
        if (record is not null) { text.Append(' ').Append(RestartUnit); }
        foreach (var unit in before) { text.Append(' ').Append(unit); }
        text.Append('\n');
        if (before.Count > 0) { text.Append("Wants=").AppendJoin(' ', before).Append('\n'); }
        text.Append("RequiresMountsFor=").Append(Quoted(engine.Options.Root, "Root", command: false)).Append('\n');
        text.Append("\n[Service]\nType=oneshot\nRemainAfterExit=yes\nTimeoutStartSec=infinity\n");
        if (record is not null) { text.Append(CultureInfo.InvariantCulture, $"TimeoutStopSec={(long)Math.Ceiling(record.StopTimeoutSec) + StopMargin}\n"); }
        foreach (var name in s_variables)
        {
            if (Environment.GetEnvironmentVariable(name) is { Length: > 0 } value) { text.Append("Environment=").Append(Quoted($"{name}={value}", name, command: false)).Append('\n'); }
        }
        text.Append("ExecStart=").AppendJoin(' ', options.Start.Select(word => Quoted(word, "Start", command: true))).Append('\n');
        if (options.Stop is { } stop) { text.Append("ExecStop=").AppendJoin(' ', stop.Select(word => Quoted(word, "Stop", command: true))).Append('\n'); }
        text.Append("\n[Install]\nWantedBy=").Append(Wanted).Append('\n');
        return text.ToString();
    }

    /// <summary>A word as systemd.syntax(7) takes it: nothing in it is a specifier, a variable or an end.</summary>
    static string Quoted(string word, string of, bool command)
    {
        if (word.Any(char.IsControl)) { throw new ContainerException(ErrorIds.InvalidArgument, $"{of} is '{ShimErrors.Printable(word)}', which has a control character: no unit file takes that.", word, ContainerErrorCategory.InvalidArgument); }
        var quoted = word.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("%", "%%");
        return '"' + (command ? quoted.Replace("$", "$$") : quoted) + '"';
    }

    static async Task ReloadAsync(CancellationToken cancel)
    {
        var systemctl = new[] { "/usr/bin/systemctl", "/bin/systemctl" }.FirstOrDefault(File.Exists);
        string words;
        if (systemctl is null) { words = "there is no systemctl"; }
        else
        {
            using var process = Process.Start(ClosedProgram.Of(systemctl, "daemon-reload"))!;
            process.StandardInput.Close();
            var output = process.StandardOutput.ReadToEndAsync(cancel);
            words = await process.StandardError.ReadToEndAsync(cancel).ConfigureAwait(false);
            await output.ConfigureAwait(false);
            await process.WaitForExitAsync(cancel).ConfigureAwait(false);
            if (process.ExitCode == 0) { return; }
        }
        throw new ContainerException(ErrorIds.SystemdNotRunning, $"The unit file is written, but systemd could not be told: {ShimErrors.Printable(words)}. Run systemctl daemon-reload.", SystemFolder, ContainerErrorCategory.ResourceUnavailable);
    }
}
