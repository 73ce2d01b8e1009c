using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsLifecycle.Start, "ContainerTask", SupportsShouldProcess = true)]
[OutputType(typeof(ContainerTask), typeof(string))]
public sealed class StartContainerTaskCommand : ManyCmdlet
{
    [Parameter]
    public SwitchParameter Attach { get; set; }

    [Parameter]
    public SwitchParameter Interactive { get; set; }

    [Parameter]
    public string? DetachKeys { get; set; }

    [Parameter]
    public SwitchParameter AfterHostRestart { get; set; }

    [Parameter]
    public SwitchParameter PassThru { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = Interactive && !Attach ? "-Interactive hands the terminal to a program that is attached to: give -Attach too."
            : DetachKeys is not null && !Interactive ? "-DetachKeys are typed at a terminal: give -Attach and -Interactive too."
            : AfterHostRestart && Attach ? "-AfterHostRestart starts what the host's restart has ended, and nobody is attached to that: leave -Attach out."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, Id), Id));
    }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        if (AfterHostRestart)
        {
            foreach (string id in Id ?? [])
                RestartEnded(id);
            return;
        }
        foreach (Container container in FindContainers())
        {
            if (!ShouldProcess(container.Id, "Start-ContainerTask"))
                continue;
            if (Attach)
                Try(container.Id, () => StartAttached(container.Id, container.ContainerNamespace));
            else
                Each(container.Id, token => StartAsync(container.Id, container.ContainerNamespace, token));
        }
    }

    // By their names alone: one record that cannot be read must not keep the others down.
    void RestartEnded(string id)
    {
        IReadOnlyList<string> ids = [id];
        if (WildcardPattern.ContainsWildcardCharacters(id))
        {
            var pattern = WildcardPattern.Get(id, WildcardOptions.IgnoreCase);
            if (!Try(id, () => ids = Engine.Containers.ListIds(ContainerNamespace)))
                return;
            ids = ids.Where(one => pattern.IsMatch(one)).ToList();
        }
        foreach (string one in ids)
        {
            ContainerTask? ended = null;
            if (Try(one, () => ended = Engine.Tasks.FindEndedByHostRestart(one, ContainerNamespace)) && ended is not null && ShouldProcess(one, "Start-ContainerTask"))
                Each(one, token => RestartAsync(one, ended.ContainerNamespace, token));
        }
    }

    async Task<object?> RestartAsync(string id, string ns, CancellationToken token)
    {
        try
        {
            return await StartAsync(id, ns, token).ConfigureAwait(false);
        }
        // A unit of its own, or somebody, was quicker.
        catch (ContainerException e) when (e.Id == ErrorIds.TaskRunning)
        {
            return null;
        }
    }

    async Task<object?> StartAsync(string id, string ns, CancellationToken token)
    {
        ContainerTask task = await Engine.Tasks.StartAsync(id, ns, token).ConfigureAwait(false);
        return PassThru ? task : null;
    }

    void StartAttached(string id, string ns)
    {
        if (Interactive)
        {
            ProgramRun.Finish(this, Begin((_, token) => TaskRun.StartHandedOverAsync(Engine, id, ns, DetachKeys, token)), passThru: false, id);
            if (PassThru)
                WriteObject(Engine.Tasks.Get(id, ns));
            return;
        }
        PumpedWork<ContainerRunResult> work = Begin(async (pump, token) =>
        {
            using ContainerAttachment program = await TaskRun.StartAttachedAsync(Engine, id, ns, input: false, removes: false, token).ConfigureAwait(false);
            return await ProgramRun.StreamAsync(program, new ProgramOutput(this, pump, OutputForm.Lines), null, token).ConfigureAwait(false);
        });
        ProgramRun.Finish(this, work, passThru: false, id);
        if (PassThru)
            WriteObject(Engine.Tasks.Get(id, ns));
    }
}
