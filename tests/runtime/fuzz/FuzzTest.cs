using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>What holds for whatever is thrown at the runtime: it ends soon, is not killed by a fault of its own, says one line when it refuses, and leaves nothing.</summary>
public abstract class FuzzTest : RuntimeTest
{
    /// <summary>The same number makes the same inputs again: <c>CONTAINERS_FUZZ_SEED</c>.</summary>
    protected static int Seed { get; } = int.TryParse(Environment.GetEnvironmentVariable("CONTAINERS_FUZZ_SEED"), out var seed) ? seed : Environment.TickCount;

    /// <summary>Five seconds are the promise; a busy machine gets the double.</summary>
    private protected static SpawnOptions Limited { get; } = new() { Timeout = SpawnOptions.Limit(10) };

    /// <param name="input">What was thrown, for the message.</param>
    private protected static void AssertDecent(Result result, Func<string> input)
    {
        var lines = result.Stderr.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        // A program inside may end by any signal: psrun run then ends with 128 and its number, and has nothing to say.
        // What is left of "true" may be another program of busybox's, which then tells how it is used.
        var ran = result.Stderr.StartsWith("BusyBox v", StringComparison.Ordinal);
        var well = result.Signal == 0 && !result.Stderr.Contains("internal error") && !result.Stderr.Contains("Unhandled")
            && (result.ExitCode == 0 || result.ExitCode > 128 && result.ExitCode != 255 || ran || lines.Length == 1 && IsClear(lines[0]));
        Assert.True(well, $"seed {Seed}: {result}\n{input()}");
    }

    /// <summary>psrun's own line, or that of the program in the container.</summary>
    static bool IsClear(string line)
    {
        if (!line.StartsWith("psrun: ", StringComparison.Ordinal) && !line.StartsWith("psrun shim: ", StringComparison.Ordinal))
            return line.Contains("applet not found", StringComparison.Ordinal) || line.Contains("busybox", StringComparison.Ordinal) || line.StartsWith("sh: ", StringComparison.Ordinal);
        foreach (var c in line)
        {
            if (char.IsControl(c))
                return false;
        }
        return line.Length > "psrun: ".Length + 3 && line.Length < 20_000;
    }

    private protected void AssertNoState(Func<string> input)
    {
        if (Directory.Exists(Runtime.Root))
            Assert.True(Directory.GetFileSystemEntries(Runtime.Root).Length == 0, $"seed {Seed}: a state is left\n{input()}");
    }

    protected static byte[] Garble(Random random, byte[] bytes)
    {
        var list = new List<byte>(bytes);
        for (var n = random.Next(1, 6); n > 0 && list.Count > 0; n--)
        {
            var at = random.Next(list.Count);
            switch (random.Next(6))
            {
                case 0: list[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: list[at] = (byte)random.Next(256); break;
                case 2: list.RemoveRange(at, Math.Min(list.Count - at, random.Next(1, 40))); break;
                case 3: list.RemoveRange(at, list.Count - at); break;
                case 4: list.InsertRange(random.Next(list.Count), list.GetRange(at, Math.Min(list.Count - at, random.Next(1, 200)))); break;
                default: list.InsertRange(at, Encoding.UTF8.GetBytes(Pick(random, "{", "}", "[", "]", ",", ":", "\"", "\\u0000", "\\", "null", "1e999", "-", "\0", "\u00ff", "true"))); break;
            }
        }
        return [.. list];
    }

    protected static T Pick<T>(Random random, params T[] choices) => choices[random.Next(choices.Length)];
}
