using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>The parameters that say how a registry is spoken to.</summary>
interface IRegistryParameters
{
    PSCredential? Credential { get; }
    SwitchParameter PlainHttp { get; }
    SwitchParameter SkipCertificateCheck { get; }
}

/// <summary>From parameters to how a registry is spoken to.</summary>
static class RegistryWay
{
    /// <summary>Fills in what the parameters say; requests become verbose lines.</summary>
    public static T Fill<T>(T options, IRegistryParameters from, Pump pump) where T : RegistryOptions
    {
        options.Credential = from.Credential is not { } given || given == PSCredential.Empty ? null : new RegistryCredential(given.UserName, given.GetNetworkCredential().Password);
        options.PlainHttp = from.PlainHttp;
        options.SkipCertificateCheck = from.SkipCertificateCheck;
        options.Log = line => pump.TryPost(() => ((Cmdlet)from).WriteVerbose(line));
        return options;
    }

    public static RegistryOptions Of(IRegistryParameters from, Pump pump) => Fill(new RegistryOptions(), from, pump);
}

/// <summary>A cmdlet that speaks to a registry.</summary>
public abstract class RegistryCmdlet : ImageCmdlet, IRegistryParameters
{
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    [Parameter]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter]
    public SwitchParameter SkipCertificateCheck { get; set; }

    /// <summary>Does the work with progress and verbose lines, on the pipeline's thread.</summary>
    private protected T Transfer<T>(RegistryOptions options, string activity, Func<CancellationToken, Task<T>> act)
        => WithProgress(activity, (view, token) =>
        {
            RegistryWay.Fill(options, this, view.Pump).Progress = view;
            return act(token);
        });
}

/// <summary>The registries whose credentials are stored.</summary>
public sealed class RegistryCompleter : Completer
{
    protected override IEnumerable<string> Words(System.Collections.IDictionary bound) => EngineCmdlet.OpenEngine().Registries.ListNames();
}
