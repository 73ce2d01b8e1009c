using System.Text;
using Containers.Linux;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>The readers of linux/procfs against the kernel's own text about processes of the test's.</summary>
[Collection(SnapshotContract.HostMounts)]
public sealed unsafe class ProcfsOfChildren : IDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("containers-units-");

    public void Dispose() => _folder.Delete(recursive: true);

    public static TheoryData<string> HostileNames => ["cat", ") R 1 (x", "a\nb", "x\nUid:\t0\t0\t0", "\\n \\040", "(((", ") S 1 1 1 0 -1", "  ", "naïve€", "-"];

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void A_process_is_read_right_whatever_its_name(string name)
    {
        using TestChild child = TestChild.Named(_folder.FullName, name);
        string comm = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(name).AsSpan(0, Math.Min(15, Encoding.UTF8.GetByteCount(name))));

        Assert.True(ProcessStat.TryRead(child.Pid, out ProcessStat stat));
        Assert.Equal((child.Pid, comm, Environment.ProcessId, 1L), (stat.Pid, stat.Comm, stat.ParentPid, stat.Threads));
        Assert.True(stat.State is 'S' or 'R');

        Assert.True(ProcessStatus.TryRead(child.Pid, out ProcessStatus status));
        Assert.Equal((comm, child.Pid, child.Pid, Environment.ProcessId), (status.Name, status.Pid, status.ThreadGroupId, status.ParentPid));
        Assert.Equal(Enumerable.Repeat(Libc.geteuid(), 4), status.Uids);

        Assert.True(ProcessStrings.TryReadComm(child.Pid, out string read));
        Assert.Equal(comm, read);

        Assert.True(ProcessStrings.TryReadCommandLine(child.Pid, out string[] arguments));
        Assert.Equal(Path.Combine(_folder.FullName, name), arguments[0]);
    }

    [Fact]
    public void A_thread_that_renames_itself_is_read_right()
    {
        string name = ") Z 0\n(\\ é";
        string? comm = null;
        Thread thread = new(() =>
        {
            fixed (byte* bytes = Encoding.UTF8.GetBytes(name + "\0"))
                Libc.prctl(Libc.PR_SET_NAME, (nuint)bytes);
            if (ProcFile.TryReadSelf($"task/{Libc.gettid()}/stat", out ProcFile file))
                using (file)
                    comm = ProcessStat.TryParse(file.Bytes, out ProcessStat stat) && stat.State == 'R' ? stat.Comm : null;
        });
        thread.Start();
        thread.Join();
        Assert.Equal(name, comm);
    }

    [Fact]
    public void Arguments_keep_their_blanks_newlines_and_emptiness()
    {
        using TestChild child = TestChild.Shell("echo ready; read x", "", "a b", "c\nd", "'\"", "");
        Assert.True(ProcessStrings.TryReadCommandLine(child.Pid, out string[] arguments));
        Assert.Equal(["/bin/sh", "-c", "echo ready; read x", "sh", "", "a b", "c\nd", "'\"", ""], arguments);
        Assert.True(ProcessStrings.TryReadEnvironment(child.Pid, out string[] environment));
        Assert.Contains("CONTAINERS_TEST=one\ntwo = three", environment);
    }

    [Fact]
    public void A_long_command_line_is_read_whole()
    {
        string[] many = [.. Enumerable.Range(0, 1000).Select(i => new string('x', 100) + i)];
        using TestChild child = TestChild.Shell("echo ready; read x", many);
        Assert.True(ProcessStrings.TryReadCommandLine(child.Pid, out string[] arguments));
        Assert.Equal(many, arguments[4..]);
    }

    [Fact]
    public void A_mount_on_a_hostile_path_is_found_by_its_true_name()
    {
        string point = Path.Combine(_folder.FullName, "x y\n\\040 - #z\té");
        Directory.CreateDirectory(point);
        using TestChild child = new("/usr/bin/unshare", "--map-root-user", "--mount", "/bin/sh", "-c", "mount -t tmpfs -o size=64k 'a b#c\\' \"$1\" && echo ready; read x", "sh", point);
        Assert.Equal("ready", child.FirstLine);
        Assert.True(MountInfo.TryRead(child.Pid, out List<MountInfo> mounts));
        MountInfo mount = Assert.Single(mounts, m => m.MountPoint == point);
        Assert.Equal(("tmpfs", "a b#c\\", "/"), (mount.Type, mount.Source, mount.Root));
        Assert.Contains("size=64k", mount.SuperOptions.Split(','));
        Assert.Contains(mounts, m => m.Id == mount.ParentId);
        Assert.Null(mount.Shared);
        Assert.DoesNotContain(MountInfo.ReadSelf(), m => m.MountPoint == point);
    }

    [Fact]
    public void Mounts_of_this_process_are_those_that_statx_tells()
    {
        List<MountInfo> mounts = MountInfo.ReadSelf();
        Assert.Equal(File.ReadAllLines("/proc/self/mountinfo").Length, mounts.Count);
        Assert.Equal(0, Libc.statx(Libc.AT_FDCWD, "/proc", 0, Libc.STATX_MNT_ID, out statx proc));
        MountInfo mount = mounts.Single(m => (ulong)m.Id == proc.stx_mnt_id);
        Assert.Equal(("proc", "/proc", proc.stx_dev_major, proc.stx_dev_minor), (mount.Type, mount.MountPoint, mount.Major, mount.Minor));
    }

    [Fact]
    public void Namespaces_are_told_by_their_inodes()
    {
        using TestChild child = new("/usr/bin/unshare", "--user", "--uts", "/bin/sh", "-c", "echo ready; read x");
        Assert.True(NamespaceLink.TryReadAll(child.Pid, out List<NamespaceLink> theirs));
        Assert.True(NamespaceLink.TryReadAll(Environment.ProcessId, out List<NamespaceLink> ours));
        Assert.Equal(Directory.GetFiles("/proc/self/ns").Select(Path.GetFileName).Order(StringComparer.Ordinal), ours.Select(l => l.File));
        Assert.Equal(["user", "uts"], ours.Except(theirs).Select(l => l.Type).Order());
        Assert.Equal(0, Libc.statx(Libc.AT_FDCWD, $"/proc/{child.Pid}/ns/uts", 0, Libc.STATX_INO, out statx uts));
        Assert.Equal(uts.stx_ino, theirs.Single(l => l.File == "uts").Id);
        Assert.Equal("pid", theirs.Single(l => l.File == "pid_for_children").Type);
        Assert.False(NamespaceLink.TryRead(child.Pid, "../exe", out _));
    }

    [Fact]
    public void Id_maps_of_a_user_namespace_are_read()
    {
        using TestChild mapped = new("/usr/bin/unshare", "--map-root-user", "/bin/sh", "-c", "echo ready; read x");
        Assert.True(IdMap.TryReadUids(mapped.Pid, out List<IdMap> uids));
        Assert.Equal([new IdMap(0, Libc.geteuid(), 1)], uids);
        Assert.True(IdMap.TryReadGids(mapped.Pid, out List<IdMap> gids));
        Assert.Equal([new IdMap(0, Libc.getegid(), 1)], gids);

        using TestChild unmapped = new("/usr/bin/unshare", "--user", "/bin/sh", "-c", "echo ready; read x");
        Assert.True(IdMap.TryReadUids(unmapped.Pid, out uids));
        Assert.Empty(uids);
    }

    [Fact]
    public void Limits_are_those_that_the_kernel_holds()
    {
        using TestChild child = TestChild.Shell("ulimit -n 64; echo ready; read x");
        Assert.True(ProcessLimits.TryRead(child.Pid, out rlimit64[] limits));
        Assert.Equal((64UL, 64UL), (limits[Libc.RLIMIT_NOFILE].rlim_cur, limits[Libc.RLIMIT_NOFILE].rlim_max));
        for (int resource = 0; resource < ResourceLimits.Count; resource++)
        {
            rlimit64 held;
            LinuxException.Check(Libc.prlimit64(child.Pid, resource, null, &held), "prlimit64");
            Assert.Equal((held.rlim_cur, held.rlim_max), (limits[resource].rlim_cur, limits[resource].rlim_max));
        }
    }

    [Fact]
    public void Cgroups_of_a_child_are_its_parents()
    {
        using TestChild child = TestChild.Shell("echo ready; read x");
        Assert.True(ProcessCgroup.TryRead(child.Pid, out List<ProcessCgroup> theirs));
        Assert.True(ProcessCgroup.TryRead(Environment.ProcessId, out List<ProcessCgroup> ours));
        Assert.Equal(ours, theirs);
        Assert.Equal(File.ReadAllLines("/proc/self/cgroup").Length, ours.Count);
    }

    [Fact]
    public void Capabilities_and_signals_of_a_child_are_read()
    {
        using TestChild child = new("/usr/bin/setpriv", "--bounding-set=-all,+chown,+bpf", "--no-new-privs", "/bin/sh", "-c", "trap '' USR1; echo ready; read x");
        Assert.Equal("ready", child.FirstLine);
        Assert.True(ProcessStatus.TryRead(child.Pid, out ProcessStatus status));
        Assert.Equal(1UL << Libc.CAP_CHOWN | 1UL << Libc.CAP_BPF, status.Bounding);
        Assert.True(status.NoNewPrivs);
        Assert.NotEqual(0UL, status.SignalsIgnored & Libc.sigmask(Libc.SIGUSR1));
        Assert.True(status.ResidentSize > 0 && status.ResidentPeak >= status.ResidentSize);
    }

    [Fact]
    public void A_process_that_has_gone_is_an_answer_of_every_reader()
    {
        using TestChild child = TestChild.Shell("echo ready; read x");
        Assert.True(ProcessIdentity.TryOf(child.Pid, out ProcessIdentity identity));
        child.End();
        int pid = child.Pid;
        Assert.False(ProcessStat.TryRead(pid, out _));
        Assert.False(ProcessStat.TryReadStart(pid, out _, out _));
        Assert.False(ProcessStatus.TryRead(pid, out _));
        Assert.False(MountInfo.TryRead(pid, out _));
        Assert.False(ProcessCgroup.TryRead(pid, out _));
        Assert.False(NamespaceLink.TryReadAll(pid, out _));
        Assert.False(ProcessStrings.TryReadCommandLine(pid, out _));
        Assert.False(ProcessStrings.TryReadEnvironment(pid, out _));
        Assert.False(ProcessStrings.TryReadComm(pid, out _));
        Assert.False(IdMap.TryReadUids(pid, out _));
        Assert.False(ProcessLimits.TryRead(pid, out _));
        Assert.False(FdInfo.TryRead(pid, 0, out _));
        Assert.False(ProcessIdentity.TryOf(pid, out _));
        Assert.False(identity.IsAlive);
        Assert.False(identity.TryOpen(out _));
        Assert.DoesNotContain(pid, ProcessList.Read());
    }

    [Fact]
    public void A_zombie_is_not_alive_and_has_lost_its_namespaces()
    {
        // The shell becomes a program that never waits for its child.
        using TestChild parent = TestChild.Shell("/bin/sleep 60 & echo $!; exec /bin/cat");
        int pid = int.Parse(parent.FirstLine);
        Assert.True(SpinWait.SpinUntil(() => ProcessStrings.TryReadComm(parent.Pid, out string name) && name == "cat", TimeSpan.FromSeconds(30)));
        Assert.True(ProcessIdentity.TryOf(pid, out ProcessIdentity identity));
        Assert.True(identity.TryOpen(out SafeFileHandle pidfd));
        using (pidfd)
        {
            Assert.True(PidFd.Send(pidfd, Libc.SIGKILL));
            TestChild.WaitForEnd(pidfd);
        }
        Assert.True(ProcessStat.TryRead(pid, out ProcessStat stat));
        Assert.Equal(('Z', true, identity.StartTime), (stat.State, stat.IsDead, stat.StartTime));
        Assert.False(identity.IsAlive);
        Assert.False(identity.TryOpen(out _));
        Assert.False(MountInfo.TryRead(pid, out _));
        Assert.False(NamespaceLink.TryReadAll(pid, out _));
        Assert.False(ProcessStrings.TryReadEnvironment(pid, out _));
        Assert.True(ProcessLimits.TryRead(pid, out _));
        Assert.True(ProcessCgroup.TryRead(pid, out _));
        Assert.True(ProcessStrings.TryReadCommandLine(pid, out string[] arguments));
        Assert.Empty(arguments);
        Assert.True(ProcessStatus.TryRead(pid, out ProcessStatus status));
        Assert.Null(status.ResidentSize);
    }

    [Fact]
    public void A_pid_is_believed_only_with_its_start_time()
    {
        using TestChild child = TestChild.Shell("echo ready; read x");
        Assert.True(ProcessIdentity.TryOf(child.Pid, out ProcessIdentity identity));
        Assert.True(identity.IsAlive);
        ProcessIdentity other = identity with { StartTime = identity.StartTime + 1 };
        Assert.False(other.IsAlive);
        Assert.False(other.TryOpen(out _));
        Assert.False(default(ProcessIdentity).IsAlive);
        Assert.False(default(ProcessIdentity).TryOpen(out _));
        Assert.False(new ProcessIdentity(-1, 0).IsAlive);
    }

    [Fact]
    public void A_pidfd_tells_its_process_until_that_is_reaped()
    {
        using TestChild child = TestChild.Shell("echo ready; read x");
        Assert.True(ProcessIdentity.TryOf(child.Pid, out ProcessIdentity identity));
        Assert.True(identity.TryOpen(out SafeFileHandle pidfd));
        using (pidfd)
        {
            int fd = (int)pidfd.DangerousGetHandle();
            Assert.True(FdInfo.TryRead(Environment.ProcessId, fd, out FdInfo info));
            Assert.Equal(child.Pid, info.Pid);
            Assert.NotEqual(0u, info.Flags & Libc.O_CLOEXEC);
            child.End();
            Assert.True(FdInfo.TryRead(Environment.ProcessId, fd, out info));
            Assert.Equal(-1, info.Pid);
            Assert.False(PidFd.Send(pidfd, 0));
        }
    }

    [Fact]
    public void The_list_of_processes_holds_ours()
    {
        using TestChild child = TestChild.Shell("echo ready; read x");
        List<int> pids = ProcessList.Read();
        Assert.Contains(child.Pid, pids);
        Assert.Contains(Environment.ProcessId, pids);
        Assert.Equal(pids.Distinct().Order(), pids);
    }

    [Fact]
    public void What_cannot_be_a_process_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => ProcessStat.TryRead(0, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => ProcessStatus.TryRead(-1, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => NamespaceLink.TryRead(0, "mnt", out _));
        Assert.Throws<ArgumentException>(() => { ProcFile.TryRead(1, new string('x', 100), out ProcFile file); });
        Assert.False(ProcessStat.TryRead(int.MaxValue, out _));
    }

    [Fact]
    public void The_start_of_a_process_is_read_without_allocating()
    {
        int pid = Environment.ProcessId;
        ProcessStat.TryReadStart(pid, out _, out _);
        long before = GC.GetAllocatedBytesForCurrentThread();
        bool all = true;
        for (int i = 0; i < 100; i++)
            all &= ProcessStat.TryReadStart(pid, out _, out _);
        Assert.True(all);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }
}
