using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Fuzzing;

namespace Microsoft.ML.Dpl.Tests.Models;

/// <summary>A model zip can be described without its CLIP.</summary>
public sealed class ModelInfoTests(ColourImages images) : IClassFixture<ColourImages>
{
    [Fact]
    public void A_zip_in_a_pipeline_is_described_when_its_CLIP_is_gone()
    {
        using var folder = new TemporaryFolder();
        var mlContext = new MLContext(1);
        string zip = folder.File("model.zip"),
            sha256;
        using (var clipFolder = new TemporaryFolder())
        {
            SmallBackbone.Write(clipFolder.FullPath, seed: 23);
            var clip = Dpl.Clip.ClipBackbone.Open(clipFolder.FullPath);
            sha256 = clip.Sha256;
            IDataView train = mlContext.Data.LoadFromEnumerable(images.Train);
            var pipeline = mlContext
                .Transforms.Conversion.MapValueToKey("Label")
                .Append(
                    mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
                        new DplTrainer.Options
                        {
                            Backbone = clip,
                            ImageColumnName = "ImagePath",
                            Configuration = PromptConfiguration.ZeroShot(clip),
                            Template = "a {}.",
                        }
                    )
                );
            ITransformer model = pipeline.Fit(train);
            mlContext.Model.Save(model, train.Schema, zip);
            (model as IDisposable)?.Dispose();
        }
        ModelInfo info = ModelInfo.Read(zip);
        Assert.Equal(["blue", "green", "red"], info.ClassNames!.Order(StringComparer.Ordinal));
        Assert.Equal(sha256, info.BackboneSha256);
        Assert.Equal("a {}.", info.Template);
        Assert.True(info.Configuration.IsZeroShot);
        Assert.Null(info.Search);
        Assert.Equal(ModelContents.PromptsOnly, info.Contents);
        Assert.Contains(info.Entries, entry => entry is { Name: "prompts.safetensors", Bytes: > 0 });
        Assert.NotNull(info.MLNetVersion);
        Assert.Equal((false, false, 178_956_970L), (info.HasDiverged, info.ApplyExifOrientation, info.MaxImagePixels));

        // The message names the damaged zip, whichever part of it is damaged.
        byte[] whole = File.ReadAllBytes(zip);
        List<(string Name, byte[] Content)> entries = ZipBytes.Entries(whole);
        byte[][] damaged =
        [
            whole[..(whole.Length / 2)],
            whole[..^30],
            ZipBytes.Create(
                entries.Select(entry =>
                    entry.Name.EndsWith("dpl.json", StringComparison.Ordinal) ? (entry.Name, entry.Content[..^2]) : entry
                )
            ),
            ZipBytes.Create(
                entries.Select(entry => entry.Name.EndsWith("dpl.json", StringComparison.Ordinal) ? (entry.Name, "{}"u8.ToArray()) : entry)
            ),
        ];
        foreach (byte[] bytes in damaged)
        {
            File.WriteAllBytes(zip, bytes);
            Assert.Contains(zip, Assert.Throws<InvalidDataException>(() => ModelInfo.Read(zip)).Message);
        }
    }

    [Fact]
    public void Other_files_are_refused_by_name()
    {
        using var folder = new TemporaryFolder();
        string text = folder.File("text.zip"),
            empty = folder.File("empty.zip");
        File.WriteAllText(text, "no zip");
        using (System.IO.Compression.ZipFile.Open(empty, System.IO.Compression.ZipArchiveMode.Create)) { }
        foreach (string path in new[] { text, empty })
            Assert.Contains(path, Assert.Throws<InvalidDataException>(() => ModelInfo.Read(path)).Message);
    }
}
