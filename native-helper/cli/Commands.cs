using System.Text;
using Psrun.Verbs;

namespace Psrun;

/// <summary>Every command and its options: what --help prints. The man page and the shell completion must name all of it; a test compares.</summary>
static class Commands
{
    public static readonly string[] Global = ["root=", "log=", "log-format=", "debug", "systemd-cgroup", "cgroup-manager=", "rootless=", "criu=", "v,version", "h,help"];

    static readonly string[] s_names =
    [
        "create", "start", "run", "exec", "state", "kill", "delete", "list", "ps", "update", "events", "pause", "resume", "checkpoint", "restore", "spec", "features", "unpack", "pack", "copy", "item", "namespace", "unit", "shim", "attach", "help",
    ];

    static (string[] Options, string Arguments)? Find(string verb) => verb switch
    {
        "create" => (CreateVerb.Known, "ID"),
        "start" => ([], "ID"),
        "run" => (RunVerb.Known, "ID"),
        "exec" => (ExecVerb.Known, "ID [PROGRAM ARGUMENT...]"),
        "state" => ([], "ID"),
        "kill" => (KillVerb.Known, "ID [SIGNAL]"),
        "delete" => (DeleteVerb.Known, "ID"),
        "list" => (ListVerb.Known, ""),
        "ps" => (PsVerb.Known, "ID [PS-OPTION...]"),
        "update" => (UpdateVerb.Known, "ID"),
        "events" => (EventsVerb.Known, "ID"),
        "pause" or "resume" => ([], "ID"),
        "checkpoint" => (CheckpointVerb.Known, "ID"),
        "restore" => (RestoreVerb.Known, "ID"),
        "spec" => (SpecVerb.Known, ""),
        "features" => ([], ""),
        "unpack" => (UnpackVerb.Known, "LAYER|- FOLDER"),
        "pack" => (PackVerb.Known, "FOLDER [FILE]"),
        "copy" => (CopyVerb.Known, "FOLDER TARGET"),
        "item" => (Items.ItemVerb.Known, "get|put PATH"),
        "namespace" => (NamespaceVerb.Known, "new|exec [PROGRAM ARGUMENT...]"),
        "unit" => (Systemd.UnitVerb.Known, "show|set|freeze|thaw UNIT"),
        "attach" => (Attaching.AttachCommand.Known, ""),
        "shim" => (["run-dir=", "serve", "compress"], ""),
        "help" => ([], "[COMMAND]"),
        _ => null,
    };

    public static string Usage()
    {
        var text = new StringBuilder("psrun: an OCI container runtime\n\nusage: psrun [OPTION...] COMMAND ...\n\noptions:\n");
        AddOptions(text, Global);
        text.Append("\ncommands, each with a --help of its own:\n");
        foreach (string name in s_names)
            text.Append("  ").Append(name).Append('\n');
        return text.ToString();
    }

    public static string Usage(string verb)
    {
        (string[] options, string arguments) = Find(verb) ?? throw Unknown(verb);
        var text = new StringBuilder($"usage: psrun {verb} {(options.Length > 0 ? "[OPTION...] " : "")}{arguments}".TrimEnd() + "\n");
        if (options.Length > 0)
            text.Append("\noptions:\n");
        AddOptions(text, options);
        return text.ToString();
    }

    public static PsrunException Unknown(string verb) => new($"\"{verb}\" is not a command; psrun --help lists them");

    static void AddOptions(StringBuilder text, string[] options)
    {
        foreach (string option in options)
        {
            string[] names = option.TrimEnd('=').Split(',');
            text.Append("  ");
            foreach (string name in names)
                text.Append(name != names[0] ? ", " : "").Append(name.Length == 1 ? "-" : "--").Append(name);
            text.Append(option.EndsWith('=') ? " VALUE\n" : "\n");
        }
    }
}
