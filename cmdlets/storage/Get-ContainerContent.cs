using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Get, "ContainerContent")]
[OutputType(typeof(ContainerContent))]
public sealed class GetContainerContentCommand : EngineCmdlet
{
    [Parameter(Position = 0, ValueFromPipeline = true, ValueFromPipelineByPropertyName = true)]
    [SupportsWildcards]
    public string[]? Digest { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string digest in Digest ?? ["*"])
        {
            Try(digest, () =>
            {
                if (!WildcardPattern.ContainsWildcardCharacters(digest))
                {
                    var parsed = Containers.Digest.Parse(digest);
                    WriteObject(Engine.Content.Find(parsed) ?? throw new ContainerException(ErrorIds.ContentNotFound, $"The content {digest} is not in the store. Get-ContainerContent lists what is.", digest, ContainerErrorCategory.ObjectNotFound));
                    return;
                }
                var pattern = WildcardPattern.Get(digest, WildcardOptions.IgnoreCase);
                foreach (ContainerContent content in Engine.Content.List())
                {
                    if (pattern.IsMatch(content.Digest))
                        WriteObject(content);
                }
            });
        }
    }
}
