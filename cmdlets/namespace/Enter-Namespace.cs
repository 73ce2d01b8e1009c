using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Enter, "Namespace", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerRunResult))]
public sealed class EnterNamespaceCommand : NamespaceCommandCmdlet
{
    readonly List<NamespaceTarget> targets = [];

    [Parameter(Mandatory = true, Position = 0, ValueFromPipeline = true)]
    [ArgumentCompleter(typeof(NamespaceTargetCompleter))]
    public object[] Namespace { get; set; } = [];

    protected override void ProcessRecord()
    {
        foreach (object one in Namespace)
            Try(one, () => targets.Add(Target(one)));
    }

    // There is one terminal: whatever came down the pipeline is entered together.
    protected override void EndProcessing()
    {
        ArgumentList = Arguments.Rejoin(this, ArgumentList);
        NamespaceCommandOptions options = Options(targets);
        if (targets.Count == 0 || !ShouldProcess(string.Join(", ", targets), $"Enter-Namespace {string.Join(' ', options.ArgumentList)}".TrimEnd()))
            return;
        Try(Namespace, () =>
        {
            ContainerRunResult result = Engine.Namespaces.Enter(options);
            ProgramRun.SetExitCode(this, result.ExitCode ?? 255);
            if (PassThru)
                WriteObject(result);
        });
    }
}
