using Microsoft.ML.Data;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>The effect of an example weight column on a fit, and which weights are refused.</summary>
public sealed class ExampleWeightTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Fact]
    public void A_row_of_weight_zero_counts_as_if_it_were_not_there()
    {
        using DplTransformer weighted = Fit(Weighted((i, _) => i is 2 or 7 ? 0 : 1)),
            without = Fit([.. images.Train.Where((_, i) => i is not (2 or 7))]);
        Assert.Equal(Alphas(without), Alphas(weighted));
        Assert.Equal(Scores(without), Scores(weighted));
    }

    [Fact]
    public void Only_the_proportions_of_weights_matter()
    {
        using DplTransformer none = Fit(images.Train, o => o.ExampleWeightColumnName = null),
            alike = Fit(Weighted((_, _) => 3));
        using DplTransformer mixed = Fit(Weighted((i, _) => 1 + i % 2)),
            doubled = Fit(Weighted((i, _) => 2 * (1 + i % 2)));
        Assert.Equal(Scores(none), Scores(alike));
        Assert.Equal(Scores(mixed), Scores(doubled));
        Assert.NotEqual(Scores(none), Scores(mixed));
        Assert.NotEqual(none.SearchReport!.Epochs[^1].TrainLoss, mixed.SearchReport!.Epochs[^1].TrainLoss);
    }

    [Fact]
    public void A_class_of_heavy_rows_is_predicted_more_often_than_by_light_ones()
    {
        double Share(float weight)
        {
            using DplTransformer transformer = Fit(Weighted((_, row) => row.Label == "red" ? weight : 1), o =>
            {
                o.Configuration = PromptConfiguration.Uniform(small.Backbone, 2);
                (o.Training.Epochs, o.Training.LearningRate) = (8, 0.02);
            });
            int red = transformer.ClassNames.ToList().IndexOf("red");
            return Scores(transformer).Average(row => row[red]);
        }
        Assert.True(Share(20) > Share(0.05f) + 0.05, $"{Share(20)} against {Share(0.05f)}");
    }

    [Fact]
    public void Validation_rows_use_their_weights_in_the_search_where_they_have_any()
    {
        IDataView Set(Func<int, LabelledImage, float> weight) => _mlContext.Data.LoadFromEnumerable(Weighted(weight, images.Test));
        using DplTransformer alike = Fit(images.Train, o => o.Validation.Set = Set((_, _) => 1)),
            weighted = Fit(images.Train, o => o.Validation.Set = Set((i, _) => 1 + 9 * (i % 2)));
        using DplTransformer lacking = Fit(images.Train, o =>
            o.Validation.Set = _mlContext.Transforms.DropColumns("Weight").Fit(Set((_, _) => 5)).Transform(Set((_, _) => 5))
        );
        Assert.Equal(Alphas(alike), Alphas(lacking));
        Assert.NotEqual(Alphas(alike), Alphas(weighted));
    }

    [Fact]
    public void In_a_refit_a_validation_set_without_weights_counts_as_the_average_training_row()
    {
        IDataView Set(float weight) => _mlContext.Data.LoadFromEnumerable(Weighted((_, _) => weight, images.Test));
        IDataView lacking = _mlContext.Transforms.DropColumns("Weight").Fit(Set(1)).Transform(Set(1));
        DplTransformer Refit(float factor, IDataView set) => Fit(Weighted((i, _) => factor * (1 + i % 2)), o => o.Validation.Set = set);
        using DplTransformer light = Refit(1, lacking),
            heavy = Refit(64, lacking),
            average = Refit(1, Set(1.5f)),
            lighter = Refit(1, Set(0.25f));
        Assert.Equal(Scores(light), Scores(heavy));
        Assert.Equal(Scores(average), Scores(light));
        Assert.NotEqual(Scores(lighter), Scores(light));
    }

    [Fact]
    public void Fits_whose_refits_weigh_the_validation_set_differently_do_not_share_a_workspace()
    {
        using var folder = new TemporaryFolder();
        float[][] Refit(float weight)
        {
            using DplTransformer fitted = Fit(Weighted((_, _) => 1), o =>
            {
                o.Validation.Set = _mlContext.Data.LoadFromEnumerable(Weighted((_, _) => weight, images.Test));
                (o.Compute.WorkspacePath, o.Compute.WorkspacePerDataSet) = (folder.File("workspace"), true);
            });
            return Scores(fitted);
        }
        float[][] heavy = Refit(1.5f);
        Assert.NotEqual(heavy, Refit(0.25f));
        Assert.Equal(heavy, Refit(1.5f));
        Assert.Equal(2, Directory.GetDirectories(folder.File("workspace"), "data-*").Length);
    }

    [Theory]
    [InlineData(-1f, "-1")]
    [InlineData(float.NaN, "NaN")]
    [InlineData(float.PositiveInfinity, "Infinity")]
    public void Unusable_weights_are_named_with_their_row(float weight, string written)
    {
        string message = Assert.Throws<InvalidOperationException>(() => Fit(Weighted((i, _) => i == 4 ? weight : 1))).Message;
        Assert.Contains("Row 4", message);
        Assert.Contains($"is {written}", message);
        string validation = Assert
            .Throws<InvalidOperationException>(() =>
                Fit(images.Train, o =>
                    o.Validation.Set = _mlContext.Data.LoadFromEnumerable(Weighted((i, _) => i == 3 ? weight : 1, images.Test))
                )
            )
            .Message;
        Assert.Contains("Row 3", validation);
    }

    [Fact]
    public void Weights_that_are_all_zero_are_refused() =>
        Assert.Contains("0 in all rows", Assert.Throws<InvalidOperationException>(() => Fit(Weighted((_, _) => 0))).Message);

    [Theory]
    [InlineData("Nowhere", "no weight column")]
    [InlineData("Words", "ConvertType")]
    public void A_missing_or_unsuitable_column_is_refused_by_the_schema_and_by_the_fit(string column, string named)
    {
        DplTrainer trainer = Trainer(o => o.ExampleWeightColumnName = column);
        IDataView rows = _mlContext.Data.LoadFromEnumerable(images.Train);
        rows = _mlContext.Transforms.CopyColumns("Words", "ImagePath").Fit(rows).Transform(rows);
        foreach (Action act in (Action[])[() => trainer.GetOutputSchema(MLNetInternals.ShapeOf(rows.Schema)), () => trainer.Fit(rows)])
        {
            string message = Assert.Throws<ArgumentOutOfRangeException>(act).Message;
            Assert.Contains(column, message);
            Assert.Contains(named, message);
        }
    }

    [Fact]
    public void The_short_form_takes_the_column_too()
    {
        DplTrainer trainer = _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
            small.Backbone,
            imageColumnName: "ImagePath",
            exampleWeightColumnName: "Nowhere"
        );
        SchemaShape schema = MLNetInternals.ShapeOf(_mlContext.Data.LoadFromEnumerable(images.Train).Schema);
        Assert.Contains("Nowhere", Assert.Throws<ArgumentOutOfRangeException>(() => trainer.GetOutputSchema(schema)).Message);
    }

    private static List<LabelledImage> Weighted(Func<int, LabelledImage, float> weight, IReadOnlyList<LabelledImage> rows) =>
        [
            .. rows.Select(
                (row, i) =>
                    new LabelledImage
                    {
                        ImagePath = row.ImagePath,
                        Label = row.Label,
                        Weight = weight(i, row),
                    }
            ),
        ];

    private List<LabelledImage> Weighted(Func<int, LabelledImage, float> weight) => Weighted(weight, images.Train);

    private DplTransformer Fit(IReadOnlyList<LabelledImage> rows, Action<DplTrainer.Options>? change = null) =>
        Trainer(change).Fit(_mlContext.Data.LoadFromEnumerable(rows));

    private DplTrainer Trainer(Action<DplTrainer.Options>? change)
    {
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            ExampleWeightColumnName = "Weight",
            Search = { CandidateLengths = [0, 1], Epochs = 2 },
            Training = { Epochs = 2 },
        };
        change?.Invoke(options);
        if (options.Validation.Set is null && options.Configuration is null)
            options.Validation.RowsPerClass = 2;
        return _mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options);
    }

    private float[][] Scores(DplTransformer transformer) =>
        [.. transformer.Transform(_mlContext.Data.LoadFromEnumerable(images.Test)).GetColumn<float[]>("Score")];

    private static float[] Alphas(DplTransformer transformer) =>
        [.. transformer.SearchReport!.Epochs.SelectMany(e => e.TextAlphas.Concat(e.ImageAlphas)).SelectMany(layer => layer)];
}
