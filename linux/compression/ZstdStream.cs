using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>
/// Reads zstd through the system's libzstd, which is looked for when the first frame is met: RFC 8878, frames one after another,
/// skippable ones skipped, windows up to the library's own limit of 128 MiB.
/// </summary>
public sealed unsafe class ZstdStream : Stream
{
    const int InputSize = 256 << 10;

    static readonly Lazy<Library?> s_library = new(Library.Load);

    readonly Stream _source;
    readonly Library _library;
    readonly byte[] _input = new byte[InputSize];
    nint _context;
    int _inputStart;
    int _inputEnd;
    bool _frameOpen;
    bool _ended;

    /// <exception cref="NotSupportedException">This machine has no libzstd.</exception>
    public ZstdStream(Stream source)
    {
        _source = source;
        _library = s_library.Value ?? throw new NotSupportedException("zstd needs libzstd.so.1, which is not on this machine: install the package libzstd1 (libzstd on Fedora)");
        _context = _library.Create();
        if (_context == 0)
            throw new OutOfMemoryException("zstd");
    }

    /// <summary>Whether the system has libzstd.</summary>
    public static bool IsAvailable => s_library.Value is not null;

    /// <exception cref="InvalidDataException">No zstd, damaged, or cut off.</exception>
    public override int Read(Span<byte> buffer)
    {
        if (buffer.IsEmpty)
            return 0;
        while (true)
        {
            if (_inputStart == _inputEnd && !_ended)
            {
                _inputStart = 0;
                _inputEnd = _source.Read(_input);
                _ended = _inputEnd == 0;
            }
            if (_ended && !_frameOpen)
                return 0;
            int written = Decompress(buffer);
            if (written > 0)
                return written;
            if (_ended && _frameOpen)
                throw new InvalidDataException("the zstd data is cut off");
        }
    }

    int Decompress(Span<byte> buffer)
    {
        fixed (byte* target = buffer)
        fixed (byte* source = _input)
        {
            var output = new ZstdBuffer { Data = target, Size = (nuint)buffer.Length };
            var input = new ZstdBuffer { Data = source, Size = (nuint)_inputEnd, Position = (nuint)_inputStart };
            nuint left = _library.Decompress(_context, &output, &input);
            if (_library.IsError(left) != 0)
                throw new InvalidDataException("the zstd data is damaged: " + Marshal.PtrToStringUTF8(_library.ErrorName(left)));
            _inputStart = (int)input.Position;
            // 0 at the end of a frame; nothing taken and nothing given leaves it as it was.
            _frameOpen = left != 0 && (_frameOpen || input.Position > 0 || output.Position > 0);
            return (int)output.Position;
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    protected override void Dispose(bool disposing)
    {
        if (_context != 0)
            _library.Free(_context);
        _context = 0;
        if (disposing)
            _source.Dispose();
        base.Dispose(disposing);
    }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer, which are alike.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct ZstdBuffer
    {
        public void* Data;
        public nuint Size;
        public nuint Position;
    }

    sealed class Library
    {
        readonly delegate* unmanaged<nint> _create;
        readonly delegate* unmanaged<nint, nuint> _free;
        readonly delegate* unmanaged<nint, ZstdBuffer*, ZstdBuffer*, nuint> _decompress;
        readonly delegate* unmanaged<nuint, uint> _isError;
        readonly delegate* unmanaged<nuint, nint> _errorName;

        Library(nint handle)
        {
            _create = (delegate* unmanaged<nint>)NativeLibrary.GetExport(handle, "ZSTD_createDStream");
            _free = (delegate* unmanaged<nint, nuint>)NativeLibrary.GetExport(handle, "ZSTD_freeDStream");
            _decompress = (delegate* unmanaged<nint, ZstdBuffer*, ZstdBuffer*, nuint>)NativeLibrary.GetExport(handle, "ZSTD_decompressStream");
            _isError = (delegate* unmanaged<nuint, uint>)NativeLibrary.GetExport(handle, "ZSTD_isError");
            _errorName = (delegate* unmanaged<nuint, nint>)NativeLibrary.GetExport(handle, "ZSTD_getErrorName");
        }

        public static Library? Load() => NativeLibrary.TryLoad("libzstd.so.1", out nint handle) ? new Library(handle) : null;

        public nint Create() => _create();
        public void Free(nint context) => _free(context);
        public nuint Decompress(nint context, ZstdBuffer* output, ZstdBuffer* input) => _decompress(context, output, input);
        public uint IsError(nuint code) => _isError(code);
        public nint ErrorName(nuint code) => _errorName(code);
    }
}
