using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "CgroupController")]
[OutputType(typeof(CgroupControllerInfo))]
public sealed class GetCgroupControllerCommand : EngineCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ControllerCompleter))]
    public string[]? Name { get; set; }

    protected override void ProcessRecord()
    {
        Try(null, () =>
        {
            IReadOnlyList<CgroupControllerInfo> all = Engine.Cgroups.Controllers();
            foreach (string name in Name ?? ["*"])
            {
                var pattern = WildcardPattern.Get(name, WildcardOptions.IgnoreCase);
                List<CgroupControllerInfo> found = all.Where(one => pattern.IsMatch(one.Name)).ToList();
                if (found.Count == 0 && !WildcardPattern.ContainsWildcardCharacters(name))
                    WriteError(Errors.Record(new ContainerException(ErrorIds.CgroupNotSupported, $"There is no controller '{name}'. Get-CgroupController lists those there are.", name, ContainerErrorCategory.ObjectNotFound), name));
                WriteObject(found, enumerateCollection: true);
            }
        });
    }
}
