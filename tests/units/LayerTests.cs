using System.Xml.Linq;
using Xunit;

namespace Containers.Tests.Units;

/// <summary>The arrows of docs/design.md: a room uses only what lies below it.</summary>
public class LayerTests
{
    [Theory]
    [InlineData("linux/Containers.Linux.csproj", "")]
    [InlineData("engine/Containers.Engine.csproj", "linux")]
    [InlineData("native-helper/psrun.csproj", "linux")]
    [InlineData("cmdlets/Containers.Cmdlets.csproj", "engine linux")]
    public void A_project_refers_only_to_what_lies_below(string project, string allowed)
    {
        XDocument document = XDocument.Load(Path.Combine(Repository(), project));
        foreach (XElement reference in document.Descendants("ProjectReference"))
        {
            string room = reference.Attribute("Include")!.Value.Split('/')[^2];
            Assert.Contains(room, allowed.Split(' '));
        }
    }

    [Fact]
    public void The_engine_and_the_kernel_library_know_no_PowerShell()
    {
        foreach (Type type in (Type[])[typeof(ContainerException), typeof(Containers.Linux.Libc)])
            Assert.DoesNotContain(type.Assembly.GetReferencedAssemblies(), name => name.Name!.Contains("Management.Automation", StringComparison.Ordinal));
    }

    [Fact]
    public void Psrun_uses_no_package()
    {
        XDocument document = XDocument.Load(Path.Combine(Repository(), "native-helper/psrun.csproj"));
        Assert.Empty(document.Descendants("PackageReference"));
    }

    static string Repository()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Containers.psd1"))) { folder = Path.GetDirectoryName(folder)!; }
        return folder;
    }
}
