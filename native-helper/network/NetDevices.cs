using Containers.Linux;
using Containers.Linux.Oci;
using Psrun.Dance;

namespace Psrun.Network;

/// <summary>
/// linux.netDevices (config-linux.md, Network Devices): interfaces of the host that move into the container with their permanent addresses. When the
/// creation fails later they come back; once the container is made they are its namespace's own.
/// </summary>
sealed class NetDevices : IDisposable
{
    sealed record Moved(Link There, Link Here, List<Address> Addresses);

    readonly RouteSocket _here = new();
    readonly RouteSocket _there;
    readonly int _namespace;
    readonly List<Moved> _moved = [];

    NetDevices(int networkNamespace)
    {
        _namespace = networkNamespace;
        _there = RouteSocket.In(networkNamespace);
    }

    public static void Check(LinuxConfig linux, Namespaces namespaces)
    {
        if (linux.NetDevices is not { Count: > 0 } devices)
            return;
        if (!namespaces.Has(Libc.CLONE_NEWNET))
            throw new PsrunException("linux.netDevices: needs a network namespace");
        var names = new List<string>();
        foreach ((string host, LinuxNetDevice device) in devices)
        {
            string name = NameOf(host, device);
            CheckName(host);
            CheckName(name);
            if (names.Contains(name) && !name.Contains('%'))
                throw new PsrunException($"linux.netDevices: two interfaces would be named {name}");
            names.Add(name);
        }
    }

    static string NameOf(string host, LinuxNetDevice device) => string.IsNullOrEmpty(device.Name) ? host : device.Name;

    /// <summary>The kernel's rule (dev_valid_name), and one "%d" at most, which it replaces by a number.</summary>
    static void CheckName(string name)
    {
        string plain = name.EndsWith("%d", StringComparison.Ordinal) ? name[..^2] : name;
        bool valid = name.Length is > 0 and < Libc.IFNAMSIZ && name is not ("." or "..") && !plain.Contains('%');
        foreach (char c in name)
            valid &= c is > ' ' and < (char)127 and not ('/' or ':');
        if (!valid)
            throw new PsrunException($"linux.netDevices: \"{name}\" is no name of an interface");
    }

    /// <summary>Moves all of them into the namespace of process <paramref name="pid"/>. Null when there are none.</summary>
    public static NetDevices? Move(LinuxConfig linux, int pid)
    {
        if (linux.NetDevices is not { Count: > 0 } devices)
            return null;
        int fd = Libc.open($"/proc/{pid}/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC);
        if (fd < 0)
            throw new PsrunException($"linux.netDevices: {Errnos.Text(Libc.errno)}");
        var all = new NetDevices(fd);
        try
        {
            foreach ((string host, LinuxNetDevice device) in devices)
                all.MoveOne(host, NameOf(host, device));
            return all;
        }
        catch
        {
            all.Restore();
            all.Dispose();
            throw;
        }
    }

    void MoveOne(string host, string name)
    {
        try
        {
            Link here = _here.Links().Find(link => link.Name == host) ?? throw new PsrunException($"linux.netDevices: {host}: there is no such interface");
            // The rest belongs to this network alone, or ends with time.
            List<Address> addresses = _here.Addresses(here.Index).FindAll(a => (a.Flags & Libc.IFA_F_PERMANENT) != 0 && a.Scope == Libc.RT_SCOPE_UNIVERSE);
            List<Link> before = _there.Links();
            Link? there;
            try
            {
                _here.Move(here.Index, name, _namespace);
            }
            finally
            {
                // The kernel moves first and renames then, so that one whose name is taken has arrived all the same. Its number may be another, and with "%d"
                // its name is the kernel's choice.
                there = _there.Links().Find(link => !before.Exists(other => other.Index == link.Index));
                if (there != null)
                    _moved.Add(new Moved(there, here, addresses));
            }
            if (there == null)
                throw new PsrunException($"linux.netDevices: {host} did not arrive");
            foreach (Address address in addresses)
                _there.AddAddress(there.Index, address);
            _there.SetUp(there.Index);
        }
        catch (LinuxException e)
        {
            throw new PsrunException(e.Errno == Libc.EEXIST
                ? $"linux.netDevices: {host}: the container has an interface named {name} already"
                : $"linux.netDevices: {host}: {Errnos.Text(e.Errno)}");
        }
    }

    /// <summary>Brings back what was moved, under its old name and with its addresses.</summary>
    public void Restore()
    {
        int own = Libc.open("/proc/self/ns/net", Libc.O_RDONLY | Libc.O_CLOEXEC);
        foreach (Moved moved in _moved)
            try
            {
                _there.Move(moved.There.Index, moved.Here.Name, own);
                Link? back = _here.Links().Find(link => link.Name == moved.Here.Name);
                if (back == null)
                    continue;
                foreach (Address address in moved.Addresses)
                    _here.AddAddress(back.Index, address);
                if (moved.Here.IsUp)
                    _here.SetUp(back.Index);
            }
            catch (LinuxException e)
            {
                Log.Warning($"linux.netDevices: {moved.Here.Name} cannot be brought back: {Errnos.Text(e.Errno)}");
            }
        Libc.close(own);
        _moved.Clear();
    }

    public void Dispose()
    {
        _here.Dispose();
        _there.Dispose();
        Libc.close(_namespace);
    }
}
