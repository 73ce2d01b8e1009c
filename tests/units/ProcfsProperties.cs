using System.Text;
using Containers.Linux;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>The readers of linux/procfs against writers of the same formats.</summary>
public class ProcfsProperties
{
    static void Holds(Func<int[][], bool> property) =>
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(ArbMap.Default.ArbFor<int[][]>(), property));

    static bool SurvivesAnything(Action<byte[]> read)
    {
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), bytes => { read(bytes); return true; }));
        return true;
    }

    static MountInfo Mount(int[][] seeds)
    {
        int flags = ProcfsWriters.Number(seeds, 6);
        return new(ProcfsWriters.Number(seeds, 0), ProcfsWriters.Number(seeds, 1), (uint)ProcfsWriters.Number(seeds, 2), (uint)ProcfsWriters.Number(seeds, 3),
            "/" + ProcfsWriters.Text(seeds, 0), "/" + ProcfsWriters.Text(seeds, 1), "rw,relatime",
            (flags & 1) != 0 ? flags : null, (flags & 2) != 0 ? flags : null, (flags & 4) != 0 ? flags : null, (flags & 8) != 0,
            "fuse." + ProcfsWriters.Text(seeds, 2), ProcfsWriters.Text(seeds, 3, ""), "rw,lowerdir=" + ProcfsWriters.Text(seeds, 4));
    }

    [Fact]
    public void Mounts_read_as_they_were_written() => Holds(seeds =>
    {
        MountInfo mount = Mount(seeds);
        List<MountInfo> read = [];
        return MountInfo.TryParse(ProcfsWriters.Mount(mount), read) && read.Count == 1 && read[0] == mount;
    });

    [Fact]
    public void Mounts_stay_apart_and_in_order() => Holds(seeds =>
    {
        List<MountInfo> mounts = [.. seeds.Select((_, i) => Mount(seeds[i..]))];
        List<MountInfo> read = [];
        return MountInfo.TryParse(mounts.SelectMany(m => ProcfsWriters.Mount(m)).ToArray(), read) && read.SequenceEqual(mounts);
    });

    [Fact]
    public void Optional_fields_of_later_kernels_are_passed_over() => Holds(seeds =>
    {
        MountInfo mount = Mount(seeds);
        List<MountInfo> read = [];
        return MountInfo.TryParse(ProcfsWriters.Mount(mount, " later:7 --"), read) && read[0] == mount;
    });

    [Fact]
    public void A_mount_line_that_is_cut_short_is_refused() => Holds(seeds =>
    {
        byte[] line = ProcfsWriters.Mount(Mount(seeds));
        int separator = line.AsSpan().IndexOf(" - "u8);
        return Enumerable.Range(1, separator + 2).All(length => !MountInfo.TryParse(line.AsSpan(0, length), []));
    });

    [Fact]
    public void Stat_reads_whatever_the_name_is() => Holds(seeds =>
    {
        int n = ProcfsWriters.Number(seeds, 1);
        ProcessStat stat = new(n, ProcfsWriters.Text(seeds, 0, ""), 'S', n / 2, n / 3, n / 5, -1, uint.MaxValue, (ulong)n * 7, (ulong)n * 11, 3, ulong.MaxValue / 3, (ulong)n << 20, n / 4);
        return ProcessStat.TryParse(ProcfsWriters.Stat(stat), out ProcessStat read) && read == stat;
    });

    [Fact]
    public void Status_reads_whatever_the_name_is() => Holds(seeds =>
    {
        string name = ProcfsWriters.Text(seeds, 0, "");
        return ProcessStatus.TryParse(ProcfsWriters.Status(name, "VmRSS:\t    1024 kB\nSeccomp:\t2\nLater:\t?\n"), out ProcessStatus status)
            && status.Name == name && status is { Pid: 42, ThreadGroupId: 41, ParentPid: 7, Umask: 18, State: 'S', Threads: 3, ResidentSize: 1 << 20, Seccomp: 2, Effective: 0x1ffffffffff }
            && status.Uids.SequenceEqual([1u, 2u, 3u, 4u]) && status.Gids[3] == uint.MaxValue && status.Groups.SequenceEqual([4u, 20u, 24u]) && status.NamespacePids.SequenceEqual([42, 1]);
    });

    [Fact]
    public void Cgroups_read_whatever_the_path_is() => Holds(seeds =>
    {
        // The kernel refuses a newline in a group's name, and nothing else.
        List<ProcessCgroup> groups = [.. seeds.Select((_, i) => new ProcessCgroup(i, i == 0 ? "" : "name=a,b", "/" + ProcfsWriters.Text(seeds, i).Replace("\n", "")))];
        List<ProcessCgroup> read = [];
        string text = string.Concat(groups.Select(g => $"{g.Hierarchy}:{g.Controllers}:{g.Path}\n"));
        return ProcessCgroup.TryParse(Encoding.UTF8.GetBytes(text), read) && read.SequenceEqual(groups) && read.TrueForAll(g => g.IsVersion2 == (g.Hierarchy == 0));
    });

    [Fact]
    public void Id_maps_read_as_they_were_written() => Holds(seeds =>
    {
        List<IdMap> maps = [.. seeds.Select((_, i) => new IdMap((uint)ProcfsWriters.Number(seeds, i), uint.MaxValue - (uint)i, (uint)i + 1))];
        List<IdMap> read = [];
        string text = string.Concat(maps.Select(m => $"{m.Inside,10} {m.Outside,10} {m.Count,10}\n"));
        return IdMap.TryParse(Encoding.UTF8.GetBytes(text), read) && read.SequenceEqual(maps);
    });

    [Fact]
    public void Limits_read_as_they_were_written() => Holds(seeds =>
    {
        var limits = new rlimit64[ResourceLimits.Count];
        for (int i = 0; i < limits.Length; i++)
            limits[i] = new() { rlim_cur = (ulong)ProcfsWriters.Number(seeds, i) << (i * 2), rlim_max = i % 3 == 0 ? Libc.RLIM_INFINITY : ulong.MaxValue - 1 };
        return ProcessLimits.TryParse(ProcfsWriters.Limits(limits), out rlimit64[] read) && read.SequenceEqual(limits);
    });

    [Fact]
    public void No_bytes_make_a_reader_throw()
    {
        Assert.True(SurvivesAnything(bytes => MountInfo.TryParse(bytes, [])));
        Assert.True(SurvivesAnything(bytes => ProcessStat.TryParse(bytes, out _)));
        Assert.True(SurvivesAnything(bytes => ProcessStatus.TryParse(bytes, out _)));
        Assert.True(SurvivesAnything(bytes => ProcessCgroup.TryParse(bytes, [])));
        Assert.True(SurvivesAnything(bytes => IdMap.TryParse(bytes, [])));
        Assert.True(SurvivesAnything(bytes => FdInfo.TryParse(bytes, out _)));
        Assert.True(SurvivesAnything(bytes => ProcessLimits.TryParse(bytes, out _)));
        Assert.True(SurvivesAnything(bytes => NamespaceLink.TryParse("mnt", bytes, out _)));
    }

    [Fact]
    public void No_damage_to_a_line_makes_a_reader_throw() => Holds(seeds =>
    {
        byte[][] texts = [ProcfsWriters.Mount(Mount(seeds)), ProcfsWriters.Status("x", ""), ProcfsWriters.Limits(new rlimit64[16]), "7 (x) S 1 2 3\n"u8.ToArray(), "0::/\n"u8.ToArray()];
        foreach (byte[] text in texts)
        {
            foreach (int seed in seeds.SelectMany(s => s))
                text[(uint)seed % text.Length] = (byte)(seed >> 8);
            MountInfo.TryParse(text, []);
            ProcessStatus.TryParse(text, out _);
            ProcessLimits.TryParse(text, out _);
            ProcessStat.TryParse(text, out _);
            ProcessCgroup.TryParse(text, []);
        }
        return true;
    });

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("7 (x)")]
    [InlineData("7 (x) ")]
    [InlineData("7 (x) S")]
    [InlineData("7 (x) S 1 2 3 4 5")]
    [InlineData("x (x) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 1 1 1")]
    [InlineData("7 x S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1 1 1 1")]
    public void What_is_no_stat_is_refused(string text) => Assert.False(ProcessStat.TryParse(Encoding.UTF8.GetBytes(text), out _));

    [Theory]
    [InlineData("mnt:[4026531841]", "mnt", 4026531841)]
    [InlineData("pid:[0]", "pid", 0)]
    [InlineData("mnt:[]", null, 0)]
    [InlineData("mnt:[1", null, 0)]
    [InlineData("mnt[1]", null, 0)]
    [InlineData(":[1]", null, 0)]
    [InlineData("mnt:[-1]", null, 0)]
    [InlineData("/tmp/file", null, 0)]
    public void Namespace_links_are_type_and_inode(string target, string? type, ulong id)
    {
        Assert.Equal(type is not null, NamespaceLink.TryParse("mnt", Encoding.UTF8.GetBytes(target), out NamespaceLink link));
        Assert.Equal((type, id), (link.Type, link.Id));
    }

    [Theory]
    [InlineData("pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t2\nPid:\t123\nNSpid:\t123\t1\n", 0, 0x80002u, 15, 123)]
    [InlineData("pos:\t7\nflags:\t0100000\nmnt_id:\t21\n", 7, 0x8000u, 21, null)]
    [InlineData("pos:\t0\nflags:\t02\nmnt_id:\t15\nPid:\t-1\n", 0, 2u, 15, -1)]
    public void Descriptors_tell_their_process(string text, long position, uint flags, int mount, int? pid)
    {
        Assert.True(FdInfo.TryParse(Encoding.UTF8.GetBytes(text), out FdInfo info));
        Assert.Equal(new FdInfo(position, flags, mount, pid), info);
    }
}
