using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Checkpoint;
using Psrun.Network;
using Psrun.Processes;
using Psrun.State;

namespace Psrun.Verbs;

/// <summary>The other way for a container's processes to come to be: CRIU makes them from the images of a checkpoint, as children of psrun.</summary>
sealed unsafe partial class Creation
{
    const string RestoreLog = "restore.log";

    public static Creation Restore(CreationOptions options, CheckpointOptions checkpoint)
    {
        CriuProgram criu = CheckRestore(options, checkpoint);
        Creation creation = Claim(options);
        try
        {
            creation.Restore(criu, checkpoint);
            return creation;
        }
        catch
        {
            creation.EndRestored();
            creation.Undo();
            throw;
        }
    }

    /// <summary>What cannot be done is refused here, before anything is touched.</summary>
    static CriuProgram CheckRestore(CreationOptions options, CheckpointOptions checkpoint)
    {
        ContainerId.Check(options.Id);
        Spec spec = SpecCheck.ReadBundle(options.Bundle);
        SpecCheck.Check(spec);
        ExternalMounts.Refuse(spec);
        Dance.Namespaces namespaces = Dance.Namespaces.Read(spec);
        if (!namespaces.IsNew(Libc.CLONE_NEWNS))
            throw new PsrunException("linux.namespaces: CRIU needs a container with a mount namespace of its own");
        if (namespaces.Joined.Exists(j => j.Flag == Libc.CLONE_NEWCGROUP))
            throw new PsrunException("linux.namespaces: cgroup: CRIU cannot join one");
        Libc.close(CheckpointOptions.OpenFolder(checkpoint.ImagePath, "--image-path", make: false, out _));
        CriuProgram criu = CriuProgram.Check();
        if (checkpoint.LsmProfile != null)
            criu.Need(31600, "--lsm-profile");
        if (checkpoint.LsmMountContext != null)
            criu.Need(31600, "--lsm-mount-context");
        if (checkpoint.LazyPages && !criu.HasLazyPages)
            throw new PsrunException("--lazy-pages: this kernel has no userfaultfd that CRIU can use");
        return criu;
    }

    void Restore(CriuProgram criu, CheckpointOptions options)
    {
        if (_cgroups == null)
            throw new PsrunException("CRIU needs a container with a control group");
        string root = Folder.MakeRestoredRoot();
        CriuOptions request = options.ToCriu(RestoreLog, root, -1, -1, State.Annotations);
        request.RestoreAsSibling = true;
        request.EvasiveDevices = true;
        request.LsmProfile = options.LsmProfile;
        request.LsmMountContext = options.LsmMountContext;
        var start = new CriuStart
        {
            Program = criu.Path,
            Lock = Folder.Descriptor,
            Group = _entry,
            GroupFiles = ResctrlSetup.OpenEntry(State.IntelRdt),
            // Programs of the caller's session and terminal are to be in it again.
            OwnSession = !options.ShellJob,
            Mounts = plan => RestoredRoot.Add(plan, Spec, _options.Bundle, State.Rootfs, root),
        };
        _descriptors.AddRange(start.GroupFiles);
        foreach ((string type, nint flag, string path) in Namespaces.Joined)
            AddJoined(request, start, type, flag, path);
        request.ExternalMounts = ExternalMounts.ForRestore(Spec, _options.Bundle, _cgroups.MountSource(Namespaces.IsNew(Libc.CLONE_NEWCGROUP)));
        // A dumped container that was given NOTIFY_SOCKET has this mount too.
        Libc.close(Folder.OpenNotifyTree());
        request.ExternalMounts.Add((NotifySocket.Folder, Folder.Path + "/" + StateFolder.NotifyFolder));
        int console = OpenConsole();

        CriuWorker? started = null;
        RestoredRoot.Visit(() =>
        {
            request.ImagesFolder = Keep(CheckpointOptions.OpenFolder(options.ImagePath, "--image-path", make: false, out _), "--image-path");
            if (options.WorkPath != null)
                request.WorkFolder = Keep(CheckpointOptions.OpenFolder(options.WorkPath, "--work-path", make: true, out _), "--work-path");
            request.Inherited.AddRange(StandardFiles.ReadInherited(request.ImagesFolder));
            started = CriuWorker.Start(start);
        });
        using (CriuWorker worker = started!)
        {
            // In the foreground they wait for the program.
            if (!_options.Foreground)
                worker.RestoreSignals();
            _cgroups.Enter(worker.Pid, _options.Id, Spec.Linux!.Resources);
            AddGroupRoots(request, worker.Pid);
            CriuAnswer answer = worker.Ask(CriuRequest.With(CriuRequestType.Restore, request), (notice, descriptor) => Notice(notice, descriptor, console));
            worker.End();
            if (!answer.Success)
                throw CriuProgram.Failure(answer, options.LogPath(RestoreLog));
            if (!State.Complete || answer.Pid != State.Pid)
                throw new PsrunException("criu: it has not told which process it restored");
        }
        Folder.RemoveRestoredRoot();
        if (_pidFile != null)
            WritePidFile(_pidFile, State.Pid);
        Folder.Unlock();
    }

