using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>From parameters to how a registry is spoken to.</summary>
static class RegistryWay
{
    public static RegistryCredential? Of(PSCredential? credential)
        => credential is null || credential == PSCredential.Empty ? null : new RegistryCredential(credential.UserName, credential.GetNetworkCredential().Password);

    /// <summary>Shows requests as verbose lines; called from any thread.</summary>
    public static Action<string> Verbose(Cmdlet cmdlet, Pump pump) => line =>
    {
        try
        {
            pump.Post(() => cmdlet.WriteVerbose(line));
        }
        catch (Exception e) when (e is OperationCanceledException or InvalidOperationException)
        {
            // Nobody looks any more.
        }
    };
}

/// <summary>A cmdlet that speaks to a registry.</summary>
public abstract class RegistryCmdlet : ImageCmdlet
{
    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    [Parameter]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter]
    public SwitchParameter SkipCertificateCheck { get; set; }

    /// <summary>Does the work with progress and verbose lines, on the pipeline's thread.</summary>
    private protected T Transfer<T>(RegistryOptions options, string? activity, Func<CancellationToken, Task<T>> act)
    {
        ImageProgressView? view = null;
        PumpedWork<T> work = Begin(async (pump, token) =>
        {
            options.Credential = RegistryWay.Of(Credential);
            options.PlainHttp = PlainHttp;
            options.SkipCertificateCheck = SkipCertificateCheck;
            options.Log = RegistryWay.Verbose(this, pump);
            options.Progress = activity is null ? null : view = ShowProgress(pump, activity);
            return await act(token).ConfigureAwait(false);
        });
        try
        {
            return work.Finish();
        }
        finally
        {
            if (!Stopping)
                view?.End();
        }
    }
}

/// <summary>The registries whose credentials are stored.</summary>
public sealed class RegistryCompleter : Completer
{
    protected override IEnumerable<string> Words(System.Collections.IDictionary bound) => EngineCmdlet.OpenEngine().Registries.ListNames();
}
