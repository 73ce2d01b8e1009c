using System.Management.Automation;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Find, "ContainerImage")]
[OutputType(typeof(ContainerRegistryItem))]
public sealed class FindContainerImageCommand : EngineCmdlet, IRegistryParameters
{
    [Parameter(Position = 0, ValueFromPipeline = true)]
    [Alias("Reference", "Image")]
    [SupportsWildcards]
    public string[]? Name { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(RegistryCompleter))]
    public string? Registry { get; set; }

    [Parameter]
    public SwitchParameter Referrer { get; set; }

    [Parameter]
    public string? ArtifactType { get; set; }

    [Parameter]
    [Credential]
    public PSCredential? Credential { get; set; }

    [Parameter]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter]
    public SwitchParameter SkipCertificateCheck { get; set; }

    protected override void ProcessRecord()
    {
        foreach (string? name in Name ?? [null!])
            Try(name ?? Registry, () => Find(name));
    }

    void Find(string? name)
    {
        bool catalogue = name is null || WildcardPattern.ContainsWildcardCharacters(name);
        if (catalogue && Registry is null)
            throw Errors.Argument("Which registry? Say one with -Registry, or a repository by its name.", name);
        if (ArtifactType is not null && !Referrer)
            throw Errors.Argument("-ArtifactType is about what refers to an image: it goes with -Referrer.", ArtifactType);
        if (catalogue && Referrer)
            throw Errors.Argument("-Referrer needs an image by its tag or digest.", name);
        string full = Registry is null ? name! : $"{Registry}/{name}";
        var pattern = WildcardPattern.Get(name ?? "*", WildcardOptions.IgnoreCase);
        Begin(async (pump, token) =>
        {
            RegistryOptions options = RegistryWay.Of(this, pump);
            if (Referrer)
            {
                IReadOnlyList<ContainerRegistryItem> found = await Engine.Registries.ReferrersAsync(full, ArtifactType, options, token).ConfigureAwait(false);
                pump.Post(() => WriteObject(found, enumerateCollection: true));
                return true;
            }
            // Written page by page, as they come.
            IAsyncEnumerable<ContainerRegistryItem> items = catalogue ? Engine.Registries.CatalogAsync(Registry!, options, token) : Engine.Registries.TagsAsync(full, options, token);
            await foreach (ContainerRegistryItem item in items.WithCancellation(token).ConfigureAwait(false))
            {
                if (!catalogue || pattern.IsMatch(item.Repository))
                    pump.Post(() => WriteObject(item));
            }
            return true;
        }).Finish();
    }
}
