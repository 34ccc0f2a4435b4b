using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.ML.Dpl.Tests.Fit;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A fit gives the same results in a culture with a decimal comma and another minus sign.</summary>
public sealed class CultureTests(SmallBackbone small, ColourImages images) : IClassFixture<SmallBackbone>, IClassFixture<ColourImages>
{
    [Fact]
    public void A_fit_its_checkpoints_its_zip_and_its_log_do_not_depend_on_the_culture()
    {
        (string content, string[] log) expected = Fit();
        var culture = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (culture.NumberFormat.NumberDecimalSeparator, culture.NumberFormat.PercentDecimalSeparator, culture.NumberFormat.NegativeSign) = (
            ",",
            ",",
            "\u2212"
        );
        CultureInfo before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = culture;
        try
        {
            Assert.Equal("\u22120,5", $"{-0.5}");
            (string content, string[] log) actual = Fit();
            Assert.Equal(expected.content, actual.content);
            Assert.Equal(expected.log, actual.log);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    /// <summary>Runs a fit that is interrupted in the search and resumed. Returns the learnt part of the model, and the log's lines of
    /// epochs without their times.</summary>
    private (string Content, string[] Log) Fit()
    {
        using var folder = new TemporaryFolder();
        var mlContext = new MLContext(1);
        var log = new ConcurrentQueue<string>();
        mlContext.Log += (_, e) => log.Enqueue(e.Message);
        DplTrainer.Options options = ResumableFit.Options(small.Backbone, folder.File("workspace"));
        using (var source = new CancellationTokenSource())
        {
            (options.CancellationToken, options.Progress) = (
                source.Token,
                new ProgressRecorder(r =>
                {
                    if (r is { Stage: FitStage.Search, Epoch: 2, Step: 1 })
                        source.Cancel();
                })
            );
            Assert.Throws<OperationCanceledException>(() => ResumableFit.Fit(mlContext, options, images.Train));
        }
        (options.CancellationToken, options.Progress) = (default, null);
        using DplTransformer transformer = ResumableFit.Fit(mlContext, options, images.Train);
        string[] lines =
        [
            .. log.Where(line => line.Contains(" epoch ", StringComparison.Ordinal)).Select(line => line.Split(", learning rate")[0]),
        ];
        Assert.Contains(lines, line => line.Contains("validation accuracy", StringComparison.Ordinal));
        return (ResumableFit.Content(mlContext, transformer), lines);
    }
}
