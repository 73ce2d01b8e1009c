using System.IO.Compression;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;

namespace Psrun.Unpack;

/// <summary>
/// The uncompressed bytes of a layer, in order. One thread reads and inflates, one hashes, and the caller takes the bytes: three cores are
/// used where there are three, and a piece goes back to the first when the other two are done with it.
/// </summary>
sealed unsafe class LayerInput : IDisposable
{
    const int Pieces = 8;

    // A stream of zeros is told from a layer by its proportion only when there is much of it.
    const long RatioFrom = 1L << 30;

    readonly PieceQueue _free = new();
    readonly PieceQueue _toHash = new();
    readonly PieceQueue _toTake = new();
    readonly Limits _limits;
    readonly CountedStream _raw;
    readonly Stream _stream;
    readonly Hash? _hash;
    readonly Thread _inflater;
    readonly Thread? _hasher;
    readonly Action<long>? _progress;
    Exception? _failure;
    Piece? _current;
    int _position;
    string? _digest;

    /// <param name="fd">The layer as it is stored; becomes ours.</param>
    /// <param name="algorithm">Hashed with; null for no hash.</param>
    /// <param name="progress">Told now and then how many stored bytes were read, from another thread.</param>
    public LayerInput(int fd, string compression, string? algorithm, Limits limits, Action<long>? progress)
    {
        _limits = limits;
        _progress = progress;
        var file = new FileStream(new SafeFileHandle(fd, ownsHandle: true), FileAccess.Read, bufferSize: 0);
        _raw = new CountedStream(file);
        _stream = Open(_raw, compression);
        _hash = algorithm is null ? null : new Hash(algorithm);
        for (int i = 0; i < Pieces; i++)
            _free.Add(new Piece());
        _inflater = new Thread(Inflate, 256 << 10) { IsBackground = true };
        _inflater.Start();
        if (_hash is not null)
        {
            _hasher = new Thread(HashAll, 256 << 10) { IsBackground = true };
            _hasher.Start();
        }
    }

    /// <summary>Uncompressed bytes that were taken.</summary>
    public long Taken { get; private set; }

    /// <summary>What there is without waiting for more than one piece; empty at the end.</summary>
    public ReadOnlySpan<byte> Peek()
    {
        while (_current is null || _position == _current.Length)
        {
            if (_current is not null)
                Done(_current);
            _position = 0;
            _current = _toTake.Take();
            if (_current is null)
                return _failure is null ? default : throw Failure(_failure);
        }
        return new ReadOnlySpan<byte>(_current.Data + _position, _current.Length - _position);
    }

    public void Advance(int count)
    {
        _position += count;
        Taken += count;
    }

    /// <summary>Exactly so many bytes; false when the stream ends first.</summary>
    public bool TryRead(Span<byte> target)
    {
        while (target.Length > 0)
        {
            ReadOnlySpan<byte> part = Peek();
            if (part.IsEmpty)
                return false;
            int n = Math.Min(part.Length, target.Length);
            part[..n].CopyTo(target);
            target = target[n..];
            Advance(n);
        }
        return true;
    }

    /// <summary>Takes the rest, and tells the digest of everything.</summary>
    public string? Finish()
    {
        while (Peek() is { IsEmpty: false } part)
            Advance(part.Length);
        _hasher?.Join();
        return _failure is null ? _digest : throw Failure(_failure);
    }

    /// <summary>Lets the threads end; what they hold goes with the process, which unpacks one layer and ends.</summary>
    public void Dispose()
    {
        _free.End();
        _toHash.End();
        _toTake.End();
    }

