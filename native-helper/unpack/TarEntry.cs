using Containers.Linux;

namespace Psrun.Unpack;

enum EntryKind
{
    File,
    HardLink,
    SymbolicLink,
    CharacterDevice,
    BlockDevice,
    Folder,
    Fifo,
}

/// <summary>One entry of an archive, all extensions applied. Names are bytes without a zero inside.</summary>
sealed class TarEntry
{
    public EntryKind Kind;
    public byte[] Name = [];
    public byte[] LinkName = [];

    /// <summary>Bytes of data that follow in the archive.</summary>
    public long StoredSize;

    /// <summary>Bytes of the file: more than are stored, for a sparse one.</summary>
    public long Size;

    /// <summary>The stored bytes of a sparse file: pairs of where and how many, ascending. Null for one without holes.</summary>
    public List<(long Offset, long Length)>? Sparse;

    public uint Mode;
    public uint Owner;
    public uint Group;
    public timespec Changed;
    public timespec Accessed;
    public uint Major;
    public uint Minor;
    public List<(byte[] Name, byte[] Value)> Attributes = [];

    /// <summary>The name as it can be shown: what is no UTF-8 is replaced.</summary>
    public string Shown => System.Text.Encoding.UTF8.GetString(Name);
}
