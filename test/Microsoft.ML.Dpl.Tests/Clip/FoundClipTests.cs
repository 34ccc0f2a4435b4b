using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.TensorFiles;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.TensorFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Clip;

/// <summary>A CLIP's weights and other files as other programs leave them on disk.</summary>
public sealed class FoundClipTests : IDisposable
{
    private const string Pointer = """
        version https://git-lfs.github.com/spec/v1
        oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393
        size 605247071

        """;

    private readonly TemporaryFolder _folder = new();

    public FoundClipTests()
    {
        LibTorch.EnsureLoaded();
        SmallBackbone.Write(_folder.FullPath, seed: 3);
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.safetensors")]
    [InlineData("vocab.json")]
    [InlineData("merges.txt")]
    [InlineData("config.json")]
    [InlineData("processor_config.json")]
    public void A_pointer_of_Git_LFS_is_told_by_name(string file)
    {
        File.WriteAllText(_folder.File(file), Pointer);
        string message = Assert
            .Throws<InvalidDataException>(() =>
            {
                var backbone = ClipBackbone.FromFolder(_folder.FullPath);
                backbone.CreateTokenizer();
                backbone.ReadPreprocessing();
            })
            .Message;
        Assert.StartsWith(_folder.File(file), message);
        Assert.Contains("git lfs pull", message);
    }

    [Fact]
    public void An_archive_an_image_and_a_model_can_be_pointers_too()
    {
        File.Delete(_folder.File("model.safetensors"));
        foreach (string name in (string[])["pytorch_model.bin", "image.png", "model.zip"])
            File.WriteAllText(_folder.File(name), Pointer);
        void Refuses(Action read) => Assert.Contains("git lfs pull", Assert.Throws<InvalidDataException>(read).Message);
        Refuses(() => ClipBackbone.FromFolder(_folder.FullPath));
        Refuses(() => ImageDecoder.FromFile(_folder.File("image.png")));
        Refuses(() => ModelInfo.Read(_folder.File("model.zip")));
        Refuses(() => TorchArchive.Open(_folder.File("pytorch_model.bin")));
    }

    [Theory]
    [InlineData("module.")]
    [InlineData("_orig_mod.")]
    [InlineData("clip.")]
    [InlineData("model.module.")]
    [InlineData("state_dict.model.")]
    public void A_prefix_of_all_names_makes_no_difference(string prefix)
    {
        float[] plain = Values();
        Rename(name => prefix + name, more: "classifier.weight");
        Assert.Equal(plain, Values());
    }

    [Theory]
    [InlineData("teacher.")]
    [InlineData("module.encoder.")]
    public void A_prefix_of_another_meaning_is_not_guessed(string prefix)
    {
        Rename(name => prefix + name, more: "classifier.weight");
        Assert.Contains("missing", Assert.Throws<InvalidDataException>(() => ClipBackbone.FromFolder(_folder.FullPath)).Message);
    }

    private float[] Values()
    {
        using Lease<ImageWeights> image = ClipBackbone.FromFolder(_folder.FullPath).RentImageTower(CPU);
        return image.Value.Tensors.First().data<float>().ToArray();
    }

    private void Rename(Func<string, string> name, string more)
    {
        string path = _folder.File("model.safetensors");
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, Tensor> { [more] = ones(2) };
        using (SafetensorsFile file = SafetensorsFile.Open(path))
            foreach (string old in file.Entries.Keys)
                tensors[name(old)] = file.Read(old);
        File.WriteAllBytes(path, SafetensorsBytes.Write(tensors));
    }
}
