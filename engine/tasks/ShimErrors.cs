namespace Containers;

/// <summary>From the shim's words and the runtime's to our errors.</summary>
static class ShimErrors
{
    internal static ContainerException ToException(string id, string message, string container)
    {
        var words = Printable(message);
        return id switch
        {
            "TaskExists" => New(ErrorIds.TaskExists, $"The container '{container}' has a task already. Remove it with Remove-ContainerTask.", ContainerErrorCategory.ResourceExists),
            "TaskNotRunning" => NotRunning(container),
            "TaskNotCreated" => New(ErrorIds.TaskRunning, $"The task of container '{container}' was started already.", ContainerErrorCategory.InvalidOperation),
            "TaskRunning" => New(ErrorIds.TaskRunning, $"The task of container '{container}' runs. Stop it with Stop-ContainerTask, or say -Force to kill it.", ContainerErrorCategory.ResourceBusy),
            "TaskPaused" => New(ErrorIds.TaskPaused, $"The task of container '{container}' is paused. Resume it with Resume-ContainerTask.", ContainerErrorCategory.InvalidOperation),
            "TaskNotPaused" => New(ErrorIds.TaskNotPaused, $"The task of container '{container}' is not paused.", ContainerErrorCategory.InvalidOperation),
            "ExecExists" => New(ErrorIds.ExecExists, $"The container '{container}' has an exec process of that id already: {words}. Choose another id.", ContainerErrorCategory.ResourceExists),
            "ExecNotFound" => New(ErrorIds.ExecNotFound, $"The container '{container}' has no such exec process: {words}.", ContainerErrorCategory.ObjectNotFound),
            "NoStandardInput" => New(ErrorIds.InvalidArgument, $"The program in container '{container}' has no standard input to give to. Make the container with Interactive.", ContainerErrorCategory.InvalidOperation),
            "NotATerminal" => New(ErrorIds.InvalidArgument, $"The program in container '{container}' has no terminal. Make the container with Tty.", ContainerErrorCategory.InvalidOperation),
            "BadRequest" => New(ErrorIds.ShimTooOld, $"The shim of container '{container}' does not know what it was asked: {words}. An older version of the module started it, and it goes on as that had it: stop the container and start it again.", ContainerErrorCategory.NotImplemented),
            "RuntimeFailed" => OfRuntime(words, container),
            "FileFailed" => New(ErrorIds.StoreUnavailable, $"The shim of container '{container}' could not open a file: {words}. Check the redirections and the disk.", ContainerErrorCategory.WriteError),
            _ => New(ErrorIds.ShimFailed, $"The shim of container '{container}' could not do it ({Printable(id)}): {words}.", ContainerErrorCategory.InvalidOperation),
        };

        ContainerException New(string ours, string text, ContainerErrorCategory category) => new(ours, text, container, category);
    }

    internal static ContainerException NotRunning(string container) => new(ErrorIds.TaskNotRunning,
        $"The task of container '{container}' does not run. Start it with Start-ContainerTask.", container, ContainerErrorCategory.InvalidOperation);

    /// <summary>The words that docker and podman look for in a runtime's last line.</summary>
    static ContainerException OfRuntime(string words, string container)
    {
        // The program comes last in these lines; a mount or a hook that is missing says so before it.
        var program = words.Contains("exec", StringComparison.OrdinalIgnoreCase) || words.Contains("process.args", StringComparison.Ordinal);
        if (words.Contains("executable file not found in $PATH", StringComparison.OrdinalIgnoreCase)
            || program && words.Contains("no such file or directory", StringComparison.OrdinalIgnoreCase))
        {
            return new ContainerException(ErrorIds.ExecutableNotFound, $"The program of container '{container}' was not found inside it: {words}. Check ArgumentList, PATH and the root filesystem.",
                container, ContainerErrorCategory.ObjectNotFound);
        }
        if (program && words.Contains("permission denied", StringComparison.OrdinalIgnoreCase))
        {
            return new ContainerException(ErrorIds.ExecutableNotPermitted, $"The program of container '{container}' may not be executed: {words}. Check its mode and the user.",
                container, ContainerErrorCategory.PermissionDenied);
        }
        return new ContainerException(ErrorIds.RuntimeFailed, $"The runtime could not do it for container '{container}': {words}.", container, ContainerErrorCategory.InvalidOperation);
    }

    // It goes to a terminal in the end, and a program in the container may have had a say in it.
    internal static string Printable(string text)
    {
        var clean = new System.Text.StringBuilder(Math.Min(text.Length, 2000));
        foreach (var c in text.AsSpan(0, Math.Min(text.Length, 2000))) { clean.Append(char.IsControl(c) ? ' ' : c); }
        return clean.ToString().Trim().TrimEnd('.');
    }
}
