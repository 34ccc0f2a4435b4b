using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Fit;

/// <summary>Class weights with unequal numbers of rows: 6 red, 4 green, 3 blue.</summary>
public sealed class ClassWeightTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    private List<LabelledImage> Unequal => [.. images.Train.Where(row => row.Label == "red" || row.Other < (row.Label == "green" ? 4 : 3))];

    [Fact]
    public void Balanced_is_inverse_frequency() =>
        Assert.Equal(
            Scores(ClassWeights.Balanced),
            Scores(
                new Dictionary<string, double>
                {
                    ["red"] = 13d / (3 * 6),
                    ["green"] = 13d / (3 * 4),
                    ["blue"] = 13d / (3 * 3),
                }
            )
        );

    [Fact]
    public void Weights_change_the_fit_and_only_their_proportions_do()
    {
        float[][] none = Scores(null);
        Assert.Equal(
            none,
            Scores(
                new Dictionary<string, double>
                {
                    ["red"] = 2,
                    ["green"] = 2,
                    ["blue"] = 2,
                }
            )
        );
        Assert.NotEqual(none, Scores(ClassWeights.Balanced));
        // Classes that are not listed have a weight of 1.
        Assert.Equal(
            Scores(new Dictionary<string, double> { ["red"] = 4 }),
            Scores(
                new Dictionary<string, double>
                {
                    ["red"] = 8,
                    ["green"] = 2,
                    ["blue"] = 2,
                }
            )
        );
    }

    [Fact]
    public void Classes_of_equal_size_are_balanced_already() =>
        Assert.Equal(Scores(null, images.Train), Scores(ClassWeights.Balanced, images.Train));

    [Fact]
    public void A_heavier_class_becomes_more_probable()
    {
        static double Blue(float[][] scores) => scores.Average(row => row[0]);
        Assert.True(
            Blue(Scores(new Dictionary<string, double> { ["blue"] = 50 }))
                > Blue(Scores(new Dictionary<string, double> { ["blue"] = 0.02 })) + 0.05
        );
    }

    [Fact]
    public void The_search_uses_them_in_both_of_its_steps()
    {
        SearchEpoch First(ClassWeights? weights)
        {
            using DplTransformer transformer = Fit(weights, Unequal, o =>
                (o.Configuration, o.Search.Epochs, o.Training.Epochs, o.Validation.RowsPerClass) = (null, 1, 1, 2)
            );
            return transformer.SearchReport!.Epochs[0];
        }
        SearchEpoch none = First(null),
            weighted = First(new Dictionary<string, double> { ["blue"] = 9 });
        Assert.NotEqual(none.TrainLoss, weighted.TrainLoss);
        Assert.NotEqual(none.ValidationLoss, weighted.ValidationLoss);
    }

    [Fact]
    public void Unknown_classes_are_refused_before_any_image_is_read()
    {
        var broken = new LabelledImage { ImagePath = "/missing/a.png", Label = "red" };
        string message = Assert
            .Throws<InvalidOperationException>(() => Fit(new Dictionary<string, double> { ["violet"] = 2 }, [.. images.Train, broken]))
            .Message;
        Assert.Contains("'violet'", message);
        Assert.Contains("'blue', 'green', 'red'", message);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Weights_must_be_above_zero_and_finite(double weight) =>
        Assert.Contains(
            "'red'",
            Assert.Throws<ArgumentException>(() => new ClassWeights(new Dictionary<string, double> { ["red"] = weight })).Message
        );

    private float[][] Scores(ClassWeights? weights, IReadOnlyList<LabelledImage>? rows = null)
    {
        using DplTransformer transformer = Fit(weights, rows ?? Unequal);
        return [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(images.Test)).GetColumn<float[]>("Score")];
    }

    private DplTransformer Fit(ClassWeights? weights, IReadOnlyList<LabelledImage> rows, Action<DplTrainer.Options>? change = null)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Configuration = PromptConfiguration.Uniform(small.Backbone, 2),
            Search = { CandidateLengths = [0, 1] },
            Training =
            {
                Epochs = 6,
                LearningRate = 0.02,
                ClassWeights = weights,
            },
        };
        change?.Invoke(options);
        return _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(rows));
    }
}
