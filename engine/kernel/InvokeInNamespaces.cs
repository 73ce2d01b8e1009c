using Containers.Linux;

namespace Containers;

public sealed partial class LinuxNamespaces
{
    /// <summary>Starts a program in namespaces that are there; its output and end come by what is returned.</summary>
    /// <exception cref="ContainerException"><c>NamespaceNotFound</c>, <c>InvalidArgument</c>, <c>ContainerNotFound</c>, <c>TaskNotFound</c>, <c>TaskNotRunning</c>,
    /// <c>UserNotFound</c>, <c>HelperNotFound</c>.</exception>
    public NamespaceProgram Start(NamespaceCommandOptions options) => NamespaceProgram.Start(engine, options, terminal: false);

    /// <summary>Runs a program on a terminal of its own, in front of which the caller's stands until it ends. The caller's is then as it was.</summary>
    /// <exception cref="ContainerException">See <see cref="Start"/>; <c>InvalidArgument</c>: the caller has no terminal; <c>ExecutableNotFound</c>, <c>HostRefused</c>.</exception>
    public unsafe ContainerRunResult Enter(NamespaceCommandOptions options)
    {
        termios before;
        if (Libc.tcgetattr(Libc.STDIN_FILENO, &before) != 0)
        {
            throw new ContainerException(ErrorIds.InvalidArgument, "There is no terminal here to put in front of the program: standard input is none. Use Invoke-NamespaceCommand.", null, ContainerErrorCategory.InvalidOperation);
        }
        using var program = NamespaceProgram.Start(engine, options, terminal: true);
        try { return program.Wait(); }
        // psrun does this too; killed, it cannot.
        finally { _ = Libc.tcsetattr(Libc.STDIN_FILENO, &before); }
    }
}
