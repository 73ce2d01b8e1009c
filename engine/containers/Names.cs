using System.Security.Cryptography;

namespace Containers;

/// <summary>Ids and container-namespace names: <c>[A-Za-z0-9][A-Za-z0-9_.-]{0,75}</c>. They become parts of paths, so nothing else gets through.</summary>
public static class Names
{
    /// <summary>The longest id: a path of the shim's socket must stay speakable.</summary>
    public const int Longest = 76;

    /// <summary>Reserved: <c>/run/pscontainers/ns</c> holds kept namespaces.</summary>
    internal const string Reserved = "ns";

    public static bool IsValid(string? name)
    {
        if (name is not { Length: > 0 and <= Longest } || !char.IsAsciiLetterOrDigit(name[0])) { return false; }
        foreach (var c in name)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-')) { return false; }
        }
        return true;
    }

    /// <summary>The id, if it is one.</summary>
    /// <exception cref="ContainerException"><c>InvalidId</c>.</exception>
    public static string Id(string? id) => IsValid(id) ? id! : throw Invalid(id, "a container id");

    /// <summary>The name of an exec process, if it is one.</summary>
    /// <exception cref="ContainerException"><c>InvalidId</c>.</exception>
    public static string ExecId(string? id) => IsValid(id) ? id! : throw Invalid(id, "an exec id");

    /// <summary>The container-namespace name, if it is one.</summary>
    /// <exception cref="ContainerException"><c>InvalidId</c>.</exception>
    public static string Namespace(string? name) => IsValid(name) && name != Reserved ? name! : throw Invalid(name, "a container namespace");

    /// <summary>The name of a volume, if it is one.</summary>
    /// <exception cref="ContainerException"><c>InvalidId</c>.</exception>
    public static string Volume(string? name) => IsValid(name) ? name! : throw Invalid(name, "the name of a volume");

    /// <summary>Twelve hexadecimal digits.</summary>
    public static string Random() => Convert.ToHexString(RandomNumberGenerator.GetBytes(6)).ToLowerInvariant();

    static ContainerException Invalid(string? name, string what) => new(ErrorIds.InvalidId,
        $"'{name}' is not {what}: it begins with a letter or digit, goes on with letters, digits, '_', '.' or '-', and has at most {Longest} characters"
        + (name == Reserved ? "; 'ns' is reserved." : "."), name, ContainerErrorCategory.InvalidArgument);
}
