using System.Globalization;
using Containers.Linux;
using Containers.Linux.Oci;

namespace Containers;

/// <summary>The capability sets of a container's program.</summary>
static class CapabilitySet
{
    /// <summary>
    /// Defaults, then what is dropped is taken away, then what is added comes in; ALL stands for every capability that this process
    /// may hand on. Inheritable and ambient stay empty, and a program that is not root has none until it executes one with
    /// file capabilities, as in docker.
    /// </summary>
    /// <param name="basis">What there is before, in place of the defaults.</param>
    internal static LinuxCapabilities Build(bool privileged, IReadOnlyList<string>? add, IReadOnlyList<string>? drop, uint uid, IReadOnlyList<string>? basis = null)
    {
        var held = Bounding();
        var chosen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in privileged ? (IEnumerable<string>)held : basis ?? Defaults.Capabilities)
        {
            if (held.Contains(name)) { chosen.Add(name); }
        }
        foreach (var text in drop ?? [])
        {
            if (IsAll(text)) { chosen.Clear(); }
            else { chosen.Remove(Parse(text)); }
        }
        foreach (var text in add ?? [])
        {
            if (IsAll(text))
            {
                chosen.UnionWith(held);
                foreach (var name in drop ?? []) { if (!IsAll(name)) { chosen.Remove(Parse(name)); } }
                continue;
            }
            var capability = Parse(text);
            if (!held.Contains(capability))
            {
                throw new ContainerException(ErrorIds.HostRefused,
                    $"The capability {capability} cannot be given: this process does not have it itself. Leave it out, or run where it is there (CapBnd in /proc/self/status).",
                    capability, ContainerErrorCategory.PermissionDenied);
            }
            chosen.Add(capability);
        }
        return Sets(chosen, uid);
    }

    internal static LinuxCapabilities Sets(IEnumerable<string> chosen, uint uid)
    {
        var names = chosen.ToList();
        names.Sort(StringComparer.Ordinal);
        return new LinuxCapabilities
        {
            Bounding = names,
            Effective = uid == 0 ? [.. names] : [],
            Permitted = uid == 0 ? [.. names] : [],
            Inheritable = [],
            Ambient = [],
        };
    }

    internal static string Parse(string text)
    {
        var name = text.Trim().ToUpperInvariant();
        if (!name.StartsWith("CAP_", StringComparison.Ordinal)) { name = "CAP_" + name; }
        if (Capabilities.TryNumber(name, out _)) { return name; }
        throw new ContainerException(ErrorIds.InvalidArgument, $"'{text}' is no capability. capabilities(7) lists them; ALL means every one.",
            text, ContainerErrorCategory.InvalidArgument);
    }

    static bool IsAll(string text) => text.Trim().Equals("ALL", StringComparison.OrdinalIgnoreCase);

    /// <summary>The bounding set of this process: nothing beyond it can be handed on.</summary>
    internal static HashSet<string> Bounding()
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var line in File.ReadLines("/proc/self/status"))
        {
            if (!line.StartsWith("CapBnd:", StringComparison.Ordinal)) { continue; }
            var bits = ulong.Parse(line.AsSpan(7).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            for (var i = 0; i <= Capabilities.Last; i++)
            {
                if ((bits >> i & 1) != 0) { names.Add(Capabilities.Name(i)!); }
            }
        }
        return names;
    }
}
