using System.Reflection;
using System.Runtime.Loader;

namespace Containers.Cmdlets;

/// <summary>Called once by Containers.psm1, before any other type of this assembly is touched.</summary>
public static class ModuleLoader
{
    static readonly object gate = new();
    static ThirdPartyContext? thirdParty;

    /// <summary>The folder with Containers.psd1; null where the assembly was loaded without the module.</summary>
    internal static string? ModuleRoot { get; private set; }

    /// <summary>Makes the module's assemblies findable, and itself known to those who look for the native helper.</summary>
    /// <param name="moduleRoot">The folder with Containers.psd1.</param>
    /// <remarks>Every runspace that imports the module comes here; the first one's folder counts, as its assemblies are the ones loaded.</remarks>
    public static void Start(string moduleRoot)
    {
        ArgumentNullException.ThrowIfNull(moduleRoot);
        lock (gate)
        {
            if (ModuleRoot is not null)
                return;
            string bin = Path.Combine(moduleRoot, "bin");
            thirdParty = new ThirdPartyContext(Path.Combine(bin, "third-party"));
            AppDomain.CurrentDomain.AssemblyResolve += Resolve;
            AssemblyLoadContext.Default.LoadFromAssemblyPath(Path.Combine(bin, "Containers.Linux.dll"));
            AssemblyLoadContext.Default.LoadFromAssemblyPath(Path.Combine(bin, "Containers.Engine.dll"));
            ModuleRoot = moduleRoot;
        }
    }

    // AssemblyResolve, and not the load context's Resolving event, because it names the assembly that asks:
    // nobody but ours is served from our folder.
    static Assembly? Resolve(object? sender, ResolveEventArgs arguments)
        => IsOurs(arguments.RequestingAssembly) && thirdParty!.Has(arguments.Name) ? thirdParty.LoadFromAssemblyName(new AssemblyName(arguments.Name)) : null;

    static bool IsOurs(Assembly? assembly)
        => assembly?.GetName().Name is { } name && name.StartsWith("Containers.", StringComparison.Ordinal);

    sealed class ThirdPartyContext(string folder) : AssemblyLoadContext("Containers.ThirdParty")
    {
        public bool Has(string fullName) => File.Exists(PathOf(new AssemblyName(fullName)));

        string PathOf(AssemblyName name) => Path.Combine(folder, name.Name + ".dll");

        protected override Assembly? Load(AssemblyName name) => File.Exists(PathOf(name)) ? LoadFromAssemblyPath(PathOf(name)) : null;

        protected override IntPtr LoadUnmanagedDll(string name)
        {
            foreach (string file in new[] { name, $"{name}.so", $"lib{name}.so" })
            {
                string path = Path.Combine(folder, file);
                if (File.Exists(path))
                    return LoadUnmanagedDllFromPath(path);
            }
            return IntPtr.Zero;
        }
    }
}
