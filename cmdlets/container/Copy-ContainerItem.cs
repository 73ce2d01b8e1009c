using System.Management.Automation;
using System.Threading.Channels;

namespace Containers.Cmdlets;

[Cmdlet(VerbsCommon.Copy, "ContainerItem", SupportsShouldProcess = true)]
[OutputType(typeof(byte[]))]
public sealed class CopyContainerItemCommand : TenantCmdlet, IJobCmdlet
{
    const string Stream = "-";

    Channel<ReadOnlyMemory<byte>>? archive;
    PumpedWork<long>? writing;
    bool declined;

    [Parameter(Mandatory = true, Position = 0)]
    public string Path { get; set; } = "";

    [Parameter(Mandatory = true, Position = 1)]
    public string Destination { get; set; } = "";

    [Parameter(ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    [SupportsWildcards]
    [ArgumentCompleter(typeof(ContainerIdCompleter))]
    public string[]? Id { get; set; }

    [Parameter(ValueFromPipeline = true)]
    [Alias("StandardInput")]
    public object? InputObject { get; set; }

    [Parameter]
    public SwitchParameter Archive { get; set; }

    [Parameter]
    public SwitchParameter FollowLink { get; set; }

    [Parameter]
    public string? Owner { get; set; }

    [Parameter]
    public SwitchParameter AsJob { get; set; }

    ContainerItemOptions Options => new() { Archive = Archive, FollowLink = FollowLink, Owner = Owner };

    bool NamesNone => Path.StartsWith(':') || Destination.StartsWith(':');

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        string? clash = Path == Stream && Destination == Stream ? "A stream is copied to a container or from it, not to another stream."
            : NamesNone && Id is null && !MyInvocation.ExpectingInput ? "A path that begins with ':' is of the container that -Id or the pipeline names, and none does."
            : AsJob && (Path == Stream || Destination == Stream) ? "A stream is of this pipeline, and a job has one of its own."
            : null;
        if (clash is not null)
            ThrowTerminatingError(Errors.Record(Errors.Argument(clash, Path), Path));
    }

    protected override void ProcessRecord()
    {
        if (IsTaken)
            return;
        if (Path == Stream)
        {
            Try(Destination, () => Feed(InputObject));
            return;
        }
        if (!NamesNone)
        {
            Try(Path, () => CopyOne(null));
            return;
        }
        foreach (string id in Id ?? [(InputObject is PSObject wrapped ? wrapped.BaseObject : InputObject) as string ?? ""])
        {
            if (id.Length > 0)
                Try(id, () => CopyOne(id));
            else
                Try(InputObject, () => throw Errors.Argument("What comes down the pipeline is no container.", InputObject));
        }
    }

    protected override void EndProcessing()
    {
        base.EndProcessing();
        if (archive is null)
            return;
        archive.Writer.TryComplete();
        Try(Destination, () => writing!.Finish());
    }

    void CopyOne(string? id)
    {
        if (id is not null && WildcardPattern.ContainsWildcardCharacters(id))
        {
            var pattern = WildcardPattern.Get(id, WildcardOptions.IgnoreCase);
            foreach (string one in Engine.Containers.ListIds(ContainerNamespace).Where(pattern.IsMatch))
                Try(one, () => CopyOne(one));
            return;
        }
        ContainerItem from = Item(Path, id);
        if (Destination == Stream)
        {
            if (ShouldProcess($"{from} as an archive", "Copy-ContainerItem"))
                Begin((pump, token) => ReadAsync(from, pump, token)).Finish();
            return;
        }
        ContainerItem to = Item(Destination, id);
        if (from.ContainerId is null && to.ContainerId is null)
            throw Errors.Argument($"Neither '{Path}' nor '{Destination}' is of a container: write ID:PATH for one of them. Copy-Item copies files of the host.", Path);
        if (ShouldProcess($"{from} to {to}", "Copy-ContainerItem"))
            Wait(token => Engine.Items.CopyAsync(from, to, Options, token));
    }

    async Task<bool> ReadAsync(ContainerItem from, Pump pump, CancellationToken token)
    {
        await Engine.Items.ReadArchiveAsync(from, piece =>
        {
            byte[] bytes = piece.ToArray();
            pump.Post(() => WriteObject(bytes));
            return ValueTask.CompletedTask;
        }, Options, token).ConfigureAwait(false);
        return true;
    }

    void Feed(object? value)
    {
        if (declined)
            return;
        if (archive is null)
        {
            ContainerItem to = Item(Destination, Id is { Length: 1 } ? Id[0] : null);
            if (to.ContainerId is null)
                throw Errors.Argument($"'{Destination}' is not of a container: an archive goes to ID:PATH.", Destination);
            declined = !ShouldProcess($"an archive to {to}", "Copy-ContainerItem");
            if (declined)
                return;
            archive = Channel.CreateBounded<ReadOnlyMemory<byte>>(64);
            writing = Begin((_, token) => WriteAsync(to, token));
        }
        object? plain = value is PSObject wrapped ? wrapped.BaseObject : value;
        // Get-Content -ReadCount gives its bytes in a list.
        if (plain is object[] list && LanguagePrimitives.TryConvertTo(list, out byte[] bytes))
            plain = bytes;
        if (plain is not (byte[] or byte))
            throw Errors.Argument($"A {plain?.GetType().Name ?? "null"} is no archive: give bytes, such as Get-Content -AsByteStream gives.", value);
        writing!.Until(PushAsync(ProgramInput.Bytes(plain)!.Value));
    }

    async Task PushAsync(ReadOnlyMemory<byte> bytes)
    {
        try
        {
            await archive!.Writer.WriteAsync(bytes, StopToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            // It has given up, and EndProcessing says why.
        }
    }

    async Task<long> WriteAsync(ContainerItem to, CancellationToken token)
    {
        try
        {
            return await Engine.Items.WriteArchiveAsync(to, archive!.Reader.ReadAllAsync(token), Options, token).ConfigureAwait(false);
        }
        finally
        {
            archive!.Writer.TryComplete();
        }
    }

    // ID:PATH is of a container where there is one of that id: a drive of PowerShell may have such a name too. With a slash in front of the first colon
    // it is a path of the host, as with docker.
    ContainerItem Item(string text, string? id)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon == 0)
            return new ContainerItem(id ?? throw Errors.Argument($"'{text}' is of the container that -Id or the pipeline names, and none does.", text), text[1..], ContainerNamespace);
        if (colon > 0 && Names.IsValid(text[..colon]))
        {
            string name = text[..colon];
            bool drive = SessionState.Drive.GetAll().Any(one => one.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
            if (!drive || Engine.Containers.ListIds(ContainerNamespace).Contains(name))
                return new ContainerItem(name, text[(colon + 1)..], ContainerNamespace);
        }
        return new ContainerItem(null, Ended(HostPath(text), text));
    }

    // PowerShell takes away what the end of a path says.
    static string Ended(string path, string text)
        => text is "." or "./" || text.EndsWith("/.", StringComparison.Ordinal) ? path.TrimEnd('/') + "/."
            : text.EndsWith('/') ? path.TrimEnd('/') + "/" : path;
}
