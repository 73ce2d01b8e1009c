using System.Runtime.InteropServices;
using System.Runtime.InteropServices.Marshalling;
using System.Text;

namespace Containers.Linux;

/// <summary>A managed string as C's: UTF-8, ended by a zero, refused when it has a zero inside. Short ones live on the stack.</summary>
[CustomMarshaller(typeof(string), MarshalMode.ManagedToUnmanagedIn, typeof(In))]
public static unsafe class CString
{
    public ref struct In
    {
        byte* _text;
        bool _allocated;

        public static int BufferSize => 256;

        /// <exception cref="ArgumentException">A NUL inside.</exception>
        public void FromManaged(string? managed, Span<byte> buffer)
        {
            _allocated = false;
            _text = null;
            if (managed is null)
                return;
            if (managed.Contains('\0'))
                throw new ArgumentException("a string for the kernel has a NUL inside");
            int room = checked(managed.Length * 3 + 1);
            if (room <= buffer.Length)
            {
                // The caller's buffer is on its stack and does not move.
                _text = (byte*)System.Runtime.CompilerServices.Unsafe.AsPointer(ref MemoryMarshal.GetReference(buffer));
                room = buffer.Length;
            }
            else
            {
                _text = (byte*)NativeMemory.Alloc((nuint)room);
                _allocated = true;
            }
            int written = Encoding.UTF8.GetBytes(managed, new Span<byte>(_text, room - 1));
            _text[written] = 0;
        }

        public readonly byte* ToUnmanaged() => _text;

        public readonly void Free()
        {
            if (_allocated)
                NativeMemory.Free(_text);
        }
    }
}
