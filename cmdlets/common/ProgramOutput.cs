using System.Management.Automation;
using System.Text;

namespace Containers.Cmdlets;

/// <summary>How a program's output reaches the caller.</summary>
enum OutputForm
{
    /// <summary>Lines of text on the output stream, standard error on the information stream.</summary>
    Lines,

    /// <summary>Standard output as byte[] chunks, standard error on the information stream.</summary>
    Bytes,

    /// <summary>Both kept, for the result object.</summary>
    Kept,
}

/// <summary>
/// Takes a program's output in pieces from any thread, makes it what the caller asked for, and hands it to the pipeline's thread.
/// </summary>
sealed class ProgramOutput(Cmdlet cmdlet, Pump pump, OutputForm form)
{
    readonly LineReader standardOutput = new();
    readonly LineReader standardError = new();
    readonly StringBuilder keptOutput = new();
    readonly StringBuilder keptError = new();

    public string KeptOutput => keptOutput.ToString();
    public string KeptError => keptError.ToString();

    public void Output(ReadOnlySpan<byte> bytes)
    {
        if (form == OutputForm.Bytes)
        {
            byte[] chunk = bytes.ToArray();
            // Not enumerated: one chunk is one object.
            pump.Post(() => cmdlet.WriteObject(chunk, enumerateCollection: false));
        }
        else if (form == OutputForm.Kept)
            standardOutput.Decode(bytes, keptOutput);
        else
            WriteLines(standardOutput.Lines(bytes));
    }

    public void Error(ReadOnlySpan<byte> bytes)
    {
        if (form == OutputForm.Kept)
            standardError.Decode(bytes, keptError);
        else
            WriteErrors(standardError.Lines(bytes));
    }

    /// <summary>What stands in an unfinished last line, once both streams have ended.</summary>
    public void End()
    {
        if (standardOutput.Rest() is { } line)
            WriteLines([line]);
        if (standardError.Rest() is { } error)
            WriteErrors([error]);
    }

    void WriteLines(List<string> lines)
    {
        if (lines.Count == 0)
            return;
        pump.Post(() =>
        {
            foreach (string line in lines)
                cmdlet.WriteObject(line);
        });
    }

    // A host message is seen on the terminal as it comes, can be caught by 6> and -InformationVariable, and never is an error:
    // what a program writes to its standard error is its own business.
    void WriteErrors(List<string> lines)
    {
        if (lines.Count == 0)
            return;
        pump.Post(() =>
        {
            foreach (string line in lines)
                cmdlet.WriteInformation(new HostInformationMessage { Message = line }, ["stderr", "PSHOST"]);
        });
    }

    /// <summary>UTF-8 in pieces to lines; what is not UTF-8 becomes U+FFFD.</summary>
    sealed class LineReader
    {
        // A program may print without end and never end a line: beyond this a piece counts as one.
        const int LongestLine = 8 << 20;

        readonly Decoder decoder = new UTF8Encoding(false).GetDecoder();
        readonly StringBuilder pending = new();

        public void Decode(ReadOnlySpan<byte> bytes, StringBuilder into)
        {
            char[] characters = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length)];
            into.Append(characters, 0, decoder.GetChars(bytes, characters, flush: false));
        }

        public List<string> Lines(ReadOnlySpan<byte> bytes)
        {
            char[] characters = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length)];
            ReadOnlySpan<char> text = characters.AsSpan(0, decoder.GetChars(bytes, characters, flush: false));
            var lines = new List<string>();
            for (int end; (end = text.IndexOf('\n')) >= 0; text = text[(end + 1)..])
            {
                pending.Append(text[..end]);
                lines.Add(Take());
            }
            pending.Append(text);
            if (pending.Length > LongestLine)
                lines.Add(Take());
            return lines;
        }

        public string? Rest() => pending.Length == 0 ? null : Take();

        string Take()
        {
            string line = pending.ToString();
            pending.Clear();
            return line;
        }
    }
}
