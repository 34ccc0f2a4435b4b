using System.Text.Json.Nodes;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Results;
using Microsoft.ML.Dpl.Tool.Tests.Report;

namespace Microsoft.ML.Dpl.Tool.Tests.Results;

public class ResultsTests
{
    [Fact]
    public void Results_come_back_from_JSON_as_they_were()
    {
        using var fit = new ReportedFit();
        string json = ResultsJson.Write(fit.Full);
        FitResults read = ResultsJson.Read(json);
        Assert.Equal(json, ResultsJson.Write(read));
        Assert.Equal(fit.Full.Configuration, read.Configuration);
        Assert.Equal(fit.Full.Test!.Predictions, read.Test!.Predictions);
        Assert.Equal(fit.Full.Search!.Epochs[^1].ImageAlphas[2], read.Search!.Epochs[^1].ImageAlphas[2]);
        Assert.Null(read.Search.Epochs[0].LargestAlphaChange);
        Assert.Equal(fit.Full.Stages, read.Stages);
        Assert.Equal(1, (int)JsonNode.Parse(json)!["schemaVersion"]!);
        Assert.NotNull(JsonNode.Parse(json)!["asked"]!["commandLine"]);
    }

    [Fact]
    public void Losses_that_are_no_numbers_are_kept()
    {
        using var fit = new ReportedFit();
        FitResults wild = fit.Bare with
        {
            Training = new TrainingResults([new TrainingEpochResults(1, double.NaN, double.PositiveInfinity, null)], null),
        };
        TrainingEpochResults read = ResultsJson.Read(ResultsJson.Write(wild)).Training!.Epochs[0];
        Assert.True(double.IsNaN(read.TrainLoss));
        Assert.Equal(double.PositiveInfinity, read.ValidationLoss);
    }

    [Theory]
    [InlineData("[]", "schemaVersion")]
    [InlineData("no JSON", "cannot be read")]
    [InlineData("""{"schemaVersion":2}""", "version 2")]
    [InlineData("""{"schemaVersion":1}""", "asked")]
    [InlineData("""{"schemaVersion":"1"}""", "cannot be read")]
    public void What_are_no_results_is_refused_with_the_reason(string json, string reason) =>
        Assert.Contains(reason, Assert.Throws<FormatException>(() => ResultsJson.Read(json)).Message);

    [Fact]
    public void Tests_are_counted()
    {
        TestResults test = TestResults.From(
            ["a", "b", "c"],
            [P("a", "a", 0.9, 0.9), P("a", "b", 0.6, 0.3), P("b", "b", 0.7, 0.7), P("b", "b", 1, 1)]
        );
        Assert.Equal(0.75, test.Accuracy.Accuracy);
        Assert.Equal(0.75, test.MacroAccuracy); // class c has no images
        Assert.Equal(
            [
                [1, 1, 0],
                [0, 2, 0],
                [0, 0, 0],
            ],
            test.Confusion
        );
        Assert.Equal(new ClassAccuracy("b", 2, 2, 3), test.PerClass[1]);
        Assert.Equal(-(Math.Log(0.9) + Math.Log(0.3) + Math.Log(0.7)) / 4, test.LogLoss, 12);
        // Each image is alone in its bin: |1 − 0.9| + |0 − 0.6| + |1 − 0.7| + 0, over 4.
        Assert.Equal(0.25, test.Calibration.ExpectedError, 12);
        Assert.Equal(4, test.Calibration.Bins.Sum(bin => bin.Images));
        Assert.Contains(
            "'z.png'",
            Assert.Throws<ArgumentException>(() => TestResults.From(["a"], [new TestPrediction("z.png", "q", "a", 1, 0)])).Message
        );

        static TestPrediction P(string truth, string predicted, double probability, double trueProbability) =>
            new("p.png", truth, predicted, probability, trueProbability);
    }

    [Fact]
    public void An_image_without_a_prediction_is_not_right_and_its_probabilities_count_as_ever()
    {
        TestPrediction[] answered = [P("a", "a", 0.9, 0.9), P("a", "a", 0.4, 0.4), P("b", "a", 0.5, 0.3), P("b", "b", 0.7, 0.7)];
        TestPrediction[] reserved = [.. answered.Select(p => p.Probability < 0.6 ? p with { Predicted = null } : p)];
        TestResults all = TestResults.From(["a", "b"], answered),
            some = TestResults.From(["a", "b"], reserved);
        Assert.Equal((0.75, 0.5), (all.Accuracy.Accuracy, some.Accuracy.Accuracy));
        Assert.Equal(
            [
                [1, 0],
                [0, 1],
            ],
            some.Confusion
        );
        Assert.Equal([new ClassAccuracy("a", 2, 1, 1), new ClassAccuracy("b", 2, 1, 1)], some.PerClass);
        Assert.Equal((all.LogLoss, all.Calibration.ExpectedError), (some.LogLoss, some.Calibration.ExpectedError));
        Assert.Equal(all.Calibration.Bins, some.Calibration.Bins);

        static TestPrediction P(string truth, string predicted, double probability, double trueProbability) =>
            new("p.png", truth, predicted, probability, trueProbability);
    }

    /// <summary>Bins of width 1/15, each including its upper edge but not its lower one, except that the first includes 0.</summary>
    [Theory]
    [InlineData(0.2, 2, 3)]
    [InlineData(0.4, 5, 6)]
    [InlineData(0.8, 11, 12)]
    public void A_probability_between_two_bins_belongs_to_the_lower(double edge, int lower, int upper)
    {
        Assert.Equal(lower, BinOf(edge));
        Assert.Equal(lower, BinOf(edge - 1e-9));
        Assert.Equal(upper, BinOf(edge + 1e-9));
        Assert.Equal((0, 0, 14), (BinOf(0), BinOf(1e-9), BinOf(1)));

        static int BinOf(double probability)
        {
            CalibrationBin[] bins = [.. CalibrationResults.From([new TestPrediction("p.png", "a", "a", probability, probability)]).Bins];
            Assert.Equal(15, bins.Length);
            return Array.IndexOf(bins, new CalibrationBin(1, probability, 1));
        }
    }

