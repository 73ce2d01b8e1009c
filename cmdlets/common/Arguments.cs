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

    /// <summary>The arguments as they were typed, after what the binder and PowerShell's parser did to them.</summary>
    /// <param name="id">The one value of the parameter at position 0; null for none or several.</param>
    /// <returns>Whether that value was the first argument, and is among them now.</returns>
    public static bool Mend(PSCmdlet cmdlet, string idParameter, object? id, object[]? given, out object[]? arguments)
    {
        bool first = id is not null && IdWasFirstArgument(cmdlet, idParameter);
        arguments = Rejoin(cmdlet, first ? [id!, .. given ?? []] : given);
        return first;
    }

    /// <summary>
    /// Whether the first value after <c>--</c> was taken for the id, because nothing stood before it: the binder fills position 0
    /// with whatever comes first, and drops the <c>--</c> itself.
    /// </summary>
    static bool IdWasFirstArgument(PSCmdlet cmdlet, string idParameter)
    {
        InvocationInfo invocation = cmdlet.MyInvocation;
        if (Typed(invocation) is not { } command)
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

    /// <summary>
    /// Puts together what PowerShell takes apart after <c>--</c>: <c>-v:/a</c> and <c>-x.y</c> come from its parser as two values each,
    /// though no blank was typed between them.
    /// </summary>
    public static object[]? Rejoin(PSCmdlet cmdlet, object[]? arguments)
    {
        if (arguments is not { Length: > 1 } || Typed(cmdlet.MyInvocation) is not { } command)
            return arguments;
        var elements = command.CommandElements.SkipWhile(element => element.Extent.Text != "--").Skip(1).ToList();
        var joined = new List<object>(arguments);
        // From the end: how many values stand before the -- is not known here.
        int at = arguments.Length;
        for (int i = elements.Count - 1; i >= 0; i--)
        {
            at -= elements[i] is VariableExpressionAst { Splatted: true } splatted ? SplattedCount(cmdlet, splatted) ?? arguments.Length : 1;
            if (at < 0)
                break;
            // The first part of such a word is bare and begins with a dash; what follows it may be any expression.
            if (i + 1 < elements.Count && elements[i].Extent.EndOffset == elements[i + 1].Extent.StartOffset
                && at + 1 < joined.Count && BeginsWithDash(elements, i) && arguments[at] is { } left && Flat([joined[at + 1]]) is { Count: 1 } right)
            {
                joined[at] = Text(left) + right[0];
                joined.RemoveAt(at + 1);
            }
        }
        return [.. joined];
    }

    static bool BeginsWithDash(List<CommandElementAst> elements, int i)
    {
        while (i > 0 && elements[i - 1].Extent.EndOffset == elements[i].Extent.StartOffset)
            i--;
        return elements[i] is StringConstantExpressionAst { StringConstantType: StringConstantType.BareWord } word && word.Value.StartsWith('-');
    }

    static int? SplattedCount(PSCmdlet cmdlet, VariableExpressionAst splatted)
        => cmdlet.SessionState.PSVariable.GetValue(splatted.VariablePath.UserPath) switch
        {
            null or IDictionary => null,
            string => 1,
            IEnumerable many => many.Cast<object?>().Count(),
            _ => 1,
        };

    // What was typed; PowerShell 7.4 and later tell it. A caller through the API types nothing and names what it gives.
    static CommandAst? Typed(InvocationInfo invocation)
    {
        string? text = typeof(InvocationInfo).GetProperty("Statement")?.GetValue(invocation) as string;
        return string.IsNullOrEmpty(text) ? null : Parser.ParseInput(text, out _, out _).Find(ast => ast is CommandAst, true) as CommandAst;
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
