using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Tests.MLNet;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The estimator and its transformer as ML.NET users work with them, including search and training, on a small random
/// CLIP.</summary>
public sealed class TrainerTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    public enum Input
    {
        Path,
        Bytes,
        Image,
    }

    public static TheoryData<Input, bool> InputsAndLabels()
    {
        var data = new TheoryData<Input, bool>();
        foreach (Input input in Enum.GetValues<Input>())
        foreach (bool key in new[] { true, false })
            data.Add(input, key);
        return data;
    }

    [Theory]
    [MemberData(nameof(InputsAndLabels))]
    public void Fit_evaluate_save_and_load_keep_every_promise(Input input, bool keyLabel)
    {
        var mlContext = new MLContext(1);
        IDataView train = Load(mlContext, images.Train, input, keyLabel),
            test = Load(mlContext, images.Test, input, keyLabel);
        DplTrainer trainer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(Options(input));
        SchemaShape promised = trainer.GetOutputSchema(MLNetInternals.ShapeOf(train.Schema));
        using DplTransformer transformer = trainer.Fit(train);
        SchemaAssert.Equal(promised, MLNetInternals.ShapeOf(transformer.GetOutputSchema(train.Schema)));

        IDataView scored = transformer.Transform(test);
        SchemaAssert.Equal(transformer.GetOutputSchema(test.Schema), scored.Schema);
        float[][] scores = Scores(scored);
        Assert.All(scores, row => Assert.Equal(1, row.Sum(), 1e-4));
        Assert.Equal(keyLabel ? ["red", "green", "blue"] : ["blue", "green", "red"], transformer.ClassNames);
        if (keyLabel)
        {
            MulticlassClassificationMetrics metrics = mlContext.MulticlassClassification.Evaluate(scored);
            Assert.True(metrics.MicroAccuracy > 0.5, $"accuracy {metrics.MicroAccuracy}");
            Assert.Equal(3, metrics.PerClassLogLoss.Count);
        }

        using var folder = new TemporaryFolder();
        string zip = folder.File("model.zip");
        mlContext.Model.Save(transformer, train.Schema, zip);
        Assert.InRange(new FileInfo(zip).Length, 1, 1 << 20);
        var other = new MLContext().Knowing(small.Backbone);
        ITransformer loaded = other.Model.Load(zip, out _);
        var again = Assert.IsType<DplTransformer>(loaded is TransformerChain<ITransformer> chain ? chain.LastTransformer : loaded);
        using (again)
        {
            Assert.Equal(scores, Scores(loaded.Transform(test)));
            Assert.Equal(transformer.Configuration, again.Configuration);
            Assert.Equal(transformer.Template, again.Template);
            Assert.Equal(transformer.ValidationAccuracy, again.ValidationAccuracy);
            Assert.Equal(transformer.SearchReport!.Epochs.Select(e => e.TrainLoss), again.SearchReport!.Epochs.Select(e => e.TrainLoss));
            Assert.Equal(
                transformer.SearchReport.Epochs[^1].TextAlphas.SelectMany(a => a),
                again.SearchReport.Epochs[^1].TextAlphas.SelectMany(a => a)
            );
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_bits_and_another_seed_does_not()
    {
        float[][] first = FitAndScore(seed: 3),
            second = FitAndScore(seed: 3),
            third = FitAndScore(seed: 4);
        Assert.Equal(first, second);
        Assert.NotEqual(first, third);
    }

    [Fact]
    public void Cross_validation_caching_and_filters_work()
    {
        var mlContext = new MLContext(1);
        IDataView data = mlContext.Data.Cache(Load(mlContext, images.Train, Input.Path, keyLabel: true));
        DplTrainer.Options options = Options(Input.Path);
        options.Configuration = PromptConfiguration.Uniform(small.Backbone, 2);
        var results = mlContext.MulticlassClassification.CrossValidate(
            data,
            mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options),
            numberOfFolds: 3
        );
        Assert.Equal(3, results.Count);
        Assert.All(results, r => Assert.InRange(r.Metrics.MicroAccuracy, 0, 1));
        foreach (var result in results)
            ((IDisposable)result.Model).Dispose();
    }

    [Fact]
    public void A_prediction_engine_answers_as_the_view_does_and_leaves_the_model_to_its_owner()
    {
        var mlContext = new MLContext(1);
        DplTransformer transformer = ZeroShot(mlContext, out IDataView train);
        float[][] scores = Scores(transformer.Transform(Load(mlContext, images.Test, Input.Path, keyLabel: true)));
        ITransformer toKey = mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(mlContext.Data.LoadFromEnumerable(images.Train));
        var engine = mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(toKey.Append(transformer));
        for (int i = 0; i < images.Test.Count; i++)
        {
            float[] answer = engine.Predict(images.Test[i]).Score;
            for (int c = 0; c < answer.Length; c++)
                Assert.Equal(scores[i][c], answer[c], 1e-5f);
        }
        engine.Dispose();
        Assert.Equal(images.Train.Count, Scores(transformer.Transform(train)).Length);
        transformer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Scores(transformer.Transform(train)));
        Assert.Throws<ObjectDisposedException>(() => engine.Predict(images.Test[0]));
    }

    [Fact]
    public void A_class_without_rows_is_known_by_its_name()
    {
        var mlContext = new MLContext(1);
        IDataView names = mlContext.Data.LoadFromEnumerable(new[] { "blue", "green", "red", "yellow" }.Select(n => new { Label = n }));
        IDataView train = mlContext
            .Transforms.Conversion.MapValueToKey("Label", keyData: names)
            .Fit(names)
            .Transform(mlContext.Data.LoadFromEnumerable(images.Train));
        DplTrainer.Options options = Options(Input.Path);
        options.Configuration = PromptConfiguration.Uniform(small.Backbone, 1);
        using DplTransformer transformer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(train);
        Assert.Equal(["blue", "green", "red", "yellow"], transformer.ClassNames);
        Assert.All(Scores(transformer.Transform(train)), row => Assert.Equal(4, row.Length));
    }

    [Fact]
    public void A_missing_backbone_is_named_with_the_ways_to_point_to_it()
    {
        var mlContext = new MLContext(1);
        using var folder = new TemporaryFolder();
        using var elsewhere = new TemporaryFolder();
        SmallBackbone.Write(elsewhere.FullPath, seed: 99);
        ClipBackbone backbone = ClipBackbone.FromFolder(elsewhere.FullPath);
        string hash = backbone.Sha256,
            zip = folder.File("model.zip");
        DplTrainer.Options options = Options(Input.Path);
        (options.Backbone, options.Configuration) = (backbone, PromptConfiguration.ZeroShot(backbone));
        IDataView train = Load(mlContext, images.Train, Input.Path, keyLabel: true);
        using (DplTransformer transformer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(train))
            mlContext.Model.Save(transformer, train.Schema, zip);

        // A CLIP still at its path at the time of saving is found without configuration; other weights at that path are refused.
        ((IDisposable)new MLContext().Model.Load(zip, out _)).Dispose();
        File.Copy(Path.Combine(small.Folder, "model.safetensors"), elsewhere.File("model.safetensors"), overwrite: true);
        string message = Messages(Assert.ThrowsAny<Exception>(() => new MLContext().Model.Load(zip, out _)));
        Assert.Contains(hash, message);
        Assert.Contains("DPL_CLIP", message);
        Assert.Contains("ClipBackbone.Open(folder).Register()", message);
        Assert.Contains("other weights", message);
    }

    internal DplTrainer.Options Options(Input input) =>
        new()
        {
            Backbone = small.Backbone,
            ImageColumnName = input switch
            {
                Input.Path => "ImagePath",
                Input.Bytes => "ImageBytes",
                _ => "Image",
            },
            Search = { CandidateLengths = [0, 1, 2], Epochs = 2 },
            Training =
            {
                Epochs = 6,
                BatchSize = 6,
                LearningRate = 0.02,
            },
            Validation = { RowsPerClass = 2 },
        };

    private static IDataView Load(MLContext mlContext, IReadOnlyList<LabelledImage> rows, Input input, bool keyLabel)
    {
        IDataView data = mlContext.Data.LoadFromEnumerable(rows);
        if (keyLabel)
            data = mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
        return input == Input.Image ? mlContext.Transforms.LoadImages("Image", null, "ImagePath").Fit(data).Transform(data) : data;
    }

    private static float[][] Scores(IDataView scored) => [.. scored.GetColumn<float[]>("Score")];

    private static string Messages(Exception e) => e.InnerException is null ? e.Message : e.Message + "\n" + Messages(e.InnerException);

    private float[][] FitAndScore(int seed)
    {
        var mlContext = new MLContext(seed);
        IDataView train = Load(mlContext, images.Train, Input.Path, keyLabel: true);
        using DplTransformer transformer = mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(Options(Input.Path))
            .Fit(train);
        return Scores(transformer.Transform(train));
    }

    private DplTransformer ZeroShot(MLContext mlContext, out IDataView train)
    {
        train = Load(mlContext, images.Train, Input.Path, keyLabel: true);
        DplTrainer.Options options = Options(Input.Path);
        options.Configuration = PromptConfiguration.ZeroShot(small.Backbone);
        return mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options).Fit(train);
    }

    private sealed class Answer
    {
        public float[] Score { get; set; } = [];
    }
}
