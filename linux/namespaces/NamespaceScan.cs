using System.Buffers.Text;
using System.Runtime.InteropServices;

namespace Containers.Linux;

/// <summary>
/// The namespaces of the host, namespaces(7), found in one pass over /proc: those that processes or their threads are in or give to their children, those that
/// descriptors hold (of namespaces, and sockets of networks), and those that bind mounts hold in any mount namespace that a path leads to. What the caller may not look
/// at, and what vanishes meanwhile, is left out. A descriptor on its way through a socket is not visible to anybody.
/// </summary>
public sealed unsafe partial class NamespaceScan
{
    const int BufferSize = 32768;

    /// <summary>The files of /proc/PID/ns for what a process is in, in the order of their names.</summary>
    public static readonly string[] Types = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

    static readonly byte[][] TypeFiles = [.. Types.Select(type => System.Text.Encoding.ASCII.GetBytes($"ns/{type}\0"))];
    static readonly byte[][] TypeNames = [.. Types.Select(System.Text.Encoding.ASCII.GetBytes)];
    static readonly int Mnt = Array.IndexOf(Types, "mnt"), Net = Array.IndexOf(Types, "net"), Pid = Array.IndexOf(Types, "pid"), Time = Array.IndexOf(Types, "time");

    static readonly int[] OfThreads = [Array.IndexOf(Types, "cgroup"), Array.IndexOf(Types, "ipc"), Mnt, Net, Array.IndexOf(Types, "uts")];

    readonly Dictionary<ulong, NamespaceFound> found = [];
    readonly byte* buffer;
    /// <summary>The minor number of nsfs.</summary>
    readonly uint device;

    NamespaceScan(byte* buffer)
    {
        this.buffer = buffer;
        device = Libc.statx(Libc.AT_FDCWD, "/proc/self/ns/mnt", 0, Libc.STATX_INO, out statx stat) == 0 ? stat.stx_dev_minor : 0;
    }

    /// <returns>Everything found, by inode number.</returns>
    /// <exception cref="LinuxException">/proc is not there.</exception>
    public static Dictionary<ulong, NamespaceFound> Run()
    {
        int proc = LinuxException.Check(Libc.open("/proc", Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC), "open", "/proc");
        byte* buffer = (byte*)NativeMemory.Alloc(BufferSize);
        try
        {
            var scan = new NamespaceScan(buffer);
            foreach (int pid in ProcessList.Read())
                scan.AddProcess(proc, pid);
            scan.AddMounts();
            scan.AddSockets();
            NamespaceRelations.Resolve(scan.found);
            return scan.found;
        }
        finally
        {
            NativeMemory.Free(buffer);
            Libc.close(proc);
        }
    }

    void AddProcess(int proc, int pid)
    {
        byte* path = stackalloc byte[64];
        Utf8Formatter.TryFormat(pid, new Span<byte>(path, 16), out int digits);
        path[digits] = (byte)'/';
        byte* file = path + digits + 1;
        ulong* own = stackalloc ulong[Types.Length];
        for (int type = 0; type < Types.Length; type++)
        {
            TypeFiles[type].CopyTo(new Span<byte>(file, 32));
            if (!TryReadId(proc, path, out ulong id))
                id = 0;
            else
                Of(id, type).AddMember(pid);
            own[type] = id;
        }
        // Empty for zombies, and equal to the process's own but for the few that have asked for others.
        if (own[Pid] != 0)
            AddForChildren(proc, path, file, "ns/pid_for_children\0"u8, Pid, own[Pid], pid);
        if (own[Time] != 0)
            AddForChildren(proc, path, file, "ns/time_for_children\0"u8, Time, own[Time], pid);
        "task\0"u8.CopyTo(new Span<byte>(file, 32));
        List<int>? apart = AddThreads(proc, path, pid, own);
        "fd\0"u8.CopyTo(new Span<byte>(file, 32));
        AddDescriptors(proc, path, pid, null, own[Net]);
        foreach (int thread in apart ?? [])
            fixed (byte* table = System.Text.Encoding.ASCII.GetBytes($"{pid}/task/{thread}/fd\0"))
                AddDescriptors(proc, table, pid, thread, own[Net]);
    }

    void AddForChildren(int proc, byte* path, byte* file, ReadOnlySpan<byte> name, int type, ulong own, int pid)
    {
        name.CopyTo(new Span<byte>(file, 32));
        if (TryReadId(proc, path, out ulong id) && id != own)
            Of(id, type).ChildrenOf ??= pid;
    }

