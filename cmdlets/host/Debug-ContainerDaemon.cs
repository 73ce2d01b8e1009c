using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsDiagnostic.Debug, "ContainerDaemon", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerDaemonDump))]
public sealed class DebugContainerDaemonCommand : EngineCmdlet
{
    // Of a question that is asked for each of several.
    bool yesToAll, noToAll;

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [ValidateSet("dockerd", "containerd", "kubelet")]
    public string[] Name { get; set; } = [];

    [Parameter(ValueFromPipelineByPropertyName = true)]
    public int[]? ProcessId { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string name in Name)
        {
            IReadOnlyList<int> found = [];
            Try(name, () => found = Engine.Host.FindDaemons(name.ToLowerInvariant(), ProcessId));
            foreach (int pid in found)
                Try(pid, () => Dump(name.ToLowerInvariant(), pid));
        }
    }

    void Dump(string name, int pid)
    {
        bool ends = name == "kubelet";
        if (!ShouldProcess($"{name} {pid}", ends ? "Debug-ContainerDaemon by SIGABRT, which ends it" : "Debug-ContainerDaemon by SIGUSR1"))
            return;
        if (ends && !Force && !ShouldContinue($"SIGABRT ends {name} {pid}; whoever looks after it has to start it again. Go on?", "Debug-ContainerDaemon", ref yesToAll, ref noToAll))
            return;
        WriteObject(Wait(token => Engine.Host.DumpDaemonAsync(name, pid, token)));
    }
}
