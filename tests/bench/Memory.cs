using System.Globalization;

namespace Containers.Bench;

/// <summary>The largest resident size of the runtime's own process in a run (VmHWM of proc_pid_status(5)), as a hook of the container's sees it.</summary>
static class Memory
{
    public static void Measure(List<Runtime> runtimes, Bundle bundle)
    {
        var peaks = new List<string>();
        foreach (Runtime runtime in runtimes)
        {
            try
            {
                File.Delete(bundle.PeakFile);
                runtime.Run(bundle.Peak);
                peaks.Add($"{runtime.Name} {int.Parse(File.ReadAllText(bundle.PeakFile), CultureInfo.InvariantCulture) / 1024.0:0.0}");
            }
            catch (RuntimeRefused e)
            {
                Console.Error.WriteLine(e.Message);
            }
        }
        Console.WriteLine($"largest resident size of run, MiB: {string.Join(", ", peaks)}");
    }
}
