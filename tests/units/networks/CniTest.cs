using System.Text;
using System.Text.Json.Nodes;
using Containers;

namespace Containers.Tests.Units.Networks;

/// <summary>A folder of a test's own with configurations, and with plugins that write down how they were called.</summary>
public sealed class CniTest : IDisposable
{
    public CniTest()
    {
        Folder = Directory.CreateDirectory($"/tmp/containers-cni-{Guid.NewGuid():n}", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute).FullName;
        Configurations = Directory.CreateDirectory(Path.Combine(Folder, "net.d")).FullName;
        Programs = Directory.CreateDirectory(Path.Combine(Folder, "bin")).FullName;
    }

    public string Folder { get; }
    public string Configurations { get; }
    public string Programs { get; }
    public CancellationToken Limit { get; } = new CancellationTokenSource(TimeSpan.FromSeconds(120)).Token;

    internal CniClient Client(TimeSpan? limit = null) => new(new CniPlugin([Programs], limit ?? TimeSpan.FromSeconds(60)));

    internal static CniAttachment Attachment(JsonObject? capabilities = null, string id = "box-1") => new()
    {
        ContainerId = id, NetworkNamespace = "/run/netns/none-such", Interface = "eth0", Arguments = [KeyValuePair.Create("IgnoreUnknown", "1"), KeyValuePair.Create("K8S_POD_NAME", "a")], Capabilities = capabilities ?? [],
    };

    /// <summary>A plugin that records each call (calls/0001-TYPE-COMMAND.env and .in), then runs the script, whose output is its answer.</summary>
    public void Plugin(string type, string script = "")
    {
        var calls = Directory.CreateDirectory(Path.Combine(Folder, "calls")).FullName;
        // One call at a time in all tests here: counting files is enough.
        Write(Path.Combine(Programs, type), $$"""
            #!/bin/sh
            n=$(printf %04d $(ls {{calls}} | grep -c '\.in$'))
            cat > {{calls}}/$n-{{type}}-$CNI_COMMAND.in
            env | grep -e ^CNI_ -e ^SECRET_OF_TEST= | sort > {{calls}}/$n-{{type}}-$CNI_COMMAND.env
            {{script}}
            exit 0
            """);
    }

    /// <summary>One that answers ADD with an address of its own, after those of the plugins before it.</summary>
    public void AnsweringPlugin(string type, string result, string version = "1.0.0") =>
        Plugin(type, $$"""[ "$CNI_COMMAND" = ADD ] && echo '{"cniVersion":"{{version}}",{{result}}}'""");

    static void Write(string path, string content)
    {
        File.WriteAllText(path, content);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    /// <summary>The calls so far, such as <c>first ADD</c>.</summary>
    public IReadOnlyList<string> Calls => [.. Recorded().Select(name => string.Join(' ', name.Split('-')[1..]))];

    public JsonObject Input(int call) => JsonNode.Parse(File.ReadAllText(Path.Combine(Folder, "calls", Recorded()[call] + ".in")))!.AsObject();

    public string[] Variables(int call) => File.ReadAllLines(Path.Combine(Folder, "calls", Recorded()[call] + ".env"));

    List<string> Recorded() => Directory.Exists(Path.Combine(Folder, "calls"))
        ? [.. Directory.GetFiles(Path.Combine(Folder, "calls"), "*.in").Select(file => Path.GetFileNameWithoutExtension(file)).Order(StringComparer.Ordinal)] : [];

    public string Configuration(string file, string content)
    {
        var path = Path.Combine(Configurations, file);
        File.WriteAllText(path, content);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    internal static CniConfiguration Parse(string content) => CniConfiguration.Parse(Encoding.UTF8.GetBytes(content), "/etc/cni/net.d/test.conflist");

    public static ContainerException Refused(string id, Action work)
    {
        var e = Xunit.Assert.Throws<ContainerException>(work);
        Xunit.Assert.True(e.Id == id, $"{e.Id}: {e.Message}");
        return e;
    }

    public static async Task<ContainerException> Refused(string id, Func<Task> work)
    {
        var e = await Xunit.Assert.ThrowsAsync<ContainerException>(work);
        Xunit.Assert.True(e.Id == id, $"{e.Id}: {e.Message}");
        return e;
    }

    public void Dispose() => Folders.RemoveTree(Folder);
}
