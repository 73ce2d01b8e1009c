using System.Text.Json;

namespace Psrun.Shim;

/// <summary>One mount of <c>shim.json</c>.</summary>
sealed record MountOrder(string Type, string Source, string Target, string[] Options);

/// <summary>A health check of <c>shim.json</c>.</summary>
sealed class HealthOrder
{
    public byte[] Process { get; set; } = [];
    public int Interval { get; set; } = 30_000;
    public int Timeout { get; set; } = 30_000;
    public int StartPeriod { get; set; }
    public int Retries { get; set; } = 3;
    /// <summary><c>none</c>, <c>kill</c>, <c>restart</c> or <c>stop</c>.</summary>
    public string OnFailure { get; set; } = "none";
    public int StopSignal { get; set; } = Containers.Linux.Libc.SIGTERM;
    public int StopTimeout { get; set; } = 10_000;
}

/// <summary>A checkpoint of <c>shim.json</c> that the first run goes on from.</summary>
sealed class RestoreOrder
{
    public string ImagePath { get; set; } = "";
    /// <summary>Null: the one that the runtime finds.</summary>
    public string? Criu { get; set; }
    /// <summary>Options of the runtime's <c>restore</c>.</summary>
    public List<string> Flags { get; } = new();
}

/// <summary>The shim's orders, docs/design.md <c>shim.json</c>. Unknown members are refused: an order that is not followed is worse than an error.</summary>
sealed class Orders
{
    public string Id { get; private set; } = "";
    public string Namespace { get; private set; } = "";
    public string Runtime { get; private set; } = "";
    public string RuntimeRoot { get; private set; } = "";
    public string Bundle { get; private set; } = "";
    public MountOrder[] Mounts { get; private set; } = [];
    public string? Cgroup { get; private set; }
    public string? Journal { get; private set; }
    public string? Log { get; private set; }
    public string? LogUri { get; private set; }
    public long? LogMaxSize { get; private set; }
    public int LogMaxFiles { get; private set; } = 5;
    public bool Terminal { get; private set; }
    public bool Stdin { get; private set; }
    public string? StdoutPath { get; private set; }
    public string? StderrPath { get; private set; }
    public string? StdinPath { get; private set; }
    /// <summary>Nothing of the bundle's own is run or waited for while the container is made, started and deleted: it has no hooks and no listener for system calls.</summary>
    public bool Plain { get; private set; }
    /// <summary>Where the exit record goes a second time, to outlive the machine's restart.</summary>
    public string? EndRecord { get; private set; }

    /// <summary><c>no</c>, <c>on-failure</c>, <c>always</c> or <c>unless-stopped</c>.</summary>
    public string RestartPolicy { get; private set; } = "no";
    /// <summary>How often <c>on-failure</c> starts it again; 0: without limit.</summary>
    public int RestartLimit { get; private set; }

    public HealthOrder? Health { get; private set; }

    public RestoreOrder? Restore { get; private set; }

    const int LargestFile = 1 << 20;

    public static Orders Read(string path)
    {
        byte[] json = Files.ReadSmall(path, LargestFile, out string? problem) ?? throw Bad(path, problem!);
        try
        {
            return Parse(path, json);
        }
        catch (JsonException e)
        {
            throw Bad(path, e.Message);
        }
        catch (InvalidOperationException)
        {
            throw Bad(path, "a member has the wrong type");
        }
        catch (FormatException)
        {
            throw Bad(path, "a number is out of range");
        }
    }

    static ShimException Bad(string path, string why) => new("BadOrders", $"{path}: {why}");

