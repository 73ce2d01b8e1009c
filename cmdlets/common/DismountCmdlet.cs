using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>Takes mounts away by the folders that they are on.</summary>
public abstract class DismountCmdlet : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("LiteralPath")]
    public string[] Path { get; set; } = [];

    /// <param name="path">Absolute.</param>
    private protected abstract void Dismount(string path);

    protected override void ProcessRecord()
    {
        foreach (string one in Path)
        {
            Try(one, () =>
            {
                string path = HostPath(one);
                if (ShouldProcess(path, MyInvocation.MyCommand.Name))
                    Dismount(path);
            });
        }
    }
}
