using System.Text.Json;

namespace Containers.Linux.Oci;

/// <summary>An object of the OCI runtime specification 1.3.0. Every property may be <c>null</c>, which means "not given" and is not
/// written. What the document holds beyond the specification is kept in <see cref="Unknown"/>.</summary>
public abstract class SpecObject
{
    /// <summary>Members that this type has no property for; they are written again after the known ones.</summary>
    public Dictionary<string, JsonElement>? Unknown { get; set; }

    /// <summary>Names every member once, for reading and for writing alike: see <see cref="SpecFields"/>.</summary>
    internal abstract void Fields(ref SpecFields f);
}

/// <summary>A document that is not what the specification says. The message begins with the JSON path, as in
/// <c>process.args[1]: expected a string, found a number</c>.</summary>
public sealed class SpecException : Exception
{
    /// <summary>The word by which this failure is known.</summary>
    public string Id => "InvalidSpec";

    /// <summary>Where in the document, such as <c>linux.namespaces[2].type</c>; empty for the document itself.</summary>
    public string Path { get; }

    public SpecException(string path, string problem) : base(path.Length == 0 ? problem : path + ": " + problem) => Path = path;
}
