using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Containers.Linux;
using Containers.Linux.Oci;
using Containers.Linux.Seccomp;

namespace Containers;

/// <summary>
/// Which system calls a container may make. Profiles are read in the form of the OCI specification and in docker's and podman's, which is the same with
/// conditions: rules for some capabilities, architectures or kernels alone. Ours is <c>seccomp/default.json</c>, in that form.
/// </summary>
static class SeccompProfile
{
    internal const string Default = "default", Unconfined = "unconfined";
    const int Longest = 1 << 20;

    /// <param name="choice"><c>default</c>, <c>unconfined</c>, an absolute path, or null for what is usual.</param>
    /// <param name="capabilities">The bounding set of the container's program.</param>
    /// <returns>null for no filter.</returns>
    internal static LinuxSeccomp? Build(string? choice, bool privileged, IReadOnlyCollection<string> capabilities)
    {
        choice ??= privileged ? Unconfined : Default;
        if (choice == Unconfined) { return null; }
        if (choice == Default) { return Read(Own(), "seccomp/default.json", capabilities); }
        if (!choice.StartsWith('/')) { throw ResourceSpec.Bad("SeccompProfile", choice, "it is 'default', 'unconfined' or an absolute path"); }
        byte[] content;
        try
        {
            content = Folders.ReadOfUser(choice, Longest) ?? throw ResourceSpec.Bad("SeccompProfile", choice, "there is no such file; it is 'default', 'unconfined' or a profile's path");
        }
        catch (Exception e) when (e is IOException or InvalidDataException) { throw ResourceSpec.Bad("SeccompProfile", choice, e.Message); }
        return Read(content, choice, capabilities);
    }

    static byte[] Own()
    {
        using var stream = typeof(SeccompProfile).Assembly.GetManifestResourceStream("seccomp.default.json")!;
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    static LinuxSeccomp Read(byte[] content, string where, IReadOnlyCollection<string> capabilities)
    {
        var machine = RuntimeInformation.ProcessArchitecture;
        try
        {
            var profile = OciJson.Read<LinuxSeccomp>(content, "profile");
            if (!SeccompFilter.IsAskedFor(profile)) { throw Bad(where, "it has neither a default action nor rules; 'unconfined' is a container without a filter"); }
            profile.Architectures = Architectures(profile, machine);
            var defaultErrno = Take(profile, "defaultErrno");
            if (defaultErrno is { } word) { profile.DefaultErrnoRet = Errno(word, "defaultErrno"); }
            RefuseUnknown(profile, "");
            var conditions = new Conditions(machine, capabilities);
            var rules = new List<LinuxSyscall>();
            for (var i = 0; i < (profile.Syscalls?.Count ?? 0); i++)
            {
                var rule = profile.Syscalls![i];
                var field = $"syscalls[{i}].";
                var holds = conditions.Hold(Take(rule, "includes"), $"{field}includes", all: true) & conditions.Hold(Take(rule, "excludes"), $"{field}excludes", all: false);
                Take(rule, "comment");
                // Docker's older form.
                if (Take(rule, "name") is { ValueKind: JsonValueKind.String } name) { (rule.Names ??= []).Add(name.GetString()!); }
                if (Take(rule, "errno") is { } errno) { rule.ErrnoRet = Errno(errno, field + "errno"); }
                RefuseUnknown(rule, field);
                if (holds) { rules.Add(rule); }
            }
            profile.Syscalls = rules.Count > 0 ? rules : null;
            // What a runtime would find wrong at the start is told here.
            SeccompCompiler.Compile(profile, machine);
            return profile;
        }
        catch (SpecException e) { throw Bad(where, e.Message); }
        catch (SeccompException e) { throw Bad(where, e.Message); }
        catch (FormatException e) { throw Bad(where, e.Message); }
    }

    static ContainerException Bad(string where, string why) => ResourceSpec.Bad("SeccompProfile", where, $"it is no profile: {why}");

    /// <summary>Docker's archMap: the machine's own architecture with those that its kernel runs as well.</summary>
    static List<string>? Architectures(LinuxSeccomp profile, Architecture machine)
    {
        if (Take(profile, "archMap") is not { } map) { return profile.Architectures; }
        if (profile.Architectures is not null) { throw new FormatException("it has both archMap and architectures"); }
        var own = machine == Architecture.Arm64 ? "SCMP_ARCH_AARCH64" : "SCMP_ARCH_X86_64";
        foreach (var entry in Items(map, "archMap"))
        {
            if (Text(Member(entry, "architecture"), "archMap.architecture") != own) { continue; }
            return [own, .. Items(Member(entry, "subArchitectures"), "archMap.subArchitectures").Select(e => Text(e, "archMap.subArchitectures"))];
        }
        return null;
    }

    static JsonElement? Take(SpecObject value, string name) => value.Unknown is not null && value.Unknown.Remove(name, out var member) ? member : null;

    static void RefuseUnknown(SpecObject value, string field)
    {
        if (value.Unknown is { Count: > 0 } unknown) { throw new FormatException($"{field}{unknown.Keys.First()} is no member of a profile"); }
        value.Unknown = null;
    }

    static uint Errno(JsonElement word, string field)
    {
        var text = Text(word, field);
        for (var number = 1; number < 200; number++)
        {
            if (Errnos.Name(number) == text) { return (uint)number; }
        }
        throw new FormatException($"{field}: '{text}' is no error's name");
    }

    static JsonElement Member(JsonElement value, string name) => value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var member) ? member : default;

    static string Text(JsonElement value, string field) => value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new FormatException($"{field}: a string is expected");

    static IEnumerable<JsonElement> Items(JsonElement value, string field) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => [],
        JsonValueKind.Array => value.EnumerateArray(),
        _ => throw new FormatException($"{field}: an array is expected"),
    };

    /// <summary>Docker's includes and excludes of a rule.</summary>
    sealed class Conditions(Architecture machine, IReadOnlyCollection<string> capabilities)
    {
        // Go's name of the machine, which docker and podman use here.
        readonly string _machine = machine == Architecture.Arm64 ? "arm64" : "amd64";

        /// <param name="all">Includes: everything has to be as it says. Excludes: nothing may be.</param>
        public bool Hold(JsonElement? conditions, string field, bool all)
        {
            if (conditions is not { ValueKind: not JsonValueKind.Null } members) { return true; }
            if (members.ValueKind != JsonValueKind.Object) { throw new FormatException($"{field}: an object is expected"); }
            var hold = true;
            foreach (var member in members.EnumerateObject())
            {
                var name = $"{field}.{member.Name}";
                hold &= member.Name switch
                {
                    "caps" => Items(member.Value, name).ToList() is var names && (all ? names.All(c => capabilities.Contains(Text(c, name))) : !names.Any(c => capabilities.Contains(Text(c, name)))),
                    "arches" => Items(member.Value, name).Select(a => Text(a, name)).ToList() is var arches && (arches.Count == 0 || arches.Contains(_machine) == all),
                    "minKernel" => member.Value.ValueKind == JsonValueKind.Null || IsAtLeast(Text(member.Value, name), name) == all,
                    _ => throw new FormatException($"{name} is no condition"),
                };
            }
            return hold;
        }

        static bool IsAtLeast(string version, string field)
        {
            var parts = version.Split('.');
            if (parts.Length != 2 || !int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var minor))
            {
                throw new FormatException($"{field}: '{version}' is no kernel's version, such as 4.8");
            }
            var own = Environment.OSVersion.Version;
            return (own.Major, own.Minor).CompareTo((major, minor)) >= 0;
        }
    }
}
