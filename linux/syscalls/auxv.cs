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

    /// <summary>Calls back for the program and each library that is loaded, until one call gives another value than 0: dl_iterate_phdr(3).</summary>
    [LibraryImport(C)]
    public static partial int dl_iterate_phdr(delegate* unmanaged<dl_phdr_info*, nuint, nint, int> callback, nint data);
}

/// <summary>What is told of a loaded program or library, &lt;link.h&gt;: dl_iterate_phdr(3).</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct dl_phdr_info
{
    /// <summary>What its addresses are moved by; 0 for a program that is not position-independent.</summary>
    public nuint dlpi_addr;
    public byte* dlpi_name;
    public Elf64_Phdr* dlpi_phdr;
    public ushort dlpi_phnum;
    public ulong dlpi_adds;
    public ulong dlpi_subs;
    public nuint dlpi_tls_modid;
    public void* dlpi_tls_data;
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
