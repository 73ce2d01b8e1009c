using System.Management.Automation;
using System.Text;
using System.Threading.Channels;

namespace Containers.Cmdlets;

/// <summary>Brings what comes down the pipeline to a program's standard input.</summary>
sealed class ProgramInput
{
    // Bounded: a program that does not read holds the pipeline up, as a pipe would.
    readonly Channel<ReadOnlyMemory<byte>> channel = Channel.CreateBounded<ReadOnlyMemory<byte>>(64);

    /// <summary>Text becomes a line, bytes stay as they are; null for what is neither.</summary>
    public static ReadOnlyMemory<byte>? Bytes(object? value) => (value is PSObject wrapped ? wrapped.BaseObject : value) switch
    {
        byte[] bytes => bytes,
        byte one => new[] { one },
        string or ValueType => Encoding.UTF8.GetBytes(Arguments.Text(value) + "\n"),
        _ => null,
    };

    /// <summary>Completes when there is room again; at once when the program has ended.</summary>
    public async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        try
        {
            await channel.Writer.WriteAsync(bytes, cancellation).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            // What nobody reads any more is dropped, as after SIGPIPE.
        }
    }

    /// <summary>No more input comes, or nobody reads it.</summary>
    public void End() => channel.Writer.TryComplete();

    /// <summary>Feeds a program until the input ends.</summary>
    public async Task FeedAsync(IRunningProgram program, CancellationToken cancellation)
    {
        try
        {
            await foreach (ReadOnlyMemory<byte> bytes in channel.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
                await program.WriteAsync(bytes, cancellation).ConfigureAwait(false);
            await program.CloseInputAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (e is ContainerException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            // It ended before it had read all: how it ended is told by its result.
        }
        finally
        {
            End();
        }
    }
}