    [Theory]
    [InlineData(8, 10, 0.4901625, 0.9433178)]
    [InlineData(0, 10, 0, 0.2775328)]
    [InlineData(10, 10, 0.7224672, 1)]
    public void Intervals_are_Wilsons(int right, int count, double lower, double upper)
    {
        var interval = AccuracyInterval.Create(right, count);
        Assert.Equal(lower, interval.Lower, 5);
        Assert.Equal(upper, interval.Upper, 5);
    }

    /// <summary>By hand: 10 and 4 of 100 become 10.5 and 4.5 of 102, so the interval is 6/102 ± 1.96 √(15 − 36/102) / 102.</summary>
    [Fact]
    public void Leads_are_of_matched_pairs()
    {
        PairedDifference lead = PairedDifference.From(10, 4, 100);
        Assert.Equal((0.06, -0.0147164, 0.1323634), (lead.Difference, Math.Round(lead.Lower, 7), Math.Round(lead.Upper, 7)));
        Assert.Equal((0.0, -1.0), (PairedDifference.From(0, 0, 50).Difference, Math.Sign(PairedDifference.From(0, 0, 50).Lower)));
        Assert.InRange(PairedDifference.From(1, 0, 1).Upper, 1, 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => PairedDifference.From(3, 3, 5));

        TestPrediction[] model = [P("1", "a"), P("2", "a"), P("3", "b")],
            other = [P("1", "b"), P("2", "a"), P("3", "a")];
        Assert.Equal(PairedDifference.From(1, 1, 3), PairedDifference.From(model, other));
        Assert.Contains(
            "'4'",
            Assert.Throws<ArgumentException>(() => PairedDifference.From(model, [P("1", "a"), P("2", "a"), P("4", "a")])).Message
        );
        Assert.Contains("3 images", Assert.Throws<ArgumentException>(() => PairedDifference.From(model, other[..2])).Message);

        static TestPrediction P(string file, string predicted) => new(file, "a", predicted, 1, 1);
    }

    [Fact]
    public void Stages_and_epochs_are_those_of_the_run()
    {
        EpochMetrics figures = new() { TrainLoss = 1, ValidationAccuracy = 0.5 };
        FittedEpoch[] epochs =
        [
            new(FitStage.Search, 1, 0.1, figures, TimeSpan.FromSeconds(2), 100),
            new(FitStage.Search, 2, 0.1, figures, TimeSpan.FromSeconds(4), 150),
            new(FitStage.Comparison, 1, 0.2, figures, TimeSpan.FromSeconds(3), 200),
            new(FitStage.Training, 5, 0.1, figures, TimeSpan.FromSeconds(1), 700),
        ];
        Assert.Equal(
            [new StageCost("Search", 4, 150), new StageCost("Comparison", 3, 200), new StageCost("Training", 1, 700)],
            RunRecord.Stages(epochs)
        );
        Assert.Equal([5], RunRecord.Training(epochs, 0.5)!.Epochs.Select(epoch => epoch.Epoch));
        Assert.Equal([new TrainingEpochResults(0.2, 1, null, 0.5, 1)], RunRecord.FinalistEpochs(epochs));
    }

    [Fact]
    public void The_finalist_of_the_lowest_validation_loss_is_the_one_that_was_trained()
    {
        Finalist Of(int length, double loss) =>
            new()
            {
                Configuration = new PromptConfiguration([length], [length]),
                ValidationLoss = loss,
                ValidationAccuracy = 0.5,
                TrainLoss = 1,
            };
        Assert.Equal([false, true, false], FinalistResults.From([Of(1, 0.9), Of(2, 0.7), Of(3, 0.8)]).Select(f => f.WasTrained));
        Assert.Empty(FinalistResults.From([]));
    }

    [Fact]
    public void Warnings_and_finalists_come_back_from_JSON_and_older_files_have_none()
    {
        using var fit = new ReportedFit();
        FitResults read = ResultsJson.Read(ResultsJson.Write(fit.Full with { Warnings = ["a <warning>"] }));
        Assert.Equal(["a <warning>"], read.Warnings);
        Assert.Equal(fit.Full.Finalists, read.Finalists);
        JsonObject older = JsonNode.Parse(ResultsJson.Write(fit.Full))!.AsObject();
        foreach (string later in new[] { "warnings", "finalists", "finalistEpochs" })
            Assert.True(older.Remove(later));
        Assert.Empty(ResultsJson.Read(older.ToJsonString()).Warnings);
        Assert.Empty(ResultsJson.Read(older.ToJsonString()).Finalists);
    }

    [Fact]
    public void Decided_layers_and_changes_follow_from_the_alphas()
    {
        var search = SearchResults.From(
            MadeReport.Create(
                [0, 2],
                new MadeReport.Epoch(
                    1,
                    1,
                    1,
                    [
                        [0f, 0f],
                    ],
                    [
                        [0f, 0.1f],
                    ]
                ),
                new MadeReport.Epoch(
                    1,
                    1,
                    1,
                    [
                        [0f, 1f],
                    ],
                    [
                        [0f, 0.1f],
                    ]
                )
            ),
            0.1
        );
        Assert.Equal([0, 1], search.Epochs.Select(epoch => epoch.DecidedLayers));
        Assert.Equal([null, 1.0], search.Epochs.Select(epoch => epoch.LargestAlphaChange));
    }
}
