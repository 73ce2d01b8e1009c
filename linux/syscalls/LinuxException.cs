namespace Containers.Linux;

/// <summary>A system call that failed: <c>open /x: no such file or directory (ENOENT)</c>.</summary>
public sealed class LinuxException : IOException
{
    /// <param name="call">The call, in C's spelling.</param>
    /// <param name="what">What it was done to: a path, a pid. Null where there is nothing to name.</param>
    public LinuxException(string call, string? what, int errno) : base(Text(call, what, errno))
    {
        Call = call;
        What = what;
        Errno = errno;
    }

    public string Call { get; }

    public string? What { get; }

    public int Errno { get; }

    /// <summary>ENOENT and so on; a number that has no name as "errno N".</summary>
    public string ErrnoName => Errnos.Name(Errno);

    /// <summary>Passes on what a call returned, or throws for -1.</summary>
    /// <exception cref="LinuxException">With the errno of the last call.</exception>
    public static int Check(int result, string call, string? what = null) =>
        result != -1 ? result : throw new LinuxException(call, what, Libc.errno);

    /// <inheritdoc cref="Check(int, string, string?)"/>
    public static nint Check(nint result, string call, string? what = null) =>
        result != -1 ? result : throw new LinuxException(call, what, Libc.errno);

    /// <inheritdoc cref="Check(int, string, string?)"/>
    public static int Check(int result, string call, int what)
    {
        if (result != -1)
            return result;
        int errno = Libc.errno;
        throw new LinuxException(call, what.ToString(), errno);
    }

    static string Text(string call, string? what, int errno)
    {
        string head = what is null ? call : $"{call} {what}";
        return $"{head}: {Errnos.Text(errno)} ({Errnos.Name(errno)})";
    }
}
