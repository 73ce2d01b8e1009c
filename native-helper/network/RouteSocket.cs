using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Containers.Linux;

namespace Psrun.Network;

/// <summary>A network interface: its number counts in one namespace alone.</summary>
sealed record Link(int Index, string Name, bool IsUp);

/// <summary>An address with its attributes as the kernel told them.</summary>
sealed record Address(byte Family, byte PrefixLength, byte Scope, uint Flags, List<(int Type, byte[] Value)> Attributes);

/// <summary>rtnetlink(7) in the network namespace in which the socket was made.</summary>
sealed unsafe class RouteSocket : IDisposable
{
    const int BufferSize = 64 * 1024;

    readonly int _fd;
    uint _sequence;

    public RouteSocket()
    {
        _fd = Libc.socket(Libc.AF_NETLINK, Libc.SOCK_RAW | Libc.SOCK_CLOEXEC, Libc.NETLINK_ROUTE);
        if (_fd < 0)
            throw new PsrunException($"netlink: {Errnos.Text(Libc.errno)}");
    }

    /// <summary>A socket in another namespace: the thread that makes it is there for a moment.</summary>
    public static RouteSocket In(int networkNamespace)
    {
        int own = Libc.open("/proc/self/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (own < 0 || Libc.setns(networkNamespace, Libc.CLONE_NEWNET) < 0)
            throw new PsrunException($"join the network namespace: {Errnos.Text(Libc.errno)}");
        try
        {
            return new RouteSocket();
        }
        finally
        {
            if (Libc.setns(own, Libc.CLONE_NEWNET) < 0)
                Environment.FailFast("psrun cannot get back into its network namespace");
            Libc.close(own);
        }
    }

    public List<Link> Links()
    {
        var links = new List<Link>();
        ifinfomsg ask = default;
        foreach (byte[] answer in Ask(Libc.RTM_GETLINK, Libc.NLM_F_DUMP, Bytes(&ask, sizeof(ifinfomsg))))
        {
            ifinfomsg head = MemoryMarshal.Read<ifinfomsg>(answer);
            foreach ((int type, byte[] value) in Attributes(answer, sizeof(ifinfomsg)))
                if (type == Libc.IFLA_IFNAME)
                    links.Add(new Link(head.ifi_index, Encoding.UTF8.GetString(value).TrimEnd('\0'), (head.ifi_flags & Libc.IFF_UP) != 0));
        }
        return links;
    }

    public List<Address> Addresses(int link)
    {
        var addresses = new List<Address>();
        ifaddrmsg ask = default;
        foreach (byte[] answer in Ask(Libc.RTM_GETADDR, Libc.NLM_F_DUMP, Bytes(&ask, sizeof(ifaddrmsg))))
        {
            ifaddrmsg head = MemoryMarshal.Read<ifaddrmsg>(answer);
            if (head.ifa_index != link)
                continue;
            List<(int Type, byte[] Value)> attributes = Attributes(answer, sizeof(ifaddrmsg));
            // The head has room for 8 flags alone.
            byte[]? wide = attributes.Find(a => a.Type == Libc.IFA_FLAGS).Value;
            addresses.Add(new Address(head.ifa_family, head.ifa_prefixlen, head.ifa_scope, wide is { Length: 4 } ? BinaryPrimitives.ReadUInt32LittleEndian(wide) : head.ifa_flags, attributes));
        }
        return addresses;
    }

    /// <summary>Moves and renames in one request; it may be moved when the second fails.</summary>
    public void Move(int link, string name, int networkNamespace)
    {
        ifinfomsg head = default;
        head.ifi_index = link;
        byte[] descriptor = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(descriptor, networkNamespace);
        Ask(Libc.RTM_NEWLINK, Libc.NLM_F_ACK, Bytes(&head, sizeof(ifinfomsg)), (Libc.IFLA_IFNAME, Encoding.UTF8.GetBytes(name + "\0")), (Libc.IFLA_NET_NS_FD, descriptor));
    }

    public void SetUp(int link)
    {
        ifinfomsg head = default;
        head.ifi_index = link;
        head.ifi_flags = head.ifi_change = (uint)Libc.IFF_UP;
        Ask(Libc.RTM_NEWLINK, Libc.NLM_F_ACK, Bytes(&head, sizeof(ifinfomsg)));
    }

    public void AddAddress(int link, Address address)
    {
        ifaddrmsg head = default;
        head.ifa_family = address.Family;
        head.ifa_prefixlen = address.PrefixLength;
        head.ifa_scope = address.Scope;
        head.ifa_index = (uint)link;
        Ask(Libc.RTM_NEWADDR, Libc.NLM_F_ACK | Libc.NLM_F_CREATE | Libc.NLM_F_EXCL, Bytes(&head, sizeof(ifaddrmsg)),
            [.. address.Attributes.FindAll(a => a.Type is Libc.IFA_ADDRESS or Libc.IFA_LOCAL or Libc.IFA_BROADCAST)]);
    }

    /// <summary>One request and the bodies of its answers, up to the acknowledgement or the end of the dump.</summary>
    List<byte[]> Ask(int type, int flags, byte[] body, params ReadOnlySpan<(int Type, byte[] Value)> attributes)
    {
        var message = new List<byte>(256);
        nlmsghdr head = default;
        message.AddRange(Bytes(&head, sizeof(nlmsghdr)));
        message.AddRange(body);
        foreach ((int attribute, byte[] value) in attributes)
        {
            rtattr attr;
            attr.rta_type = (ushort)attribute;
            attr.rta_len = (ushort)(sizeof(rtattr) + value.Length);
            message.AddRange(Bytes(&attr, sizeof(rtattr)));
            message.AddRange(value);
            while (message.Count % 4 != 0)
                message.Add(0);
        }
        head.nlmsg_len = (uint)message.Count;
        head.nlmsg_type = (ushort)type;
        head.nlmsg_flags = (ushort)(Libc.NLM_F_REQUEST | flags);
        head.nlmsg_seq = ++_sequence;
        byte[] bytes = [.. message];
        MemoryMarshal.Write(bytes, in head);
        fixed (byte* p = bytes)
            if (Libc.send(_fd, p, (nuint)bytes.Length, 0) < 0)
                throw new LinuxException("send", "netlink", Libc.errno);
        return Answers();
    }

    List<byte[]> Answers()
    {
        var answers = new List<byte[]>();
        byte[] buffer = new byte[BufferSize];
        while (true)
        {
            nint n;
            fixed (byte* p = buffer)
                do
                    n = Libc.recv(_fd, p, BufferSize, 0);
                while (n < 0 && Libc.errno == Libc.EINTR);
            if (n <= 0)
                throw new LinuxException("recv", "netlink", Libc.errno);
            for (var rest = buffer.AsSpan(0, (int)n); rest.Length >= sizeof(nlmsghdr);)
            {
                nlmsghdr head = MemoryMarshal.Read<nlmsghdr>(rest);
                int length = (int)Math.Min(head.nlmsg_len, (uint)rest.Length);
                if (length < sizeof(nlmsghdr))
                    throw new PsrunException("netlink: a message without length");
                Span<byte> body = rest[sizeof(nlmsghdr)..length];
                rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
                if (head.nlmsg_seq != _sequence)
                    continue;
                if (head.nlmsg_type == Libc.NLMSG_DONE)
                    return answers;
                if (head.nlmsg_type != Libc.NLMSG_ERROR)
                    answers.Add(body.ToArray());
                else if (BinaryPrimitives.ReadInt32LittleEndian(body) is int errno && errno != 0)
                    throw new LinuxException("netlink", "", -errno);
                else
                    return answers;
            }
        }
    }

    static List<(int Type, byte[] Value)> Attributes(byte[] answer, int from)
    {
        var attributes = new List<(int, byte[])>();
        for (var rest = answer.AsSpan(Math.Min(from, answer.Length)); rest.Length >= sizeof(rtattr);)
        {
            rtattr head = MemoryMarshal.Read<rtattr>(rest);
            int length = Math.Min(head.rta_len, rest.Length);
            if (length < sizeof(rtattr))
                break;
            attributes.Add((head.rta_type, rest[sizeof(rtattr)..length].ToArray()));
            rest = rest[Math.Min((length + 3) & ~3, rest.Length)..];
        }
        return attributes;
    }

    static byte[] Bytes(void* p, int size) => new ReadOnlySpan<byte>(p, size).ToArray();

    public void Dispose() => Libc.close(_fd);
}
