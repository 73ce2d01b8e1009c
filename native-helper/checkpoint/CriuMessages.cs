using Containers.Linux;

namespace Psrun.Checkpoint;

/// <summary>criu_req_type of CRIU's images/rpc.proto.</summary>
enum CriuRequestType
{
    Empty = 0, Dump = 1, Restore = 2, PreDump = 4, Notify = 6, FeatureCheck = 9, Version = 10,
}

/// <summary>criu_cg_mode.</summary>
enum CriuCgroupMode
{
    Ignore = 0, Soft = 3, Full = 4, Strict = 5, Default = 6,
}

/// <summary>criu_opts, as far as runtimes use it. The numbers in <see cref="Write"/> are those of rpc.proto.</summary>
sealed class CriuOptions
{
    /// <summary>Descriptors of psrun's: CRIU opens them by way of /proc/PID/fd of the process that made the socket.</summary>
    public required int ImagesFolder;
    public int WorkFolder = -1;
    public required string LogFile, Root;
    /// <summary>Whose tree is dumped; 0 when it is restored.</summary>
    public int Pid;
    public bool LeaveRunning, ExtUnixSk, TcpEstablished, TcpSkipInFlight, EvasiveDevices, ShellJob, FileLocks, LinkRemap, AutoDedup, LazyPages, TrackMemory, RestoreAsSibling;
    public (string Address, int Port)? PageServer;
    public string? ParentImage, FreezeCgroup, ConfigFile, LsmProfile, LsmMountContext;
    public CriuCgroupMode CgroupMode = CriuCgroupMode.Default;
    public List<(string Key, string Value)> ExternalMounts = [];
    public List<(string Controller, string Path)> CgroupRoots = [];
    public List<(string Key, int Descriptor)> Inherited = [];
    public List<string> External = [];
    public List<(string Type, string Path)> JoinedNamespaces = [];

    public ProtobufWriter Write()
    {
        var o = new ProtobufWriter();
        o.Number(1, ImagesFolder);
        if (Pid > 0)
            o.Number(2, Pid);
        o.Flag(3, LeaveRunning);
        o.Flag(4, ExtUnixSk);
        o.Flag(5, TcpEstablished);
        o.Flag(6, EvasiveDevices);
        o.Flag(7, ShellJob);
        o.Flag(8, FileLocks);
        o.Number(9, 4);
        o.Text(10, LogFile);
        if (PageServer is { } server)
        {
            var page = new ProtobufWriter();
            page.Text(1, server.Address);
            page.Number(2, server.Port);
            o.Message(11, page);
        }
        o.Flag(12, true); // notify_scripts
        o.Text(13, Root);
        o.Text(14, ParentImage);
        o.Flag(15, TrackMemory);
        o.Flag(16, AutoDedup);
        if (WorkFolder >= 0)
            o.Number(17, WorkFolder);
        o.Flag(18, LinkRemap);
        foreach ((string key, string value) in ExternalMounts)
            o.Message(23, Pair(key, value));
        o.Flag(24, true); // manage_cgroups, for a CRIU that does not know the mode
        foreach ((string controller, string path) in CgroupRoots)
            o.Message(25, Pair(controller, path));
        o.Flag(26, RestoreAsSibling);
        foreach ((string key, int descriptor) in Inherited)
        {
            var one = new ProtobufWriter();
            one.Text(1, key);
            one.Number(2, descriptor);
            o.Message(27, one);
        }
        o.Number(34, (int)CgroupMode);
        foreach (string external in External)
            o.Text(37, external);
        // What a network namespace holds is for hooks and engines to make, as when a container is created.
        o.Number(38, (uint)Libc.CLONE_NEWNET);
        foreach ((string type, string path) in JoinedNamespaces)
            o.Message(39, Pair(type, path));
        o.Text(44, FreezeCgroup);
        o.Flag(46, TcpSkipInFlight);
        o.Flag(48, LazyPages);
        o.Flag(50, true); // orphan_pts_master
        o.Text(51, ConfigFile);
        o.Text(53, LsmProfile);
        o.Text(63, LsmMountContext);
        return o;
    }

    static ProtobufWriter Pair(string first, string second)
    {
        var pair = new ProtobufWriter();
        pair.Text(1, first);
        pair.Text(2, second);
        return pair;
    }
}

/// <summary>criu_req.</summary>
static class CriuRequest
{
    /// <param name="more">Further requests follow on this connection.</param>
    public static ProtobufWriter Version(bool more)
    {
        ProtobufWriter request = Of(CriuRequestType.Version);
        request.Flag(4, more);
        return request;
    }

    /// <summary>Asks for all features that an option may need; the answer also proves that CRIU can work with this kernel.</summary>
    public static ProtobufWriter FeatureCheck()
    {
        ProtobufWriter request = Of(CriuRequestType.FeatureCheck);
        var features = new ProtobufWriter();
        features.Flag(1, true);
        features.Flag(2, true);
        request.Message(5, features);
        return request;
    }

    public static ProtobufWriter With(CriuRequestType type, CriuOptions options)
    {
        ProtobufWriter request = Of(type);
        request.Message(2, options.Write());
        return request;
    }

    /// <summary>The answer to a notification.</summary>
    public static ProtobufWriter Noticed(bool success)
    {
        ProtobufWriter request = Of(CriuRequestType.Notify);
        request.Number(3, success ? 1 : 0);
        return request;
    }

    static ProtobufWriter Of(CriuRequestType type)
    {
        var request = new ProtobufWriter();
        request.Number(1, (int)type);
        return request;
    }
}

/// <summary>criu_resp.</summary>
sealed class CriuAnswer
{
    public CriuRequestType Type { get; private set; }
    public bool Success { get; private set; }
    /// <summary>Of a notification: what happens now, and to which process.</summary>
    public string Script { get; private set; } = "";
    /// <summary>Of a notification or of a restore: the container's first process, as CRIU and psrun see it.</summary>
    public int Pid { get; private set; }
    public string? Message { get; private set; }
    public int Errno { get; private set; }
    public bool TracksMemory { get; private set; }
    public bool HasLazyPages { get; private set; }
    /// <summary>31701 for 3.17.1.</summary>
    public int Version { get; private set; }

    public static CriuAnswer Read(ReadOnlySpan<byte> bytes)
    {
        var answer = new CriuAnswer();
        var reader = new ProtobufReader(bytes);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1: answer.Type = (CriuRequestType)reader.Number; break;
                case 2: answer.Success = reader.Number != 0; break;
                case 4: answer.Pid = Number(reader.Block, 1); break;
                case 5: answer.ReadNotification(reader.Block); break;
                case 7: answer.Errno = (int)reader.Number; break;
                case 8:
                    answer.TracksMemory = Number(reader.Block, 1) != 0;
                    answer.HasLazyPages = Number(reader.Block, 2) != 0;
                    break;
                case 9: answer.Message = reader.Text; break;
                case 10: answer.Version = Number(reader.Block, 1) * 10000 + Number(reader.Block, 2) * 100 + Number(reader.Block, 4); break;
            }
        }
        return answer;
    }

    void ReadNotification(ReadOnlySpan<byte> bytes)
    {
        var reader = new ProtobufReader(bytes);
        while (reader.Next())
            if (reader.Field == 1)
                Script = reader.Text;
            else if (reader.Field == 2)
                Pid = (int)reader.Number;
    }

    static int Number(ReadOnlySpan<byte> message, int field)
    {
        var reader = new ProtobufReader(message);
        while (reader.Next())
            if (reader.Field == field)
                return (int)reader.Number;
        return 0;
    }
}
