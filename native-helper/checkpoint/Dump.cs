using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Oci;
using Psrun.Dance;
using Psrun.State;
using Psrun.Verbs;

namespace Psrun.Checkpoint;

/// <summary>A running container into CRIU's images.</summary>
static class Dump
{
    const string LogFile = "dump.log";

    /// <summary>What cannot be done is refused here, before anything is touched.</summary>
    public static CriuProgram Check(StateFolder folder, StateFile state, Spec spec, CheckpointOptions options)
    {
        if (folder.TryReadMounts() != null)
            throw new PsrunException("CRIU needs a container with a mount namespace of its own");
        if (state.CgroupPath == null)
            throw new PsrunException("CRIU needs a container with a control group");
        ExternalMounts.Refuse(spec);
        if (options.ParentPath != null && !Directory.Exists(Path.Combine(options.ImagePath, options.ParentPath)))
            throw new PsrunException($"--parent-path: {Path.Combine(options.ImagePath, options.ParentPath)}: {Errnos.Text(Libc.ENOENT)}");
        CriuProgram criu = CriuProgram.Check();
        if ((options.PreDump || options.ParentPath != null) && !criu.TracksMemory)
            throw new PsrunException($"{(options.PreDump ? "--pre-dump" : "--parent-path")}: this kernel does not track what a program writes to its memory");
        if (options.LazyPages && !criu.HasLazyPages)
            throw new PsrunException("--lazy-pages: this kernel has no userfaultfd that CRIU can use");
        return criu;
    }

    public static void Run(StateFile state, Spec spec, CheckpointOptions options, CriuProgram criu, bool paused, int locked)
    {
        int images = CheckpointOptions.OpenFolder(options.ImagePath, "--image-path", make: true, out bool made);
        int work = options.WorkPath == null ? -1 : CheckpointOptions.OpenFolder(options.WorkPath, "--work-path", make: true, out _);
        uint? reader = MappedGroup(state.Pid);
        if (made && reader is uint group && (Libc.fchown(images, uint.MaxValue, group) < 0 || Libc.fchmod(images, 0x5E8) < 0))
            throw new PsrunException($"--image-path: {options.ImagePath}: {Errnos.Text(Libc.errno)}");
        CriuOptions request = options.ToCriu(LogFile, state.Rootfs, images, work, state.Annotations);
        request.Pid = state.Pid;
        request.LeaveRunning = options.LeaveRunning;
        request.TcpSkipInFlight = options.TcpSkipInFlight;
        request.LinkRemap = options.LinkRemap;
        request.PageServer = options.PageServer;
        request.ParentImage = options.ParentPath;
        request.TrackMemory = options.ParentPath != null;
        request.FreezeCgroup = CgroupSetup.FreezerFolder(state.CgroupPath!);
        foreach ((string type, nint flag, string path) in Namespaces.Read(spec).Joined)
            AddExternal(request, type, flag, path);
        if (!options.PreDump)
        {
            request.ExternalMounts = ExternalMounts.ForDump(spec, state.Pid, CgroupSetup.MountSourceAt(state.CgroupPath!, Namespaces.Read(spec).IsNew(Libc.CLONE_NEWCGROUP)));
            string[] streams = StandardFiles.Of(state.Pid);
            foreach (string stream in streams)
                if (StandardFiles.IsFile(stream) && !request.External.Contains(stream))
                    request.External.Add(stream);
            StandardFiles.Write(images, streams);
        }
        int words = CriuProgram.Words();
        try
        {
            using CriuWorker worker = CriuWorker.Start(new CriuStart { Program = criu.Path, Output = words, Lock = locked, OwnSession = true, Umask = reader == null ? 0x3F : 0x17 });
            worker.RestoreSignals();
            CriuAnswer answer = worker.Ask(CriuRequest.With(options.PreDump ? CriuRequestType.PreDump : CriuRequestType.Dump, request), (notice, _) => Notice(notice, options));
            if (!answer.Success)
                throw CriuProgram.Failure(answer, options.LogPath(LogFile), words);
        }
        catch
        {
            // A CRIU that did not end by itself leaves the group as it was then.
            if (!paused)
                CgroupSetup.Freeze(state.CgroupPath!, frozen: false);
            throw;
        }
        finally
        {
            Libc.close(words);
            Libc.close(images);
            if (work >= 0)
                Libc.close(work);
        }
    }

    /// <summary>
    /// The group that the root of the container's user namespace has outside; null without a user namespace of its own. From inside that CRIU reads its images at a restore: they are
    /// this group's to read, by way of the folder's set-group-id bit, and nobody else's.
    /// </summary>
    static uint? MappedGroup(int pid)
    {
        string[] words = (Shim.Files.ReadText($"/proc/{pid}/gid_map") ?? "").Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries);
        return words is ["0", var outside, ..] && uint.TryParse(outside, out uint group) && group != 0 ? group : null;
    }

    /// <summary>
    /// CRIU makes a namespace anew unless it is told that it is another's. It has a word for that for two types; the others it joins at a restore.
    /// </summary>
    static void AddExternal(CriuOptions request, string type, nint flag, string path)
    {
        if (flag != Libc.CLONE_NEWNET && flag != Libc.CLONE_NEWPID)
            return;
        if (Libc.statx(Libc.AT_FDCWD, path, 0, Libc.STATX_INO, out statx stat) < 0)
            throw new PsrunException($"linux.namespaces: {type}: {path}: {Errnos.Text(Libc.errno)}");
        request.External.Add($"{NamespaceName(flag)}[{stat.stx_ino}]:{NamespaceKey(flag)}");
    }

    /// <summary>Under which CRIU expects the namespace at a restore.</summary>
    public static string NamespaceKey(nint flag) => flag == Libc.CLONE_NEWNET ? "extRootNetNS" : "extRootPidNS";

    static string NamespaceName(nint flag) => flag == Libc.CLONE_NEWNET ? "net" : "pid";

    static void Notice(CriuAnswer notice, CheckpointOptions options)
    {
        Log.Debug($"criu: {notice.Script}");
        if (notice.Script != "status-ready" || options.StatusFd < 0)
            return;
        Log.Write(options.StatusFd, [0]);
        Libc.close(options.StatusFd);
        options.StatusFd = -1;
    }
}
