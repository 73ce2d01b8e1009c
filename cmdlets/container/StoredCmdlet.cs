using System.Collections;
using System.Management.Automation;
using Containers.Linux.Oci;

namespace Containers.Cmdlets;

/// <summary>What <c>New-Container</c> and <c>Invoke-Container</c> have over a mere spec: a place in the store, a root, streams.</summary>
public abstract class StoredCmdlet : CreateCmdlet, IRegistryParameters
{
    [Parameter(Position = 0, ValueFromPipelineByPropertyName = true)]
    [Alias("ContainerId")]
    public string? Id { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = FromRootfs)]
    [Alias("Rootfs")]
    public string? RootfsPath { get; set; }

    [Parameter(ParameterSetName = FromRootfs)]
    public SwitchParameter Overlay { get; set; }

    [Parameter(ParameterSetName = FromRootfs)]
    public Spec? Spec { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = FromImage, ValueFromPipelineByPropertyName = true)]
    [Alias("Reference")]
    [ArgumentCompleter(typeof(ImageCompleter))]
    public string? Image { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    public string? Platform { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    [ArgumentCompleter(typeof(SnapshotterCompleter))]
    public string? Snapshotter { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    public ImagePullPolicy Pull { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    [Credential]
    public PSCredential? Credential { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    public SwitchParameter PlainHttp { get; set; }

    [Parameter(ParameterSetName = FromImage)]
    public SwitchParameter SkipCertificateCheck { get; set; }

    [Parameter(Mandatory = true, ParameterSetName = FromBundle)]
    public string? Bundle { get; set; }

    [Parameter]
    public IDictionary? Label { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(RuntimeCompleter))]
    public string? Runtime { get; set; }

    [Parameter]
    public SwitchParameter Interactive { get; set; }

    [Parameter]
    public string? RedirectStandardInput { get; set; }

    [Parameter]
    public string? RedirectStandardOutput { get; set; }

    [Parameter]
    public string? RedirectStandardError { get; set; }

    [Parameter]
    public SwitchParameter NullIO { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(LogUriCompleter))]
    public string? LogUri { get; set; }

    [Parameter]
    [ValidateRange(65536L, long.MaxValue)]
    public long? LogMaxSize { get; set; }

    [Parameter]
    [ValidateRange(2, 1000)]
    public int? LogMaxFiles { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(RestartPolicyCompleter))]
    public string? RestartPolicy { get; set; }

    [Parameter]
    public string[]? HealthCommand { get; set; }

    [Parameter]
    [Span]
    public TimeSpan? HealthInterval { get; set; }

    [Parameter]
    [Span]
    public TimeSpan? HealthTimeout { get; set; }

    [Parameter]
    [Span]
    public TimeSpan? HealthStartPeriod { get; set; }

    [Parameter]
    [ValidateRange(1, 1000)]
    public int? HealthRetries { get; set; }

    [Parameter]
    public ContainerHealthAction? HealthOnFailure { get; set; }

    [Parameter]
    public SwitchParameter NoHealthCheck { get; set; }

    [Parameter]
    [ArgumentCompleter(typeof(SignalCompleter))]
    public string? StopSignal { get; set; }

    [Parameter]
    [ValidateRange(0d, 86400d)]
    public double? StopTimeoutSec { get; set; }

    protected override void BeginProcessing()
    {
        base.BeginProcessing();
        if (Arguments.Mend(this, nameof(Id), Id, ArgumentList, out object[]? arguments))
            Id = null;
        ArgumentList = arguments;
        Amend(nameof(Id), Id);
        Amend(nameof(ArgumentList), ArgumentList);
    }

    protected ContainerCreateOptions StoredOptions()
    {
        ContainerCreateOptions options = SpecOptions();
        options.Id = Id;
        options.RootfsPath = RootfsPath is null ? null : HostPath(RootfsPath);
        options.Overlay = Overlay;
        options.Spec = Spec;
        options.Image = Image;
        options.Platform = Platform;
        options.Snapshotter = Snapshotter;
        options.Pull = Pull;
        options.Bundle = Bundle is null ? null : HostPath(Bundle);
        options.Label = Arguments.Table(Label);
        options.Runtime = Runtime is not null && Runtime.Contains('/', StringComparison.Ordinal) ? HostPath(Runtime) : Runtime;
        options.Interactive = Interactive;
        options.RedirectStandardInput = RedirectStandardInput is null ? null : HostPath(RedirectStandardInput);
        options.RedirectStandardOutput = RedirectStandardOutput is null ? null : HostPath(RedirectStandardOutput);
        options.RedirectStandardError = RedirectStandardError is null ? null : HostPath(RedirectStandardError);
        options.NullIO = NullIO;
        options.LogUri = LogUri;
        options.LogMaxSize = LogMaxSize;
        options.LogMaxFiles = LogMaxFiles;
        options.RestartPolicy = RestartPolicy;
        options.HealthCommand = HealthCommand;
        options.HealthInterval = HealthInterval;
        options.HealthTimeout = HealthTimeout;
        options.HealthStartPeriod = HealthStartPeriod;
        options.HealthRetries = HealthRetries;
        options.HealthOnFailure = HealthOnFailure;
        options.NoHealthCheck = NoHealthCheck;
        options.StopSignal = StopSignal;
        options.StopTimeoutSec = StopTimeoutSec;
        return options;
    }

    /// <summary>Makes the container beside the pipeline's thread; an image that is pulled and unpacked for it shows how far it is.</summary>
    private protected async Task<Container> CreateAsync(ContainerCreateOptions options, Pump pump, CancellationToken token)
    {
        if (Image is null)
            return await Engine.Containers.CreateAsync(options, token).ConfigureAwait(false);
        var view = new ImageProgressView(this, pump, $"Getting {Image}");
        options.Progress = view;
        options.Registry = RegistryWay.Of(this, pump);
        Container made = await Engine.Containers.CreateAsync(options, token).ConfigureAwait(false);
        view.EndLater();
        return made;
    }

    /// <summary>How the thing to be made is called in -WhatIf and -Confirm.</summary>
    protected string Planned => $"{Id ?? "a new id"} from {Image ?? RootfsPath ?? Bundle}{(Overlay ? " under a writable layer" : "")}";
}
