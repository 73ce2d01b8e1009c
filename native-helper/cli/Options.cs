namespace Psrun;

/// <summary>
/// A command line as runc's: options in any order before or after the positional ones, `--name value`, `--name=value`, `-n value`; what a verb does
/// not know is refused by name. Parsing of options ends after `limit` positional arguments, so that a program's own options stay its own.
/// </summary>
sealed class Options
{
    readonly Dictionary<string, List<string>> _values = [];

    public List<string> Arguments { get; } = [];

    /// <param name="known">Names without dashes, short and long separated by a comma; ending in "=" when a value follows.</param>
    public static Options Parse(ReadOnlySpan<string> args, ReadOnlySpan<string> known, int limit, out int used)
    {
        var result = new Options();
        int i = 0;
        for (; i < args.Length; i++)
        {
            string arg = args[i];
            if (limit > 0 && result.Arguments.Count >= limit)
                break;
            if (arg == "--")
            {
                i++;
                break;
            }
            if (arg.Length < 2 || arg[0] != '-')
            {
                if (limit == 0)
                    break;
                result.Arguments.Add(arg);
                continue;
            }
            int equals = arg.IndexOf('=');
            string name = (equals < 0 ? arg : arg[..equals]).TrimStart('-');
            string key = Find(name, known, out bool takesValue) ?? throw new PsrunException($"flag provided but not defined: {(equals < 0 ? arg : arg[..equals])}");
            string value = "true";
            if (equals >= 0)
                value = arg[(equals + 1)..];
            else if (takesValue)
                value = ++i < args.Length ? args[i] : throw new PsrunException($"flag needs an argument: {arg}");
            if (!takesValue && value is not ("true" or "false"))
                throw new PsrunException($"{arg}: \"{value}\" is none of true, false");
            if (!result._values.TryGetValue(key, out List<string>? list))
                result._values[key] = list = [];
            list.Add(value);
        }
        used = i;
        return result;
    }

    static string? Find(string name, ReadOnlySpan<string> known, out bool takesValue)
    {
        foreach (string entry in known)
        {
            takesValue = entry.EndsWith('=');
            string names = entry.TrimEnd('=');
            int comma = names.IndexOf(',');
            if (names == name || comma > 0 && (names[..comma] == name || names[(comma + 1)..] == name))
                return comma > 0 ? names[(comma + 1)..] : names;
        }
        takesValue = false;
        return null;
    }

    public bool Has(string name) => _values.TryGetValue(name, out List<string>? list) && list[^1] == "true";

    public string? Value(string name) => _values.TryGetValue(name, out List<string>? list) ? list[^1] : null;

    public IReadOnlyList<string> Values(string name) => _values.TryGetValue(name, out List<string>? list) ? list : [];

    /// <summary>--preserve-fds: how many descriptors from 3 on; the kernel's own default bounds them (fs.nr_open).</summary>
    public int PreservedDescriptors()
    {
        int count = Number("preserve-fds", 0);
        return count <= 1 << 20 ? count : throw new PsrunException($"--preserve-fds: {count} is more than a process can have open");
    }

    public int Number(string name, int otherwise)
    {
        string? value = Value(name);
        if (value == null)
            return otherwise;
        return int.TryParse(value, out int number) && number >= 0 ? number : throw new PsrunException($"--{name}: \"{value}\" is not a number");
    }
}
