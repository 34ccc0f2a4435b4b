using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

public sealed class WholeFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Otherwise a power cut could leave the name without the content, in place of an older, complete file.</summary>
    [Fact]
    public void Its_bytes_are_on_the_disk_before_it_has_its_name()
    {
        string path = _folder.File("new/model.bin");
        var log = new FlushLog();
        WholeFile.Write(path, stream => stream.Write([1, 2, 3]), log.Open);
        var (flushed, bytes) = Assert.Single(log.Flushes);
        Assert.Equal(3, bytes);
        Assert.StartsWith(path + ".", flushed, StringComparison.Ordinal);
        Assert.EndsWith(".partial", flushed, StringComparison.Ordinal);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(path));
    }

    [Fact]
    public void Until_it_is_whole_the_older_one_stays_and_a_failure_leaves_that_alone()
    {
        string path = _folder.File("model.bin");
        WholeFile.Write(path, stream => stream.WriteByte(1));
        WholeFile.Write(path, stream =>
        {
            stream.WriteByte(2);
            Assert.Equal([1], File.ReadAllBytes(path));
        });
        Assert.Equal([2], File.ReadAllBytes(path));
        Assert.Throws<FormatException>(() => WholeFile.Write(path, stream =>
            {
                stream.WriteByte(3);
                throw new FormatException();
            }));
        Assert.Equal([2], File.ReadAllBytes(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Fact]
    public void A_folder_in_the_way_is_named()
    {
        string path = _folder.FullPath;
        string message = Assert.Throws<IOException>(() => WholeFile.Write(path, _ => Assert.Fail("asked for bytes"))).Message;
        Assert.Contains($"'{path}' is a folder", message);
    }
}
