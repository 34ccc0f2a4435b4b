using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Invalid input is reported before any training, naming the file, row, class or option, and what to do about it.</summary>
public sealed class BadInputTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
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
    public void A_class_with_one_image_is_named() =>
        Assert.Contains(
            "'violet'",
            Throws<InvalidOperationException>(
                _ => { },
                [.. images.Train, new LabelledImage { ImagePath = images.Train[0].ImagePath, Label = "violet" }]
            ).Message
        );

    [Fact]
    public void A_single_class_is_refused() =>
        Assert.Contains(
            "at least two",
            Throws<InvalidOperationException>(_ => { }, [.. images.Train.Where(p => p.Label == "red")]).Message
        );

    /// <summary>A label column without rows has no class names, or only those of its key type; the message must be about the
    /// rows.</summary>
    [Theory]
    [InlineData("text")]
    [InlineData("key")]
    [InlineData("key of one class")]
    public void No_rows_are_refused_as_such_whatever_the_label_is(string label)
    {
        IDataView empty = _mlContext.Data.LoadFromEnumerable<LabelledImage>([]);
        IDataView keys = _mlContext.Data.LoadFromEnumerable(label == "key" ? images.Train : images.Train.Take(1));
        IDataView data = label == "text" ? empty : _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(keys).Transform(empty);
        string message = Assert.Throws<InvalidOperationException>(() => Trainer(_ => { }).Fit(data)).Message;
        Assert.StartsWith("The training data has no rows.", message);
    }

    [Fact]
    public void Missing_and_broken_images_are_named_with_their_row()
    {
        using var folder = new TemporaryFolder();
        string text = folder.File("text.jpg");
        File.WriteAllText(text, "not an image");
        foreach (string path in new[] { text, folder.File("missing.png") })
        {
            string message = Throws<InvalidOperationException>(
                _ => { },
                [.. images.Train, new LabelledImage { ImagePath = path, Label = "red" }]
            ).Message;
            Assert.Contains(path, message);
            Assert.Contains($"Row {images.Train.Count}", message);
            Assert.EndsWith(". Repair or replace the image, or leave such images out with Images.SkipUnreadable.", message);
        }
    }

    [Fact]
    public void Unreadable_images_are_skipped_and_counted_when_asked()
    {
        var log = new ConcurrentQueue<string>();
        _mlContext.Log += (_, e) => log.Enqueue(e.Message);
        using DplTransformer transformer = Fit(
            o => o.Images.SkipUnreadable = true,
            [
                .. images.Train,
                new LabelledImage { ImagePath = "/missing/a.png", Label = "red" },
                new LabelledImage { ImagePath = "/missing/b.png", Label = "red" },
            ]
        );
        Assert.Contains(log, line =>
            line.Contains("2 training images could not be read", StringComparison.Ordinal)
            && line.Contains("/missing/a.png", StringComparison.Ordinal)
        );
    }

    [Fact]
    public void A_class_whose_images_are_all_unreadable_is_named() =>
        Assert.Contains(
            "'violet'",
            Throws<InvalidOperationException>(
                o => o.Images.SkipUnreadable = true,
                [
                    .. images.Train,
                    new LabelledImage { ImagePath = "/missing/a.png", Label = "violet" },
                    new LabelledImage { ImagePath = "/missing/b.png", Label = "violet" },
                ]
            ).Message
        );

    [Fact]
    public void Too_small_a_cache_says_how_much_is_needed()
    {
        // 1 MiB holds about 600 images of 3 × 24 × 24 bytes.
        LabelledImage[] many = [.. Enumerable.Repeat(images.Train, 40).SelectMany(p => p)];
        Assert.Contains("Images.CacheMegabytes", Throws<InvalidOperationException>(o => o.Images.CacheMegabytes = 1, many).Message);
    }

    [SkippableFact]
    public void A_missing_gpu_asked_for_by_name_is_an_error()
    {
        Skip.If(TorchSharp.torch.cuda.is_available(), "this machine has a GPU");
        Assert.Contains("cuda:1", Throws<InvalidOperationException>(o => o.Compute.Device = "cuda:1").Message);
    }

    [Theory]
    [InlineData("Backbone")]
    [InlineData("Template")]
    [InlineData("Training.BatchSize")]
    [InlineData("Search.Epochs")]
    [InlineData("Training.Epochs")]
    [InlineData("Search.LearningRate")]
    [InlineData("Search.AlphaLearningRate")]
    [InlineData("Training.LearningRate")]
    [InlineData("Training.Momentum")]
    [InlineData("Training.WeightDecay")]
    [InlineData("Training.DistillationWeight")]
    [InlineData("Training.LabelSmoothing")]
    [InlineData("Validation.RowsPerClass")]
    [InlineData("Validation.Fraction")]
    [InlineData("Search.Patience")]
    [InlineData("Search.Margin")]
    [InlineData("Training.Patience")]
    [InlineData("OnCancel")]
    [InlineData("Compute.Precision")]
    [InlineData("Compute.Device")]
    [InlineData("Compute.WorkspacePath")]
    [InlineData("Compute.CheckpointInterval")]
    [InlineData("ExampleWeightColumnName")]
    [InlineData("Images.CacheMegabytes")]
    [InlineData("Compute.PredictionBatchSize")]
    [InlineData("Images.MaxPixels")]
    [InlineData("Search.CandidateLengths")]
    [InlineData("Configuration")]
    [InlineData("LabelColumnName")]
    public void Options_out_of_range_are_refused_by_name_before_any_data(string option)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        (object owner, PropertyInfo property) = Find(options, option);
        object? bad = property.PropertyType switch
        {
            Type t when t == typeof(int) || t == typeof(int?) => 0,
            Type t when t == typeof(double) || t == typeof(double?) => option == "Training.LearningRate" ? double.NaN : -1.0,
            Type t when t == typeof(string) => option == "Compute.Device" ? "gpu" : "",
            Type t when t == typeof(TimeSpan) => TimeSpan.FromTicks(-1),
            Type t when t == typeof(InterruptionBehavior) => (InterruptionBehavior)7,
            Type t when t == typeof(ComputePrecision) => (ComputePrecision)7,
            Type t when t == typeof(PromptConfiguration) => new PromptConfiguration([1], [1]),
            Type t when t == typeof(IReadOnlyList<int>) => new[] { 1, 2 },
            _ => null,
        };
        property.SetValue(owner, bad);
        ArgumentException thrown = Assert.ThrowsAny<ArgumentException>(() =>
            _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
        );
        Assert.Equal(option, thrown.ParamName);
        Assert.StartsWith(option == "Search.CandidateLengths" ? "Candidate prompt lengths" : option, thrown.Message);
    }

    /// <summary>The bound itself is allowed; the next value beyond it is not.</summary>
    [Theory]
    [InlineData("Images.MaxPixels", 1L, 0L)]
    [InlineData("Images.MaxPixels", 536_870_897L, 536_870_898L)] // a quarter of the longest possible array
    [InlineData("Training.BatchSize", 1, 0)]
    [InlineData("Training.Momentum", 0.0, -1e-9)]
    [InlineData("Training.Momentum", 0.999999, 1.0)]
    [InlineData("Training.WeightDecay", 0.0, -1e-9)]
    [InlineData("Search.Margin", 0.0, -1e-9)]
    [InlineData("Search.Margin", 1.0, 1.000001)]
    [InlineData("Compute.CheckpointInterval", "00:00:00.0000001", "00:00:00")]
    [InlineData("Compute.CheckpointInterval", "365.00:00:00", "365.00:00:00.0000001")]
    [InlineData("Validation.Fraction", 1e-9, 0.0)]
    [InlineData("Validation.Fraction", 0.999999, 1.0)]
    [InlineData("Training.DistillationWeight", 0.0, -1e-9)]
    [InlineData("Training.LabelSmoothing", 0.0, -1e-9)]
    [InlineData("Training.LabelSmoothing", 0.999999, 1.0)]
    [InlineData("Training.MaxGradientNorm", 1e-9, 0.0)]
    [InlineData("Training.LearningRate", 1e-9, 0.0)]
    [InlineData("Training.LearningRate", 1e37, 1e38)] // close to the largest float32
    [InlineData("Search.LearningRate", 1e37, 1e38)]
    [InlineData("Search.AlphaLearningRate", 1e37, 1e38)]
    [InlineData("Training.WeightDecay", 3e38, 1e39)]
    [InlineData("Training.MaxGradientNorm", 3e38, 1e39)]
    [InlineData("Training.DistillationWeight", 3e38, 1e39)]
    public void The_bounds_of_options_are_held_exactly(string option, object allowed, object refused)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        (object owner, PropertyInfo property) = Find(options, option);
        property.SetValue(owner, Typed(allowed));
        Assert.NotNull(Make());
        property.SetValue(owner, Typed(refused));
        Assert.Equal(option, Assert.Throws<ArgumentOutOfRangeException>(Make).ParamName);

        DplTrainer Make() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);

        // Attribute arguments cannot be TimeSpans, so these are given as text.
        object Typed(object value) => value is string text ? TimeSpan.Parse(text, CultureInfo.InvariantCulture) : value;
    }

    /// <summary>Otherwise some of these mistakes would only be noticed when the model is created, after hours of training.</summary>
    [Theory]
    [InlineData("Score", "PredictedLabel")]
    [InlineData("Image", "Label")]
    [InlineData("Image", "ExampleWeight")]
    [InlineData("Label", "ExampleWeight")]
    public void Columns_that_must_differ_are_refused_before_any_data(string first, string second)
    {
        var options = new DplTrainer.Options { Backbone = small.Backbone };
        foreach (string column in new[] { first, second })
            typeof(DplTrainer.Options).GetProperty(column + "ColumnName")!.SetValue(options, "Both");
        string message = Assert
            .Throws<ArgumentException>(() => _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options))
            .Message;
        Assert.Contains($"{first}ColumnName and {second}ColumnName are both 'Both'", message);
    }

    /// <summary>A layer of a mixture keeps the prompts of all candidates, which the search itself never has at once.</summary>
    [Fact]
    public void Candidates_that_are_too_long_together_for_a_mixture_are_refused_before_the_search()
    {
        void Long(DplTrainer.Options o, SearchResult result) => (o.Search.CandidateLengths, o.Search.Result) = ([0, 512, 1024], result);
        string message = Assert.Throws<ArgumentException>(() => Trainer(o => Long(o, SearchResult.Mixture))).Message;
        Assert.Contains("Search.CandidateLengths has 1536 prompt rows in all", message);
        Assert.Contains("at most 1024", message);
        Assert.NotNull(Trainer(o => Long(o, SearchResult.Lengths)));
    }

    /// <summary>The labels, the split and the images are read in separate passes; a view that shrinks in between is refused.</summary>
    [Fact]
    public void Data_that_has_fewer_rows_when_read_again_is_refused()
    {
        int passes = 0;
        IEnumerable<LabelledImage> Shrinking()
        {
            passes++;
            return passes < 3 ? images.Train : images.Train.Take(15);
        }
        IEnumerable<LabelledImage> rows = Enumerable.Range(0, 1).SelectMany(_ => Shrinking());
        Assert.Contains("gave 18 rows, and 15 when it was read again", Throws<InvalidOperationException>(_ => { }, rows).Message);
    }

    /// <summary>Finds an option by the name that messages use: a property of the options themselves, or of one of their groups.</summary>
    private static (object Owner, PropertyInfo Property) Find(DplTrainer.Options options, string option)
    {
        string[] names = option.Split('.');
        object owner = names.Length == 1 ? options : typeof(DplTrainer.Options).GetProperty(names[0])!.GetValue(options)!;
        return (owner, owner.GetType().GetProperty(names[^1])!);
    }

    private T Throws<T>(Action<DplTrainer.Options> change, IEnumerable<LabelledImage>? rows = null)
        where T : Exception => Assert.ThrowsAny<T>(() => Fit(change, rows ?? images.Train));

    private DplTransformer Fit(Action<DplTrainer.Options> change, IEnumerable<LabelledImage> rows) =>
        Trainer(change).Fit(_mlContext.Data.LoadFromEnumerable(rows));

    private DplTrainer Trainer(Action<DplTrainer.Options> change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { Epochs = 1, CandidateLengths = [0, 1] },
            Training = { Epochs = 1 },
            Progress = new NoTraining(change),
        };
        change(options);
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    /// <summary>Fails if a single step runs before the expected error, unless unreadable images are to be skipped.</summary>
    private sealed class NoTraining(Action<DplTrainer.Options> change) : IProgress<FitProgress>
    {
        public void Report(FitProgress value)
        {
            var probe = new DplTrainer.Options();
            change(probe);
            Assert.True(probe.Images.SkipUnreadable, "training began before the error was found");
        }
    }
}
