namespace Containers.Bench;

/// <summary>An image from Debian's docker-registry on loopback, and to one that is new each time.</summary>
static class ImageTraffic
{
    public static void Pull(ImageBench bench, LargeImage image, int files)
    {
        using Daemon registry = Daemon.Registry(bench.Folder("registry"));
        string name = $"{registry.Address}/large:1";
        _ = bench.Pwsh(bench.Folder("filling"), "$null = Import-ContainerImage $one -Reference large:1 -NoUnpack; Measure-Seconds { $null = Publish-ContainerImage large:1 $two -PlainHttp }", image.Layout, name);
        bench.Rows($"{files} files in four gzip layers, pulled from docker-registry and unpacked",
        [
            ("Receive-ContainerImage", to => bench.Pwsh(to, "Measure-Seconds { $null = Receive-ContainerImage $one -PlainHttp }", name)),
            ("skopeo copy to containers-storage", to => Programs.Time(() => Programs.Run("skopeo", "--insecure-policy", "copy", "-q", "--src-tls-verify=false", $"docker://{name}", ImageBench.Storage(to, "localhost/large:1")))),
            ("ctr image pull", to =>
            {
                using Daemon containerd = Daemon.Containerd(to);
                return Programs.Time(() => Programs.Run("ctr", "--address", containerd.Address, "image", "pull", "--plain-http", name));
            }),
            ("docker pull", to =>
            {
                using Daemon docker = Daemon.Docker(to);
                return Programs.Time(() => Programs.Run("docker", "--config", to, "--host", docker.Address, "pull", "-q", name));
            }),
        ]);
    }

    // Into a registry that has nothing: where it has, nobody sends.
    public static void Push(ImageBench bench, LargeImage image, int files)
    {
        bench.Rows($"{files} files in four gzip layers, pushed to docker-registry",
        [
            ("Publish-ContainerImage", to =>
            {
                using Daemon registry = Daemon.Registry(to);
                return bench.Pwsh(to, "$null = Import-ContainerImage $one -Reference large:1 -NoUnpack; sync; Measure-Seconds { $null = Publish-ContainerImage large:1 $two -PlainHttp }", image.Layout, $"{registry.Address}/large:1");
            }),
            ("skopeo copy from the layout", to =>
            {
                using Daemon registry = Daemon.Registry(to);
                return Programs.Time(() => Programs.Run("skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", $"oci:{image.Layout}:{LargeImage.Tag}", $"docker://{registry.Address}/large:1"));
            }),
            ("ctr image push", to =>
            {
                using Daemon registry = Daemon.Registry(to);
                using Daemon containerd = Daemon.Containerd(to);
                Programs.Run("ctr", "--address", containerd.Address, "image", "import", "--no-unpack", "--base-name", "example.org/large", image.Archive);
                Programs.Run("sync");
                return Programs.Time(() => Programs.Run("ctr", "--address", containerd.Address, "image", "push", "--plain-http", $"{registry.Address}/large:1", $"example.org/large:{LargeImage.Tag}"));
            }),
        ]);
    }
}