    static Stream Open(CountedStream raw, string compression)
    {
        if (compression == "auto")
        {
            ReadOnlySpan<byte> head = raw.Head();
            compression = head.StartsWith((ReadOnlySpan<byte>)[0x1f, 0x8b]) ? "gzip" : head.StartsWith((ReadOnlySpan<byte>)[0x28, 0xb5, 0x2f, 0xfd]) || IsSkippable(head) ? "zstd" : "none";
        }
        return compression switch
        {
            "none" => raw,
            "gzip" => new GZipStream(raw, CompressionMode.Decompress),
            "zstd" => ZstdStream.IsAvailable ? new ZstdStream(raw) : throw new UnpackException(UnpackException.UnpackFailed, "zstd needs libzstd.so.1, which is not on this machine: install libzstd1"),
            _ => throw new PsrunException($"--compression: \"{compression}\" is none of auto, none, gzip, zstd"),
        };

        // RFC 8878, 3.1.2: a zstd stream may begin with such a frame.
        static bool IsSkippable(ReadOnlySpan<byte> head) => head.Length == 4 && (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
    }

    void Inflate()
    {
        try
        {
            long total = 0, told = 0;
            while (_free.Take(Pieces / 2) is Piece piece)
            {
                piece.Length = 0;
                int n;
                while (piece.Length < Piece.Size && (n = _stream.Read(new Span<byte>(piece.Data + piece.Length, Piece.Size - piece.Length))) > 0)
                    piece.Length += n;
                total += piece.Length;
                if (total > _limits.Bytes)
                    throw new UnpackException(UnpackException.LayerTooLarge, $"it has more than {_limits.Bytes} bytes uncompressed");
                if (total > RatioFrom && _limits.Ratio > 0 && total / _limits.Ratio > _raw.Count)
                    throw new UnpackException(UnpackException.LayerTooLarge, $"it grows to more than {_limits.Ratio} times its stored size");
                if (piece.Length == 0)
                    break;
                piece.Users = _hash is null ? 1 : 2;
                if (_hash is not null)
                    _toHash.Add(piece);
                _toTake.Add(piece);
                if (_raw.Count - told >= 4 << 20)
                    _progress?.Invoke(told = _raw.Count);
            }
        }
        catch (Exception e)
        {
            _failure = e;
        }
        _toHash.End();
        _toTake.End();
    }

    void HashAll()
    {
        try
        {
            while (_toHash.Take() is Piece piece)
            {
                _hash!.Add(piece.Data, piece.Length);
                Done(piece);
            }
            _digest = _hash!.Finish();
        }
        catch (Exception e)
        {
            _failure ??= e;
            // Nobody gives pieces back any more: the other two must not wait for them.
            _free.End();
        }
    }

    void Done(Piece piece)
    {
        if (Interlocked.Decrement(ref piece.Users) == 0)
            _free.Add(piece);
    }

    static Exception Failure(Exception e) => e switch
    {
        InvalidDataException => new UnpackException(UnpackException.LayerInvalid, e.Message.Length > 0 && UseableWords(e.Message) ? e.Message : "the compressed data is damaged"),
        UnpackException => e,
        IOException or UnauthorizedAccessException => new UnpackException(UnpackException.UnpackFailed, "the layer cannot be read: " + e.Message),
        _ => new UnpackException(UnpackException.UnpackFailed, e.Message),
    };

    // psrun carries no texts of the class library: its messages are the names of resources.
    static bool UseableWords(string message) => message.Contains(' ');
}

/// <summary>How much is too much: see docs/unpack.md.</summary>
sealed record Limits(long Bytes, long Entries, long Ratio);

/// <summary>Counts what was read, and can be looked into before.</summary>
sealed class CountedStream(Stream source) : Stream
{
    readonly byte[] _head = new byte[4];
    int _headLength;
    int _headTaken;

    public long Count { get; private set; }

    public ReadOnlySpan<byte> Head()
    {
        int n;
        while (_headLength < _head.Length && (n = source.Read(_head.AsSpan(_headLength))) > 0)
            _headLength += n;
        return _head.AsSpan(0, _headLength);
    }

    public override int Read(Span<byte> buffer)
    {
        int n = Math.Min(buffer.Length, _headLength - _headTaken);
        if (n > 0)
            _head.AsSpan(_headTaken, n).CopyTo(buffer);
        else
            n = source.Read(buffer);
        _headTaken += _headTaken < _headLength ? n : 0;
        Count += n;
        return n;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    protected override void Dispose(bool disposing) => source.Dispose();
    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
