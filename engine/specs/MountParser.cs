using System.Collections;
using System.Globalization;

namespace Containers;

public sealed partial class ContainerMount
{
    /// <summary>
    /// A mount from an object of this type, from a dictionary with the names of its properties (also <c>src</c>, <c>dst</c>, <c>size</c>, <c>mode</c>),
    /// or from text: docker's <c>[src:]dst[:opts]</c>, where a source without a slash is the name of a volume, or <c>type=bind,src=…,dst=…,options=rbind:ro</c> as ctr has it, where docker's
    /// <c>--mount</c> words are known too.
    /// </summary>
    /// <param name="value">What the user gave.</param>
    /// <param name="resolve">Makes an absolute host path of the user's; null where paths must be absolute already.</param>
    /// <exception cref="ContainerException"><c>InvalidMount</c>.</exception>
    public static ContainerMount From(object value, Func<string, string>? resolve = null)
    {
        var parts = value switch
        {
            ContainerMount mount => Parts.Of(mount),
            IDictionary dictionary => Parts.OfDictionary(dictionary),
            string text when text.Contains('=') && !text.Split(',')[0].Contains(':') => Parts.OfPairs(text),
            string text => Parts.OfVolume(text),
            _ => throw Bad(value, $"a {value.GetType().Name} is no mount"),
        };
        return parts.ToMount(value, resolve);
    }

    internal static ContainerException Bad(object? mount, string why) => new(ErrorIds.InvalidMount,
        $"The mount '{Describe(mount)}' cannot be used: {why}.", mount, ContainerErrorCategory.InvalidArgument);

    static string Describe(object? mount) => mount is IDictionary dictionary
        ? string.Join(", ", dictionary.Keys.Cast<object>().Select(key => $"{key}={dictionary[key]}")) : mount?.ToString() ?? "";

    sealed class Parts
    {
        string? type, source, target, subPath;
        bool readOnly;
        readonly List<string> options = [];

        internal static Parts Of(ContainerMount mount)
        {
            var parts = new Parts { type = mount.Type.ToString(), source = mount.Source, target = mount.Target, subPath = mount.SubPath, readOnly = mount.ReadOnly };
            parts.options.AddRange(mount.Options);
            return parts;
        }

        internal static Parts OfDictionary(IDictionary dictionary)
        {
            var parts = new Parts();
            foreach (DictionaryEntry entry in dictionary)
            {
                var key = entry.Key.ToString() ?? "";
                if (entry.Value is not string && entry.Value is IEnumerable many && key.Equals("options", StringComparison.OrdinalIgnoreCase))
                {
                    foreach (var option in many) { parts.options.Add(Text(option)); }
                }
                else if (entry.Value is not null) { parts.Set(dictionary, key, Text(entry.Value)); }
            }
            return parts;
        }

        internal static Parts OfPairs(string text)
        {
            var parts = new Parts();
            foreach (var pair in text.Split(','))
            {
                var equals = pair.IndexOf('=');
                parts.Set(text, equals < 0 ? pair : pair[..equals], equals < 0 ? null : pair[(equals + 1)..]);
            }
            return parts;
        }

        internal static Parts OfVolume(string text)
        {
            var fields = text.Split(':');
            if (fields.Length > 3) { throw Bad(text, "say target, source:target or source:target:options"); }
            if (fields.Length == 1) { return new Parts { type = "volume", target = text }; }
            // Docker takes a word without a slash for the name of a volume.
            var isName = fields[0].Length > 0 && !fields[0].Contains('/') && fields[0] is not ("." or "..");
            var parts = new Parts { type = isName ? "volume" : "bind", source = fields[0], target = fields[1] };
            if (fields.Length == 3) { parts.options.AddRange(fields[2].Split(',', StringSplitOptions.RemoveEmptyEntries)); }
            return parts;
        }

        void Set(object mount, string key, string? value)
        {
            switch (key.Trim().ToLowerInvariant())
            {
                case "type": type = value; break;
                case "source" or "src": source = value; break;
                case "target" or "dst" or "destination": target = value; break;
                case "readonly" or "ro": readOnly = value is null || Flag(mount, key, value); break;
                case "options" when value is not null: options.AddRange(value.Split([':', ','], StringSplitOptions.RemoveEmptyEntries)); break;
                case "bind-propagation" when value is not null: options.Add(value); break;
                case "size" or "tmpfs-size" when value is not null: options.Add("size=" + value); break;
                case "mode" or "tmpfs-mode" when value is not null: options.Add("mode=" + value); break;
                case "subpath" or "volume-subpath" or "image-subpath" when value is not null: subPath = value; break;
                case "nocopy" or "volume-nocopy":
                    if (value is null || Flag(mount, key, value)) { options.Add("nocopy"); }
                    break;
                default: throw Bad(mount, $"'{key}' is not known, or has no value; known are type, source, target, readonly, options, size, mode, bind-propagation, subpath and nocopy");
            }
        }

