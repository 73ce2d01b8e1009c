namespace Containers.Samples;

/// <summary>A root filesystem of busybox alone.</summary>
static class Busybox
{
    static readonly string[] folders = ["bin", "dev", "etc", "proc", "sys", "tmp"];
    static readonly string[] programs = ["sh", "sleep", "dd", "hostname", "ls", "cat", "grep", "nproc"];

    public static string MakeRoot(string root)
    {
        string busybox = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(folder => Path.Combine(folder, "busybox")).FirstOrDefault(File.Exists)
            ?? throw new FileNotFoundException("busybox is not on the PATH: install busybox-static");
        foreach (string folder in folders)
            Directory.CreateDirectory(Path.Combine(root, folder));
        File.Copy(busybox, Path.Combine(root, "bin/busybox"));
        foreach (string program in programs)
            File.CreateSymbolicLink(Path.Combine(root, "bin", program), "busybox");
        return root;
    }
}
