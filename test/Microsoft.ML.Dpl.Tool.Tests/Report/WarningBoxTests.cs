using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Report;

/// <summary>The page's warnings about a fit that went wrong.</summary>
public sealed class WarningBoxTests : IDisposable
{
    private readonly ReportedFit _fit = new();

    public void Dispose() => _fit.Dispose();

    [Fact]
    public void A_fit_that_went_well_has_no_box()
    {
        Assert.Equal("", Box(_fit.Bare));
        Assert.DoesNotContain("class=\"warnings\"", ReportPage.Html(Decided), StringComparison.Ordinal);
    }

    [Fact]
    public void The_logs_warnings_stand_above_all_figures_and_are_escaped()
    {
        string page = ReportPage.Html(_fit.Bare with { Warnings = [$"Class '{ReportedFit.Hostile}' is large.", "A second."] });
        int box = page.IndexOf("<h2 id=\"warnings\">Warnings</h2>", StringComparison.Ordinal);
        Assert.InRange(box, 0, page.IndexOf("<dl>", StringComparison.Ordinal));
        Assert.Contains("<li>Class &#39;&lt;/td&gt;&lt;script&gt;", page, StringComparison.Ordinal);
        Assert.Contains("<li>A second.</li>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script>", page, StringComparison.Ordinal);
    }

    /// <summary>The loss of guessing among four classes is ln 4 = 1.386.</summary>
    [Theory]
    [InlineData(1.386, true)]
    [InlineData(1.9, true)]
    [InlineData(1.3, false)]
    [InlineData(double.NaN, false)]
    public void A_training_loss_that_ended_at_that_of_guessing_is_named(double loss, bool named)
    {
        string box = Box(
            Decided with
            {
                Training = new TrainingResults(
                    [new TrainingEpochResults(0.1, 1, null, null), new TrainingEpochResults(0.1, loss, null, null)],
                    null
                ),
            }
        );
        Assert.Equal(named, box.Contains("no better than guessing among 4 classes (1.386)", StringComparison.Ordinal));
        Assert.Equal(named, box.Contains("--training-learning-rate", StringComparison.Ordinal));
    }

    [Fact]
    public void Layers_without_a_choice_are_undecided_and_have_numbers()
    {
        // With 4 candidates a choice needs 37.5 % of the weight: e / (e + 3) is 47.5 %, an even share is 25 %.
        float[] chosen = [0, 1, 0, 0],
            even = [0, 0, 0, 0],
            none = [0, float.NaN, 0, 0];
        string box = Box(_fit.Bare with { Search = Searched([even, chosen], [chosen, none, chosen]) });
        Assert.Contains("2 of 5 layers are undecided: text 1, image 2.", box, StringComparison.Ordinal);
        Assert.Contains("less than 37.5 % of the weight", box, StringComparison.Ordinal);
        Assert.Contains("--search-epochs", box, StringComparison.Ordinal);
        Assert.Contains(
            "1 of 2 layers is undecided",
            Box(_fit.Bare with { Search = Searched([even], [chosen]) }),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_test_accuracy_that_is_not_above_zero_shot_CLIPs_is_named()
    {
        AccuracyInterval own = _fit.Full.Test!.Accuracy;
        var lengths = new PromptConfiguration([0], [0]);
        string equal = Box(Decided with { Comparison = [new ComparisonRow("zero-shot", own, Configuration: lengths)] });
        Assert.Contains("is not above that of zero-shot CLIP", equal, StringComparison.Ordinal);
        Assert.Contains("--distillation-weight", equal, StringComparison.Ordinal);
        Assert.Equal(
            "",
            Box(Decided with { Comparison = [new ComparisonRow("zero-shot", AccuracyInterval.Create(1, 104), Configuration: lengths)] })
        );
        // Other baselines may be better without a warning.
        Assert.Equal("", Box(Decided with { Comparison = [new ComparisonRow("uniform:4", AccuracyInterval.Create(104, 104))] }));
    }

    [Fact]
    public void A_training_that_came_to_zero_shot_CLIP_is_named_and_one_that_was_asked_for_is_not()
    {
        FitResults zeroShot = Decided with { Configuration = new PromptConfiguration([0], [0]), Design = null };
        Assert.Contains("so the model is zero-shot CLIP", Box(zeroShot), StringComparison.Ordinal);
        Assert.Equal("", Box(zeroShot with { Training = null }));
    }

    /// <summary>The full fit, with all layers decided.</summary>
    private FitResults Decided =>
        _fit.Full with
        {
            Search = Searched(
                [
                    [0, 5, 0, 0],
                ],
                [
                    [0, 5, 0, 0],
                ]
            ),
        };

    private static string Box(FitResults results) => WarningBox.Create(results).Html;

    private static SearchResults Searched(float[][] text, float[][] image) =>
        SearchResults.From(MadeReport.Create([0, 2, 4, 6], new MadeReport.Epoch(0.1, 1, 1, text, image)), 0.1);
}
