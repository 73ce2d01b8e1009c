using System.Globalization;

namespace Containers;

/// <summary>Whether a program is started again when it has ended.</summary>
readonly record struct RestartPolicy(string Kind, int Limit)
{
    /// <summary><c>no</c>, <c>on-failure[:N]</c> (N from 1 on), <c>always</c> or <c>unless-stopped</c>; case does not matter.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    internal static RestartPolicy Parse(string? text)
    {
        var word = (text ?? "no").ToLowerInvariant();
        if (word is "no" or "on-failure" or "always" or "unless-stopped") { return new(word, 0); }
        const string Failure = "on-failure:";
        if (word.StartsWith(Failure, StringComparison.Ordinal) && int.TryParse(word.AsSpan(Failure.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit > 0)
        {
            return new("on-failure", limit);
        }
        throw ResourceSpec.Bad("RestartPolicy", text, "it is no, on-failure, on-failure:N with N from 1 on, always or unless-stopped");
    }

    public override string ToString() => Limit > 0 ? $"{Kind}:{Limit}" : Kind;
}
