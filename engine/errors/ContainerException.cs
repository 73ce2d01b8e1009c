namespace Containers;

/// <summary>What kind of failure it is; the cmdlets map each to the PowerShell category of the same name.</summary>
public enum ContainerErrorCategory
{
    NotSpecified,
    InvalidArgument,
    InvalidData,
    InvalidOperation,
    ObjectNotFound,
    ResourceExists,
    ResourceBusy,
    ResourceUnavailable,
    PermissionDenied,
    SecurityError,
    NotInstalled,
    NotImplemented,
    OperationTimeout,
    ReadError,
    WriteError,
    ConnectionError,
}

/// <summary>
/// A failure of the tool (never of the program in a container). <see cref="Id"/> is one word of <see cref="ErrorIds"/>,
/// documented in docs/errors.md; the message names the thing, the cause and the next step.
/// </summary>
public sealed class ContainerException : Exception
{
    public ContainerException(string id, string message, object? target, ContainerErrorCategory category,
        Exception? inner = null) : base(message, inner)
    {
        Id = id;
        Target = target;
        Category = category;
    }

    /// <summary>A word of <see cref="ErrorIds"/>.</summary>
    public string Id { get; }

    /// <summary>The id, path or object that the failure is about.</summary>
    public object? Target { get; }

    public ContainerErrorCategory Category { get; }
}
