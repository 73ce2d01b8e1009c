using Containers.Linux;

namespace Containers;

public sealed partial class LinuxNamespaces
{
    const int LongestHostName = 64;

    /// <summary>Where each would be kept, after all checks that need no kernel.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>, <c>InvalidId</c>.</exception>
    public IReadOnlyList<string> PlanCreate(NamespaceCreateOptions o)
    {
        Check(o);
        return [.. o.Types.Select(type => PathFor(o, type))];
    }

    /// <summary>Makes namespaces, all or none, each kept by a bind mount and by no process (but for a pid namespace's first).</summary>
    /// <exception cref="ContainerException"><c>NamespaceExists</c>: the name is taken; <c>HostRefused</c>, <c>InvalidArgument</c>, <c>InvalidId</c>, <c>HelperNotFound</c>.</exception>
    public IReadOnlyList<LinuxNamespace> Create(NamespaceCreateOptions o)
    {
        var places = PlanCreate(o);
        var helper = engine.Host.FindHelper();
        // What is to be taken away again: psrun does so by itself when it fails, but not when it was killed, or when the failure comes after it.
        List<string> begun = [];
        int? init = null;
        try
        {
            Folders.MakeRoot(engine.Paths.RunRoot);
            using (FileLock.TakeFolder(engine.Paths.RunRoot))
            {
                if (o.Folder is null) { NamespaceStore.Prepare(engine.Paths, o.Types); }
                else { NamespaceStore.MakeFolder(engine.Paths, FolderOf(o)); }
                var free = places.Where(place => !System.IO.File.Exists(place)).ToList();
                init = HelperCall.Run(helper, Arguments(o, places), answer => answer.GetProperty("initPid") is { ValueKind: System.Text.Json.JsonValueKind.Number } pid ? pid.GetInt32() : (int?)null, (id, words) =>
                {
                    if (id == ErrorIds.ShimFailed) { begun = free; }
                    return Failed(id, words, places);
                });
                begun = free;
                if (o.Folder is not null)
                {
                    foreach (var place in places) { NamespaceStore.Remember(engine.Paths, Identify(place).Id, place); }
                }
            }
        }
        catch (Exception e)
        {
            Undo(begun, init);
            CleanUp(o);
            throw e is LinuxException refused ? NamespaceRefusal.Make(refused, "The namespaces cannot be kept", places[0]) : e;
        }
        return Describe(places, init);
    }

    // What has just been made is held by what is known here: the host need not be looked through for it.
    List<LinuxNamespace> Describe(IReadOnlyList<string> places, int? init)
    {
        var found = new Dictionary<ulong, NamespaceFound>();
        var ids = new List<ulong>();
        foreach (var place in places)
        {
            var (type, id) = Identify(place);
            var one = new NamespaceFound(File(type), id);
            one.Mounts.Add(new NamespaceMount(place, 0, null));
            if (init is { } pid && type is (LinuxNamespaceType.Pid or LinuxNamespaceType.User)) { one.AddMember(pid); }
            found[id] = one;
            ids.Add(id);
        }
        NamespaceRelations.Resolve(found);
        var folders = NamespaceStore.Folders(engine.Paths);
        return [.. ids.Select(id => LinuxNamespaceSnapshot.Build(found[id], [], folders))];
    }

    static void Undo(IReadOnlyList<string> places, int? init)
    {
        foreach (var place in places)
        {
            Libc.umount2(place, Libc.MNT_DETACH | Libc.UMOUNT_NOFOLLOW);
            Libc.unlink(place);
        }
        if (init is { } pid && ProcessStat.TryReadStart(pid, out _, out var start)) { Waiting.Signal(pid, start, Libc.SIGKILL); }
    }

    void CleanUp(NamespaceCreateOptions o)
    {
        if (!Directory.Exists(engine.Paths.RunRoot)) { return; }
        using (FileLock.TakeFolder(engine.Paths.RunRoot)) { NamespaceStore.RemoveEmpty(engine.Paths, o.Folder is null ? [] : [FolderOf(o)]); }
    }

    static string FolderOf(NamespaceCreateOptions o) => Path.TrimEndingDirectorySeparator(o.Folder!);

    string PathFor(NamespaceCreateOptions o, LinuxNamespaceType type) => Path.Combine(o.Folder ?? NamespaceStore.Folder(engine.Paths, type), o.Folder is null ? o.Name! : File(type));

