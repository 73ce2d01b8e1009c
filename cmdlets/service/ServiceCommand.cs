using System.Management.Automation.Language;

namespace Containers.Cmdlets;

/// <summary>What systemd runs: this PowerShell with this module, and a script.</summary>
static class ServiceCommand
{
    /// <param name="folder">For the unit file; null is systemd's own.</param>
    public static ContainerServiceOptions Options(string? folder, bool enable, string start, string? stop = null)
    {
        string pwsh = FindPwsh();
        string module = Path.Combine(ModuleLoader.ModuleRoot ?? throw new ContainerException(ErrorIds.HelperNotFound, "No module folder is known, which the unit would import. Import the built module.", null, ContainerErrorCategory.NotInstalled), "Containers.psd1");
        string import = $"Import-Module {Literal(module)} -ErrorAction Stop; ";
        return new ContainerServiceOptions { Folder = folder, Enable = enable, Start = Words(start), Stop = stop is null ? null : Words(stop), Reads = [module] };

        string[] Words(string script) => [pwsh, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", import + script];
    }

    /// <summary>A string of PowerShell's that nothing is expanded in.</summary>
    public static string Literal(string text) => $"'{CodeGeneration.EscapeSingleQuotedStringContent(text)}'";

    static string FindPwsh()
    {
        // Another program may host PowerShell, and would not take these words.
        if (Environment.ProcessPath is { } own && Path.GetFileName(own) == "pwsh")
            return own;
        foreach (string folder in (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'))
        {
            if (folder.StartsWith('/') && File.Exists(Path.Combine(folder, "pwsh")))
                return Path.Combine(folder, "pwsh");
        }
        throw new ContainerException(ErrorIds.HelperNotFound, "There is no pwsh in PATH that systemd could run. Install PowerShell, or call this from pwsh.", "pwsh", ContainerErrorCategory.NotInstalled);
    }
}
