using System.IO.Compression;
using System.Text.Json.Nodes;
using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>What a model zip preserves, and the errors for a zip that was modified.</summary>
public sealed class SavedModelTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);

    [Fact]
    public void The_folder_of_relative_paths_is_kept()
    {
        IDataView relative = _mlContext.Data.LoadFromEnumerable(
            images.Test.Select(p => new LabelledImage { ImagePath = Path.GetFileName(p.ImagePath), Label = p.Label })
        );
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        float[][] scores;
        using (DplTransformer transformer = Fit(o => o.Images.Folder = images.Folder))
        {
            scores = Scores(transformer.Transform(relative));
            _mlContext.Model.Save(transformer, relative.Schema, zip);
        }
        ITransformer loaded = _mlContext.Model.Load(zip, out _);
        Assert.Equal(scores, Scores(loaded.Transform(relative)));
        ((IDisposable)loaded).Dispose();
    }

    [Fact]
    public void A_registered_backbone_that_is_gone_does_not_hide_one_that_is_there()
    {
        var gone = new SmallBackbone();
        _mlContext.Knowing(gone.Backbone);
        Assert.Equal(small.Backbone.Sha256, gone.Backbone.Sha256);
        gone.Dispose();
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        using (DplTransformer transformer = Fit(_ => { }))
            _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(images.Test).Schema, zip);
        ((IDisposable)_mlContext.Model.Load(zip, out _)).Dispose();
    }

    [Fact]
    public void A_disposed_model_says_so_when_it_is_saved()
    {
        DplTransformer transformer = Fit(_ => { });
        transformer.Dispose();
        using var stream = new MemoryStream();
        Assert.Throws<ObjectDisposedException>(() =>
            _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(images.Test).Schema, stream)
        );
    }

    [Theory]
    [InlineData("imageLengths", "[0]", "image layers")]
    [InlineData("textLengths", "[0]", "text")]
    [InlineData("textLengths", "[-1,0,0]", "prompt length of -1")]
    [InlineData("textLengths", "\"none\"", "cannot be read")]
    [InlineData("template", "null", "lacks")]
    [InlineData("carries", "\"everything\"", "cannot be read")]
    [InlineData("carries", "7", "unknown contents 7")]
    [InlineData("carries", "\"imageTower\"", "no entry 'clip.config.json'")]
    [InlineData(
        "search",
        """{"candidates":[0,2],"epochs":[{"learningRate":1,"trainLoss":1,"validationLoss":1,"alphas":{"image":[[]],"text":[[0,1]]}}]}""",
        "incomplete search"
    )]
    [InlineData("search", """{"candidates":[0,2],"epochs":[null]}""", "incomplete search")]
    public void A_changed_description_is_refused_by_name(string property, string json, string named)
    {
        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        using (DplTransformer transformer = Fit(_ => { }))
            _mlContext.Model.Save(transformer, _mlContext.Data.LoadFromEnumerable(images.Test).Schema, zip);
        using (ZipArchive archive = ZipFile.Open(zip, ZipArchiveMode.Update))
        {
            ZipArchiveEntry entry = archive.Entries.Single(e => e.FullName.EndsWith("dpl.json", StringComparison.Ordinal));
            JsonNode description;
            using (Stream read = entry.Open())
                description = JsonNode.Parse(read)!;
            description[property] = JsonNode.Parse(json);
            string name = entry.FullName;
            entry.Delete();
            using var writer = new StreamWriter(archive.CreateEntry(name).Open());
            writer.Write(description.ToJsonString());
        }
        Exception thrown = Assert.ThrowsAny<Exception>(() => _mlContext.Model.Load(zip, out _));
        while (thrown.InnerException is { } inner && thrown is not InvalidDataException)
            thrown = inner;
        Assert.Contains(named, Assert.IsType<InvalidDataException>(thrown).Message);
    }

    [Fact]
    public void Threads_that_share_a_model_get_the_scores_of_one_alone()
    {
        using DplTransformer transformer = Fit(_ => { });
        IDataView data = _mlContext.Data.LoadFromEnumerable(images.Test);
        float[][] alone = Scores(transformer.Transform(data));
        Parallel.For(0, 6, _ =>
        {
            float[][] shared = Scores(transformer.Transform(data));
            for (int row = 0; row < alone.Length; row++)
            for (int c = 0; c < alone[row].Length; c++)
                Assert.Equal(alone[row][c], shared[row][c], 1e-5f);
        });
    }

    private DplTransformer Fit(Action<DplTrainer.Options> change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
            Training = { Epochs = 1, BatchSize = 9 },
        };
        change(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(images.Train));
    }

    private static float[][] Scores(IDataView scored) => [.. scored.GetColumn<float[]>("Score")];
}