    /// <summary>In the order of CRIU's own names for it: <c>setup-namespaces</c>, <c>orphan-pts-master</c>, <c>post-restore</c>.</summary>
    void Notice(CriuAnswer notice, int descriptor, int console)
    {
        Log.Debug($"criu: {notice.Script} {notice.Pid}");
        switch (notice.Script)
        {
            case "setup-namespaces":
                Record(notice.Pid);
                SetUpNetwork();
                HookRunner.Run("prestart", Spec.Hooks?.Prestart, State.ForHook(StateFile.Created));
                HookRunner.Run("createRuntime", Spec.Hooks?.CreateRuntime, State.ForHook(StateFile.Creating));
                break;
            case "orphan-pts-master":
                if (descriptor < 0 || console < 0)
                    throw new PsrunException("process.terminal: the images have a terminal, and the bundle has not");
                if (DescriptorMessage.Send(console, "/dev/pts/ptmx"u8, [descriptor]) < 0)
                    throw new PsrunException($"process.terminal: {Errnos.Text(Libc.errno)}");
                break;
            case "post-restore":
                Record(notice.Pid);
                CloseRoot();
                // Before CRIU hears of it and lets the program go on: whoever dies then leaves a running container and not a half one.
                State.Complete = true;
                Folder.WriteState(State);
                break;
        }
    }

    void Record(int pid)
    {
        if (State.Pid == pid)
            return;
        if (State.Pid != 0 || pid <= 0)
            throw new PsrunException("criu: it tells of more than one first process");
        State.Pid = pid;
        State.PidStartTime = InitProcess.StartTime(pid);
        Folder.WriteState(State);
        Folder.WriteInitLink(State);
    }

    /// <summary>CRIU before 4.2 restores the root without the flags of its mount, and a read-only one would be writable.</summary>
    void CloseRoot()
    {
        if (Spec.Root!.Readonly != true)
            return;
        int mounts = Keep(Libc.open($"/proc/{State.Pid}/ns/mnt", Libc.O_RDONLY | Libc.O_CLOEXEC), "linux.namespaces: mount");
        Rootfs.SharedMounts.Visit(mounts, _ =>
        {
            mount_attr readOnly = default;
            readOnly.attr_set = (ulong)Libc.MOUNT_ATTR_RDONLY;
            if (Libc.mount_setattr(Libc.AT_FDCWD, "/", 0, readOnly) < 0)
                throw new PsrunException($"make the root read-only: {Errnos.Text(Libc.errno)}");
        });
    }

    /// <summary>CRIU makes a new network namespace empty: it gets what one has whose container is created.</summary>
    void SetUpNetwork()
    {
        if (!Namespaces.IsNew(Libc.CLONE_NEWNET))
            return;
        int made = Keep(Libc.open($"/proc/{State.Pid}/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC), "linux.namespaces: network");
        using (RouteSocket there = RouteSocket.In(made))
            there.SetUp(Loopback);
        _netDevices = NetDevices.Move(Spec.Linux!, State.Pid);
    }

    /// <summary>The number of <c>lo</c>, in every network namespace.</summary>
    const int Loopback = 1;

    void AddJoined(CriuOptions request, CriuStart start, string type, nint flag, string path)
    {
        if (flag != Libc.CLONE_NEWNET && flag != Libc.CLONE_NEWPID)
        {
            request.JoinedNamespaces.Add((type, path));
            return;
        }
        int fd = Keep(Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC), $"linux.namespaces: {type}: {path}");
        start.Inherited.Add(fd);
        request.Inherited.Add((Dump.NamespaceKey(flag), fd));
    }

    /// <summary>What CRIU restores lies where CRIU itself is now, whatever the group was called at the dump.</summary>
    static void AddGroupRoots(CriuOptions request, int pid)
    {
        foreach (string line in (Shim.Files.ReadText($"/proc/{pid}/cgroup") ?? "").Split('\n'))
            if (line.Split(':', 3) is [_, string controllers, string path])
                foreach (string controller in controllers.Split(','))
                    request.CgroupRoots.Add((controller, path));
    }

    /// <summary>CRIU, which has heard the end of the connection, has ended what it made; what it could not is ended here. All of it are children of psrun.</summary>
    void EndRestored()
    {
        if (State.Pid > 0)
            Libc.kill(State.Pid, Libc.SIGKILL);
        _cgroups?.KillMade();
        int status;
        while (Libc.waitpid(-1, &status, 0) > 0 || Libc.errno == Libc.EINTR)
        {
        }
    }
}
