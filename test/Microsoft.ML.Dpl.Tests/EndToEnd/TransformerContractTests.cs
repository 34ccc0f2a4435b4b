using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>What applications do with a trained model: engines on many threads, views filtered and shuffled, evaluation, disposal while in
/// use.</summary>
public sealed class TransformerContractTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void Engines_on_eight_threads_answer_with_the_bits_of_one()
    {
        using DplTransformer transformer = Fit(TrainerTests.Input.Bytes, keyLabel: false);
        float[][] alone;
        using (PredictionEngine<LabelledImage, Answer> engine = Engine(transformer))
            alone = [.. images.Test.Select(p => engine.Predict(p).Score)];
        Assert.Equal(alone.Length, alone.Select(s => string.Join(' ', s)).Distinct().Count());

        var pool = new ConcurrentBag<PredictionEngine<LabelledImage, Answer>>();
        Parallel.For(0, 8 * alone.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            if (!pool.TryTake(out PredictionEngine<LabelledImage, Answer>? engine))
                engine = Engine(transformer);
            Assert.Equal(alone[i % alone.Length], engine.Predict(images.Test[i % alone.Length]).Score);
            pool.Add(engine);
        });
        foreach (PredictionEngine<LabelledImage, Answer> engine in pool)
            engine.Dispose();
    }

    /// <summary>Every prediction either completes or throws; none touches freed memory.</summary>
    [Fact]
    public void Disposing_in_use_ends_predictions_with_ObjectDisposedException()
    {
        DplTransformer transformer = Fit(TrainerTests.Input.Bytes, keyLabel: false);
        IDataView one = Load([images.Test[0]], TrainerTests.Input.Bytes, keyLabel: false);
        float[] Score() => transformer.Transform(one).GetColumn<float[]>("Score").Single();
        float[] expected = Score();
        using var underWay = new CountdownEvent(4);
        Task[] users =
        [
            .. Enumerable
                .Range(0, 4)
                .Select(_ =>
                    Task.Factory.StartNew(
                        () =>
                        {
                            for (bool first = true; ; first = false)
                            {
                                Assert.Equal(expected, Score());
                                if (first)
                                    underWay.Signal();
                            }
                        },
                        CancellationToken.None,
                        TaskCreationOptions.LongRunning,
                        TaskScheduler.Default
                    )
                ),
        ];
        Assert.True(underWay.Wait(TimeSpan.FromMinutes(2)));
        transformer.Dispose();
        foreach (Task user in users)
            Assert.IsType<ObjectDisposedException>(Assert.Throws<AggregateException>(user.Wait).InnerException);
        using MLImage image = MLImage.CreateFromFile(images.Test[0].ImagePath);
        Assert.Throws<ObjectDisposedException>(() => transformer.Explain(image));
        Assert.Throws<ObjectDisposedException>(() => transformer.NearestWords(0, 1));
        transformer.Dispose();
    }

    [Theory]
    [MemberData(nameof(TrainerTests.InputsAndLabels), MemberType = typeof(TrainerTests))]
    public void Scores_stay_with_their_rows_and_evaluation_names_every_class(TrainerTests.Input input, bool keyLabel)
    {
        using DplTransformer transformer = Fit(input, keyLabel);
        IDataView test = Load(images.Test, input, keyLabel),
            scored = transformer.Transform(test);
        Dictionary<string, float[]> byPath = Rows(scored);
        Assert.Equal(15, byPath.Count);
        DataOperationsCatalog data = _mlContext.Data;
        Check(data.TakeRows(scored, 4), 4);
        Check(data.SkipRows(scored, 10), 5);
        Check(data.FilterRowsByColumn(scored, "Other", 1, 3), 6);
        Check(data.ShuffleRows(scored, seed: 2), 15);
        Check(data.Cache(scored, "ImagePath", "Score"), 15);
        Check(transformer.Transform(data.FilterRowsByColumn(test, "Other", 1, 3)), 6);
        DataOperationsCatalog.TrainTestData split = data.TrainTestSplit(test, testFraction: 0.4, seed: 3);
        Dictionary<string, float[]> one = Rows(transformer.Transform(split.TrainSet)),
            other = Rows(transformer.Transform(split.TestSet));
        Assert.Equal(byPath.Keys.Order(), one.Keys.Concat(other.Keys).Order());

        // Evaluate compares key values, so text labels are mapped to keys in the order of the scores.
        IDataView keyed = keyLabel
            ? scored
            : _mlContext
                .Transforms.Conversion.MapValueToKey("Label", keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue)
                .Fit(scored)
                .Transform(scored);
        MulticlassClassificationMetrics metrics = _mlContext.MulticlassClassification.Evaluate(keyed);
        Assert.Equal(3, metrics.PerClassLogLoss.Count);
        string[] classes = [.. transformer.ClassNames];
        for (int c = 0; c < 3; c++)
        {
            double loss = images.Test.Where(p => p.Label == classes[c]).Average(p => -Math.Log(byPath[p.ImagePath][c]));
            Assert.Equal(loss, metrics.PerClassLogLoss[c], 1e-4);
            double[] counts =
            [
                .. Enumerable
                    .Range(0, 3)
                    .Select(predicted =>
                        (double)
                            images.Test.Count(p =>
                                p.Label == classes[c] && Array.IndexOf(byPath[p.ImagePath], byPath[p.ImagePath].Max()) == predicted
                            )
                    ),
            ];
            Assert.Equal(counts, metrics.ConfusionMatrix.Counts[c]);
        }
        Assert.All(classes, name => Assert.Contains(name, metrics.ConfusionMatrix.GetFormattedConfusionTable()));

        void Check(IDataView view, int count)
        {
            Dictionary<string, float[]> rows = Rows(view);
            Assert.Equal(count, rows.Count);
            // Batches of different sizes may round differently in the last digit.
            foreach (var (path, scores) in rows)
                for (int c = 0; c < 3; c++)
                    Assert.Equal(byPath[path][c], scores[c], 1e-5f);
        }
    }

    private static Dictionary<string, float[]> Rows(IDataView view) =>
        view.GetColumn<string>("ImagePath").Zip(view.GetColumn<float[]>("Score")).ToDictionary(row => row.First, row => row.Second);

    private PredictionEngine<LabelledImage, Answer> Engine(DplTransformer transformer) =>
        _mlContext.Model.CreatePredictionEngine<LabelledImage, Answer>(transformer);

    private DplTransformer Fit(TrainerTests.Input input, bool keyLabel) =>
        _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = small.Backbone,
                    ImageColumnName = input switch
                    {
                        TrainerTests.Input.Path => "ImagePath",
                        TrainerTests.Input.Bytes => "ImageBytes",
                        _ => "Image",
                    },
                    Configuration = PromptConfiguration.Uniform(small.Backbone, 1),
                    Training = { Epochs = 1, BatchSize = 9 },
                    Compute = { PredictionBatchSize = 4 },
                }
            )
            .Fit(Load(images.Train, input, keyLabel));

    private IDataView Load(IReadOnlyList<LabelledImage> rows, TrainerTests.Input input, bool keyLabel)
    {
        IDataView data = _mlContext.Data.LoadFromEnumerable(rows);
        if (keyLabel)
            data = _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(data).Transform(data);
        return input == TrainerTests.Input.Image
            ? _mlContext.Transforms.LoadImages("Image", null, "ImagePath").Fit(data).Transform(data)
            : data;
    }

    private sealed class Answer
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
