namespace Containers.Linux;

/// <summary>What a process was started with, and its name: cmdline, environ and comm of proc(5). All of it is the process's to choose.</summary>
public static class ProcessStrings
{
    /// <param name="arguments">None for kernel threads and zombies. A program may have written something else over them.</param>
    /// <returns>False when there is no such process (any more).</returns>
    public static bool TryReadCommandLine(int pid, out string[] arguments) => TryRead(pid, "cmdline", out arguments);

    /// <param name="environment">NAME=value, as it was at the start of the program; also strings without =, and doubles. None for kernel threads.</param>
    /// <returns>False when there is no such process (any more), or it is a zombie.</returns>
    /// <exception cref="LinuxException">EACCES for a process that the caller may not trace.</exception>
    public static bool TryReadEnvironment(int pid, out string[] environment) => TryRead(pid, "environ", out environment);

    /// <param name="comm">As <see cref="ProcessStat.Comm"/>.</param>
    /// <returns>False when there is no such process (any more).</returns>
    public static bool TryReadComm(int pid, out string comm)
    {
        comm = "";
        if (!ProcFile.TryRead(pid, "comm", out ProcFile file))
            return false;
        using (file)
        {
            // The kernel adds one newline; any other is the name's.
            ReadOnlySpan<byte> text = file.Bytes;
            comm = ProcText.String(text is [.., (byte)'\n'] ? text[..^1] : text);
            return true;
        }
    }

    static bool TryRead(int pid, string name, out string[] strings)
    {
        strings = [];
        if (!ProcFile.TryRead(pid, name, out ProcFile file))
            return false;
        using (file)
            strings = ProcText.Strings(file.Bytes);
        return true;
    }
}
