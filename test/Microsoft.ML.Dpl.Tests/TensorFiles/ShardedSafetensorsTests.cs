using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Clip;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

public sealed class ShardedSafetensorsTests
{
    private const string OneFloat = """{"NAME":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""";

    public ShardedSafetensorsTests() => LibTorch.EnsureLoaded();

    [Fact]
    [Trait("Category", "Golden")]
    public void ShardsReadAsTheSingleFileDoes()
    {
        using var folder = new TemporaryFolder();
        using var single = SafetensorsFile.Open(HuggingFaceFolder.WriteGolden(folder.FullPath));
        using var sharded = ShardedSafetensors.Open(HuggingFaceFolder.WriteGolden(folder.FullPath, isSharded: true));
        Assert.Equal(single.Entries.Keys.Order(), sharded.Entries.Keys.Order());
        foreach (string name in single.Entries.Keys)
        {
            using Tensor expected = single.Read(name),
                actual = sharded.Read(name);
            TensorAssert.BitEqual(expected, actual);
        }
        Assert.Throws<InvalidDataException>(() => sharded.Read("none"));
    }

    [Fact]
    public void MissingShardsAreAllNamed()
    {
        using TemporaryFolder folder = Checkpoint(
            """{"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"3.safetensors"}}""",
            "1.safetensors"
        );
        var error = Assert.Throws<FileNotFoundException>(() => ShardedSafetensors.Open(folder.File("index.json")));
        Assert.Contains("2.safetensors, 3.safetensors", error.Message);
        Assert.DoesNotContain("1.safetensors", error.Message);
    }

    [Theory]
    [InlineData("../1.safetensors")]
    [InlineData("/etc/1.safetensors")]
    [InlineData("sub/1.safetensors")]
    [InlineData("sub\\\\1.safetensors")]
    [InlineData("C:1.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    public void AShardOutsideTheFolderIsRefused(string shard)
    {
        using TemporaryFolder folder = Checkpoint($$"""{"weight_map":{"a":"{{shard}}"} }""", "1.safetensors");
        Assert.Contains(
            "same folder",
            Assert.Throws<InvalidDataException>(() => ShardedSafetensors.Open(folder.File("index.json"))).Message
        );
    }

    [Theory]
    [InlineData("""{"weight_map":{"b":"1.safetensors"}}""", "'b' should lie in 1.safetensors")]
    [InlineData("""{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}""", "'a' occurs twice")]
    [InlineData("""{"weight_map":{"a":1}}""", "'a' is said to lie in 1")]
    [InlineData("""{"weight_map":[]}""", "weight_map")]
    [InlineData("""{}""", "weight_map")]
    [InlineData("""[""", "not JSON")]
    public void AFaultyIndexIsRefusedAndReleasesItsShards(string index, string reason)
    {
        using TemporaryFolder folder = Checkpoint(index, "1.safetensors");
        Assert.Contains(reason, Assert.Throws<InvalidDataException>(() => ShardedSafetensors.Open(folder.File("index.json"))).Message);
        File.WriteAllBytes(folder.File("1.safetensors"), []);
    }

    private static TemporaryFolder Checkpoint(string index, string shard)
    {
        var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("index.json"), index);
        File.WriteAllBytes(folder.File(shard), SafetensorsBytes.Raw(OneFloat.Replace("NAME", "a"), 4));
        return folder;
    }
}
