using System.Globalization;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Add, "CgroupProcess", SupportsShouldProcess = true)]
[OutputType(typeof(CgroupProcess))]
public sealed class AddCgroupProcessCommand : EngineCmdlet
{
    [Parameter(Mandatory = true, Position = 0)]
    [ArgumentCompleter(typeof(CgroupCompleter))]
    public string? Path { get; set; }

    [Parameter(Mandatory = true, Position = 1, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [Alias("Id")]
    public int[]? ProcessId { get; set; }

    [Parameter]
    public SwitchParameter Threaded { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void ProcessRecord()
    {
        foreach (int id in ProcessId!)
            Try(id, () => Add(id));
    }

    void Add(int id)
    {
        string number = id.ToString(CultureInfo.InvariantCulture);
        string plan = string.Join(Environment.NewLine, Engine.Cgroups.PlanMove(Path!, Threaded).Select(file => $"  {file}: -> {number}"));
        if (!ShouldProcess($"Performing the operation \"Add-CgroupProcess\" on target \"{number}\":{Environment.NewLine}{plan}", $"Move {number} to {Path}?", "Add-CgroupProcess"))
            return;
        Engine.Cgroups.Move(Path!, id, Threaded);
        if (PassThru)
            WriteObject(Engine.Cgroups.Processes(Path!, threads: Threaded).Where(member => (member.ThreadId ?? member.ProcessId) == id), enumerateCollection: true);
    }
}
