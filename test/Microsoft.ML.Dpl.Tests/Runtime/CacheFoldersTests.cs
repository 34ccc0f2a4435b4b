using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>Libraries are loaded from the cache, so nobody else may be able to write to it.</summary>
public sealed class CacheFoldersTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_folder_is_open_to_its_owner_only_whoever_made_it()
    {
        if (OperatingSystem.IsWindows())
            return; // Windows has no file modes
        string made = _folder.File("a/made"),
            open = _folder.File("open");
        Directory.CreateDirectory(open);
        File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);
        foreach (string path in (string[])[made, open])
        {
            Assert.Equal(path, CacheFolders.InFirstWritable([path], folder => folder));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
        }
    }

    [Fact]
    public void A_link_in_its_place_is_not_followed()
    {
        if (OperatingSystem.IsWindows())
            return; // creating links needs a privilege on Windows
        string foreign = Directory.CreateDirectory(_folder.File("foreign")).FullName,
            link = _folder.File("link"),
            next = _folder.File("next");
        File.CreateSymbolicLink(link, foreign);
        Assert.Equal(next, CacheFolders.InFirstWritable([link, next], folder => folder));
        string message = Assert.Throws<IOException>(() => CacheFolders.InFirstWritable([link], folder => folder)).Message;
        Assert.Contains($"'{link}' is a link", message);
        Assert.Contains("XDG_CACHE_HOME", message);
        Assert.Empty(Directory.GetFileSystemEntries(foreign));
    }

    [Fact]
    public void Where_no_folder_can_be_made_the_message_names_the_way_out()
    {
        File.WriteAllText(_folder.File("file"), "");
        Assert.Contains(
            "XDG_CACHE_HOME",
            Assert.Throws<IOException>(() => CacheFolders.InFirstWritable([_folder.File("file/cache")], folder => folder)).Message
        );
    }

    [Fact]
    public void A_file_has_an_owner()
    {
        if (!OperatingSystem.IsLinux())
            return; // file owners are read on Linux only
        Assert.Equal(FileOwner.Self(), FileOwner.Get(_folder.FullPath));
        if (FileOwner.Self() != 0)
            Assert.Equal(0u, FileOwner.Get("/"));
    }
}
