using Containers.Linux.Oci;

namespace Containers;

/// <summary>A container: metadata in the store. Nothing runs until it has a task.</summary>
public sealed class Container
{
    public required string Id { get; init; }
    public required string ContainerNamespace { get; init; }

    /// <summary>The image it was made from; null for a container over a root filesystem or a bundle.</summary>
    public string? Image { get; init; }

    /// <summary>Name or absolute path of the OCI runtime.</summary>
    public required string Runtime { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }
    public required IReadOnlyDictionary<string, string> Labels { get; init; }

    /// <summary>The OCI runtime spec as it was made; what a task gets differs in the root's path and in joined namespaces.</summary>
    public Spec Spec => Record.Spec;

    internal ContainerRecord Record { get; init; } = null!;

    /// <summary>The state of its task when this object was made, <see cref="ContainerTaskState.None"/> without one.</summary>
    public ContainerTaskState State { get; init; }

    /// <summary><c>no</c>, <c>on-failure[:N]</c>, <c>always</c> or <c>unless-stopped</c>.</summary>
    public string RestartPolicy { get; init; } = "no";

    /// <summary>The bundle folder that it was made from; null for the other kinds.</summary>
    public string? Bundle { get; init; }

    /// <summary>The folder used as root filesystem (the lower layer with <see cref="Overlay"/>); null for a container from an image.</summary>
    public string? RootfsPath { get; init; }

    /// <summary>What the image's name stood for when the container was made.</summary>
    public string? ImageDigest { get; init; }

    /// <summary>A private writable layer lies over the root filesystem.</summary>
    public bool Overlay { get; init; }

    /// <summary>The signal that asks the program to end, such as <c>SIGTERM</c>.</summary>
    public string StopSignal { get; init; } = "SIGTERM";

    /// <summary>How long a stop waits before it kills.</summary>
    public TimeSpan StopTimeout { get; init; }

    /// <summary>The program gets a terminal.</summary>
    public bool Tty => Record.Terminal;

    /// <summary>Standard input is kept open for clients.</summary>
    public bool Interactive { get; init; }

    /// <summary>The log file in the CRI format; null when nothing is kept.</summary>
    public string? LogPath { get; init; }

    public override string ToString() => Id;
}

/// <summary>What the task of a container does. <see cref="None"/>: there is no task.</summary>
public enum ContainerTaskState
{
    None,
    Creating,
    Created,
    Running,
    Paused,
    Stopped,

    /// <summary>Its program has ended, and its restart policy starts it again soon.</summary>
    Restarting,
}
