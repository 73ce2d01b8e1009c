using System.IO.Compression;
using Containers.Linux;
using Psrun.Unpack;

namespace Psrun.Pack;

/// <summary>
/// Where the bytes of an archive go: hashed as they are by one thread, compressed, hashed again and written by another, while the caller makes
/// the next ones.
/// </summary>
sealed unsafe class LayerOutput : IDisposable
{
    const int Pieces = 6;

    readonly PieceQueue _free = new();
    readonly PieceQueue _toHash = new();
    readonly PieceQueue _toStore = new();
    readonly Hash _plain = new("sha256");
    readonly Sink _sink;
    readonly bool _compress;
    readonly Thread _hasher;
    readonly Thread _storer;
    Exception? _failure;
    Piece? _current;
    string? _diffId;

    /// <param name="fd">Stays the caller's.</param>
    public LayerOutput(int fd, bool compress)
    {
        _sink = new Sink(fd);
        _compress = compress;
        for (int i = 0; i < Pieces; i++)
            _free.Add(new Piece());
        _hasher = new Thread(HashAll, 256 << 10) { IsBackground = true };
        _storer = new Thread(StoreAll, 256 << 10) { IsBackground = true };
        _hasher.Start();
        _storer.Start();
    }

    /// <summary>Bytes that were given, uncompressed.</summary>
    public long Length { get; private set; }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            Span<byte> room = Room();
            int n = Math.Min(room.Length, bytes.Length);
            bytes[..n].CopyTo(room);
            Wrote(n);
            bytes = bytes[n..];
        }
    }

    /// <summary>Room for the next bytes, at least one; say by <see cref="Wrote"/> how many were put there.</summary>
    public Span<byte> Room()
    {
        _current ??= _free.Take(Pieces / 2) ?? throw _failure!;
        return new Span<byte>(_current.Data + _current.Length, Piece.Size - _current.Length);
    }

    public void Wrote(int count)
    {
        _current!.Length += count;
        Length += count;
        if (_current.Length == Piece.Size)
            Hand();
    }

    /// <summary>Waits for the threads.</summary>
    /// <returns>The digest of what was given, the digest of what was stored, and how many bytes that are.</returns>
    public (string DiffId, string Digest, long Stored) Finish()
    {
        if (_current is not null)
            Hand();
        _toHash.End();
        _toStore.End();
        _hasher.Join();
        _storer.Join();
        if (_failure is not null)
            throw _failure;
        return (_diffId!, _compress ? _sink.Finish() : _diffId!, _sink.Count);
    }

    public void Dispose()
    {
        _free.End();
        _toHash.End();
        _toStore.End();
    }

    void Hand()
    {
        Piece piece = _current!;
        _current = null;
        piece.Users = 2;
        _toHash.Add(piece);
        _toStore.Add(piece);
    }

    void HashAll() => Guard(() =>
    {
        while (_toHash.Take() is Piece piece)
        {
            _plain.Add(piece.Data, piece.Length);
            Done(piece);
        }
        _diffId = _plain.Finish();
    });

    void StoreAll() => Guard(() =>
    {
        // The header that the class library writes has no name and no time in it: the same bytes give the same bytes.
        using Stream to = _compress ? new GZipStream(_sink, CompressionLevel.Fastest, leaveOpen: true) : _sink;
        while (_toStore.Take() is Piece piece)
        {
            to.Write(new ReadOnlySpan<byte>(piece.Data, piece.Length));
            Done(piece);
        }
    });

    void Guard(Action work)
    {
        try
        {
            work();
        }
        catch (Exception e)
        {
            // Nobody gives pieces back any more: the caller must not wait for them.
            _failure ??= e;
            _free.End();
        }
    }

    void Done(Piece piece)
    {
        if (Interlocked.Decrement(ref piece.Users) != 0)
            return;
        piece.Length = 0;
        _free.Add(piece);
    }

    /// <summary>Hashes and writes.</summary>
    sealed class Sink(int fd) : Stream
    {
        readonly Hash _hash = new("sha256");

        public long Count { get; private set; }

        public string Finish() => _hash.Finish();

        public override void Write(ReadOnlySpan<byte> bytes)
        {
            fixed (byte* p = bytes)
            {
                _hash.Add(p, bytes.Length);
                for (int done = 0; done < bytes.Length;)
                {
                    nint n = Libc.write(fd, p + done, (nuint)(bytes.Length - done));
                    if (n < 0 && Libc.errno == Libc.EINTR)
                        continue;
                    done += (int)LinuxException.Check(n, "write");
                }
            }
            Count += bytes.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
        public override void Flush() { }
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
