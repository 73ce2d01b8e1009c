using System.Runtime.InteropServices;
using System.Text;

namespace Psrun.Unpack;

/// <summary>
/// SHA-2 by the system's libcrypto, which .NET's own hashes use as well: the processor's instructions for it are not to be had from C#.
/// Loaded when it is needed, so that no other verb waits for it.
/// </summary>
sealed unsafe class Hash : IDisposable
{
    static readonly string[] s_names = ["libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.so"];

    readonly delegate* unmanaged<nint, byte*, nuint, int> _update;
    readonly delegate* unmanaged<nint, byte*, uint*, int> _final;
    readonly delegate* unmanaged<nint, void> _free;
    readonly string _algorithm;
    nint _context;

    /// <param name="algorithm"><c>sha256</c> or <c>sha512</c>.</param>
    public Hash(string algorithm)
    {
        nint library = 0;
        foreach (string name in s_names)
            if (NativeLibrary.TryLoad(name, out library))
                break;
        if (library == 0)
            throw new UnpackException(UnpackException.UnpackFailed, "libcrypto is not on this machine: install OpenSSL (libssl3)");
        _algorithm = algorithm;
        _update = (delegate* unmanaged<nint, byte*, nuint, int>)NativeLibrary.GetExport(library, "EVP_DigestUpdate");
        _final = (delegate* unmanaged<nint, byte*, uint*, int>)NativeLibrary.GetExport(library, "EVP_DigestFinal_ex");
        _free = (delegate* unmanaged<nint, void>)NativeLibrary.GetExport(library, "EVP_MD_CTX_free");
        var create = (delegate* unmanaged<nint>)NativeLibrary.GetExport(library, "EVP_MD_CTX_new");
        var begin = (delegate* unmanaged<nint, nint, nint, int>)NativeLibrary.GetExport(library, "EVP_DigestInit_ex");
        var kind = (delegate* unmanaged<nint>)NativeLibrary.GetExport(library, algorithm == "sha512" ? "EVP_sha512" : "EVP_sha256");
        _context = create();
        if (_context == 0 || begin(_context, kind(), 0) != 1)
            throw new UnpackException(UnpackException.UnpackFailed, $"libcrypto: {algorithm} is refused");
    }

    public void Add(byte* data, int length)
    {
        if (_update(_context, data, (nuint)length) != 1)
            throw new UnpackException(UnpackException.UnpackFailed, "libcrypto: hashing failed");
    }

    /// <summary><c>sha256:</c> and the digits.</summary>
    public string Finish()
    {
        byte* value = stackalloc byte[64];
        uint length;
        if (_final(_context, value, &length) != 1)
            throw new UnpackException(UnpackException.UnpackFailed, "libcrypto: hashing failed");
        return _algorithm + ":" + Convert.ToHexStringLower(new ReadOnlySpan<byte>(value, (int)length));
    }

    public void Dispose()
    {
        if (_context != 0)
            _free(_context);
        _context = 0;
    }
}
