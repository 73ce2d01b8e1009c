namespace Psrun;

/// <summary>Something that the user is told in one line: what, and why. <see cref="Errno"/> is 0 where no system call is behind it.</summary>
sealed class PsrunException(string message, int errno = 0) : Exception(message)
{
    public int Errno { get; } = errno;
}
