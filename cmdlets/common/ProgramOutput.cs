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
    static readonly string[] errorTags = ["stderr", "PSHOST"];

    readonly ContainerLineReader outputLines = new();
    readonly ContainerLineReader errorLines = new();
    readonly Decoder outputText = new UTF8Encoding(false).GetDecoder();
    readonly Decoder errorText = new UTF8Encoding(false).GetDecoder();
    readonly StringBuilder keptOutput = new();
    readonly StringBuilder keptError = new();

    public void Take(ContainerOutput part)
    {
        bool isError = part.Stream == ContainerLogStream.Stderr;
        if (form == OutputForm.Kept)
            Keep(isError ? errorText : outputText, isError ? keptError : keptOutput, part.Data, flush: false);
        else if (isError)
            PostErrors(errorLines.Add(part.Data));
        else if (form == OutputForm.Bytes)
            // Not enumerated: one chunk is one object.
            pump.Post(() => cmdlet.WriteObject(part.Data, enumerateCollection: false));
        else
            PostLines(outputLines.Add(part.Data));
    }

    /// <summary>Both streams have ended: hands on what stands in an unfinished last line, and puts what was kept on the result.</summary>
    public void End(ContainerRunResult result)
    {
        if (form == OutputForm.Kept)
        {
            Keep(outputText, keptOutput, [], flush: true);
            Keep(errorText, keptError, [], flush: true);
            result.StandardOutput = keptOutput.ToString();
            result.StandardError = keptError.ToString();
        }
        if (outputLines.Flush() is { } line)
            PostLines([line]);
        if (errorLines.Flush() is { } error)
            PostErrors([error]);
    }

    static void Keep(Decoder decoder, StringBuilder kept, ReadOnlySpan<byte> bytes, bool flush)
    {
        char[] characters = new char[Encoding.UTF8.GetMaxCharCount(bytes.Length)];
        kept.Append(characters, 0, decoder.GetChars(bytes, characters, flush));
    }

    void PostLines(IReadOnlyList<string> lines)
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
    void PostErrors(IReadOnlyList<string> lines)
    {
        if (lines.Count == 0)
            return;
        pump.Post(() =>
        {
            foreach (string line in lines)
                cmdlet.WriteInformation(new HostInformationMessage { Message = line }, errorTags);
        });
    }
}
