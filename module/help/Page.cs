namespace Containers.Help;

/// <summary>One page of docs/cmdlets. Its form is fixed and small: see <see cref="Read"/>.</summary>
sealed class Page
{
    public required string Name { get; init; }
    public string Synopsis { get; private set; } = "";
    public List<string> Description { get; } = [];
    public Dictionary<string, List<string>> Parameters { get; } = new(StringComparer.OrdinalIgnoreCase);
    public List<Example> Examples { get; } = [];
    public List<string> Notes { get; } = [];
    public List<string> Related { get; } = [];

    public sealed record Example(string Title, string Code, List<string> Remarks);

    /// <summary>
    /// Reads <c># Name</c>, a synopsis of one paragraph, then <c>## Description</c>, <c>## Parameters</c> with a <c>### -Name</c> for each,
    /// <c>## Examples</c> with a <c>###</c> title, a fenced block and remarks for each, <c>## Notes</c> and <c>## Related</c> (a list).
    /// </summary>
    /// <exception cref="FormatException">the page has another form; the message has the file and the line</exception>
    public static Page Read(string path)
    {
        string[] lines = File.ReadAllLines(path);
        if (lines.Length == 0 || !lines[0].StartsWith("# ", StringComparison.Ordinal))
            throw new FormatException($"{path}:1: the first line is not '# Name'");
        var page = new Page { Name = lines[0][2..].Trim() };
        List<Block> blocks = Split(path, lines);
        page.Synopsis = string.Join(" ", blocks[0].Paragraphs);
        foreach (Block block in blocks.Skip(1))
            page.Take(path, block);
        return page;
    }

    void Take(string path, Block block)
    {
        switch (block.Section)
        {
            case "Description": Description.AddRange(block.Paragraphs); break;
            case "Notes": Notes.AddRange(block.Paragraphs); break;
            case "Related": Related.AddRange(block.Paragraphs.SelectMany(text => text.Split('\n')).Select(text => text.TrimStart('-', ' '))); break;
            case "Parameters" when block.Title is { } title:
                if (!title.StartsWith('-'))
                    throw new FormatException($"{path}:{block.Line}: a parameter's heading is '### -Name'");
                if (!Parameters.TryAdd(title[1..], block.Paragraphs))
                    throw new FormatException($"{path}:{block.Line}: '{title}' is described twice");
                break;
            case "Examples" when block.Title is { } title: Examples.Add(new Example(title, block.Code, block.Paragraphs)); break;
            case "Parameters" or "Examples" when block.Paragraphs.Count == 0: break;
            default: throw new FormatException($"{path}:{block.Line}: text where the form has none: section '{block.Section}'");
        }
    }

    sealed class Block
    {
        public string? Section, Title;
        public int Line;
        public string Code = "";
        public readonly List<string> Paragraphs = [];
    }

    static List<Block> Split(string path, string[] lines)
    {
        List<Block> blocks = [new Block { Line = 1 }];
        var paragraph = new List<string>();
        bool code = false;
        void EndParagraph()
        {
            if (paragraph.Count > 0)
                blocks[^1].Paragraphs.Add(Plain(paragraph));
            paragraph.Clear();
        }
        for (int i = 1; i < lines.Length; i++)
        {
            string line = lines[i];
            if (line.StartsWith("```", StringComparison.Ordinal))
            {
                EndParagraph();
                code = !code;
                // Two fenced blocks of one example are a command and what it printed.
                if (code && blocks[^1].Code.Length > 0)
                    blocks[^1].Code += "\n\n";
            }
            else if (code)
                blocks[^1].Code += blocks[^1].Code.Length == 0 || blocks[^1].Code.EndsWith("\n\n", StringComparison.Ordinal) ? line : "\n" + line;
            else if (line.StartsWith("## ", StringComparison.Ordinal))
            {
                EndParagraph();
                blocks.Add(new Block { Section = line[3..].Trim(), Line = i + 1 });
            }
            else if (line.StartsWith("### ", StringComparison.Ordinal))
            {
                EndParagraph();
                blocks.Add(new Block { Section = blocks[^1].Section, Title = line[4..].Trim(), Line = i + 1 });
            }
            else if (line.Trim().Length == 0)
                EndParagraph();
            else
                paragraph.Add(line.TrimEnd());
        }
        if (code)
            throw new FormatException($"{path}: a fenced block is not closed");
        EndParagraph();
        return blocks;
    }

    // List items keep their lines, running text becomes one line that the console wraps; the marks of Markdown mean nothing there.
    static string Plain(List<string> lines)
    {
        string text = string.Join(lines.Any(line => line.StartsWith("- ", StringComparison.Ordinal) || line.StartsWith('|')) ? "\n" : " ", lines);
        return text.Replace("`", "", StringComparison.Ordinal).Replace("**", "", StringComparison.Ordinal);
    }
}
