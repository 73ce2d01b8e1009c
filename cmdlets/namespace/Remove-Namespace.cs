using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Remove, "Namespace", DefaultParameterSetName = "Name", SupportsShouldProcess = true)]
public sealed class RemoveNamespaceCommand : EngineCmdlet
{
    // As many as are held open at once, for the word on who holds them still.
    const int Most = 256;

    readonly List<RemovedNamespace> removed = [];
    LinuxNamespaceSnapshot? snapshot;

    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Name")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(NamespaceNameCompleter))]
    public string[] Name { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "InputObject", ValueFromPipeline = true)]
    public LinuxNamespace[] InputObject { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "LiteralPath", ValueFromPipelineByPropertyName = true)]
    [Alias("PSPath", "LP")]
    public string[] LiteralPath { get; set; } = [];

    [Parameter]
    public LinuxNamespaceType[]? Type { get; set; }

    [Parameter]
    public SwitchParameter Force { get; set; }

    protected override void ProcessRecord()
    {
        foreach (LinuxNamespace one in InputObject)
            Remove(one);
        foreach (string name in Name)
            Try(name, () => Named(name).ForEach(Remove));
        foreach (string path in LiteralPath)
        {
            Try(path, () =>
            {
                ulong id = Engine.Namespaces.Identify(HostPath(path)).Id;
                snapshot = snapshot?.Find(id) is null ? Engine.Namespaces.Snapshot() : snapshot;
                if (snapshot.Find(id) is { } one)
                    Remove(one);
            });
        }
    }

    List<LinuxNamespace> Named(string name)
    {
        snapshot ??= Engine.Namespaces.Snapshot();
        var pattern = WildcardPattern.Get(name, WildcardOptions.None);
        var found = snapshot.All.Where(one => one.Name is not null && pattern.IsMatch(one.Name)).ToList();
        return found.Count > 0 || WildcardPattern.ContainsWildcardCharacters(name) ? found
            : throw new ContainerException(ErrorIds.NamespaceNotFound, $"No namespace is kept by the name '{name}'. Get-Namespace lists those that are there.", name, ContainerErrorCategory.ObjectNotFound);
    }

    void Remove(LinuxNamespace one)
    {
        if (Type?.Contains(one.Type) == false)
            return;
        Try(one, () =>
        {
            if (!ShouldProcess(string.Join(", ", Engine.Namespaces.PlanRemove(one, Force)), "Remove-Namespace"))
                return;
            removed.Add(Engine.Namespaces.Remove(one, Force));
        });
        if (removed.Count == Most)
            WarnOfSurvivors();
    }

    protected override void EndProcessing() => WarnOfSurvivors();

    protected override void Dispose(bool disposing)
    {
        removed.ForEach(one => one.Dispose());
        base.Dispose(disposing);
    }

    // One look at the host tells what lives on, and by whom.
    void WarnOfSurvivors()
    {
        if (removed.Count == 0)
            return;
        Try(null, () =>
        {
            LinuxNamespaceSnapshot now = Engine.Namespaces.Snapshot();
            foreach (RemovedNamespace one in removed)
            {
                if (LinuxNamespaces.LivesOn(now, one) is { } holders)
                    WriteWarning($"{one.Namespace.Type.ToString().ToLowerInvariant()} namespace {one.Namespace.Id} lives on, {holders}.");
            }
        });
        removed.ForEach(one => one.Dispose());
        removed.Clear();
    }
}
