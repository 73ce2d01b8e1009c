using System.Text;

namespace Containers.Tests.Runtime;

/// <summary>A criu that does what a test has written down (criu.c), and the messages that it got.</summary>
sealed class FakeCriu
{
    /// <summary>What psrun asks before it touches anything.</summary>
    const string Ready = "ask\nversion 3 17 1\nask\nfeatures 1 1\n";

    /// <summary>Fields that are messages themselves: criu_req's opts and features, and those of criu_opts that are not plain (images/rpc.proto).</summary>
    static readonly HashSet<string> Messages = ["2", "5", "2.11", "2.23", "2.25", "2.27", "2.39"];

    readonly string folder;

    /// <param name="work">The steps of the run that does the work; null when it does not come to that.</param>
    /// <param name="ready">The steps of the run before it.</param>
    public FakeCriu(string scratch, string? work, string ready = Ready)
    {
        folder = Directory.CreateDirectory(Path.Combine(scratch, "criu-" + Guid.NewGuid().ToString("N")[..8])).FullName;
        File.WriteAllText(Path.Combine(folder, "plan-0"), ready);
        if (work is not null)
            File.WriteAllText(Path.Combine(folder, "plan-1"), work);
    }

    public static string Program => Hostile.Program("checkpoint/criu");

    public SpawnOptions Options => new() { Environment = new() { ["FAKE_CRIU"] = folder } };

    /// <summary>Whether it was started for the work.</summary>
    public bool Worked => Directory.Exists(Path.Combine(folder, "started-1"));

    /// <summary>
    /// A message of the run that does the work, field by field in their order: <c>2.13=/path</c> is opts.root. Of those within a message one field's parts stand together: <c>2.23=/a=/b</c>.
    /// </summary>
    public List<string> Message(int number) => Fields(File.ReadAllBytes(Path.Combine(folder, $"message-1-{number}")), "");

    public int MessageCount => Directory.GetFiles(folder, "message-1-*").Length;

    static List<string> Fields(byte[] bytes, string prefix)
    {
        List<string> found = [];
        for (var at = 0; at < bytes.Length;)
        {
            var key = Varint(bytes, ref at);
            var name = prefix + (key >> 3);
            if ((key & 7) == 0)
            {
                found.Add($"{name}={(long)Varint(bytes, ref at)}");
                continue;
            }
            Assert.Equal(2UL, key & 7);
            var length = (int)Varint(bytes, ref at);
            var block = bytes[at..(at + length)];
            at += length;
            if (name is "2" or "5")
                found.AddRange(Fields(block, name + "."));
            else if (Messages.Contains(name))
                found.Add(name + "=" + string.Join('=', Fields(block, ".").Select(part => part[(part.IndexOf('=') + 1)..])));
            else
                found.Add($"{name}={Encoding.UTF8.GetString(block)}");
        }
        return found;
    }

    static ulong Varint(byte[] bytes, ref int at)
    {
        ulong value = 0;
        for (var shift = 0; ; shift += 7)
        {
            value |= (ulong)(bytes[at] & 0x7f) << shift;
            if (bytes[at++] < 0x80)
                return value;
        }
    }
}
