using System.Reflection;

namespace Containers.Help;

/// <summary>What the compiled cmdlets say of themselves, read without running them.</summary>
sealed class Cmdlet
{
    public required string Name { get; init; }
    public required bool ShouldProcess { get; init; }
    public required string? DefaultSet { get; init; }
    public required List<Parameter> Parameters { get; init; }
    public required List<string> Outputs { get; init; }

    public sealed record Parameter(string Name, string TypeName, bool IsSwitch, List<string> Aliases, List<InSet> Sets, bool Wildcards, string? Values);

    /// <param name="Set">null: in every parameter set</param>
    /// <param name="Position">null: named</param>
    public sealed record InSet(string? Set, bool Mandatory, int? Position, bool ByValue, bool ByName, bool Remaining);

    const string AllSets = "__AllParameterSets";

    public static List<Cmdlet> ReadAll(string assembly)
    {
        string folder = Path.GetDirectoryName(Path.GetFullPath(assembly))!;
        IEnumerable<string> Dlls(string path) => Directory.Exists(path) ? Directory.EnumerateFiles(path, "*.dll") : [];
        var paths = Dlls(Path.GetDirectoryName(typeof(object).Assembly.Location)!).Concat(Dlls(Path.Combine(AppContext.BaseDirectory, "reference")))
            .Concat(Dlls(folder)).Concat(Dlls(Path.Combine(folder, "third-party")))
            .DistinctBy(Path.GetFileName);
        // The context is left open: the answers are read from it until the program ends.
        var context = new MetadataLoadContext(new PathAssemblyResolver(paths));
        return context.LoadFromAssemblyPath(Path.GetFullPath(assembly)).GetTypes()
            .Where(type => !type.IsAbstract && Attribute(type, "CmdletAttribute") is not null)
            .Select(Read).OrderBy(cmdlet => cmdlet.Name, StringComparer.Ordinal).ToList();
    }

    static Cmdlet Read(Type type)
    {
        CustomAttributeData cmdlet = Attribute(type, "CmdletAttribute")!;
        return new Cmdlet
        {
            Name = $"{cmdlet.ConstructorArguments[0].Value}-{cmdlet.ConstructorArguments[1].Value}",
            ShouldProcess = Named<bool>(cmdlet, "SupportsShouldProcess"),
            DefaultSet = Named<string>(cmdlet, "DefaultParameterSetName"),
            Parameters = Properties(type).Where(property => Attribute(property, "ParameterAttribute") is not null).Select(ReadParameter).ToList(),
            Outputs = type.GetCustomAttributesData().Where(data => data.AttributeType.Name == "OutputTypeAttribute").SelectMany(OutputNames).Distinct().ToList(),
        };
    }

    // Derived first, so that what is special to a cmdlet stands before what all share.
    static IEnumerable<PropertyInfo> Properties(Type type)
    {
        const BindingFlags own = BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly;
        for (Type? t = type; t is not null && t.Name != "PSCmdlet"; t = t.BaseType)
            foreach (PropertyInfo property in t.GetProperties(own))
                yield return property;
    }

    static Parameter ReadParameter(PropertyInfo property)
    {
        var sets = property.GetCustomAttributesData().Where(data => data.AttributeType.Name == "ParameterAttribute").Select(data =>
        {
            string? set = Named<string>(data, "ParameterSetName");
            int position = data.NamedArguments.Any(argument => argument.MemberName == "Position") ? Named<int>(data, "Position") : int.MinValue;
            return new InSet(set == AllSets ? null : set, Named<bool>(data, "Mandatory"), position == int.MinValue ? null : position,
                Named<bool>(data, "ValueFromPipeline"), Named<bool>(data, "ValueFromPipelineByPropertyName"), Named<bool>(data, "ValueFromRemainingArguments"));
        }).ToList();
        List<string> aliases = Attribute(property, "AliasAttribute") is { } alias ? Strings(alias.ConstructorArguments[0]) : [];
        Type type = Nullable(property.PropertyType);
        string? values = Attribute(property, "ValidateSetAttribute") is { } set ? string.Join(", ", Strings(set.ConstructorArguments[0]))
            : type.IsEnum ? string.Join(", ", type.GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => field.Name)) : null;
        return new Parameter(property.Name, TypeName(type), type.Name == "SwitchParameter", aliases, sets, Attribute(property, "SupportsWildcardsAttribute") is not null, values);
    }

    static IEnumerable<string> OutputNames(CustomAttributeData data) => data.ConstructorArguments.SelectMany(argument => argument.Value switch
    {
        IEnumerable<CustomAttributeTypedArgument> many => many.Select(one => one.Value),
        var one => [one],
    }).Select(value => value is Type type ? type.FullName! : value?.ToString()).OfType<string>();

    static Type Nullable(Type type) => type.IsGenericType && type.Name == "Nullable`1" ? type.GetGenericArguments()[0] : type;

    static string TypeName(Type type) => type.Name switch
    {
        "String" => "string", "Int32" => "int", "Int64" => "long", "Double" => "double", "Boolean" => "bool", "Object" => "object",
        "String[]" => "string[]", "Object[]" => "object[]", "Byte[]" => "byte[]",
        var name => name,
    };

    static CustomAttributeData? Attribute(MemberInfo member, string name) => member.GetCustomAttributesData().FirstOrDefault(data => data.AttributeType.Name == name);

    static T? Named<T>(CustomAttributeData data, string name)
    {
        foreach (CustomAttributeNamedArgument argument in data.NamedArguments)
            if (argument.MemberName == name)
                return (T?)argument.TypedValue.Value;
        return default;
    }

    static List<string> Strings(CustomAttributeTypedArgument argument)
        => ((IEnumerable<CustomAttributeTypedArgument>)argument.Value!).Select(one => (string)one.Value!).ToList();
}
