using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.TensorFiles;

public sealed class ArrayFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ArrayFilesTests() => LibTorch.EnsureLoaded();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("arrays.safetensors")]
    [InlineData("arrays")]
    public void Arrays_and_texts_come_back(string name)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor>
        {
            ["a"] = arange(6, ScalarType.Float32).reshape(2, 3),
            ["b.1"] = ones(4, ScalarType.Float64),
        };
        var texts = new Dictionary<string, string> { ["classes"] = "[\"schöner Hund\", \"猫\"]" };
        ArrayFiles.Write(_folder.File(name), tensors, texts);
        using ITensorSource source = ArrayFiles.Open(_folder.File(name));
        Assert.Equal(["a", "b.1"], source.Entries.Keys.Order());
        Assert.Equal(texts, source.Metadata);
        foreach (var (key, tensor) in tensors)
            TensorAssert.BitEqual(tensor, source.Read(key));
        Assert.Equal([2L, 3L], source.Entries["a"].Shape);
        Assert.Throws<InvalidDataException>(() => source.Read("c"));
    }

    [Fact]
    public void A_folder_that_holds_something_is_left_alone()
    {
        using Tensor one = ones(1);
        File.WriteAllText(_folder.File("notes.txt"), "mine");
        IOException thrown = Assert.Throws<IOException>(() =>
            ArrayFiles.Write(_folder.FullPath, new Dictionary<string, Tensor> { ["a"] = one }, new Dictionary<string, string>())
        );
        Assert.Contains("not empty", thrown.Message);
        Assert.Equal(["notes.txt"], Directory.EnumerateFileSystemEntries(_folder.FullPath).Select(Path.GetFileName));
    }

    [Fact]
    public void A_write_that_fails_leaves_the_old_file()
    {
        string path = _folder.File("arrays.safetensors");
        File.WriteAllText(path, "old");
        using Tensor complex = ones(1, ScalarType.ComplexFloat32);
        Assert.Throws<ArgumentException>(() =>
            ArrayFiles.Write(path, new Dictionary<string, Tensor> { ["a"] = complex }, new Dictionary<string, string>())
        );
        Assert.Equal("old", File.ReadAllText(path));
        Assert.Single(Directory.EnumerateFileSystemEntries(_folder.FullPath));
    }

    /// <summary>No partial arrays and no new folder are left; an existing folder stays, empty.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_write_that_fails_leaves_no_part_of_a_folder(bool isThere)
    {
        string path = _folder.File("arrays");
        if (isThere)
            Directory.CreateDirectory(path);
        using Tensor good = ones(3),
            complex = ones(1, ScalarType.ComplexFloat32);
        Assert.Throws<ArgumentException>(() =>
            ArrayFiles.Write(path, new Dictionary<string, Tensor> { ["a"] = good, ["b"] = complex }, new Dictionary<string, string>())
        );
        Assert.Equal(isThere ? [path] : [], Directory.GetFileSystemEntries(_folder.FullPath));
        if (isThere)
            Assert.Empty(Directory.EnumerateFileSystemEntries(path));
        ArrayFiles.Write(path, new Dictionary<string, Tensor> { ["a"] = good }, new Dictionary<string, string>());
        Assert.Equal(
            ["a.npy", "metadata.json"],
            Directory.EnumerateFileSystemEntries(path).Select(entry => Path.GetFileName(entry)).Order()
        );
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder.FullPath));
    }

    [Theory]
    [InlineData("{", "is not a JSON object")]
    [InlineData("""{"n": 1}""", "is not a JSON object")]
    [InlineData("null", "no object")]
    [InlineData("""{"n": null}""", "no object")]
    public void Broken_texts_are_named(string json, string message)
    {
        File.WriteAllText(_folder.File("metadata.json"), json);
        InvalidDataException thrown = Assert.Throws<InvalidDataException>(() => ArrayFiles.Open(_folder.FullPath));
        Assert.Contains("metadata.json", thrown.Message);
        Assert.Contains(message, thrown.Message);
    }

    [Fact]
    public void What_is_neither_is_named()
    {
        Assert.Throws<FileNotFoundException>(() => ArrayFiles.Open(_folder.File("none.safetensors")));
        File.WriteAllText(_folder.File("model.pt"), "x");
        Assert.Contains("model.pt", Assert.Throws<InvalidDataException>(() => ArrayFiles.Open(_folder.File("model.pt"))).Message);
    }

    /// <summary>The reference's alphas and prompts, written to .npy and read back.</summary>
    [Theory]
    [Trait("Category", "Golden")]
    [MemberData(nameof(GoldenCase.Names), MemberType = typeof(GoldenCase))]
    public void Golden_arrays_go_through_npy_unchanged(string caseName)
    {
        using var scope = NewDisposeScope();
        using SafetensorsFile golden = SafetensorsFile.Open(Path.Combine(GoldenFolder.Cases, caseName, "search.safetensors"));
        Dictionary<string, Tensor> arrays = golden
            .Entries.Keys.Where(name =>
                name.Contains("alphas", StringComparison.Ordinal) || name.StartsWith("final.", StringComparison.Ordinal)
            )
            .ToDictionary(name => name, golden.Read);
        ArrayFiles.Write(_folder.File("npy"), arrays, golden.Metadata);
        using ITensorSource back = ArrayFiles.Open(_folder.File("npy"));
        Assert.Equal(golden.Metadata, back.Metadata);
        Assert.NotEmpty(arrays);
        foreach (var (name, array) in arrays)
            TensorAssert.BitEqual(array, back.Read(name));
    }
}
