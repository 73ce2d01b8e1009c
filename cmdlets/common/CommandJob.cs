using System.Collections;
using System.Management.Automation;
using System.Management.Automation.Runspaces;

namespace Containers.Cmdlets;

/// <summary>A cmdlet that takes long, and can be run as a job.</summary>
interface IJobCmdlet
{
    SwitchParameter AsJob { get; }
}

/// <summary>The same command beside this PowerShell, in a runspace of its own: a job with output, errors, progress and stop.</summary>
sealed class CommandJob : Job
{
    readonly PowerShell shell;
    readonly Runspace runspace;
    readonly PSDataCollection<object> input = [];

    CommandJob(PSCmdlet cmdlet, IDictionary parameters, IEnumerable<PSObject> objects) : base(cmdlet.MyInvocation.Line.Trim(), null)
    {
        PSJobTypeName = "ContainerJob";
        var state = InitialSessionState.CreateDefault2();
        state.ImportPSModule([Path.Combine(ModuleLoader.ModuleRoot ?? throw Errors.Argument("The module was not loaded from its folder, so that a job cannot load it.", null), "Containers.psd1")]);
        runspace = RunspaceFactory.CreateRunspace(cmdlet.Host, state);
        runspace.Open();
        runspace.SessionStateProxy.Path.SetLocation(cmdlet.SessionState.Path.CurrentFileSystemLocation.Path);
        shell = PowerShell.Create();
        shell.Runspace = runspace;
        shell.AddCommand(cmdlet.MyInvocation.MyCommand.Name).AddParameters(parameters);
        shell.Streams.Error = Error;
        shell.Streams.Progress = Progress;
        shell.Streams.Verbose = Verbose;
        shell.Streams.Debug = Debug;
        shell.Streams.Warning = Warning;
        shell.Streams.Information = Information;
        shell.InvocationStateChanged += (_, change) => Changed(change.InvocationStateInfo);
        foreach (PSObject one in objects)
            input.Add(one);
        input.Complete();
    }

    public override bool HasMoreData => Output.Count > 0 || Error.Count > 0 || Information.Count > 0 || Warning.Count > 0 || Verbose.Count > 0 || Progress.Count > 0;

    public override string Location => "localhost";

    public override string StatusMessage => "";

    public static CommandJob Start(PSCmdlet cmdlet, IDictionary parameters, IReadOnlyCollection<PSObject> objects)
    {
        var job = new CommandJob(cmdlet, parameters, objects);
        job.SetJobState(JobState.Running);
        if (objects.Count > 0)
            job.shell.BeginInvoke(job.input, job.Output);
        else
            job.shell.BeginInvoke<object, PSObject>(null, job.Output);
        return job;
    }

    public override void StopJob() => shell.Stop();

    void Changed(PSInvocationStateInfo now)
    {
        switch (now.State)
        {
            case PSInvocationState.Completed:
                SetJobState(JobState.Completed);
                break;
            case PSInvocationState.Stopped:
                SetJobState(JobState.Stopped);
                break;
            case PSInvocationState.Failed:
                Error.Add(now.Reason is IContainsErrorRecord failed ? failed.ErrorRecord : new ErrorRecord(now.Reason, "JobFailed", ErrorCategory.NotSpecified, null));
                SetJobState(JobState.Failed);
                break;
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            shell.Dispose();
            runspace.Dispose();
            input.Dispose();
        }
        base.Dispose(disposing);
    }
}

/// <summary>Gathers what a command was given, to run it as a job at the end.</summary>
sealed class JobStart
{
    readonly PSCmdlet cmdlet;
    readonly Dictionary<string, object?> fixedOnes = new(StringComparer.OrdinalIgnoreCase);
    readonly HashSet<string> amended = new(StringComparer.OrdinalIgnoreCase);
    readonly List<PSObject> objects = [];

    public JobStart(PSCmdlet cmdlet)
    {
        this.cmdlet = cmdlet;
        foreach ((string name, object? value) in cmdlet.MyInvocation.BoundParameters)
            fixedOnes[name] = value;
        fixedOnes.Remove(nameof(IJobCmdlet.AsJob));
    }

    public void Amend(string parameter, object? value)
    {
        amended.Add(parameter);
        if (value is null)
            fixedOnes.Remove(parameter);
        else
            fixedOnes[parameter] = value;
    }

    /// <summary>In place of the record: what the pipeline gave is kept by the names of its parameters.</summary>
    public void Take()
    {
        var one = new PSObject();
        foreach ((string name, object? value) in cmdlet.MyInvocation.BoundParameters)
        {
            if (name != nameof(IJobCmdlet.AsJob) && !fixedOnes.ContainsKey(name) && !amended.Contains(name))
                one.Properties.Add(new PSNoteProperty(name, value));
        }
        // The object itself, whose properties are bound anew.
        if (one.Properties["StandardInput"] is { Value: { } whole })
            objects.Add(PSObject.AsPSObject(whole));
        // One value alone may be taken by value only.
        else if (one.Properties.Any())
            objects.Add(one.Properties.Count() == 1 ? PSObject.AsPSObject(one.Properties.First().Value) : one);
    }

    public void Start()
    {
        if (cmdlet.MyInvocation.ExpectingInput && objects.Count == 0)
            return;
        string what = objects.Count > 0 ? string.Join(", ", objects.Select(one => LanguagePrimitives.ConvertTo<string>(one.Properties["Id"]?.Value ?? one)))
            : LanguagePrimitives.ConvertTo<string>(fixedOnes.GetValueOrDefault("Id") ?? fixedOnes.GetValueOrDefault("Reference") ?? fixedOnes.GetValueOrDefault("Path")
                ?? fixedOnes.GetValueOrDefault("Image") ?? fixedOnes.GetValueOrDefault("RootfsPath") ?? fixedOnes.GetValueOrDefault("Bundle")) ?? "";
        // Asked here: a job has nobody to ask.
        if (cmdlet.MyInvocation.MyCommand is CmdletInfo info && info.Parameters.ContainsKey("Confirm"))
        {
            if (!cmdlet.ShouldProcess(what, $"{info.Name} as a job"))
                return;
            fixedOnes["Confirm"] = false;
        }
        CommandJob job = CommandJob.Start(cmdlet, fixedOnes, objects);
        cmdlet.JobRepository.Add(job);
        cmdlet.WriteObject(job);
    }
}
