using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>&lt;sys/auxv.h&gt;, &lt;elf.h&gt;: what the kernel told this program at its start, getauxval(3), elf(5).</summary>
public static unsafe partial class Libc
{
    public const int AT_PHDR = 3;
    public const int AT_PHENT = 4;
    public const int AT_PHNUM = 5;
    public const uint PT_LOAD = 1;
    public const uint PT_PHDR = 6;
    public const uint PF_X = 1;
    public const uint PF_W = 2;

    [LibraryImport(C)]
    public static partial nuint getauxval(nuint type);
}

/// <summary>A part of a program's file, and where it is in memory: elf(5).</summary>
[StructLayout(LayoutKind.Sequential)]
public struct Elf64_Phdr
{
    public uint p_type;
    public uint p_flags;
    public ulong p_offset;
    public ulong p_vaddr;
    public ulong p_paddr;
    public ulong p_filesz;
    public ulong p_memsz;
    public ulong p_align;
}
