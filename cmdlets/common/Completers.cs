using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Containers.Cmdlets;

/// <summary>Completes a word from local state; whatever fails completes nothing.</summary>
public abstract class Completer : IArgumentCompleter
{
    protected abstract IEnumerable<string> Words(IDictionary bound);

    public IEnumerable<CompletionResult> CompleteArgument(string commandName, string parameterName, string wordToComplete, CommandAst commandAst, IDictionary fakeBoundParameters)
    {
        var results = new List<CompletionResult>();
        try
        {
            var pattern = WildcardPattern.Get((wordToComplete ?? "").Trim('\'', '"') + "*", WildcardOptions.IgnoreCase);
            foreach (string word in Words(fakeBoundParameters))
            {
                if (pattern.IsMatch(word))
                    results.Add(new CompletionResult(word.Any(c => !char.IsAsciiLetterOrDigit(c) && !"_.-/:".Contains(c, StringComparison.Ordinal)) ? $"'{word.Replace("'", "''", StringComparison.Ordinal)}'" : word,
                        word, CompletionResultType.ParameterValue, word));
            }
        }
        catch (Exception e) when (Errors.IsFailure(e))
        {
            // A prompt has no place for an error.
        }
        return results;
    }

    protected static string? Namespace(IDictionary bound) => bound.Contains("ContainerNamespace") ? bound["ContainerNamespace"]?.ToString() : null;
}

public sealed class ContainerIdCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Containers.ListIds(Namespace(bound));
}

public sealed class ContainerNamespaceCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().ContainerNamespaces.ListNames();
}

public sealed class VolumeCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Volumes.ListNames(Namespace(bound));
}

public sealed class NetworkCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
    {
        ContainerEngine engine = EngineCmdlet.OpenEngine();
        return new[] { "none", "host" }.Concat(engine.Networks.List().Select(network => network.Name)).Concat(engine.Containers.ListIds(Namespace(bound)).Select(id => "container:" + id));
    }
}

public sealed class NetworkNameCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Networks.List().Select(network => network.Name);
}

public sealed class NamespaceChoiceCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
        => new[] { "private", "host" }.Concat(EngineCmdlet.OpenEngine().Containers.ListIds(Namespace(bound)).Select(id => "container:" + id));
}

/// <summary>What namespaces can be named by without a path.</summary>
public sealed class NamespaceTargetCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
    {
        ContainerEngine engine = EngineCmdlet.OpenEngine();
        return engine.Containers.ListIds(Namespace(bound)).Concat(engine.Namespaces.ListNames()).Distinct();
    }
}

/// <summary>The names of kept namespaces.</summary>
public sealed class NamespaceNameCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Namespaces.ListNames();
}

public sealed class LogUriCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => ["file:///", "journald:", "syslog:", "binary:///", "none:"];
}

public sealed class SignalCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
        => ["TERM", "KILL", "HUP", "INT", "QUIT", "USR1", "USR2", "STOP", "CONT", "WINCH", "ABRT", "ALRM", "CHLD", "PIPE", "TSTP", "TTIN", "TTOU", "URG"];
}

public sealed class CapabilityCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) =>
    [
        "ALL", "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID",
        "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "PERFMON",
        "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE",
        "SYS_TIME", "SYS_TTY_CONFIG", "WAKE_ALARM",
    ];
}

/// <summary>A file's path is completed by PowerShell when no word fits.</summary>
public sealed class SeccompProfileCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => ["default", "unconfined"];
}

/// <summary>Programs that are linked statically and take the container's own after <c>--</c>.</summary>
public sealed class InitCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => ["tini-static", "catatonit", "docker-init", "dumb-init"];
}

public sealed class RestartPolicyCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => ["no", "on-failure", "always", "unless-stopped"];
}

public sealed class RuntimeCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound)
        => new[] { "psrun" }.Concat(new[] { "runc", "crun", "youki", "runsc", "kata-runtime" }.Where(OnPath));

    static bool OnPath(string name)
        => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Any(folder => File.Exists(Path.Combine(folder, name)));
}

public sealed class CgroupCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Cgroups.Paths("/", recurse: true);
}

public sealed class ControllerCompleter : Completer
{
    protected override IEnumerable<string> Words(IDictionary bound) => EngineCmdlet.OpenEngine().Cgroups.Controllers().Where(one => one.State != CgroupControllerState.NotInKernel).Select(one => one.Name);
}
