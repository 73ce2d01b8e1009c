using Containers.Linux;
using Containers.Linux.Cgroups;
using Containers.Linux.Resctrl;
using Psrun.Processes;
using Psrun.Verbs;

namespace Psrun.Shim;

/// <summary>
/// create, start and delete in the shim itself where psrun is the runtime: a program start less for each. Other runtimes, other verbs, and bundles with hooks or a
/// listener, which may take any time, go through <see cref="RuntimeCall"/>.
/// </summary>
static class OwnRuntime
{
    public static bool CanDo(Orders orders, string verb) => orders.Plain && verb is ("create" or "start" or "delete") && OwnProgram.IsCovered && OwnProgram.CanMapAnew();

    /// <param name="stdio">The new process's streams; null for a verb that makes no process.</param>
    public static (bool Succeeded, string Words) Do(Server server, Orders orders, string[] verb, Stdio? stdio, int nothing)
    {
        uint mask = Libc.umask(0x12);
        int own = stdio?.Container is null ? -1 : Sys.Duplicate(2, Spawn.FirstFreeDescriptor);
        try
        {
            if (stdio?.Container is var (input, output, error)) Take(input, output, error);
            ReadOnlySpan<string> rest = verb.AsSpan(1);
            int status = verb[0] switch
            {
                "create" => CreateVerb.Run(orders.RuntimeRoot, rest),
                "start" => StartVerb.Run(orders.RuntimeRoot, rest),
                _ => DeleteVerb.Run(orders.RuntimeRoot, rest),
            };
            return (status == 0, "");
        }
        catch (Exception e) when (e is PsrunException or LinuxException or CgroupException or ResctrlException or IOException)
        {
            return (false, Psrun.Log.OneLine(e.Message));
        }
        catch (Exception e)
        {
            return (false, Psrun.Log.OneLine($"internal error: {e.GetType().Name}: {e.Message}"));
        }
        finally
        {
            if (own >= 0)
            {
                Take(nothing, nothing, own);
                Sys.Close(own);
            }
            Libc.umask(mask);
            // create has gone to the bundle.
            Sys.ChangeDirectory(server.RunDirectory);
        }
    }

    /// <summary>The runtime's own standard streams are those of the process that it makes.</summary>
    static void Take(int input, int output, int error)
    {
        Libc.dup2(input, 0);
        Libc.dup2(output, 1);
        Libc.dup2(error, 2);
    }
}
