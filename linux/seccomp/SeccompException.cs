namespace Containers.Linux.Seccomp;

/// <summary>A profile that cannot become a filter. The message begins with the member of the spec that is at fault, such as <c>linux.seccomp.flags</c>.</summary>
public sealed class SeccompException(string message) : Exception(message);
