namespace Psrun.State;

static class ContainerId
{
    /// <summary>runc's rule: letters, digits and "_+-.", and no name that means a folder; an id becomes the name of folders.</summary>
    public static string Check(string id)
    {
        if (id.Length == 0)
            throw new PsrunException("container id cannot be empty");
        if (id.Length > 255)
            throw new PsrunException("invalid container id: longer than 255 characters");
        if (id is "." or "..")
            throw new PsrunException($"invalid container id format: \"{id}\"");
        foreach (char c in id)
            if (!(char.IsAsciiLetterOrDigit(c) || c is '_' or '+' or '-' or '.'))
                throw new PsrunException($"invalid container id format: \"{id}\": only letters, digits and _ + - . are allowed");
        return id;
    }
}
