using Xunit;

namespace Containers.Tests.Units;

/// <summary>A store, configuration and credentials of a test's own, and registries that end with it.</summary>
public abstract class RegistryTest : IDisposable
{
    readonly List<IDisposable> owned = [];
    TestCertificates? certificates;

    protected RegistryTest()
    {
        Folder = Directory.CreateTempSubdirectory("registry-").FullName;
        File.SetUnixFileMode(Folder, (UnixFileMode)0x1c0);
        Engine = NewEngine(new RegistryLimits { Backoff = TimeSpan.FromMilliseconds(10) });
    }

    protected string Folder { get; }
    internal TestCertificates Certificates => certificates ??= Own(new TestCertificates());
    protected ContainerEngine Engine { get; private set; }
    protected List<string> Log { get; } = [];
    protected string ConfigJson => Path.Combine(Folder, "docker/config.json");
    protected string AuthJson => Path.Combine(Folder, "auth.json");
    protected string RegistriesFile => Path.Combine(Folder, "registries.conf");
    protected string HostsFolder => Path.Combine(Folder, "certs.d");

    protected static CancellationToken Limit => new CancellationTokenSource(TimeSpan.FromMinutes(2)).Token;

    internal ContainerEngine NewEngine(RegistryLimits limits, string root = "root", ContainerLimits? image = null) => new(new ContainerHostOptions
    {
        Root = Path.Combine(Folder, root), RunRoot = Path.Combine(Folder, "run"), RegistryLimits = limits, Limits = image ?? new(), HelperPath = Psrun.Path,
        Registries = new RegistryFiles { HostFolders = [HostsFolder], RegistriesConf = RegistriesFile, CredentialFiles = [ConfigJson, AuthJson] },
    });

    internal void Use(RegistryLimits limits) => Engine = NewEngine(limits);

    internal T Own<T>(T one) where T : IDisposable
    {
        owned.Add(one);
        return one;
    }

    internal TestRegistry Http() => Own(new TestRegistry());
    internal TestRegistry Https() => Own(new TestRegistry(Certificates.Server));

    /// <summary>Trusts the test's authority for a registry, as containerd's configuration says it.</summary>
    internal void Trust(TestRegistry registry, string more = "") => Hosts(registry.Host, $"ca = \"ca.pem\"\n{more}");

    protected void Hosts(string host, string toml)
    {
        var own = Directory.CreateDirectory(Path.Combine(HostsFolder, host)).FullName;
        File.WriteAllText(Path.Combine(own, "ca.pem"), Certificates.Authority.ExportCertificatePem());
        File.WriteAllText(Path.Combine(own, "hosts.toml"), toml);
    }

    protected void Store(string registry, string user, string secret, string? path = null)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path ?? ConfigJson)!);
        var auth = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"{user}:{secret}"));
        File.WriteAllText(path ?? ConfigJson, "{\"auths\":{\"" + registry + "\":{\"auth\":\"" + auth + "\"}}}");
    }

    internal ImagePullOptions Pull(bool http = false, Action<ImagePullOptions>? more = null)
    {
        var options = new ImagePullOptions { ContainerNamespace = "t", NoUnpack = true, PlainHttp = http, Log = Note };
        more?.Invoke(options);
        return options;
    }

    protected void Note(string line)
    {
        lock (Log) { Log.Add(line); }
    }

    internal Task<ContainerImage> ReceiveAsync(TestRegistry registry, string name, Action<ImagePullOptions>? more = null) =>
        Engine.Images.ReceiveAsync($"{registry.Host}/{name}", Pull(registry.Address.StartsWith("http:"), more), Limit);

    internal static async Task<ContainerException> Failing(string id, Task work)
    {
        var failure = await Assert.ThrowsAsync<ContainerException>(() => work);
        Assert.True(id == failure.Id, $"{failure.Id}: {failure.Message}");
        return failure;
    }

    /// <summary>Neither an image, nor content, nor a part of any is in the store.</summary>
    protected void NothingIsStored()
    {
        Assert.Empty(Engine.Images.List("t"));
        Assert.Empty(Engine.Content.List());
        Assert.Empty(Folders.Entries(Engine.Paths.Ingests));
        Assert.Empty(Folders.Entries(Engine.Paths.Leases));
    }

    public void Dispose()
    {
        foreach (var one in owned) { one.Dispose(); }
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }
}
