using System.Globalization;

namespace Containers.Bench;

/// <summary>An image made of a container in which files were changed: a fifth deleted, two fifths longer, two fifths new.</summary>
static class ImageCommit
{
    const string Change = "n=0; for f in opt/l0/d*/*.dat; do [ $n -lt {0} ] || break; case $((n % 5)) in 0) rm $f;; 1|2) echo changed >>$f;; *) echo new $n >$f.new;; esac; n=$((n + 1)); done";

    public static void Measure(ImageBench bench, int files, int changes)
    {
        var image = new LargeImage(bench.Folder("image"), files);
        string change = string.Format(CultureInfo.InvariantCulture, Change, changes), from = $"{image.Layout}:{LargeImage.Tag}";
        bench.Rows($"a container of {files} files, {changes} of them changed, made an image of",
        [
            ("New-ContainerImage", to => bench.Pwsh(to, "$null = Import-ContainerImage $one -Reference base:1; Invoke-Container c -Image base:1 -- sh -c ('cd /; ' + $two); sync; Measure-Seconds { $null = New-ContainerImage c new:1 }", image.Layout, change)),
            ("podman commit", to =>
            {
                string[] own = ["--root", $"{to}/lib", "--runroot", $"{to}/run", "--storage-driver", "overlay"];
                Programs.Run("skopeo", "--insecure-policy", "copy", "-q", $"oci:{from}", ImageBench.Storage(to, "localhost/base:1"));
                Programs.Run("podman", [.. own, "create", "--name", "c", "--network", "none", "localhost/base:1", "true"]);
                Programs.Run("sh", "-c", $"cd \"$1\" && {change}", "sh", Programs.Output("podman", [.. own, "mount", "c"]).Trim());
                Programs.Run("podman", [.. own, "umount", "c"]);
                Programs.Run("sync");
                return Programs.Time(() => Programs.Run("podman", [.. own, "commit", "-q", "c", "localhost/new:1"]));
            }),
            ("umoci repack", to =>
            {
                Programs.Run("cp", "-r", image.Layout, $"{to}/layout");
                Programs.Run("umoci", "unpack", "--image", $"{to}/layout:{LargeImage.Tag}", $"{to}/bundle");
                Programs.Run("sh", "-c", $"cd \"$1\" && {change}", "sh", $"{to}/bundle/rootfs");
                Programs.Run("sync");
                return Programs.Time(() => Programs.Run("umoci", "repack", "--image", $"{to}/layout:new", $"{to}/bundle"));
            }),
        ]);
    }
}
