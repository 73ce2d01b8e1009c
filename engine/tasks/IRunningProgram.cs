namespace Containers;

/// <summary>A program whose streams are attached: read by one caller until null comes; writing may happen beside it.</summary>
public interface IRunningProgram : IDisposable
{
    /// <summary>How the program ended: set when <see cref="ReadAsync"/> has returned null.</summary>
    ContainerRunResult? Result { get; }

    /// <summary>The next output; null when the program has ended and all of it was read.</summary>
    ValueTask<ContainerOutput?> ReadAsync(CancellationToken cancel = default);

    /// <summary>Gives bytes to the program's standard input.</summary>
    Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancel = default);

    /// <summary>Ends the program's standard input.</summary>
    Task CloseInputAsync(CancellationToken cancel = default);
}
