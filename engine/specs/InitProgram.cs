using System.Buffers.Binary;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>
/// A program of the host as a container's first process, which starts the container's own, hands signals on to it and reaps what is left of others: tini, catatonit,
/// dumb-init. It comes in by a read-only mount, and so it has to be one that needs nothing else of the host.
/// </summary>
static class InitProgram
{
    // On the container's own /dev: no place has to be made in its root filesystem.
    const string Target = "/dev/init";
    const int ProgramHeader = 56, Interpreter = 3; // elf(5)

    static readonly string[] Places = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/libexec/podman", "/usr/lib/podman", "/usr/libexec"];

    /// <summary>Puts it in front of the program.</summary>
    /// <exception cref="ContainerException"><c>InitNotFound</c>, <c>HelperNotTrusted</c>, <c>InvalidArgument</c>.</exception>
    internal static void Add(ContainerCreateOptions o, List<string> arguments, List<Mount> mounts)
    {
        if (o.Init is null) { return; }
        if ((o.ProcessNamespace?.Kind ?? NamespaceChoiceKind.Private) != NamespaceChoiceKind.Private) { throw ResourceSpec.Bad("Init", o.Init, "it is the first process of a private process namespace, and reaps nobody in another"); }
        var program = Find(o.Init);
        mounts.Add(new Mount { Destination = Target, Type = "bind", Source = program, Options = ["bind", "ro", "nosuid", "nodev"] });
        arguments.InsertRange(0, [Target, "--"]);
    }

    static string Find(string init)
    {
        if (init.Length == 0 || init.Contains('\0') || !init.StartsWith('/') && init.Contains('/')) { throw ResourceSpec.Bad("Init", init, "it is a name or an absolute path"); }
        var found = init.StartsWith('/') ? new[] { init } : Places.Select(place => Path.Combine(place, init));
        if (found.FirstOrDefault(File.Exists) is not { } path)
        {
            throw new ContainerException(ErrorIds.InitNotFound, init.StartsWith('/') ? $"There is no program '{init}' to be a container's first process. Check the path."
                : $"The program '{init}' was not found in {string.Join(", ", Places)}. Install one, such as tini or catatonit, or give its path.", init, ContainerErrorCategory.NotInstalled);
        }
        path = RuntimeLookup.Trusted(path);
        return StandsAlone(path) ? path : throw ResourceSpec.Bad("Init", path, "it needs libraries of the host, which a container has not; use one that is linked statically, such as tini-static or catatonit");
    }

    /// <summary>Whether it is a program without an interpreter (elf(5), PT_INTERP).</summary>
    static bool StandsAlone(string path)
    {
        using var file = File.OpenHandle(path);
        var head = new byte[64];
        if (RandomAccess.Read(file, head, 0) != head.Length || !head.AsSpan().StartsWith("\u007fELF\u0002\u0001"u8)) { return false; }
        var offset = BinaryPrimitives.ReadInt64LittleEndian(head.AsSpan(32));
        var (size, count) = (BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(54)), BinaryPrimitives.ReadUInt16LittleEndian(head.AsSpan(56)));
        var part = new byte[ProgramHeader];
        for (var i = 0; i < count; i++)
        {
            if (size < ProgramHeader || offset < 0 || RandomAccess.Read(file, part, offset + (long)i * size) != part.Length) { return false; }
            if (BinaryPrimitives.ReadUInt32LittleEndian(part) == Interpreter) { return false; }
        }
        return count > 0;
    }
}