        internal ContainerMount ToMount(object mount, Func<string, string>? resolve)
        {
            if (target is not { Length: > 0 }) { throw Bad(mount, "it has no target"); }
            if (!target.StartsWith('/') || target.Contains('\0')) { throw Bad(mount, $"the target '{target}' is not an absolute path inside the container"); }
            var inside = Path.GetFullPath(target);
            if (inside == "/") { throw Bad(mount, "the target '/' would hide the root filesystem"); }
            if (inside.Length > 1) { inside = inside.TrimEnd('/'); }

            var kind = (type ?? "bind").ToLowerInvariant() switch
            {
                "bind" => ContainerMountType.Bind,
                "tmpfs" => ContainerMountType.Tmpfs,
                "volume" => ContainerMountType.Volume,
                "image" => ContainerMountType.Image,
                _ => throw Bad(mount, $"the type '{type}' is not known; known are bind, tmpfs, volume and image"),
            };
            foreach (var option in options.ToArray())
            {
                if (option == "ro") { readOnly = true; }
                if (option == "rw" && kind == ContainerMountType.Image) { throw Bad(mount, "an image is mounted read-only; a container from it writes into a layer of its own"); }
                if (option is "ro" or "rw") { options.Remove(option); }
                else if (option is "z" or "Z") { throw Bad(mount, $"the option '{option}' would give the files a label of SELinux, which is not supported; label them with chcon, or leave it out"); }
                else if (!MountWords.IsKnown(option, kind)) { throw Bad(mount, $"the option '{option}' is not known for a mount of type {kind.ToString().ToLowerInvariant()}"); }
            }
            return new ContainerMount
            {
                Type = kind,
                Source = kind switch { ContainerMountType.Bind => HostPath(mount, resolve), ContainerMountType.Volume => VolumeName(mount), ContainerMountType.Image => ImageName(mount), _ => null },
                Target = inside,
                SubPath = Below(mount, kind),
                ReadOnly = readOnly || kind == ContainerMountType.Image,
                Options = options,
            };
        }

        string ImageName(object mount) => source is { Length: > 0 } && !source.Any(char.IsControl) ? source : throw Bad(mount, "it names no image as its source");

        string? VolumeName(object mount)
        {
            if (string.IsNullOrEmpty(source))
            {
                // One of the container's own, which goes with it.
                if (subPath is not null || options.Any(option => option is "U" or "nocopy")) { throw Bad(mount, "a volume without a name is what the image has there, and goes with the container: subpath, nocopy and U need one with a name"); }
                return null;
            }
            return Names.IsValid(source) ? source : throw Bad(mount, $"'{source}' is no name of a volume; for a folder of the host say type=bind");
        }

        string? Below(object mount, ContainerMountType kind)
        {
            if (subPath is null) { return null; }
            if (kind == ContainerMountType.Tmpfs) { throw Bad(mount, "a tmpfs is empty and has no subpath"); }
            var parts = subPath.Split('/', StringSplitOptions.RemoveEmptyEntries).Where(part => part != ".").ToArray();
            if (subPath.StartsWith('/') || parts.Length == 0 || parts.Contains("..") || subPath.Any(char.IsControl) || subPath.Contains(',')) { throw Bad(mount, $"the subpath '{subPath}' is no relative path without '..'"); }
            return string.Join('/', parts);
        }

        string HostPath(object mount, Func<string, string>? resolve)
        {
            if (source is not { Length: > 0 } || source.Contains('\0')) { throw Bad(mount, "it has no source"); }
            var path = source;
            if (!path.StartsWith('/')) { path = resolve?.Invoke(path) ?? throw Bad(mount, $"the source '{path}' is not an absolute path"); }
            path = Path.GetFullPath(path);
            return Path.Exists(path) ? path : throw Bad(mount, $"the source '{path}' is not there");
        }

        static bool Flag(object mount, string key, string value) => value.ToLowerInvariant() switch
        {
            "true" or "1" => true,
            "false" or "0" => false,
            _ => throw Bad(mount, $"'{key}' is true or false, not '{value}'"),
        };

        static string Text(object? value) => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
    }
}

/// <summary>Options that every runtime knows (runtime-spec, config.md, Linux mount options). Others are refused by name.</summary>
static class MountWords
{
    static readonly HashSet<string> Both = new(StringComparer.Ordinal)
    {
        "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "async", "dirsync", "noatime", "atime", "nodiratime", "diratime",
        "relatime", "norelatime", "strictatime", "nostrictatime",
    };

    static readonly HashSet<string> Bind = new(StringComparer.Ordinal)
    {
        "bind", "rbind", "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable", "idmap", "ridmap",
    };

    internal static bool IsKnown(string option, ContainerMountType type)
    {
        if (Both.Contains(option)) { return true; }
        if (type == ContainerMountType.Bind) { return Bind.Contains(option); }
        if (type == ContainerMountType.Image) { return IsPropagation(option); }
        if (type == ContainerMountType.Volume) { return Bind.Contains(option) || option is "nocopy" or "U"; }
        var equals = option.IndexOf('=');
        return equals > 0 && equals < option.Length - 1 && !option.AsSpan().ContainsAny(',', '\0', '\n')
            && option[..equals] is "size" or "mode" or "uid" or "gid" or "nr_inodes" or "nr_blocks" or "huge";
    }

    internal static bool IsPropagation(string option) => Bind.Contains(option) && option is not ("bind" or "rbind" or "idmap" or "ridmap");
}
