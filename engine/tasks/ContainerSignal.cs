using Containers.Linux;

namespace Containers;

/// <summary>Signals as people write them.</summary>
public static class ContainerSignal
{
    /// <summary>The number of <c>TERM</c>, <c>SIGTERM</c>, <c>15</c>, <c>RTMIN+3</c>; case does not matter.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    public static int Parse(string text) => Signals.TryParse(text.AsSpan().Trim(), out var number) ? number : throw new ContainerException(ErrorIds.InvalidArgument,
        $"'{text}' is no signal. Give a name such as TERM or SIGKILL, or a number from 1 to 64; signal(7) lists them.", text, ContainerErrorCategory.InvalidArgument);

    /// <summary><c>SIGTERM</c> for 15, and so on.</summary>
    public static string Name(int number) => Signals.Name(number);
}
