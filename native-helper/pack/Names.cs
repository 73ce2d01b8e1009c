using System.Text;

namespace Psrun.Pack;

/// <summary>Names and paths as bytes, ended by a zero where the kernel gets them.</summary>
static class Names
{
    public static readonly byte[] Here = ".\0"u8.ToArray();

    /// <summary>The path of a thing in a folder: without a zero at the end, and without anything in front for what lies in the root.</summary>
    public static byte[] Join(byte[] folder, ReadOnlySpan<byte> name) => folder.Length == 0 ? name.ToArray() : [.. folder, (byte)'/', .. name];

    public static ReadOnlySpan<byte> Text(byte[] name) => name.AsSpan(0, name.Length - 1);

    public static string Shown(ReadOnlySpan<byte> path) => "/" + Encoding.UTF8.GetString(path);

    public static void Sort(List<byte[]> names) => names.Sort((one, other) => one.AsSpan().SequenceCompareTo(other));
}
