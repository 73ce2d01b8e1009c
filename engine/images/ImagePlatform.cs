using System.Runtime.InteropServices;

namespace Containers;

/// <summary>What an image is for: <c>os/architecture[/variant]</c>, normalised and matched as containerd does.</summary>
public sealed record ImagePlatform(string Os, string Architecture, string? Variant)
{
    public static ImagePlatform Host { get; } = RuntimeInformation.OSArchitecture switch
    {
        System.Runtime.InteropServices.Architecture.Arm64 => new("linux", "arm64", "v8"),
        System.Runtime.InteropServices.Architecture.Arm => new("linux", "arm", "v7"),
        System.Runtime.InteropServices.Architecture.X86 => new("linux", "386", null),
        System.Runtime.InteropServices.Architecture.S390x => new("linux", "s390x", null),
        System.Runtime.InteropServices.Architecture.Ppc64le => new("linux", "ppc64le", null),
        System.Runtime.InteropServices.Architecture.LoongArch64 => new("linux", "loong64", null),
        _ => new("linux", "amd64", null),
    };

    public override string ToString() => $"{Os}/{Architecture}" + (Variant is null ? "" : "/" + Variant);

    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static ImagePlatform Parse(string text)
    {
        var parts = text.Split('/');
        if (parts.Length is < 2 or > 3 || parts.Any(p => p.Length == 0 || !p.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-')))
        {
            throw ResourceSpec.Bad("Platform", text, "say os/architecture or os/architecture/variant, such as linux/arm64/v8");
        }
        return Normal(parts[0], parts[1], parts.Length > 2 ? parts[2] : null);
    }

    internal static ImagePlatform Normal(string? os, string? architecture, string? variant)
    {
        var o = os?.ToLowerInvariant() is { Length: > 0 } given ? given == "macos" ? "darwin" : given : "linux";
        var v = string.IsNullOrEmpty(variant) ? null : variant.ToLowerInvariant();
        var a = architecture?.ToLowerInvariant() ?? "";
        (a, v) = a switch
        {
            "i386" or "i486" or "i586" or "i686" => ("386", null),
            "x86_64" or "x86-64" or "amd64" => ("amd64", v == "v1" ? null : v),
            "aarch64" or "arm64" => ("arm64", v is null or "8" or "v8" ? "v8" : v),
            "armhf" => ("arm", "v7"),
            "armel" => ("arm", "v6"),
            "arm" => ("arm", v is null or "7" ? "v7" : v is "5" or "6" or "8" ? "v" + v : v),
            _ => (a, v),
        };
        return new ImagePlatform(o, a, v);
    }

    /// <summary>How well an image for <paramref name="other"/> runs here: 0 is the same, more is worse, null not at all.</summary>
    internal int? Distance(ImagePlatform other)
    {
        if (other.Os != Os) { return null; }
        if (other.Architecture == Architecture)
        {
            if (other.Variant == Variant) { return 0; }
            // A newer one runs what was made for an older one: arm v8 down to v5, amd64 v4 down to v1.
            if (Architecture is "arm" or "amd64" && Level(Variant) is { } own && Level(other.Variant) is { } made && made <= own) { return own - made; }
            return null;
        }
        // 64-bit processors of arm run what was made for the 32-bit ones, and amd64 what was made for 386.
        if (Architecture == "arm64" && other.Architecture == "arm" && Level(other.Variant) is { } level and <= 8) { return 10 + 8 - level; }
        return Architecture == "amd64" && other.Architecture == "386" ? 20 : null;
    }

    static int? Level(string? variant) => variant is null ? 1 : variant.Length == 2 && variant[0] == 'v' && char.IsAsciiDigit(variant[1]) ? variant[1] - '0' : null;
}
