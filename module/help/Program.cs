// Containers.Help PAGES ASSEMBLY OUTPUT: compiles docs/cmdlets/*.md to OUTPUT/<assembly>-Help.xml.
// Parameters and syntax come from the assembly; the pages say what they mean. A page that lags behind the code ends the build.
using Containers.Help;

if (args.Length != 3)
{
    Console.Error.WriteLine("usage: Containers.Help PAGES ASSEMBLY OUTPUT");
    return 2;
}
(string pages, string assembly, string output) = (args[0], args[1], args[2]);

// What means the same wherever it occurs is said once, in this page; its words stand in for a parameter that a page does not describe.
const string sharedName = "parameters.md";
var complaints = new List<string>();
var documented = new Dictionary<string, Page>(StringComparer.Ordinal);
Page shared = Page.Read(Path.Combine(pages, sharedName));
foreach (string path in Directory.EnumerateFiles(pages, "*.md").Order(StringComparer.Ordinal))
{
    if (Path.GetFileName(path) is sharedName or "README.md")
        continue;
    try
    {
        Page page = Page.Read(path);
        if (page.Name != Path.GetFileNameWithoutExtension(path))
            complaints.Add($"{path}: its heading is '{page.Name}'");
        documented[page.Name] = page;
    }
    catch (FormatException e)
    {
        complaints.Add(e.Message);
    }
}

var commands = new List<(Cmdlet, Page)>();
foreach (Cmdlet cmdlet in Cmdlet.ReadAll(assembly))
{
    if (!documented.Remove(cmdlet.Name, out Page? page))
    {
        complaints.Add($"{cmdlet.Name}: has no page");
        continue;
    }
    foreach (string unknown in page.Parameters.Keys.Except(cmdlet.Parameters.Select(parameter => parameter.Name), StringComparer.OrdinalIgnoreCase))
        complaints.Add($"{cmdlet.Name}: its page describes -{unknown}, which it does not have");
    foreach (Cmdlet.Parameter parameter in cmdlet.Parameters)
    {
        if (page.Parameters.ContainsKey(parameter.Name))
            continue;
        if (shared.Parameters.TryGetValue(parameter.Name, out List<string>? words))
            page.Parameters[parameter.Name] = words;
        else
            complaints.Add($"{cmdlet.Name}: -{parameter.Name} is described neither in its page nor in {sharedName}");
    }
    if (cmdlet.ShouldProcess)
    {
        page.Parameters["WhatIf"] = shared.Parameters["WhatIf"];
        page.Parameters["Confirm"] = shared.Parameters["Confirm"];
    }
    if (page.Synopsis.Length == 0 || page.Description.Count == 0)
        complaints.Add($"{cmdlet.Name}: its page has no synopsis or no description");
    if (page.Examples.Count(example => example.Code.Length > 0) < 2)
        complaints.Add($"{cmdlet.Name}: its page has fewer than two examples");
    commands.Add((cmdlet, page));
}
complaints.AddRange(documented.Keys.Select(name => $"{name}: has a page and no cmdlet"));

foreach (string complaint in complaints)
    Console.Error.WriteLine(complaint);
if (complaints.Count > 0)
    return 1;
Maml.Write(Path.Combine(output, Path.GetFileName(assembly) + "-Help.xml"), commands);
return 0;
