using System.Net;
using System.Net.Http.Headers;

namespace Containers;

/// <summary>A part of a blob of the store as the body of a request.</summary>
sealed class BlobPart : HttpContent
{
    readonly FileStream source;
    readonly long offset;
    readonly long length;
    readonly Action<long>? progress;
    CancellationTokenSource? watch;
    TimeSpan patience;

    /// <param name="source">Stays the caller's.</param>
    internal BlobPart(FileStream source, long offset, long length, Action<long>? progress)
    {
        this.source = source;
        this.offset = offset;
        this.length = length;
        this.progress = progress;
        Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
    }

    /// <summary>Cancels when the other side takes nothing for so long.</summary>
    internal void Watch(CancellationTokenSource over, TimeSpan span)
    {
        watch = over;
        patience = span;
        over.CancelAfter(span);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancel)
    {
        var buffer = new byte[256 << 10];
        for (long sent = 0; sent < length;)
        {
            var n = await RandomAccess.ReadAsync(source.SafeFileHandle, buffer.AsMemory(0, (int)Math.Min(buffer.Length, length - sent)), offset + sent, cancel).ConfigureAwait(false);
            if (n == 0) { throw new IOException("the content ended early"); }
            await stream.WriteAsync(buffer.AsMemory(0, n), cancel).ConfigureAwait(false);
            sent += n;
            watch?.CancelAfter(patience);
            progress?.Invoke(offset + sent);
        }
    }

    protected override bool TryComputeLength(out long computed)
    {
        computed = length;
        return true;
    }
}
