using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Numerics;

namespace Containers;

/// <summary>Subnets of networks: what one is, what it may not meet, and which is free.</summary>
static class Subnets
{
    const int Longest4 = 30, Longest6 = 126;

    // Beside those that docker (172.17 and on), podman (10.88, 10.89) and kubeadm's habits (10.244, 10.96) take.
    const int FirstFree = 100, LastFree = 127;

    /// <summary>A subnet that is its own first address, with room for a gateway and a container at least.</summary>
    /// <exception cref="ContainerException"><c>InvalidArgument</c>.</exception>
    internal static IPNetwork Parse(string text)
    {
        if (ParseStrictly(text) is not { } subnet) { throw Bad("Subnet", text, "it is written as ADDRESS/LENGTH, and ADDRESS is its first, such as 10.90.0.0/24 or fd00:90::/64"); }
        if (subnet.PrefixLength > (Is4(subnet) ? Longest4 : Longest6) || subnet.PrefixLength < 8) { throw Bad("Subnet", text, $"its length is from 8 to {(Is4(subnet) ? Longest4 : Longest6)}"); }
        return subnet;
    }

    /// <summary><c>ADDRESS/LENGTH</c> with the first address; younger versions of .NET take others too.</summary>
    internal static IPNetwork? ParseStrictly(string text) =>
        text.Split('/') is [var first, _] && IPAddress.TryParse(first, out var address) && IPNetwork.TryParse(text, out var subnet) && subnet.BaseAddress.Equals(address) && subnet.ToString().Equals(text, StringComparison.OrdinalIgnoreCase) ? subnet : null;

    internal static IPAddress ParseAddress(string parameter, string text) =>
        IPAddress.TryParse(text, out var address) && address.ToString().Equals(text, StringComparison.OrdinalIgnoreCase) ? address : throw Bad(parameter, text, "it is no address such as 10.90.0.1 or fd00:90::1");

    internal static bool Is4(IPNetwork subnet) => subnet.BaseAddress.AddressFamily == AddressFamily.InterNetwork;

    internal static bool Meet(IPNetwork one, IPNetwork other) =>
        one.BaseAddress.AddressFamily == other.BaseAddress.AddressFamily && (one.Contains(other.BaseAddress) || other.Contains(one.BaseAddress));

    /// <summary>The first address that a host may have, which is the gateway's where none is named.</summary>
    internal static IPAddress First(IPNetwork subnet) => Move(subnet.BaseAddress, 1);

    /// <summary>The last address of a subnet that a host may have; the one after it is IPv4's broadcast.</summary>
    internal static IPAddress Last(IPNetwork subnet) =>
        Move(subnet.BaseAddress, (BigInteger.One << ((Is4(subnet) ? 32 : 128) - subnet.PrefixLength)) - (Is4(subnet) ? 2 : 1));

    /// <summary>The first subnet of 256 addresses between 10.100.0.0 and 10.127.255.0 that meets none of these.</summary>
    /// <exception cref="ContainerException"><c>NetworkConflict</c>: there is none.</exception>
    internal static IPNetwork Free(IReadOnlyCollection<IPNetwork> taken)
    {
        for (var second = FirstFree; second <= LastFree; second++)
        {
            for (var third = 0; third < 256; third++)
            {
                var candidate = new IPNetwork(new IPAddress([10, (byte)second, (byte)third, 0]), 24);
                if (!taken.Any(one => Meet(one, candidate))) { return candidate; }
            }
        }
        throw new ContainerException(ErrorIds.NetworkConflict, $"No subnet between 10.{FirstFree}.0.0 and 10.{LastFree}.255.255 is free. Name one with -Subnet.", null, ContainerErrorCategory.ResourceBusy);
    }

    /// <summary>What the host has routes to, but for its default routes.</summary>
    internal static List<IPNetwork> OfHost() => [.. Routes4("/proc/net/route"), .. Routes6("/proc/net/ipv6_route")];

    // Interface, destination, gateway, flags, …, mask; addresses as numbers of this machine in hexadecimal digits.
    internal static IEnumerable<IPNetwork> Routes4(string path)
    {
        foreach (var line in Lines(path).Skip(1))
        {
            var parts = line.Split('\t');
            if (parts.Length > 7 && uint.TryParse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var to) && uint.TryParse(parts[7], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var mask) && mask != 0)
            {
                yield return new IPNetwork(new IPAddress(BitConverter.GetBytes(to & mask)), BitOperations.PopCount(mask));
            }
        }
    }

    // Destination as 32 digits, its length as two, …
    internal static IEnumerable<IPNetwork> Routes6(string path)
    {
        foreach (var line in Lines(path))
        {
            var parts = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (parts.Length < 2 || parts[0].Length != 32 || !int.TryParse(parts[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var length) || length is 0 or > 128 || !IPNetwork.TryParse($"{new IPAddress(Convert.FromHexString(parts[0]))}/{length}", out var to)) { continue; }
            // Every interface has these.
            if (!to.BaseAddress.IsIPv6LinkLocal && !to.BaseAddress.IsIPv6Multicast) { yield return to; }
        }
    }

    static string[] Lines(string path)
    {
        try { return File.ReadAllLines(path); }
        catch (IOException) { return []; } // a kernel without that family
    }

    static IPAddress Move(IPAddress from, BigInteger by)
    {
        var bytes = from.GetAddressBytes();
        var moved = (new BigInteger(bytes, isUnsigned: true, isBigEndian: true) + by).ToByteArray(isUnsigned: true, isBigEndian: true);
        Array.Clear(bytes);
        moved.CopyTo(bytes, bytes.Length - moved.Length);
        return new IPAddress(bytes);
    }

    internal static ContainerException Bad(string parameter, string value, string why) => new(ErrorIds.InvalidArgument, $"{parameter} '{ShimErrors.Printable(value)}' cannot be: {why}.", value, ContainerErrorCategory.InvalidArgument);
}
