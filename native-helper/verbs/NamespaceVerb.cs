using Psrun.Kept;

namespace Psrun.Verbs;

/// <summary>namespace new, namespace exec: single namespaces, without a container.</summary>
static class NamespaceVerb
{
    public static readonly string[] Known = [.. NewNamespaces.Known, .. NamespaceProgram.Known];

    public static int Run(string[] args, ReadOnlySpan<string> rest)
    {
        switch (rest.Length > 0 ? rest[0] : "")
        {
            case "new":
                return NewNamespaces.Run(rest[1..]);
            case "exec":
                // It may enter a container's mount namespace, as exec does.
                Processes.OwnProgram.RunReadOnly(args);
                return NamespaceProgram.Run(rest[1..]);
            default:
                throw new PsrunException("namespace: needs new or exec");
        }
    }
}
