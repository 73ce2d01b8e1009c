using System.Collections;
using System.Globalization;
using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.New, "Namespace", DefaultParameterSetName = "Name", SupportsShouldProcess = true)]
[OutputType(typeof(LinuxNamespace))]
public sealed class NewNamespaceCommand : EngineCmdlet
{
    [Parameter(Mandatory = true)]
    public LinuxNamespaceType[] Type { get; set; } = [];

    [Parameter(Mandatory = true, Position = 0, ParameterSetName = "Name", ValueFromPipeline = true)]
    public string[] Name { get; set; } = [];

    [Parameter(Mandatory = true, ParameterSetName = "Path")]
    public string? Path { get; set; }

    [Parameter]
    public string[]? UidMap { get; set; }

    [Parameter]
    public string[]? GidMap { get; set; }

    [Parameter]
    public IDictionary? TimeOffset { get; set; }

    [Parameter]
    public string? HostName { get; set; }

    [Parameter]
    public SwitchParameter KeepInit { get; set; }

    protected override void ProcessRecord()
    {
        if (Path is not null)
            Try(Path, () => Make(null, HostPath(Path)));
        foreach (string name in Name)
            Try(name, () => Make(name, null));
    }

    void Make(string? name, string? folder)
    {
        var options = new NamespaceCreateOptions
        {
            Types = Type,
            Name = name,
            Folder = folder,
            UidMap = UidMap?.Select(NamespaceIdMap.Parse).ToList(),
            GidMap = GidMap?.Select(NamespaceIdMap.Parse).ToList(),
            HostName = HostName,
            KeepInit = KeepInit,
        };
        foreach (DictionaryEntry entry in TimeOffset ?? new Hashtable())
        {
            switch (Arguments.Text(entry.Key).ToUpperInvariant())
            {
                case "MONOTONIC":
                    options.MonotonicOffset = Span(entry.Value);
                    break;
                case "BOOTTIME":
                    options.BootTimeOffset = Span(entry.Value);
                    break;
                default:
                    throw Errors.Argument($"'{entry.Key}' is no clock of a time namespace: say Monotonic or BootTime.", entry.Key);
            }
        }
        if (ShouldProcess(string.Join(", ", Engine.Namespaces.PlanCreate(options)), "New-Namespace"))
            WriteObject(Engine.Namespaces.Create(options), enumerateCollection: true);
    }

    // A bare number means seconds, as in time_namespaces(7); PowerShell would take it for ticks.
    static TimeSpan Span(object? value)
    {
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        try
        {
            return plain is TimeSpan span ? span : plain is string text ? TimeSpan.Parse(text, CultureInfo.InvariantCulture) : TimeSpan.FromSeconds(LanguagePrimitives.ConvertTo<double>(plain));
        }
        catch (Exception e) when (e is FormatException or OverflowException or ArgumentException or PSInvalidCastException)
        {
            throw Errors.Argument($"'{plain}' is no time offset: give a time span, or a number of seconds.", plain);
        }
    }
}
