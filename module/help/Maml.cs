using System.Globalization;
using System.Text;
using System.Xml;

namespace Containers.Help;

/// <summary>Writes pages and cmdlets as one MAML file, the form that Get-Help reads.</summary>
static class Maml
{
    const string Command = "http://schemas.microsoft.com/maml/dev/command/2004/10";
    const string Text = "http://schemas.microsoft.com/maml/2004/10";
    const string Dev = "http://schemas.microsoft.com/maml/dev/2004/10";

    public static void Write(string path, IEnumerable<(Cmdlet Cmdlet, Page Page)> commands)
    {
        using var xml = XmlWriter.Create(path, new XmlWriterSettings { Indent = true, Encoding = new UTF8Encoding(false) });
        xml.WriteStartElement("helpItems", "http://msh");
        xml.WriteAttributeString("schema", "maml");
        foreach ((Cmdlet cmdlet, Page page) in commands)
            Write(xml, cmdlet, page);
        xml.WriteEndElement();
    }

    static void Write(XmlWriter xml, Cmdlet cmdlet, Page page)
    {
        xml.WriteStartElement("command", "command", Command);
        xml.WriteAttributeString("xmlns", "maml", null, Text);
        xml.WriteAttributeString("xmlns", "dev", null, Dev);

        xml.WriteStartElement("details", Command);
        xml.WriteElementString("name", Command, cmdlet.Name);
        Paragraphs(xml, "description", Text, [page.Synopsis]);
        xml.WriteElementString("verb", Command, cmdlet.Name.Split('-')[0]);
        xml.WriteElementString("noun", Command, cmdlet.Name.Split('-')[1]);
        xml.WriteEndElement();
        Paragraphs(xml, "description", Text, page.Description);

        List<Cmdlet.Parameter> parameters = cmdlet.ShouldProcess ? [.. cmdlet.Parameters, Risk("WhatIf", "wi"), Risk("Confirm", "cf")] : cmdlet.Parameters;
        Syntax(xml, cmdlet, parameters);
        xml.WriteStartElement("parameters", Command);
        foreach (Cmdlet.Parameter parameter in parameters.OrderBy(parameter => parameter.Name, StringComparer.Ordinal))
            Parameter(xml, parameter, parameter.Sets[0], page.Parameters.GetValueOrDefault(parameter.Name) ?? []);
        xml.WriteEndElement();

        xml.WriteStartElement("inputTypes", Command);
        foreach (string type in parameters.Where(parameter => parameter.Sets.Any(set => set.ByValue)).Select(parameter => parameter.TypeName).Distinct())
            NamedType(xml, "inputType", type);
        xml.WriteEndElement();
        xml.WriteStartElement("returnValues", Command);
        foreach (string type in cmdlet.Outputs)
            NamedType(xml, "returnValue", type);
        xml.WriteEndElement();

        if (page.Notes.Count > 0)
        {
            xml.WriteStartElement("alertSet", Text);
            Paragraphs(xml, "alert", Text, page.Notes);
            xml.WriteEndElement();
        }
        xml.WriteStartElement("examples", Command);
        int number = 1;
        foreach (Page.Example example in page.Examples)
        {
            xml.WriteStartElement("example", Command);
            xml.WriteElementString("title", Text, $"Example {number++.ToString(CultureInfo.InvariantCulture)}: {example.Title}");
            xml.WriteElementString("code", Dev, example.Code);
            Paragraphs(xml, "remarks", Dev, example.Remarks);
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
        xml.WriteStartElement("relatedLinks", Command);
        foreach (string link in page.Related)
        {
            xml.WriteStartElement("navigationLink", Text);
            xml.WriteElementString("linkText", Text, link);
            xml.WriteElementString("uri", Text, "");
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    static Cmdlet.Parameter Risk(string name, string alias)
        => new(name, "SwitchParameter", true, [alias], [new Cmdlet.InSet(null, false, null, false, false, false)], false, null);

    static void Syntax(XmlWriter xml, Cmdlet cmdlet, List<Cmdlet.Parameter> parameters)
    {
        xml.WriteStartElement("syntax", Command);
        List<string?> sets = parameters.SelectMany(parameter => parameter.Sets).Select(set => set.Set).OfType<string>().Distinct().OrderBy(set => set != cmdlet.DefaultSet).ToList<string?>();
        if (sets.Count == 0)
            sets.Add(null);
        foreach (string? name in sets)
        {
            xml.WriteStartElement("syntaxItem", Command);
            xml.WriteElementString("name", Text, cmdlet.Name);
            var inSet = parameters.Select(parameter => (parameter, set: parameter.Sets.FirstOrDefault(set => set.Set is null || set.Set == name))).Where(pair => pair.set is not null);
            foreach ((Cmdlet.Parameter parameter, Cmdlet.InSet? set) in inSet.OrderBy(pair => pair.set!.Position ?? int.MaxValue).ThenBy(pair => !pair.set!.Mandatory))
                Parameter(xml, parameter, set!, []);
            xml.WriteEndElement();
        }
        xml.WriteEndElement();
    }

    static void Parameter(XmlWriter xml, Cmdlet.Parameter parameter, Cmdlet.InSet set, List<string> description)
    {
        xml.WriteStartElement("parameter", Command);
        xml.WriteAttributeString("required", Word(set.Mandatory));
        xml.WriteAttributeString("variableLength", Word(parameter.TypeName.EndsWith("[]", StringComparison.Ordinal)));
        xml.WriteAttributeString("globbing", Word(parameter.Wildcards));
        string[] ways = [.. set.ByValue ? ["ByValue"] : Array.Empty<string>(), .. set.ByName ? ["ByPropertyName"] : Array.Empty<string>()];
        xml.WriteAttributeString("pipelineInput", ways.Length == 0 ? "False" : $"True ({string.Join(", ", ways)})");
        xml.WriteAttributeString("position", set.Position?.ToString(CultureInfo.InvariantCulture) ?? "named");
        xml.WriteAttributeString("aliases", parameter.Aliases.Count == 0 ? "none" : string.Join(", ", parameter.Aliases));
        xml.WriteElementString("name", Text, parameter.Name);
        if (parameter.Values is not null && description.Count > 0)
            description = [.. description, $"One of: {parameter.Values}."];
        Paragraphs(xml, "description", Text, description);
        if (!parameter.IsSwitch)
        {
            xml.WriteStartElement("parameterValue", Command);
            xml.WriteAttributeString("required", "true");
            xml.WriteAttributeString("variableLength", "false");
            xml.WriteString(parameter.TypeName);
            xml.WriteEndElement();
        }
        xml.WriteStartElement("type", Dev);
        xml.WriteElementString("name", Text, parameter.TypeName);
        xml.WriteElementString("uri", Text, "");
        xml.WriteEndElement();
        xml.WriteElementString("defaultValue", Dev, "None");
        xml.WriteEndElement();
    }

    static void NamedType(XmlWriter xml, string element, string type)
    {
        xml.WriteStartElement(element, Command);
        xml.WriteStartElement("type", Dev);
        xml.WriteElementString("name", Text, type);
        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    static void Paragraphs(XmlWriter xml, string element, string space, IEnumerable<string> paragraphs)
    {
        xml.WriteStartElement(element, space);
        foreach (string paragraph in paragraphs)
            xml.WriteElementString("para", Text, paragraph);
        xml.WriteEndElement();
    }

    static string Word(bool value) => value ? "true" : "false";
}
