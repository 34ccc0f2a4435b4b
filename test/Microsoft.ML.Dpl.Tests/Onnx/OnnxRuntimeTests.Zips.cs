using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Fuzzing;
using Microsoft.ML.Dpl.Tests.Models;

namespace Microsoft.ML.Dpl.Tests.Onnx;

// What a zip with a graph contains, and zips that are damaged or belong to something else.
public sealed partial class OnnxRuntimeTests
{
    [Fact]
    public void Saved_again_it_is_the_same_zip()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        string zip = Save(trained);
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out _);
        string again = Save(light);
        Assert.Equal(Entries(zip), Entries(again));
        using var heavy = (DplTransformer)_mlContext.Model.Load(again, out _);
        Assert.Equal(Scores(trained, Test), Scores(heavy, Test));
    }

    [Theory]
    [InlineData(ModelContents.WithImageTower, "text 1 1 | image 2 0 1")]
    [InlineData(ModelContents.WithImageTower, "text 0 0 | image 0 0 0")]
    [InlineData(ModelContents.WithClip, "text 0 1 | image 0 3 1")]
    public void The_image_tower_in_a_zip_is_enough(ModelContents contents, string configuration)
    {
        using DplTransformer trained = Fit(configuration, o => o.ModelContents = contents);
        string zip = Save(trained);
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out _);
        RequireSame(trained, light, Test);
        Assert.Equal((trained.Configuration, 24), (light.Configuration, light.ImageSize));
        string again = Save(light);
        Assert.Equal(Entries(zip), Entries(again));
        using var heavy = (DplTransformer)_mlContext.Model.Load(again, out _);
        Assert.Equal(contents, heavy.Contents);
        Assert.Equal(Scores(trained, Test), Scores(heavy, Test));
    }

    [Fact]
    public void The_image_tower_is_enough_for_a_mixture()
    {
        using var mixture = new MixtureModel(small.Backbone, [0, 1, 3]);
        mixture.Transformer.Contents = ModelContents.WithImageTower;
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(mixture.Transformer), out _);
        RequireSame(mixture.Transformer, light, Test);
    }

    [Fact]
    public void The_image_tower_of_the_tiny_CLIP_is_enough()
    {
        using DplTransformer trained = Fit(PromptConfiguration.Uniform(ClipBackbone.Tiny, 3).ToString(), o =>
            (o.Backbone, o.ModelContents) = (ClipBackbone.Tiny, ModelContents.WithImageTower)
        );
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        RequireSame(trained, light, Test);
    }

    [Theory]
    [InlineData("clip.image.safetensors", "flip", "clip.image.safetensors: the weights do not match the SHA-256 saved with them")]
    [InlineData("clip.image.safetensors", "short", "'clip.image.safetensors' of the model zip ends too early")]
    [InlineData("clip.image.safetensors", "drop", "has no entry 'clip.image.safetensors'")]
    [InlineData("clip.config.json", "short", "clip.config.json")]
    [InlineData("clip.config.json", "drop", "has no entry 'clip.config.json'")]
    [InlineData("prompts.safetensors", "flip", "prompts.safetensors: the values do not match the SHA-256 saved with them")]
    [InlineData("prompts.safetensors", "short", "'prompts.safetensors' of the model zip ends too early")]
    public void A_damaged_image_tower_is_named_with_its_entry(string entry, string how, string reason)
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = ModelContents.WithImageTower);
        string zip = Save(trained);
        Change(zip, entry, bytes => how switch
            {
                "drop" => null,
                "short" => bytes[..^5],
                // After the header, in the low bits of a number.
                _ => [.. bytes[..^8], (byte)(bytes[^8] ^ 1), .. bytes[^7..]],
            });
        string message = Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadWithOnnxRuntime(zip, out _)).Message;
        Assert.Contains(zip, message);
        Assert.Contains(reason, message);
    }

    [Fact]
    public void Readers_that_know_no_graphs_take_it_for_a_zip_of_prompts()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        string zip = Save(trained);
        string json = Description(zip);
        using JsonDocument description = JsonDocument.Parse(json);
        Assert.Equal("none", description.RootElement.GetProperty("carries").GetString());
        Assert.Equal("model.onnx", description.RootElement.GetProperty("onnx").GetString());
        Assert.Equal((2, 1), ZipBytes.FormatVersions(File.ReadAllBytes(zip)));
        Assert.Equal(ModelContents.WithOnnx, ModelInfo.Read(zip).Contents);
        ModelZip.Check(zip);
        trained.Contents = ModelContents.PromptsOnly;
        Assert.DoesNotContain("onnx", Description(Save(trained)));
    }

    [Theory]
    [InlineData("model.onnx", "flip", "model.onnx' of the model zip does not match the SHA-256")]
    [InlineData("model.onnx", "drop", "has no entry 'model.onnx'")]
    [InlineData("model.onnx.sha256", "short", "'model.onnx.sha256' of the model zip is not an SHA-256")]
    [InlineData("model.onnx.sha256", "drop", "has no entry 'model.onnx.sha256'")]
    [InlineData("clip.preprocessor_config.json", "short", "clip.preprocessor_config.json")]
    [InlineData("clip.preprocessor_config.json", "drop", "has no entry 'clip.preprocessor_config.json'")]
    [InlineData("prompts.safetensors", "drop", "has no entry 'prompts.safetensors'")]
    public void A_damaged_zip_is_named_with_its_entry(string entry, string how, string reason)
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        string zip = Save(trained);
        Change(zip, entry, bytes => how switch
            {
                "drop" => null,
                "short" => bytes[..^5],
                _ => [.. bytes[..(bytes.Length / 2)], (byte)(bytes[bytes.Length / 2] ^ 1), .. bytes[(bytes.Length / 2 + 1)..]],
            });
        string message = Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadWithOnnxRuntime(zip, out _)).Message;
        Assert.Contains(zip, message);
        Assert.Contains(reason, message);
    }

    [Fact]
    public void A_graph_of_something_else_is_refused()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1"),
            others = trained.WithClasses(["pink", "brown"]);
        string zip = Save(trained);
        Replace(OnnxModel.Written(others));
        Assert.Contains("has no output 'probabilities' of [batch, 3]", Refusal());
        Replace(OnnxModel.Written(trained, OnnxInput.Image));
        Assert.Contains("has no input 'pixels'", Refusal());
        Replace([1, 2, 3]);
        Assert.Contains("cannot open the entry 'model.onnx'", Refusal());

        string Refusal() => Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadWithOnnxRuntime(zip, out _)).Message;

        void Replace(byte[] graph)
        {
            Change(zip, "model.onnx", _ => graph);
            Change(zip, "model.onnx.sha256", _ => Encoding.ASCII.GetBytes(Dpl.Runtime.Sha256.Compute(graph)));
        }
    }

    [Fact]
    public void What_cannot_be_asked_for_is_said()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => o.ModelContents = ModelContents.PromptsOnly);
        string zip = Save(trained);
        string refusal = Assert.Throws<InvalidOperationException>(() => _mlContext.Model.LoadWithOnnxRuntime(zip, out _)).Message;
        Assert.Contains("neither CLIP's image tower nor a graph for ONNX Runtime", refusal);
        Assert.Contains("Contents = ModelContents.WithImageTower or Contents = ModelContents.WithOnnx", refusal);
        Assert.Throws<FileNotFoundException>(() => _mlContext.Model.LoadWithOnnxRuntime(_folder.File("none.zip"), out _));
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            _mlContext.Model.LoadWithOnnxRuntime(zip, out _, new DplOnnxRuntimeOptions { Threads = 0 })
        );
        File.WriteAllText(_folder.File("text.zip"), "text");
        Assert.Contains(
            "text.zip",
            Assert.Throws<InvalidDataException>(() => _mlContext.Model.LoadWithOnnxRuntime(_folder.File("text.zip"), out _)).Message
        );
    }

    private static List<(string Name, string Sha256)> Entries(string zip)
    {
        using ZipArchive archive = ZipFile.OpenRead(zip);
        return
        [
            .. archive
                .Entries.OrderBy(entry => entry.FullName, StringComparer.Ordinal)
                .Select(entry => (entry.FullName, Dpl.Runtime.Sha256.Compute(Read(entry)))),
        ];
    }

    private static string Description(string zip)
    {
        using ZipArchive archive = ZipFile.OpenRead(zip);
        return Encoding.UTF8.GetString(Read(archive.Entries.Single(entry => entry.Name == "dpl.json")));
    }

    private static byte[] Read(ZipArchiveEntry entry)
    {
        using Stream stream = entry.Open();
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static void Change(string zip, string name, Func<byte[], byte[]?> change)
    {
        using ZipArchive archive = ZipFile.Open(zip, ZipArchiveMode.Update);
        ZipArchiveEntry entry = archive.Entries.Single(e => e.Name == name);
        (string fullName, byte[]? changed) = (entry.FullName, change(Read(entry)));
        entry.Delete();
        if (changed is null)
            return;
        using Stream stream = archive.CreateEntry(fullName).Open();
        stream.Write(changed);
    }
}
