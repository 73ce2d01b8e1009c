using System.Management.Automation;

namespace Containers.Cmdlets;

/// <summary>What keeping processes in files and bringing them back have in common.</summary>
public abstract class CheckpointCmdlet : TasksCmdlet
{
    [Parameter]
    public string? Path { get; set; }

    [Parameter]
    public SwitchParameter TcpEstablished { get; set; }

    [Parameter]
    public SwitchParameter FileLock { get; set; }

    [Parameter]
    public SwitchParameter ExternalSocket { get; set; }

    private protected ContainerCheckpointOptions Options() => new()
    {
        Path = Path is null ? null : HostPath(Path), TcpEstablished = TcpEstablished, FileLocks = FileLock, ExternalSockets = ExternalSocket,
    };
}