    static List<string> Arguments(NamespaceCreateOptions o, IReadOnlyList<string> places)
    {
        var arguments = new List<string> { "namespace", "new" };
        for (var i = 0; i < places.Count; i++) { Add("--keep", $"{File(o.Types[i])}={places[i]}"); }
        if (o.Types.Contains(LinuxNamespaceType.User))
        {
            foreach (var map in o.UidMap ?? [new NamespaceIdMap(0, Libc.geteuid(), 1)]) { Add("--uid-map", map.ToString()); }
            foreach (var map in o.GidMap ?? [new NamespaceIdMap(0, Libc.getegid(), 1)]) { Add("--gid-map", map.ToString()); }
        }
        if (o.MonotonicOffset is { } monotonic) { Add("--time-offset", "monotonic=" + Offset(monotonic)); }
        if (o.BootTimeOffset is { } boot) { Add("--time-offset", "boottime=" + Offset(boot)); }
        if (o.HostName is { } name) { Add("--hostname", name); }
        if (o.KeepInit) { arguments.Add("--keep-init"); }
        return arguments;

        void Add(string option, string value)
        {
            arguments.Add(option);
            arguments.Add(value);
        }
    }

    // Nanoseconds are never negative: -1.5 s are -2 s and 500,000,000 ns.
    static string Offset(TimeSpan span)
    {
        var seconds = Math.DivRem(span.Ticks, TimeSpan.TicksPerSecond, out var rest);
        if (rest < 0)
        {
            seconds--;
            rest += TimeSpan.TicksPerSecond;
        }
        return string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{seconds}:{rest * 100}");
    }

    static ContainerException Failed(string id, string words, IReadOnlyList<string> places) => id switch
    {
        "NamespaceExists" => new ContainerException(ErrorIds.NamespaceExists, $"The name is taken: {words}. Choose another, or remove what is there with Remove-Namespace.", places[0], ContainerErrorCategory.ResourceExists),
        "BadRequest" => Bad(words + ".", places[0]),
        _ => NamespaceRefusal.Make(id, $"The namespaces could not be made, and none of them was: {words}", places[0]),
    };

    static ContainerException Bad(string message, object? target) => new(ErrorIds.InvalidArgument, message, target, ContainerErrorCategory.InvalidArgument);

    static void Check(NamespaceCreateOptions o)
    {
        if (o.Types.Count == 0 || o.Types.Distinct().Count() != o.Types.Count) { throw Bad("Say which types of namespaces to make, each once.", o.Types); }
        if (o.Name is null == o.Folder is null) { throw Bad("Say where to keep the namespaces: a name, or a folder.", o.Name); }
        if (o.Name is not null && !Names.IsValid(o.Name))
        {
            throw new ContainerException(ErrorIds.InvalidId, $"'{o.Name}' is no name for a namespace: it begins with a letter or digit, goes on with letters, digits, '_', '.' or '-', and has at most {Names.Longest} characters.",
                o.Name, ContainerErrorCategory.InvalidArgument);
        }
        if (o.Folder is { } folder && (!folder.StartsWith('/') || folder.Contains('\0'))) { throw Bad($"'{folder}' is no absolute path.", folder); }
        Needs(LinuxNamespaceType.Uts, o.HostName is not null, "A host name");
        Needs(LinuxNamespaceType.User, o.UidMap is not null || o.GidMap is not null, "A map of ids");
        Needs(LinuxNamespaceType.Time, o.MonotonicOffset is not null || o.BootTimeOffset is not null, "A time offset");
        Needs(LinuxNamespaceType.Pid, o.KeepInit, "KeepInit");
        if (o.Types.Contains(LinuxNamespaceType.Pid) && !o.KeepInit)
        {
            throw Bad("A pid namespace lives as long as its first process, and a bind mount of a dead one is of no use. Say -KeepInit to leave one in it.", "Pid");
        }
        if (o.HostName is { } name && (name.Length == 0 || System.Text.Encoding.UTF8.GetByteCount(name) > LongestHostName || name.Any(char.IsControl)))
        {
            throw Bad($"'{name}' is no host name: it has 1 to {LongestHostName} bytes and no control characters.", name);
        }

        void Needs(LinuxNamespaceType type, bool asked, string what)
        {
            if (asked && !o.Types.Contains(type)) { throw Bad($"{what} needs a namespace of type {type}, which is not among the types to make.", type); }
        }
    }
}
