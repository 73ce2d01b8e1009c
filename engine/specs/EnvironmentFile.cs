using System.Text;

namespace Containers;

/// <summary>Docker's environment files: <c>NAME=value</c> lines taken as they are, <c>#</c> comments, a name alone takes the caller's value.</summary>
static class EnvironmentFile
{
    const int Longest = 4 << 20;

    internal static IEnumerable<KeyValuePair<string, string>> Read(string path)
    {
        byte[] content;
        try { content = Folders.ReadOfUser(path, Longest) ?? throw Bad(path, "it is not there"); }
        catch (Exception e) when (e is IOException or InvalidDataException) { throw Bad(path, "it " + e.Message); }
        if (!System.Text.Unicode.Utf8.IsValid(content)) { throw Bad(path, "it is not UTF-8"); }
        var number = 0;
        foreach (var raw in Encoding.UTF8.GetString(content).TrimStart('\uFEFF').Split('\n'))
        {
            number++;
            var line = raw.TrimEnd('\r').TrimStart();
            if (line.Length == 0 || line[0] == '#') { continue; }
            var equals = line.IndexOf('=');
            var name = equals < 0 ? line.TrimEnd() : line[..equals];
            if (name.Length == 0 || name.Any(char.IsWhiteSpace)) { throw Bad(path, $"line {number} has no name, or white space in it"); }
            var value = equals < 0 ? Environment.GetEnvironmentVariable(name) : line[(equals + 1)..];
            if (value is not null) { yield return new(name, value); }
        }
    }

    static ContainerException Bad(string path, string why) => new(ErrorIds.EnvironmentFileInvalid,
        $"The environment file '{path}' cannot be used: {why}. It holds lines of NAME=value.", path, ContainerErrorCategory.InvalidData);
}
