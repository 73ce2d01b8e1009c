namespace Containers.Tests.Runtime;

/// <summary>A pipe whose ends are closed with it.</summary>
sealed class Pipe : IDisposable
{
    public int Reader { get; }

    public int Writer { get; }

    public Pipe()
    {
        Span<int> ends = stackalloc int[2];
        if (Native.pipe2(ends, Native.O_CLOEXEC) != 0)
            throw Native.Failure("pipe2");
        (Reader, Writer) = (ends[0], ends[1]);
    }

    public void Dispose()
    {
        Native.close(Reader);
        Native.close(Writer);
    }
}
