using System.Text;
using Containers.Linux;
using Xunit;

namespace Containers.Tests.Units;

public sealed class FolderTreeTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("containers-units-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public async Task Many_can_remove_the_same_tree_at_once()
    {
        for (var round = 0; round < 20; round++)
        {
            var tree = Path.Combine(folder.FullName, $"{round}");
            for (var i = 0; i < 60; i++)
            {
                Directory.CreateDirectory(Path.Combine(tree, $"{i % 6}/{i}"));
                File.WriteAllText(Path.Combine(tree, $"{i % 6}/{i}/file"), "");
            }
            var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() => FolderTree.Remove(Libc.AT_FDCWD, Encoding.UTF8.GetBytes(tree + "\0")))));
            Assert.Equal([0, 0, 0, 0], answers);
            Assert.False(Directory.Exists(tree));
        }
    }

    [Fact]
    public void A_removed_folder_has_nothing_in_it()
    {
        var gone = Directory.CreateDirectory(Path.Combine(folder.FullName, "gone")).FullName;
        var fd = Libc.open(gone, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC);
        Directory.Delete(gone);
        Assert.Empty(FolderTree.Names(fd));
        Libc.close(fd);
    }
}
