using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "Namespace", DefaultParameterSetName = "All")]
[OutputType(typeof(LinuxNamespace))]
public sealed class GetNamespaceCommand : TargetCmdlet
{
    // A number, and by name only: what comes down the pipeline is a container or a process, never an inode.
    [Parameter]
    public ulong[]? Id { get; set; }

    [Parameter]
    public LinuxNamespaceType[]? Type { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Process")]
    public int[]? ProcessId { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = "Container", Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Container { get; set; }

    protected override IReadOnlyList<string>? Targets => Container;

    protected override void ProcessRecord()
    {
        if (ProcessId is not null)
        {
            foreach (int pid in ProcessId)
                Try(pid, () => Write(Engine.Namespaces.List(processId: pid)));
        }
        else if (Container is not null)
        {
            foreach (ContainerTask task in FindTasks())
                Try(task.ContainerId, () => Write(Engine.Namespaces.List(containerId: task.ContainerId, containerNamespace: task.ContainerNamespace)));
        }
        else
            Try(null, () => Write(Engine.Namespaces.List()));
    }

    void Write(IEnumerable<LinuxNamespace> namespaces)
    {
        foreach (LinuxNamespace one in namespaces)
        {
            if (Type?.Contains(one.Type) != false && Id?.Contains(one.Id) != false)
                WriteObject(one);
        }
    }
}
