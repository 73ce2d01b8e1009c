using System.Runtime.InteropServices;
using Containers.Linux;

namespace Psrun.Processes;

/// <summary>
/// libc and the loader: to bind a program they touch most of themselves, and the kernel brings 64 KiB in around each page that is touched. Of these 1.6 MiB a run needs a
/// third afterwards. Given back once, what is needed comes from the page cache again, in about 0.03 ms.
/// </summary>
static unsafe class LoadedLibraries
{
    public static void GiveBack() => Libc.dl_iterate_phdr(&GiveBack, 0);

    [UnmanagedCallersOnly]
    static int GiveBack(dl_phdr_info* loaded, nuint size, nint data)
    {
        // The program itself, not position-independent, is at work.
        if (loaded->dlpi_addr == 0)
            return 0;
        nuint page = (nuint)Environment.SystemPageSize;
        for (int i = 0; i < loaded->dlpi_phnum; i++)
        {
            Elf64_Phdr part = loaded->dlpi_phdr[i];
            // What can be written is not the file's alone any more.
            if (part.p_type != Libc.PT_LOAD || (part.p_flags & Libc.PF_W) != 0)
                continue;
            nuint from = loaded->dlpi_addr + (nuint)part.p_vaddr, to = from + (nuint)part.p_memsz;
            from &= ~(page - 1);
            // The vDSO is among the libraries and is refused (EINVAL): it is no file's.
            Libc.madvise((void*)from, to - from, Libc.MADV_DONTNEED);
        }
        return 0;
    }
}