    static Orders Parse(string path, byte[] json)
    {
        var o = new Orders();
        var reader = new Utf8JsonReader(json);
        int version = 0;
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad(path, "not a JSON object");
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "version": version = reader.GetInt32(); break;
                case "id": o.Id = reader.GetString() ?? ""; break;
                case "namespace": o.Namespace = reader.GetString() ?? ""; break;
                case "runtime": o.Runtime = reader.GetString() ?? ""; break;
                case "runtimeRoot": o.RuntimeRoot = reader.GetString() ?? ""; break;
                case "bundle": o.Bundle = reader.GetString() ?? ""; break;
                case "mounts": o.Mounts = ReadMounts(ref reader, path); break;
                case "cgroup": o.Cgroup = reader.GetString(); break;
                case "journal": o.Journal = reader.GetString(); break;
                case "log": o.Log = reader.GetString(); break;
                case "logUri": o.LogUri = reader.GetString(); break;
                case "logMaxSize": o.LogMaxSize = reader.TokenType == JsonTokenType.Null ? null : reader.GetInt64(); break;
                case "logMaxFiles": if (reader.TokenType != JsonTokenType.Null) o.LogMaxFiles = reader.GetInt32(); break;
                case "terminal": o.Terminal = reader.GetBoolean(); break;
                case "stdin": o.Stdin = reader.GetBoolean(); break;
                case "stdout": o.StdoutPath = reader.GetString(); break;
                case "stderr": o.StderrPath = reader.GetString(); break;
                case "stdinPath": o.StdinPath = reader.GetString(); break;
                case "plain": o.Plain = reader.GetBoolean(); break;
                case "restartPolicy": o.RestartPolicy = reader.GetString() ?? "no"; break;
                case "restartLimit": o.RestartLimit = reader.GetInt32(); break;
                case "health": o.Health = ReadHealth(ref reader, path, json); break;
                case "restore": o.Restore = ReadRestore(ref reader, path); break;
                case "endRecord": o.EndRecord = reader.GetString(); break;
                default: throw Bad(path, $"unknown member '{name}'");
            }
        }
        reader.Read();

        if (version != 1) throw Bad(path, $"version {version}: this shim knows 1");
        if (!Names.Valid(o.Id)) throw Bad(path, "id is not a container id");
        if (!Names.Valid(o.Namespace)) throw Bad(path, "namespace is not a container-namespace name");
        NeedPath("runtime", o.Runtime);
        NeedPath("runtimeRoot", o.RuntimeRoot);
        NeedPath("bundle", o.Bundle);
        NeedPath("journal", o.Journal);
        NeedPath("log", o.Log);
        NeedPath("stdout", o.StdoutPath);
        NeedPath("stderr", o.StderrPath);
        NeedPath("stdinPath", o.StdinPath);
        NeedPath("endRecord", o.EndRecord);
        NeedPath("cgroup", o.Cgroup);
        NeedPath("restore.imagePath", o.Restore?.ImagePath);
        NeedPath("restore.criu", o.Restore?.Criu);
        if ((o.LogMaxSize is not null || o.LogUri is not null) && (o.Log is null) == (o.LogUri is null)) throw Bad(path, "logMaxSize is of a log that is a file, and logUri of one that is none");
        if (o.LogMaxSize < LogWriter.SmallestFile) throw Bad(path, $"logMaxSize is less than {LogWriter.SmallestFile}");
        if (o.LogMaxFiles is < 2 or > 1000) throw Bad(path, "logMaxFiles is not from 2 to 1000");
        if (o.Cgroup is "/" || o.Cgroup?.EndsWith('/') == true) throw Bad(path, "cgroup is not the path of a group below the root");
        if (o.RestartPolicy is not ("no" or "on-failure" or "always" or "unless-stopped")) throw Bad(path, $"restartPolicy '{o.RestartPolicy}' is none of no, on-failure, always, unless-stopped");
        if (o.RestartLimit < 0 || o.RestartLimit > 0 && o.RestartPolicy != "on-failure") throw Bad(path, "restartLimit is a number from 0 on, and on-failure's alone");
        if (o.Terminal && (o.StdoutPath ?? o.StderrPath ?? o.StdinPath) is not null) throw Bad(path, "a terminal and redirections exclude each other");
        return o;

        void NeedPath(string name, string? value)
        {
            if (value is null) return;
            if (value.Length == 0 || value[0] != '/' || value.Contains('\0') || value.Contains("/../") || value.EndsWith("/.."))
                throw Bad(path, $"{name} is not an absolute path without '..'");
        }
    }

    static RestoreOrder? ReadRestore(ref Utf8JsonReader reader, string path)
    {
        if (reader.TokenType == JsonTokenType.Null) return null;
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad(path, "restore is not an object");
        var restore = new RestoreOrder();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "imagePath": restore.ImagePath = reader.GetString() ?? ""; break;
                case "criu": restore.Criu = reader.GetString(); break;
                case "tcpEstablished": if (reader.GetBoolean()) restore.Flags.Add("--tcp-established"); break;
                case "fileLocks": if (reader.GetBoolean()) restore.Flags.Add("--file-locks"); break;
                case "externalSockets": if (reader.GetBoolean()) restore.Flags.Add("--ext-unix-sk"); break;
                default: throw Bad(path, $"unknown member 'restore.{name}'");
            }
        }
        return restore;
    }

    static HealthOrder? ReadHealth(ref Utf8JsonReader reader, string path, byte[] json)
    {
        if (reader.TokenType == JsonTokenType.Null) return null;
        if (reader.TokenType != JsonTokenType.StartObject) throw Bad(path, "health is not an object");
        var health = new HealthOrder();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            string name = reader.GetString()!;
            reader.Read();
            switch (name)
            {
                case "process":
                    if (reader.TokenType != JsonTokenType.StartObject) throw Bad(path, "health.process is not an object");
                    int start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    health.Process = json[start..(int)reader.BytesConsumed];
                    break;
                case "interval": health.Interval = reader.GetInt32(); break;
                case "timeout": health.Timeout = reader.GetInt32(); break;
                case "startPeriod": health.StartPeriod = reader.GetInt32(); break;
                case "retries": health.Retries = reader.GetInt32(); break;
                case "onFailure": health.OnFailure = reader.GetString() ?? "none"; break;
                case "stopSignal": health.StopSignal = reader.GetInt32(); break;
                case "stopTimeout": health.StopTimeout = reader.GetInt32(); break;
                default: throw Bad(path, $"unknown member 'health.{name}'");
            }
        }
        if (health.Process.Length == 0) throw Bad(path, "health without process");
        if (health.Interval < 1 || health.Timeout < 1 || health.StartPeriod < 0 || health.Retries < 1 || health.StopTimeout < 0 || health.StopSignal is < 1 or > 64)
            throw Bad(path, "a number of health is out of range");
        if (health.OnFailure is not ("none" or "kill" or "restart" or "stop")) throw Bad(path, $"health.onFailure '{health.OnFailure}' is none of none, kill, restart, stop");
        return health;
    }

    public static MountOrder[] ReadMounts(ref Utf8JsonReader reader, string path)
    {
        if (reader.TokenType == JsonTokenType.Null) return [];
        if (reader.TokenType != JsonTokenType.StartArray) throw Bad(path, "mounts is not an array");
        var mounts = new List<MountOrder>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject) throw Bad(path, "mounts holds something else than objects");
            string type = "", source = "", target = "";
            var options = new List<string>();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
            {
                string name = reader.GetString()!;
                reader.Read();
                switch (name)
                {
                    case "type": type = reader.GetString() ?? ""; break;
                    case "source": source = reader.GetString() ?? ""; break;
                    case "target": target = reader.GetString() ?? ""; break;
                    case "options":
                        if (reader.TokenType == JsonTokenType.Null) break;
                        if (reader.TokenType != JsonTokenType.StartArray) throw Bad(path, "mounts[].options is not an array");
                        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) options.Add(reader.GetString() ?? "");
                        break;
                    default: throw Bad(path, $"unknown member 'mounts[].{name}'");
                }
            }
            if (type is not ("overlay" or "bind" or "tmpfs")) throw Bad(path, $"mounts[].type '{type}' is none of overlay, bind, tmpfs");
            if (target.Length == 0 || target[0] != '/') throw Bad(path, "mounts[].target is not an absolute path");
            if (type == "bind" && (source.Length == 0 || source[0] != '/')) throw Bad(path, "mounts[].source of a bind mount is not an absolute path");
            mounts.Add(new MountOrder(type, source, target, options.ToArray()));
        }
        return mounts.ToArray();
    }
}

static class Names
{
    /// <summary><c>[A-Za-z0-9][A-Za-z0-9_.-]{0,75}</c>: safe as one part of a path.</summary>
    public static bool Valid(string? name)
    {
        if (string.IsNullOrEmpty(name) || name.Length > 76 || !char.IsAsciiLetterOrDigit(name[0])) return false;
        foreach (char c in name)
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '.' or '-')) return false;
        return true;
    }
}
