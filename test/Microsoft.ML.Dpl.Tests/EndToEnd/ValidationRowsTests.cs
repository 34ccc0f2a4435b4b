using System.Collections.Concurrent;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>Where validation rows come from: 18 training rows, 6 of each of 3 classes.</summary>
public sealed class ValidationRowsTests(SmallBackbone small, ColourImages images)
    : IClassFixture<SmallBackbone>,
        IClassFixture<ColourImages>
{
    private readonly MLContext _mlContext = new(1);

    [Theory]
    [InlineData(null, null, 12)]
    [InlineData(2, null, 6)]
    [InlineData(99, null, 15)]
    [InlineData(null, 0.5, 9)]
    [InlineData(null, 0.01, 3)]
    [InlineData(null, 0.99, 15)]
    public void Rows_are_set_aside_for_a_search(int? rows, double? fraction, int expected) =>
        Assert.Equal(expected, SetAside(o => (o.Validation.RowsPerClass, o.Validation.Fraction) = (rows, fraction)));

    [Theory]
    [InlineData(null, null, 0)]
    [InlineData(1, null, 3)]
    [InlineData(null, 0.34, 6)]
    public void With_given_lengths_rows_are_set_aside_only_where_asked_for(int? rows, double? fraction, int expected)
    {
        foreach (int length in (int[])[0, 1])
        {
            Assert.Equal(
                expected,
                SetAside(o =>
                    (o.Configuration, o.Validation.RowsPerClass, o.Validation.Fraction) = (
                        PromptConfiguration.Uniform(small.Backbone, length),
                        rows,
                        fraction
                    )
                )
            );
        }
    }

    [Fact]
    public void Two_places_to_take_them_from_are_refused()
    {
        string both = Assert
            .Throws<ArgumentException>(() => SetAside(o => (o.Validation.RowsPerClass, o.Validation.Fraction) = (4, 0.2)))
            .Message;
        Assert.Contains("Validation.RowsPerClass and Validation.Fraction are both given", both);
        string set = Assert
            .Throws<ArgumentException>(() =>
                SetAside(o => (o.Validation.Set, o.Validation.Fraction) = (_mlContext.Data.LoadFromEnumerable(images.Test), 0.2))
            )
            .Message;
        Assert.Contains("Validation.Set and Validation.Fraction", set);
    }

    [Fact]
    public void A_class_of_one_row_cannot_be_split() =>
        Assert.Contains(
            "'violet'",
            Assert
                .Throws<InvalidOperationException>(() =>
                    SetAside(
                        o => o.Validation.Fraction = 0.2,
                        [.. images.Train, new LabelledImage { ImagePath = images.Train[0].ImagePath, Label = "violet" }]
                    )
                )
                .Message
        );

    private int SetAside(Action<DplTrainer.Options> change, IReadOnlyList<LabelledImage>? rows = null)
    {
        var log = new ConcurrentQueue<string>();
        _mlContext.Log += (_, e) => log.Enqueue(e.Message);
        var options = new DplTrainer.Options
        {
            Backbone = small.Backbone,
            ImageColumnName = "ImagePath",
            Search = { CandidateLengths = [0, 1], Epochs = 1 },
            Training = { BatchSize = 9, Epochs = 1 },
        };
        change(options);
        using DplTransformer transformer = _mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(_mlContext.Data.LoadFromEnumerable(rows ?? images.Train));
        string? line = log.FirstOrDefault(l => l.Contains("set aside for validation", StringComparison.Ordinal));
        int count = line is null ? 0 : int.Parse(line.Split("MiB), ")[1].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(count > 0, transformer.ValidationAccuracy is not null);
        return count;
    }
}
