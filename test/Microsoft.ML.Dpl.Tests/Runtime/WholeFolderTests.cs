using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

public sealed class WholeFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("new")]
    [InlineData("new/")]
    [InlineData("deep/er/new")]
    public void A_new_folder_is_there_once_it_is_whole(string name)
    {
        string path = Path.Combine(_folder.FullPath, name);
        WholeFolder.Write(path, unfinished =>
        {
            File.WriteAllText(Path.Combine(unfinished, "a"), "1");
            Assert.False(Directory.Exists(path));
            File.WriteAllText(Path.Combine(unfinished, "b"), "2");
        });
        Assert.Equal(["a", "b"], Names(path));
        Assert.Single(Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Fact]
    public void An_empty_folder_stays_the_one_it_was()
    {
        string path = Directory.CreateDirectory(_folder.File("mine")).FullName,
            link = _folder.File("link");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Directory.CreateSymbolicLink(link, path);
        WholeFolder.Write(link, unfinished => File.WriteAllText(Path.Combine(unfinished, "a"), "1"));
        Assert.Equal(["a"], Names(path));
        Assert.Equal(["link", "mine"], Names(_folder.FullPath));
        Assert.Equal(path, new DirectoryInfo(link).LinkTarget);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(path));
    }

    [Fact]
    public void Where_somebody_else_was_faster_their_files_stay_and_ours_go()
    {
        string empty = Directory.CreateDirectory(_folder.File("empty")).FullName,
            missing = _folder.File("missing");
        foreach (string path in (string[])[empty, missing])
        {
            Assert.Throws<IOException>(() => WholeFolder.Write(path, unfinished =>
                {
                    foreach (string name in (string[])["a", "b", "c"])
                        File.WriteAllText(Path.Combine(unfinished, name), "ours");
                    Directory.CreateDirectory(path);
                    File.WriteAllText(Path.Combine(path, "b"), "theirs");
                }));
            Assert.Equal(["b"], Names(path));
            Assert.Equal("theirs", File.ReadAllText(Path.Combine(path, "b")));
        }
        Assert.Equal(["empty", "missing"], Names(_folder.FullPath));
    }

    [Fact]
    public void What_is_in_the_way_is_named()
    {
        string file = _folder.File("notes"),
            full = Directory.CreateDirectory(_folder.File("full")).FullName;
        File.WriteAllText(file, "");
        File.WriteAllText(Path.Combine(full, "notes"), "");
        Assert.Contains(
            $"'{file}' is a file",
            Assert.Throws<IOException>(() => WholeFolder.Write(file, _ => Assert.Fail("asked for files"))).Message
        );
        Assert.Contains(
            $"'{full}' is not empty",
            Assert.Throws<IOException>(() => WholeFolder.Write(full, _ => Assert.Fail("asked for files"))).Message
        );
        Assert.Equal(["full", "notes"], Names(_folder.FullPath));
    }

    private static string[] Names(string folder) =>
        [.. Directory.GetFileSystemEntries(folder).Select(entry => Path.GetFileName(entry)).Order(StringComparer.Ordinal)];
}