    /// <summary>A thread may leave its process in these: runtimes that lock a thread to a namespace do, and may have descriptors of their own there.</summary>
    /// <returns>Those with a table of descriptors of their own; null without any.</returns>
    List<int>? AddThreads(int proc, byte* path, int pid, ulong* own)
    {
        statx stat;
        // Two links are the folder's own, each thread has one more.
        if (Libc.syscall_errno(Libc.SYS_statx, proc, (nint)path, 0, Libc.STATX_NLINK, (nint)(&stat), 0) != 0 || stat.stx_nlink <= 3)
            return null;
        int folder = Libc.openat(proc, path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (folder < 0)
            return null;
        List<int>? apart = null;
        byte* link = stackalloc byte[64];
        nint filled;
        while ((filled = Libc.getdents64(folder, buffer, BufferSize)) > 0)
            for (nint at = 0; at < filled; at += ((linux_dirent64*)(buffer + at))->d_reclen)
            {
                ReadOnlySpan<byte> name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer + at + linux_dirent64.NameOffset);
                if (!Utf8Parser.TryParse(name, out int thread, out _) || thread == pid || name.Length > 16)
                    continue;
                name.CopyTo(new Span<byte>(link, 16));
                link[name.Length] = (byte)'/';
                foreach (int type in OfThreads)
                {
                    TypeFiles[type].CopyTo(new Span<byte>(link + name.Length + 1, 32));
                    if (TryReadId(folder, link, out ulong id) && id != own[type])
                        Of(id, type).Thread ??= new(pid, thread);
                }
                if (Libc.kcmp(pid, thread, Libc.KCMP_FILES) > 0)
                    (apart ??= []).Add(thread);
            }
        Libc.close(folder);
        return apart;
    }

    /// <param name="network">The process's own.</param>
    void AddDescriptors(int proc, byte* path, int pid, int? thread, ulong network)
    {
        int folder = Libc.openat(proc, path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, 0);
        if (folder < 0)
            return;
        int process = -1;
        nint filled;
        while ((filled = Libc.getdents64(folder, buffer, BufferSize)) > 0)
            for (nint at = 0; at < filled; at += ((linux_dirent64*)(buffer + at))->d_reclen)
            {
                byte* name = buffer + at + linux_dirent64.NameOffset;
                if (*name == '.' || !Utf8Parser.TryParse(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name), out int number, out _))
                    continue;
                var descriptor = new NamespaceDescriptor(pid, thread, number);
                Target target = ReadLink(folder, name, out int type, out ulong id);
                if (target == Target.Namespace || (target == Target.Path && IsNamespace(folder, name) && TryIdentify(descriptor, out type, out id)))
                    Of(id, type).Descriptors.Add(descriptor);
                else if (target == Target.Socket && thread is null && seen.Add(id))
                    AddSocket(descriptor, ref process, network);
            }
        if (process >= 0)
            Libc.close(process);
        Libc.close(folder);
    }

    NamespaceFound Of(ulong id, int type)
    {
        ref NamespaceFound? one = ref CollectionsMarshal.GetValueRefOrAddDefault(found, id, out _);
        return one ??= new NamespaceFound(Types[type], id);
    }

    static bool TryReadId(int folder, byte* path, out ulong id) => ReadLink(folder, path, out _, out id) == Target.Namespace;

    /// <summary>What a link in /proc leads to.</summary>
    enum Target
    {
        Other,
        Namespace,
        Socket,
        Path,
    }

    /// <param name="id">The inode number of a namespace or a socket.</param>
    static Target ReadLink(int folder, byte* path, out int type, out ulong id)
    {
        type = -1;
        id = 0;
        // Longer than any namespace's: what fills it is a path.
        byte* bytes = stackalloc byte[48];
        nint length = Libc.readlinkat(folder, path, bytes, 48);
        if (length <= 0)
            return Target.Other;
        var target = new ReadOnlySpan<byte>(bytes, (int)length);
        if (target[0] == '/')
            return target.StartsWith("/dev/"u8) ? Target.Other : Target.Path;
        if (length == 48)
            return Target.Other;
        if (TryParseLink(target, out type, out id))
            return Target.Namespace;
        return target.StartsWith("socket:["u8) && ProcText.TryNumber(target[8..^1], out id) ? Target.Socket : Target.Other;
    }

    /// <summary>A descriptor that was opened by a bind mount is shown as the path of that; only the file itself tells. No server is asked.</summary>
    bool IsNamespace(int folder, byte* name)
    {
        statx stat;
        return Libc.syscall_errno(Libc.SYS_statx, folder, (nint)name, Libc.AT_STATX_DONT_SYNC, Libc.STATX_INO, (nint)(&stat), 0) == 0
            && stat.stx_dev_major == 0 && stat.stx_dev_minor == device;
    }

    static bool TryIdentify(NamespaceDescriptor descriptor, out int type, out ulong id)
    {
        int fd = NamespaceFile.Open(descriptor.ToString(), out NamespaceFile file);
        type = fd < 0 ? -1 : Array.IndexOf(Types, file.Type);
        id = file.Id;
        if (fd >= 0)
            Libc.close(fd);
        return type >= 0;
    }

    /// <param name="target">"net:[4026531840]"; of other descriptors "socket:[1234]" or a path.</param>
    static bool TryParseLink(ReadOnlySpan<byte> target, out int type, out ulong id)
    {
        id = 0;
        int colon = target.IndexOf((byte)':');
        type = colon < 0 ? -1 : TypeOf(target[..colon]);
        ReadOnlySpan<byte> number = type < 0 ? default : target[(colon + 1)..];
        return number.Length >= 3 && number[0] == '[' && number[^1] == ']' && ProcText.TryNumber(number[1..^1], out id);
    }

    static int TypeOf(ReadOnlySpan<byte> name)
    {
        for (int type = 0; type < TypeNames.Length; type++)
            if (name.SequenceEqual(TypeNames[type]))
                return type;
        return -1;
    }
}
