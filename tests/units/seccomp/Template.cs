using System.Text.Json;
using System.Text.Json.Nodes;
using Containers.Linux.Oci;

namespace Containers.Tests.Units.Seccomp;

/// <summary>A profile in docker's and podman's form, as it is for an x86-64 machine and a container without capabilities of its own.</summary>
static class Template
{
    public static LinuxSeccomp Read(string file)
    {
        var template = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        var syscalls = new JsonArray();
        foreach (var entry in template["syscalls"]!.AsArray())
        {
            if (entry!["includes"]?["caps"] is not null || entry["includes"]?["arches"] is JsonArray arches && !arches.Any(a => (string?)a == "amd64"))
                continue;
            var rule = new JsonObject { ["names"] = entry["names"]!.DeepClone(), ["action"] = entry["action"]!.DeepClone() };
            if (entry["args"] is JsonArray { Count: > 0 } args)
                rule["args"] = args.DeepClone();
            if (entry["errnoRet"] is { } errno)
                rule["errnoRet"] = errno.DeepClone();
            syscalls.Add(rule);
        }
        var profile = new JsonObject
        {
            ["defaultAction"] = template["defaultAction"]!.DeepClone(),
            ["architectures"] = new JsonArray("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
            ["syscalls"] = syscalls,
        };
        if (template["defaultErrnoRet"] is { } ret)
            profile["defaultErrnoRet"] = ret.DeepClone();
        return OciJson.Read<LinuxSeccomp>(JsonSerializer.SerializeToUtf8Bytes(profile));
    }
}
