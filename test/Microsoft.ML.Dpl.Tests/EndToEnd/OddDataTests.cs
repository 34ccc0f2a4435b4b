using Microsoft.ML.Data;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Degenerate but common training data: both stages must still give finite scores.</summary>
public sealed class OddDataTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void Images_without_content_are_learnt_from_and_answered_alike()
    {
        using var folder = new TemporaryFolder();
        string black = folder.File("black.png");
        using (MLImage image = MLImage.CreateFromPixels(30, 30, MLPixelFormat.Bgra32, new byte[4 * 30 * 30]))
            image.Save(black);
        LabelledImage[] rows = [.. images.Train.Select(p => new LabelledImage { ImagePath = black, Label = p.Label })];
        using DplTransformer trained = Fit(rows);
        float[][] scores = Scores(trained, rows);
        // MKL's AVX2 kernels for Intel round the last row of an odd number otherwise than the rest.
        Assert.All(scores, row => Assert.All(row.Zip(scores[0]), pair => Assert.Equal(pair.Second, pair.First, 1e-6f)));
        RequireProbabilities(scores, 3);
    }

    [Fact]
    public void Rows_that_repeat_one_image_of_each_class_are_told_apart()
    {
        LabelledImage[] once = [.. images.Train.DistinctBy(p => p.Label)];
        LabelledImage[] rows = [.. Enumerable.Repeat(once, 8).SelectMany(p => p)];
        using DplTransformer trained = Fit(rows, o => (o.Search.Epochs, o.Training.Epochs, o.Training.LearningRate) = (1, 12, 0.05));
        float[][] scores = Scores(trained, rows);
        RequireProbabilities(scores, 3);
        Assert.Equal(rows.Select(p => p.Label), scores.Select(row => trained.ClassNames[Array.IndexOf(row, row.Max())]));
    }

    [Fact]
    public void A_class_a_hundred_times_larger_than_the_rest_leaves_numbers_with_and_without_balance()
    {
        LabelledImage[] red = [.. images.Train.Where(p => p.Label == "red")],
            rest = [.. images.Train.Where(p => p.Label != "red" && p.Other < 2)];
        LabelledImage[] rows = [.. Enumerable.Repeat(red, 34).SelectMany(p => p).Take(200), .. rest];
        double OfTheSmall(ClassWeights? weights)
        {
            using DplTransformer trained = Fit(rows, o =>
            {
                (o.Training.ClassWeights, o.Training.BatchSize, o.Search.Epochs, o.Validation.RowsPerClass) = (weights, 32, 1, 1);
                // Enough steps for the small classes to be learned at all.
                (o.Training.Epochs, o.Training.Steps) = (null, 60);
            });
            float[][] scores = Scores(trained, rest);
            RequireProbabilities(scores, 3);
            return scores.Zip(rest).Average(pair => pair.First[trained.ClassNames.ToList().IndexOf(pair.Second.Label)]);
        }
        Assert.True(OfTheSmall(ClassWeights.Balanced) > OfTheSmall(null));
    }

    [Fact]
    public void A_thousand_classes_are_searched_trained_saved_and_loaded()
    {
        LabelledImage[] rows =
        [
            .. Enumerable
                .Range(0, 2000)
                .Select(i => new LabelledImage { ImagePath = images.Train[i % 18].ImagePath, Label = $"kind_{i / 2}" }),
        ];
        using DplTransformer trained = Fit(rows, o =>
            (o.Training.BatchSize, o.Search.Epochs, o.Training.Epochs, o.Validation.RowsPerClass, o.Search.CandidateLengths) = (
                500,
                1,
                1,
                1,
                [0, 1]
            )
        );
        Assert.Equal(1000, trained.ClassNames.Count);
        float[][] scores = Scores(trained, images.Test);
        RequireProbabilities(scores, 1000);
        using var stream = new MemoryStream();
        _mlContext.Model.Save(trained, _mlContext.Data.LoadFromEnumerable(rows).Schema, stream);
        stream.Position = 0;
        using var loaded = (DplTransformer)new MLContext().Knowing(small.Backbone).Model.Load(stream, out _);
        Assert.Equal(scores, Scores(loaded, images.Test));
    }

    private static void RequireProbabilities(float[][] scores, int classes) => Assert.All(scores, row =>
        {
            Assert.Equal(classes, row.Length);
            Assert.All(row, p => Assert.InRange(p, 0, 1));
            Assert.Equal(1, row.Sum(), 1e-4);
        });

    private float[][] Scores(DplTransformer transformer, IReadOnlyList<LabelledImage> rows) =>
        [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(rows)).GetColumn<float[]>("Score")];

    private DplTransformer Fit(IReadOnlyList<LabelledImage> rows, Action<DplTrainer.Options>? change = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { CandidateLengths = [0, 1, 3], Epochs = 2 },
            Training =
            {
                Epochs = 2,
                LearningRate = 0.02,
                BatchSize = 6,
            },
            Validation = { RowsPerClass = 2 },
        };
        change?.Invoke(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(rows));
    }
}
