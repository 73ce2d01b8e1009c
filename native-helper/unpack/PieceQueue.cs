using System.Runtime.InteropServices;

namespace Psrun.Unpack;

/// <summary>A part of a layer on its way from one thread to others. It is never freed: the process works on one layer and ends.</summary>
sealed unsafe class Piece
{
    public const int Size = 1 << 20;

    public readonly byte* Data = (byte*)NativeMemory.AlignedAlloc(Size, 4096);
    public int Length;

    /// <summary>Threads that are not done with it yet.</summary>
    public int Users;
}

/// <summary>Handed over between threads, one of which takes; <see cref="Take"/> answers null when it has ended and is empty.</summary>
sealed class PieceQueue
{
    readonly Queue<Piece> _pieces = new();
    int _wanted = 1;
    bool _ended;

    public void Add(Piece piece)
    {
        lock (_pieces)
        {
            _pieces.Enqueue(piece);
            if (_pieces.Count >= _wanted)
                Monitor.Pulse(_pieces);
        }
    }

    /// <param name="enough">Who finds nothing sleeps until there is so much: on a busy machine each waking takes longer than the work on one piece.</param>
    public Piece? Take(int enough = 1)
    {
        lock (_pieces)
        {
            _wanted = _pieces.Count == 0 ? enough : 1;
            while (_pieces.Count < _wanted && !_ended)
                Monitor.Wait(_pieces);
            return _pieces.TryDequeue(out Piece? piece) ? piece : null;
        }
    }

    public void End()
    {
        lock (_pieces)
        {
            _ended = true;
            Monitor.PulseAll(_pieces);
        }
    }
}
