using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Set, "Container", SupportsShouldProcess = true)]
[OutputType(typeof(Container))]
public sealed class SetContainerCommand : ActingCmdlet
{
    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SignalCompleter))]
    public string? StopSignal { get; set; }

    [Parameter]
    [ValidateRange(0d, 86400d)]
    public double? StopTimeoutSec { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(RestartPolicyCompleter))]
    public string? RestartPolicy { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        var options = new ContainerUpdateOptions { Label = Labels(), StopSignal = StopSignal, StopTimeoutSec = StopTimeoutSec, RestartPolicy = RestartPolicy };
        foreach (Container container in FindContainers())
        {
            if (!ShouldProcess(container.Id, "Set-Container"))
                continue;
            Try(container.Id, () =>
            {
                Container changed = Wait(token => Engine.Containers.UpdateAsync(container.Id, options, container.ContainerNamespace, token));
                if (PassThru)
                    WriteObject(changed);
            });
        }
    }

    // Here null means something: the label goes.
    Dictionary<string, string?>? Labels()
        => Label?.Keys.Cast<object>().ToDictionary(Arguments.Text, key => Label[key] is { } value ? Arguments.Text(value) : null, StringComparer.Ordinal);
}
