using Xunit;

namespace Containers.Tests.Units;

public class ImageNameTests
{
    [Theory]
    [InlineData("busybox", "docker.io/library/busybox:latest", "busybox:latest")]
    [InlineData("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36")]
    [InlineData("user/tool", "docker.io/user/tool:latest", "user/tool:latest")]
    [InlineData("localhost/tool", "localhost/tool:latest", "localhost/tool:latest")]
    [InlineData("localhost:5000/a/b__c:T_1.x-y", "localhost:5000/a/b__c:T_1.x-y", "localhost:5000/a/b__c:T_1.x-y")]
    [InlineData("quay.io/a---b/c.d", "quay.io/a---b/c.d:latest", "quay.io/a---b/c.d:latest")]
    [InlineData("index.docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest")]
    [InlineData("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest")]
    [InlineData("a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "docker.io/library/a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void Names_are_completed_as_docker_does(string text, string full, string familiar)
    {
        var reference = ImageReference.Parse(text);
        Assert.Equal((full, familiar), (reference.ToString(), reference.Familiar));
        Assert.Equal(full, ImageReference.Parse(full).ToString());
        Assert.Equal(full, ImageReference.Parse(familiar).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("a b")]
    [InlineData("a/../b")]
    [InlineData("/a")]
    [InlineData("a//b")]
    [InlineData("a:")]
    [InlineData("a:.tag")]
    [InlineData("a:t/x:y:z")]
    [InlineData("a..b")]
    [InlineData("a___b")]
    [InlineData("-a")]
    [InlineData("a-")]
    [InlineData("host:99999/a")]
    [InlineData("-host.x/a")]
    [InlineData("a@sha256:zz")]
    [InlineData("a@md5:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    public void What_is_no_name_is_refused(string text) => Assert.False(ImageReference.TryParse(text, out _));

    [Fact]
    public void A_long_name_is_refused() => Assert.False(ImageReference.TryParse(new string('a', 256), out _));

    [Theory]
    [InlineData("linux/amd64", "linux/amd64", 0)]
    [InlineData("linux/amd64/v3", "linux/amd64", 2)]
    [InlineData("linux/amd64", "linux/amd64/v2", null)]
    [InlineData("linux/x86_64", "linux/amd64", 0)]
    [InlineData("linux/amd64", "linux/386", 20)]
    [InlineData("linux/arm/v7", "linux/arm/v6", 1)]
    [InlineData("linux/arm/v6", "linux/arm/v7", null)]
    [InlineData("linux/arm", "linux/arm/v7", 0)]
    [InlineData("linux/arm64", "linux/arm64/v8", 0)]
    [InlineData("linux/arm64", "linux/arm/v7", 11)]
    [InlineData("linux/arm64", "linux/amd64", null)]
    [InlineData("windows/amd64", "linux/amd64", null)]
    public void Platforms_match_as_containerd_matches_them(string wanted, string image, int? distance) =>
        Assert.Equal(distance, ImagePlatform.Parse(wanted).Distance(ImagePlatform.Parse(image)));

    [Theory]
    [InlineData("linux")]
    [InlineData("linux/")]
    [InlineData("a/b/c/d")]
    [InlineData("linux/am d64")]
    public void What_is_no_platform_is_refused(string text) => Assert.Equal(ErrorIds.InvalidArgument, Assert.Throws<ContainerException>(() => ImagePlatform.Parse(text)).Id);
}
