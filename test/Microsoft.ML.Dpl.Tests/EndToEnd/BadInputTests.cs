using System.Collections.Concurrent;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>What is wrong is said before any training, with the file, row, class or option and what to do.</summary>
public sealed class BadInputTests(SmallBackbone small, ColourPictures pictures) : IClassFixture<SmallBackbone>, IClassFixture<ColourPictures>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void Folder_without_weights()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 1);
        File.Delete(folder.File("model.safetensors"));
        Assert.Contains("model.safetensors", Assert.Throws<FileNotFoundException>(() => ClipBackbone.Open(folder.FullPath)).Message);
    }

    [Fact]
    public void Truncated_weights()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 1);
        string weights = folder.File("model.safetensors");
        File.WriteAllBytes(weights, File.ReadAllBytes(weights)[..^1000]);
        Assert.Contains(weights, Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(folder.FullPath)).Message);
    }

    [Fact]
    public void Configuration_and_tensors_disagree()
    {
        using var folder = new TemporaryFolder();
        SmallBackbone.Write(folder.FullPath, seed: 1);
        string config = folder.File("config.json");
        File.WriteAllText(config, File.ReadAllText(config).Replace("\"patch_size\":8", "\"patch_size\":6"));
        string message = Assert.Throws<InvalidDataException>(() => ClipBackbone.Open(folder.FullPath)).Message;
        Assert.Contains("patch_size", message);
    }

    [Fact]
    public void Unknown_columns_and_wrong_label_types()
    {
        Assert.Contains("Nowhere", Throws<ArgumentOutOfRangeException>(o => o.ImageColumnName = "Nowhere").Message);
        Assert.Contains("Nowhere", Throws<ArgumentOutOfRangeException>(o => o.LabelColumnName = "Nowhere").Message);
        Assert.Contains("MapValueToKey", Throws<ArgumentOutOfRangeException>(o => o.LabelColumnName = "Other").Message);
        Assert.Contains("LoadImages", Throws<ArgumentOutOfRangeException>(o => o.ImageColumnName = "Other").Message);
    }

    [Fact]
    public void A_class_with_one_image_is_named()
        => Assert.Contains("'violet'", Throws<InvalidOperationException>(_ => { }, [.. pictures.Train, new LabelledPicture { ImagePath = pictures.Train[0].ImagePath, Label = "violet" }]).Message);

    [Fact]
    public void A_single_class_is_refused()
        => Assert.Contains("at least two", Throws<InvalidOperationException>(_ => { }, [.. pictures.Train.Where(p => p.Label == "red")]).Message);

    [Fact]
    public void No_rows_are_refused() => Assert.Throws<InvalidOperationException>(() => Fit(_ => { }, []));

    [Fact]
    public void Missing_and_broken_pictures_are_named_with_their_row()
    {
        using var folder = new TemporaryFolder();
        string text = folder.File("text.jpg");
        File.WriteAllText(text, "not a picture");
        foreach (string path in new[] { text, folder.File("missing.png") })
        {
            string message = Throws<InvalidOperationException>(_ => { }, [.. pictures.Train, new LabelledPicture { ImagePath = path, Label = "red" }]).Message;
            Assert.Contains(path, message);
            Assert.Contains($"Row {pictures.Train.Count}", message);
        }
    }

    [Fact]
    public void Unreadable_pictures_are_skipped_and_counted_when_asked()
    {
        var log = new ConcurrentQueue<string>();
        _mlContext.Log += (_, e) => log.Enqueue(e.Message);
        using DplTransformer transformer = Fit(o => o.SkipUnreadableImages = true, [.. pictures.Train, new LabelledPicture { ImagePath = "/missing/a.png", Label = "red" }, new LabelledPicture { ImagePath = "/missing/b.png", Label = "red" }]);
        Assert.Contains(log, line => line.Contains("2 training pictures could not be read", StringComparison.Ordinal) && line.Contains("/missing/a.png", StringComparison.Ordinal));
    }

    [Fact]
    public void A_class_whose_pictures_are_all_unreadable_is_named()
        => Assert.Contains("'violet'", Throws<InvalidOperationException>(
            o => o.SkipUnreadableImages = true,
            [.. pictures.Train, new LabelledPicture { ImagePath = "/missing/a.png", Label = "violet" }, new LabelledPicture { ImagePath = "/missing/b.png", Label = "violet" }]).Message);

    [Fact]
    public void Too_small_a_cache_says_how_much_is_needed()
    {
        // 1 MiB holds 600 pictures of 24 × 24.
        LabelledPicture[] many = [.. Enumerable.Repeat(pictures.Train, 40).SelectMany(p => p)];
        Assert.Contains("ImageCacheMegabytes", Throws<InvalidOperationException>(o => o.ImageCacheMegabytes = 1, many).Message);
    }

    [SkippableFact]
    public void A_missing_gpu_asked_for_by_name_is_an_error()
    {
        Skip.If(TorchSharp.torch.cuda.is_available(), "this machine has a GPU");
        Assert.Contains("cuda:1", Throws<InvalidOperationException>(o => o.Device = "cuda:1").Message);
    }

    [Theory]
    [InlineData("Backbone")]
    [InlineData("Template")]
    [InlineData("BatchSize")]
    [InlineData("SearchEpochs")]
    [InlineData("TrainingEpochs")]
    [InlineData("SearchLearningRate")]
    [InlineData("AlphaLearningRate")]
    [InlineData("TrainingLearningRate")]
    [InlineData("Momentum")]
    [InlineData("WeightDecay")]
    [InlineData("DistillationWeight")]
    [InlineData("ValidationRowsPerClass")]
    [InlineData("ValidationFraction")]
    [InlineData("SearchPatience")]
    [InlineData("SearchMargin")]
    [InlineData("TrainingPatience")]
    [InlineData("OnCancel")]
    [InlineData("Precision")]
    [InlineData("WorkspacePath")]
    [InlineData("CheckpointMinutes")]
    [InlineData("ExampleWeightColumnName")]
    [InlineData("ImageCacheMegabytes")]
    [InlineData("PredictionBatchSize")]
    [InlineData("MaxImagePixels")]
    [InlineData("CandidateLengths")]
    [InlineData("Configuration")]
    [InlineData("LabelColumnName")]
    public void Options_out_of_range_are_refused_by_name_before_any_data(string option)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        var property = typeof(DplTrainer.Options).GetProperty(option)!;
        object? bad = property.PropertyType switch
        {
            Type t when t == typeof(int) || t == typeof(int?) => 0,
            Type t when t == typeof(double) || t == typeof(double?) => option == "TrainingLearningRate" ? double.NaN : -1.0,
            Type t when t == typeof(string) => "",
            Type t when t == typeof(DplCancellation) => (DplCancellation)7,
            Type t when t == typeof(DplPrecision) => (DplPrecision)7,
            Type t when t == typeof(PromptConfiguration) => new PromptConfiguration([1], [1]),
            Type t when t == typeof(IReadOnlyList<int>) => new[] { 1, 2 },
            _ => null,
        };
        property.SetValue(options, bad);
        Exception thrown = Assert.ThrowsAny<ArgumentException>(() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options));
        Assert.Contains(option == "CandidateLengths" ? "Candidate context lengths" : option, thrown.Message);
    }

    /// <summary>A bound may be used; what is next to it may not.</summary>
    [Theory]
    [InlineData("MaxImagePixels", 1L, 0L)]
    [InlineData("MaxImagePixels", 536_870_897L, 536_870_898L)] // a quarter of the longest array
    [InlineData("BatchSize", 1, 0)]
    [InlineData("Momentum", 0.0, -1e-9)]
    [InlineData("Momentum", 0.999999, 1.0)]
    [InlineData("WeightDecay", 0.0, -1e-9)]
    [InlineData("SearchMargin", 0.0, -1e-9)]
    [InlineData("SearchMargin", 1.0, 1.000001)]
    [InlineData("CheckpointMinutes", 1e-9, 0.0)]
    [InlineData("CheckpointMinutes", 525_600.0, 525_600.1)]
    [InlineData("ValidationFraction", 1e-9, 0.0)]
    [InlineData("ValidationFraction", 0.999999, 1.0)]
    [InlineData("DistillationWeight", 0.0, -1e-9)]
    [InlineData("MaxGradientNorm", 1e-9, 0.0)]
    [InlineData("TrainingLearningRate", 1e-9, 0.0)]
    public void The_bounds_of_options_are_held_exactly(string option, object allowed, object refused)
    {
        var property = typeof(DplTrainer.Options).GetProperty(option)!;
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        property.SetValue(options, allowed);
        Assert.NotNull(Make());
        property.SetValue(options, refused);
        Assert.Equal(option, Assert.Throws<ArgumentOutOfRangeException>(Make).ParamName);

        DplTrainer Make() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    /// <summary>Some of these would be noticed when the model is made, after hours of training.</summary>
    [Theory]
    [InlineData("Score", "PredictedLabel")]
    [InlineData("Image", "Label")]
    [InlineData("Image", "ExampleWeight")]
    [InlineData("Label", "ExampleWeight")]
    public void Columns_that_must_differ_are_refused_before_any_data(string first, string second)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        foreach (string column in new[] { first, second }) typeof(DplTrainer.Options).GetProperty(column + "ColumnName")!.SetValue(options, "Both");
        string message = Assert.Throws<ArgumentException>(() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options)).Message;
        Assert.Contains($"{first}ColumnName and {second}ColumnName are both 'Both'", message);
    }

    /// <summary>Labels, the split and the pictures are read one after the other.</summary>
    [Fact]
    public void Data_that_has_fewer_rows_when_read_again_is_refused()
    {
        int passes = 0;
        IEnumerable<LabelledPicture> Shrinking()
        {
            passes++;
            return passes < 3 ? pictures.Train : pictures.Train.Take(15);
        }
        IEnumerable<LabelledPicture> rows = Enumerable.Range(0, 1).SelectMany(_ => Shrinking());
        Assert.Contains("gave 18 rows, and 15 when it was read again", Throws<InvalidOperationException>(_ => { }, rows).Message);
    }

    private T Throws<T>(Action<DplTrainer.Options> change, IEnumerable<LabelledPicture>? rows = null)
        where T : Exception
        => Assert.ThrowsAny<T>(() => Fit(change, rows ?? pictures.Train));

    private DplTransformer Fit(Action<DplTrainer.Options> change, IEnumerable<LabelledPicture> rows)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone, ImageColumnName = "ImagePath", SearchEpochs = 1, TrainingEpochs = 1, CandidateLengths = [0, 1], Progress = new NoTraining(change) };
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(_mlContext.Data.LoadFromEnumerable(rows));
    }

    /// <summary>Where an error is expected, not a single step may run first; skipping is meant to go on.</summary>
    private sealed class NoTraining(Action<DplTrainer.Options> change) : IProgress<DplProgress>
    {
        public void Report(DplProgress value)
        {
            var probe = new DplTrainer.Options();
            change(probe);
            Assert.True(probe.SkipUnreadableImages, "training began before the error was found");
        }
    }
}
