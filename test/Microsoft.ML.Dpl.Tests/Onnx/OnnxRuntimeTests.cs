using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Images;
using Microsoft.ML.Dpl.Tests.MLNet;
using Microsoft.ML.Dpl.Tests.Models;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>Models scored by ONNX Runtime instead of libtorch: in this process, where both are available, and in one without
/// libtorch.</summary>
public sealed partial class OnnxRuntimeTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>,
        IDisposable
{
    private readonly MLContext _mlContext = new MLContext(1).Knowing(small.Backbone);
    private readonly TemporaryFolder _folder = new();

    private IDataView Test => _mlContext.Data.LoadFromEnumerable(images.Test);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("text 1 1 | image 2 0 1")]
    [InlineData("text 0 0 | image 0 0 0")]
    public void It_is_what_libtorch_says(string configuration)
    {
        using DplTransformer trained = Fit(configuration);
        string zip = Save(trained);
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out DataViewSchema? schema);
        Assert.NotNull(schema);
        RequireSame(trained, light, Test);
        Assert.Equal(trained.ClassNames, light.ClassNames);
        Assert.Equal(
            (trained.ImageColumnName, "PredictedLabel", trained.ScoreColumnName, trained.Template, trained.Backbone.Name, 24),
            (
                light.ImageColumnName,
                light.PredictedLabelColumnName,
                light.ScoreColumnName,
                light.Template,
                light.BackboneName,
                light.ImageSize
            )
        );
        Assert.Equal(trained.Configuration, light.Configuration);
        Assert.Equal((trained.ApplyExifOrientation, trained.MaxImagePixels), (light.ApplyExifOrientation, light.MaxImagePixels));
        // Where libtorch is available it still does the scoring, and saving the model again gives the same entries.
        using var heavy = (DplTransformer)_mlContext.Model.Load(zip, out _);
        Assert.Equal(ModelContents.WithOnnx, heavy.Contents);
        Assert.Equal(Entries(zip), Entries(Save(heavy)));
    }

    [Fact]
    public void A_threshold_and_a_calibration_hold_there_too()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1", o => (o.Validation.Set, o.Validation.Calibrate) = (Test, true));
        float[] highest = [.. trained.Transform(Test).GetColumn<float[]>("Score").Select(scores => scores.Max()).Order()];
        trained.Threshold = (highest[7] + (double)highest[8]) / 2;
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        Assert.Equal(trained.Threshold, light.Threshold);
        RequireSame(trained, light, Test);
        foreach (LabelledImage row in images.Test)
        {
            ImagePrediction expected = trained.Predict(row.ImagePath),
                found = light.Predict(row.ImagePath);
            Assert.Equal(expected.Label, found.Label);
            Assert.Equal(expected.Probability, found.Probability, 1e-5f);
            using MLImage image = MLImage.CreateFromFile(row.ImagePath);
            Assert.Equal(found.Scores, light.Predict(image).Scores);
        }
        Assert.Equal(8, light.Transform(Test).GetColumn<string>("PredictedLabel").Count(label => label.Length == 0));
    }

    [Fact]
    public void The_tiny_CLIP_says_the_same()
    {
        using DplTransformer trained = Fit(PromptConfiguration.Uniform(ClipBackbone.TinyDrawn, 2).ToString(), o =>
            o.Backbone = ClipBackbone.TinyDrawn
        );
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        RequireSame(trained, light, Test);
    }

    [Fact]
    public void A_mixture_says_the_same()
    {
        using var mixture = new MixtureModel(small.Backbone, [0, 1, 3]);
        mixture.Transformer.Contents = ModelContents.WithOnnx;
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(mixture.Transformer), out _);
        RequireSame(mixture.Transformer, light, Test);
    }

    [Fact]
    public void Keys_of_numbers_stay_keys_of_numbers_in_a_pipeline()
    {
        IDataView rows = _mlContext.Data.LoadFromEnumerable(
            images.Train.Select(row => new NumberedImage { ImagePath = row.ImagePath, Number = row.Label.Length * 10 })
        );
        var pipeline = _mlContext
            .Transforms.Conversion.MapValueToKey("Label", nameof(NumberedImage.Number))
            .Append(
                _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    Options("text 1 1 | image 2 0 1", o => o.ModelContents = ModelContents.WithOnnx)
                )
            )
            .Append(_mlContext.Transforms.Conversion.MapKeyToValue("Number", "PredictedLabel"));
        using var trained = pipeline.Fit(rows);
        string zip = _folder.File("keys.zip");
        _mlContext.Model.Save(trained, rows.Schema, zip);
        ITransformer light = _mlContext.Model.LoadWithOnnxRuntime(zip, out _);
        Assert.Single(((TransformerChain<ITransformer>)light).OfType<DplOnnxTransformer>());
        RequireSame(trained, light, rows);
        Assert.Equal(trained.Transform(rows).GetColumn<int>("Number"), light.Transform(rows).GetColumn<int>("Number"));
    }

    [Fact]
    public void Images_in_every_form_and_turned_by_their_files_are_read_alike()
    {
        using DplTransformer trained = Fit("text 0 1 | image 1 0 2", o => o.Images.ApplyExifOrientation = true);
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        Assert.True(light.ApplyExifOrientation);
        string turned = _folder.File("turned.jpg");
        using (MLImage image = MLImage.CreateFromFile(images.Test[0].ImagePath))
            image.Save(turned);
        File.WriteAllBytes(turned, ImageBytes.Oriented(File.ReadAllBytes(turned), 6));
        RequireSame(trained, light, _mlContext.Data.LoadFromEnumerable((LabelledImage[])[new() { ImagePath = turned }]));

        foreach (string column in (string[])[nameof(LabelledImage.ImageBytes), "Loaded"])
        {
            using DplTransformer other = Fit("text 0 1 | image 1 0 2", o => o.ImageColumnName = column, Loaded(images.Train));
            using var otherLight = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(other), out _);
            RequireSame(other, otherLight, Loaded(images.Test));
        }

        IDataView Loaded(IEnumerable<LabelledImage> rows)
        {
            IDataView data = _mlContext.Data.LoadFromEnumerable(rows);
            return _mlContext.Transforms.LoadImages("Loaded", null, nameof(LabelledImage.ImagePath)).Fit(data).Transform(data);
        }
    }

    [Fact]
    public async Task Many_threads_use_it_and_a_dispose_waits_for_them()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        float[][] expected = Scores(trained, Test);
        string zip = Save(trained);
        for (int round = 0; round < 5; round++)
        {
            var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(zip, out _, new DplOnnxRuntimeOptions { Threads = 1 });
            int answered = 0;
            Task[] threads =
            [
                .. Enumerable
                    .Range(0, 4)
                    .Select(_ =>
                        Task.Run(() =>
                        {
                            try
                            {
                                while (true)
                                {
                                    RequireClose(expected, Scores(light, Test));
                                    Interlocked.Increment(ref answered);
                                }
                            }
                            catch (ObjectDisposedException)
                            {
                                // Ends the loop.
                            }
                        })
                    ),
            ];
            SpinWait.SpinUntil(() => Volatile.Read(ref answered) > 3 || threads.Any(thread => thread.IsFaulted));
            light.Dispose();
            light.Dispose();
            await Task.WhenAll(threads);
        }
    }

    [Fact]
    public void Engines_share_it()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        float[][] expected = Scores(trained, Test);
        PredictionEngine<LabelledImage, Answer> first = _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(light);
        using (PredictionEngine<LabelledImage, Answer> second = _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(light))
            RequireClose([expected[0]], [second.Predict(images.Test[0]).Score]);
        light.Dispose();
        RequireClose([expected[1]], [first.Predict(images.Test[1]).Score]);
        first.Dispose();
        string message = Assert.Throws<ObjectDisposedException>(() => Scores(light, Test)).Message;
        Assert.Contains("DplOnnxTransformer", message);
        Assert.Contains("Load it again", message);
    }

    [Fact]
    public void Errors_are_those_of_libtorch()
    {
        using DplTransformer trained = Fit("text 1 1 | image 2 0 1");
        using var light = (DplOnnxTransformer)_mlContext.Model.LoadWithOnnxRuntime(Save(trained), out _);
        IDataView missing = _mlContext.Data.LoadFromEnumerable((LabelledImage[])[images.Test[0], new() { ImagePath = "gone.png" }]);
        Assert.Equal(
            Assert.Throws<UnreadableImageException>(() => Scores(trained, missing)).Message,
            Assert.Throws<UnreadableImageException>(() => Scores(light, missing)).Message
        );
        IDataView without = _mlContext.Transforms.DropColumns("ImagePath").Fit(Test).Transform(Test);
        Assert.Equal(
            Assert.Throws<ArgumentOutOfRangeException>(() => trained.Transform(without)).Message,
            Assert.Throws<ArgumentOutOfRangeException>(() => light.Transform(without)).Message
        );
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => light.Transform(Test, cancelled.Token).GetColumn<float[]>("Score").Count());
    }

    private DplTrainer.Options Options(string configuration, Action<DplTrainer.Options>? set = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Parse(configuration),
            Training = { Epochs = 1, BatchSize = 9 },
            Compute = { PredictionBatchSize = 4 },
            ModelContents = ModelContents.WithOnnx,
        };
        set?.Invoke(options);
        return options;
    }

    private DplTransformer Fit(string configuration, Action<DplTrainer.Options>? set = null, IDataView? rows = null) =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(Options(configuration, set))
            .Fit(rows ?? _mlContext.Data.LoadFromEnumerable(images.Train));

    private string Save(ITransformer transformer)
    {
        string zip = _folder.File($"{Guid.NewGuid():n}.zip");
        _mlContext.Model.Save(transformer, Test.Schema, zip);
        return zip;
    }

    private static float[][] Scores(ITransformer transformer, IDataView rows) =>
        [.. transformer.Transform(rows).GetColumn<float[]>("Score")];

    /// <summary>Requires equal schemas with all annotations, and close scores.</summary>
    private static void RequireSame(ITransformer heavy, ITransformer light, IDataView rows)
    {
        SchemaAssert.Equal(heavy.GetOutputSchema(rows.Schema), light.GetOutputSchema(rows.Schema));
        RequireClose(Scores(heavy, rows), Scores(light, rows));
    }

    private static void RequireClose(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        foreach (var (a, b) in expected.Zip(actual))
        {
            Assert.Equal(a.Length, b.Length);
            Assert.InRange(a.Zip(b, (x, y) => Math.Abs(x - y)).Max(), 0, 1e-5);
            Assert.Equal(Array.IndexOf(a, a.Max()), Array.IndexOf(b, b.Max()));
        }
    }

    private sealed class NumberedImage
    {
        public string ImagePath { get; set; } = "";

        public int Number { get; set; }
    }

    private sealed class Answer
    {
        public float[] Score { get; set; } = [];
    }
}
