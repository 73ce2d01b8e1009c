namespace Containers.Linux.Resctrl;

/// <summary>Something about resctrl that cannot be done; the message begins with the member of the specification that asked for it.</summary>
/// <param name="id"><c>InvalidIntelRdt</c>, <c>ResctrlNotMounted</c>, <c>ResctrlGroupMissing</c>, <c>ResctrlMismatch</c>, <c>ResctrlRefused</c>.</param>
public sealed class ResctrlException(string id, string message) : Exception(message)
{
    public string Id { get; } = id;
}
