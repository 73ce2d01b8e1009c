using System.Text.Json.Nodes;
using Mono.Unix.Native;

namespace Containers;

/// <summary>The folder of network configurations, <c>/etc/cni/net.d</c>, which other engines read and write too.</summary>
sealed class CniFolder(string path)
{
    static readonly string[] endings = [".conf", ".conflist", ".json"];

    internal string Path => path;

    /// <summary>Every network in the order of its file's name, with the reason for each file that cannot be used.</summary>
    internal (List<CniConfiguration> Networks, List<ContainerException> Refused) Load()
    {
        var networks = new List<CniConfiguration>();
        var refused = new List<ContainerException>();
        foreach (var file in Files(path, endings))
        {
            try
            {
                if (Read(file) is not { } content) { continue; }
                var one = CniConfiguration.Parse(content, file, Beside);
                // As containerd and CRI-O have it: the first file of a name counts.
                if (networks.Find(other => other.Name == one.Name) is { } first) { throw NetworkErrors.Invalid(file, $"'{first.Path}' has a network '{one.Name}' already"); }
                networks.Add(one);
            }
            catch (ContainerException e) { refused.Add(e); }
        }
        return (networks, refused);
    }

    /// <summary>The network of this name.</summary>
    /// <exception cref="ContainerException"><c>NetworkNotFound</c>, <c>NetworkInvalid</c> when the only file that could have it cannot be used.</exception>
    internal CniConfiguration Get(string name)
    {
        if (!CniConfiguration.IsName(name)) { throw NetworkErrors.NotFound(name, path); }
        var (networks, refused) = Load();
        return networks.Find(one => one.Name == name)
            ?? throw (refused.Find(e => System.IO.Path.GetFileNameWithoutExtension((string)e.Target!) == name) ?? NetworkErrors.NotFound(name, path));
    }

    // Since version 1.1 of the specification plugins may lie beside the list, in a folder with the network's name.
    IEnumerable<JsonObject> Beside(string name)
    {
        foreach (var file in Files(System.IO.Path.Combine(path, name), [".conf"]))
        {
            if (Read(file) is { } content) { yield return CniConfiguration.ParseObject(content, file); }
        }
    }

    static List<string> Files(string folder, string[] endings)
    {
        var files = Folders.Entries(folder).Where(name => endings.Contains(System.IO.Path.GetExtension(name))).Select(name => System.IO.Path.Combine(folder, name)).ToList();
        files.Sort(StringComparer.Ordinal);
        return files;
    }

    static byte[]? Read(string file)
    {
        try
        {
            if (Folders.ReadOfUser(file, CniConfiguration.LongestFile) is not { } content) { return null; }
            if (Syscall.stat(file, out var stat) != 0) { return null; }
            // What it says decides what root runs.
            if (stat.st_uid != 0 && stat.st_uid != Syscall.geteuid() || (stat.st_mode & (FilePermissions.S_IWGRP | FilePermissions.S_IWOTH)) != 0)
            {
                throw NetworkErrors.Invalid(file, $"it belongs to user {stat.st_uid} or can be written by others, so that it cannot be trusted: give it to root with mode 0644");
            }
            return content;
        }
        catch (InvalidDataException e) { throw NetworkErrors.Invalid(file, "it " + e.Message, e); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { throw NetworkErrors.Invalid(file, "it " + e.Message.TrimEnd('.'), e); }
    }
}
