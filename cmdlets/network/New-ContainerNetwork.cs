using System.Collections;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "ContainerNetwork", SupportsShouldProcess = true, DefaultParameterSetName = Named)]
[OutputType(typeof(ContainerNetwork))]
public sealed class NewContainerNetworkCommand : EngineCmdlet
{
    const string Named = "Name";
    const string OfFile = "File";

    [Parameter(Mandatory = true, Position = 0, ParameterSetName = Named)]
    [Alias("Network")]
    public string Name { get; set; } = "";

    [Parameter(ParameterSetName = Named)]
    [ValidateSet("bridge", "macvlan", "ipvlan", "ptp", "host-device")]
    public string Driver { get; set; } = "bridge";

    [Parameter(ParameterSetName = Named)]
    public string[] Subnet { get; set; } = [];

    [Parameter(ParameterSetName = Named)]
    public string[] Gateway { get; set; } = [];

    [Parameter(ParameterSetName = Named)]
    public string[] IPRange { get; set; } = [];

    [Parameter(ParameterSetName = Named)]
    public int? Mtu { get; set; }

    [Parameter(ParameterSetName = Named)]
    public SwitchParameter Internal { get; set; }

    [Parameter(ParameterSetName = Named)]
    public int? Vlan { get; set; }

    [Parameter(ParameterSetName = Named)]
    public IDictionary? Option { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = OfFile)]
    public string FromFile { get; set; } = "";

    protected override void EndProcessing()
    {
        base.EndProcessing();
        if (ParameterSetName == OfFile)
        {
            if (ShouldProcess(FromFile, "New-ContainerNetwork"))
                Try(FromFile, () => WriteObject(Wait(token => Engine.Networks.CreateFromFileAsync(HostPath(FromFile), token))));
            return;
        }
        var options = new NetworkCreateOptions
        {
            Name = Name, Driver = Driver.ToLowerInvariant(), Subnet = Subnet, Gateway = Gateway, IPRange = IPRange, Mtu = Mtu, Internal = Internal, Vlan = Vlan,
            Option = Arguments.Table(Option) ?? new Dictionary<string, string>(),
        };
        if (ShouldProcess(Name, "New-ContainerNetwork"))
            Try(Name, () => WriteObject(Wait(token => Engine.Networks.CreateAsync(options, token))));
    }
}
