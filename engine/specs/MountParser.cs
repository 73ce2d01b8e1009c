using System.Collections;
using System.Globalization;

namespace Containers;

public sealed partial class ContainerMount
{
    /// <summary>
    /// A mount from an object of this type, from a dictionary with the names of its properties (also <c>src</c>, <c>dst</c>, <c>size</c>, <c>mode</c>),
    /// or from text: docker's <c>src:dst[:opts]</c>, or <c>type=bind,src=…,dst=…,options=rbind:ro</c> as ctr has it, where docker's
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
        string? type, source, target;
        bool readOnly;
        readonly List<string> options = [];

        internal static Parts Of(ContainerMount mount)
        {
            var parts = new Parts { type = mount.Type.ToString(), source = mount.Source, target = mount.Target, readOnly = mount.ReadOnly };
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
            if (fields.Length is < 2 or > 3) { throw Bad(text, "say source:target or source:target:options"); }
            var parts = new Parts { type = "bind", source = fields[0], target = fields[1] };
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
                default: throw Bad(mount, $"'{key}' is not known, or has no value; known are type, source, target, readonly, options, size, mode and bind-propagation");
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
                "volume" => throw Bad(mount, "volumes do not exist yet; bind a folder, or use a tmpfs"),
                _ => throw Bad(mount, $"the type '{type}' is not known; known are bind and tmpfs"),
            };
            foreach (var option in options.ToArray())
            {
                if (option == "ro") { readOnly = true; }
                if (option is "ro" or "rw") { options.Remove(option); }
                else if (!MountWords.IsKnown(option, kind)) { throw Bad(mount, $"the option '{option}' is not known for a mount of type {kind.ToString().ToLowerInvariant()}"); }
            }
            return new ContainerMount
            {
                Type = kind,
                Source = kind == ContainerMountType.Bind ? HostPath(mount, resolve) : null,
                Target = inside,
                ReadOnly = readOnly,
                Options = options,
            };
        }

        string HostPath(object mount, Func<string, string>? resolve)
        {
            if (source is not { Length: > 0 } || source.Contains('\0')) { throw Bad(mount, "it has no source"); }
            var path = source;
            // Docker takes a word without a slash for the name of a volume; making a folder of it would surprise.
            if (!path.Contains('/') && path is not ("." or "..") && type is null or "bind" && mount is string text && !text.Contains('='))
            {
                throw Bad(mount, $"'{path}' would be the name of a volume, and volumes do not exist yet; say ./{path} for a folder");
            }
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
        "bind", "rbind", "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
    };

    internal static bool IsKnown(string option, ContainerMountType type)
    {
        if (Both.Contains(option)) { return true; }
        if (type == ContainerMountType.Bind) { return Bind.Contains(option); }
        var equals = option.IndexOf('=');
        return equals > 0 && equals < option.Length - 1 && !option.AsSpan().ContainsAny(',', '\0', '\n')
            && option[..equals] is "size" or "mode" or "uid" or "gid" or "nr_inodes" or "nr_blocks" or "huge";
    }

    internal static bool IsPropagation(string option) => Bind.Contains(option) && option is not ("bind" or "rbind");
}
