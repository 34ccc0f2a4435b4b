using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Tests.Runtime;

/// <summary>The modified copy of TorchSharp's native library in the user's cache: it is loaded into the process, so its content is verified
/// first.</summary>
public sealed class ShimCopyTests : IDisposable
{
    private static readonly byte[] Shim = [1, 2, 3, 4];

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(new byte[] { 1, 2, 3, 5 })]
    [InlineData(new byte[] { 1, 2, 3 })]
    [InlineData(new byte[] { 1, 2, 3, 4, 0 })]
    [InlineData(new byte[0])]
    public void A_cached_copy_of_other_content_is_replaced(byte[] other)
    {
        string copy = LibTorch.KeepCopy(_folder.File("cache"), Shim);
        Assert.Equal(Shim, File.ReadAllBytes(copy));
        File.WriteAllBytes(copy, other);
        Assert.Equal(copy, LibTorch.KeepCopy(_folder.File("cache"), Shim));
        Assert.Equal(Shim, File.ReadAllBytes(copy));
        Assert.Equal([copy], Directory.GetFiles(_folder.File("cache")));
    }

    /// <summary>Another process may have the copy loaded.</summary>
    [Fact]
    public void A_copy_of_the_same_content_is_left_as_it_is()
    {
        string copy = LibTorch.KeepCopy(_folder.File("cache"), Shim);
        DateTime longAgo = new(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(copy, longAgo);
        LibTorch.KeepCopy(_folder.File("cache"), Shim);
        Assert.Equal(longAgo, File.GetLastWriteTimeUtc(copy));
    }
}
