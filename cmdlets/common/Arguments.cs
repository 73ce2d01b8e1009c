using System.Collections;
using System.Globalization;
using System.Management.Automation;
using System.Management.Automation.Language;

namespace Containers.Cmdlets;

/// <summary>What PowerShell's binder gives, made into what the engine takes.</summary>
static class Arguments
{
    /// <summary>Every element is one argument, arrays among them are laid flat; nothing is split, quoted or left out.</summary>
    public static IReadOnlyList<string>? Flat(IEnumerable<object?>? arguments)
    {
        if (arguments is null)
            return null;
        var flat = new List<string>();
        foreach (object? argument in arguments)
            Add(flat, argument);
        return flat;
    }

    static void Add(List<string> flat, object? argument)
    {
        // A bare number on the command line is wrapped together with the text that it was typed as: 0755 stays 0755.
        object? value = argument is PSObject wrapped ? wrapped.BaseObject : argument;
        if (value is IEnumerable many and not string and not IDictionary)
        {
            foreach (object? one in many)
                Add(flat, one);
        }
        else
            flat.Add(Text(argument));
    }

    /// <summary>A value as text, whatever the culture; null is the empty text.</summary>
    public static string Text(object? value) => (string)LanguagePrimitives.ConvertTo(value, typeof(string), CultureInfo.InvariantCulture) ?? "";

    public static IReadOnlyDictionary<string, string>? Table(IDictionary? table)
    {
        if (table is null)
            return null;
        var strings = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in table)
            strings[Text(entry.Key)] = Text(entry.Value);
        return strings;
    }

    /// <summary>
    /// Whether the first value after <c>--</c> was taken for the id, because nothing stood before it: the binder fills position 0
    /// with whatever comes first, and drops the <c>--</c> itself.
    /// </summary>
    public static bool IdWasFirstArgument(PSCmdlet cmdlet, string idParameter)
    {
        InvocationInfo invocation = cmdlet.MyInvocation;
        // What was typed; PowerShell 7.4 and later tell it. A caller through the API types nothing and names what it gives.
        string? text = typeof(InvocationInfo).GetProperty("Statement")?.GetValue(invocation) as string;
        if (string.IsNullOrEmpty(text) || Parser.ParseInput(text, out _, out _).Find(ast => ast is CommandAst, true) is not CommandAst command)
            return false;
        bool valueOfParameter = false;
        foreach (CommandElementAst element in command.CommandElements.Skip(1))
        {
            if (element.Extent.Text == "--")
                return true;
            if (valueOfParameter)
            {
                valueOfParameter = false;
                continue;
            }
            if (element is VariableExpressionAst { Splatted: true } splatted)
            {
                object? value = cmdlet.SessionState.PSVariable.GetValue(splatted.VariablePath.UserPath);
                if (value is not IDictionary table || table.Keys.Cast<object>().Any(key => Resolve(invocation.MyCommand, Text(key))?.Name == idParameter))
                    return false;
                continue;
            }
            if (element is not CommandParameterAst parameter)
                return false;
            ParameterMetadata? known = Resolve(invocation.MyCommand, parameter.ParameterName);
            if (known is null || known.Name == idParameter)
                return false;
            valueOfParameter = parameter.Argument is null && !known.SwitchParameter;
        }
        return false;
    }

    static ParameterMetadata? Resolve(CommandInfo command, string name)
    {
        try
        {
            return command.ResolveParameter(name);
        }
        catch (Exception e) when (e is ParameterBindingException or ArgumentException)
        {
            return null;
        }
    }
}
