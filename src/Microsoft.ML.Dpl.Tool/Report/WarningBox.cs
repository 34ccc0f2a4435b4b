using System.Globalization;
using Microsoft.ML.Dpl.Search;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The box at the top of the page that says what went wrong in a fit and what to do next.</summary>
internal static class WarningBox
{
    // Fraction of the loss of uniform guessing; a final loss at or above it means that the prompts learned nothing.
    private const double NearGuessing = 0.98;

    // A layer counts as decided if its choice has at least this multiple of the uniform weight.
    private const double LeastConfidence = 1.5;

    /// <summary>Creates the box; empty if nothing went wrong.</summary>
    public static Markup Create(FitResults results)
    {
        (string What, string Next)[] findings =
        [
            .. Untrained(results),
            .. AtGuessing(results),
            .. BelowZeroShot(results),
            .. Undecided(results),
        ];
        if (findings.Length == 0 && results.Warnings.Count == 0)
            return Markup.Empty;
        Markup found = Markup.Join(
            findings.Select(finding => Markup.Format($"<li>{finding.What} <strong>Next:</strong> {finding.Next}</li>"))
        );
        Markup log =
            results.Warnings.Count == 0
                ? Markup.Empty
                : Markup.Format(
                    $"""
                    <h3>The log</h3><ul>{Markup.Join(results.Warnings.Select(warning => Markup.Format($"<li>{warning}</li>")))}</ul>
                    <p><strong>Next:</strong> change what a warning names, that alone, and fit again with the same seed.</p>
                    """
                );
        return Markup.Format(
            $"""
            <aside class="warnings" aria-labelledby="warnings"><h2 id="warnings">Warnings</h2>{(
                findings.Length == 0 ? Markup.Empty : Markup.Format($"<ul>{found}</ul>")
            )}{log}</aside>
            """
        );
    }

    private static IEnumerable<(string What, string Next)> Untrained(FitResults results)
    {
        if (results is { Configuration.IsZeroShot: true, Training: not null } && results.Design is not { LearnsBesidePrompts: true })
            yield return (
                "Training did not beat zero-shot CLIP, so the model is zero-shot CLIP without prompts.",
                "check that --template and the classes' names describe the images, and give each class more images."
            );
    }

    private static IEnumerable<(string What, string Next)> AtGuessing(FitResults results)
    {
        if (results is not { Training.Epochs: [.., { TrainLoss: var loss }], ClassCount: int classes } || !double.IsFinite(loss))
            yield break;
        double guessing = Math.Log(classes);
        if (loss >= NearGuessing * guessing)
            yield return (
                $"The training loss ended at {Written.Number(loss)}, no better than guessing among {classes} classes "
                    + $"({Written.Number(guessing)}).",
                "fit with a third of the --training-learning-rate, or with --max-gradient-norm 10."
            );
    }

    private static IEnumerable<(string What, string Next)> BelowZeroShot(FitResults results)
    {
        if (
            results is { Test.Accuracy.Accuracy: var accuracy, Configuration: { } lengths }
            && (!lengths.IsZeroShot || results.Design is { LearnsBesidePrompts: true })
            && results.Comparison.FirstOrDefault(row => row.Configuration?.IsZeroShot == true) is { Accuracy.Accuracy: var zeroShot }
            && accuracy <= zeroShot
        )
            yield return (
                $"The test accuracy, {Written.Percent(accuracy)}, is not above that of zero-shot CLIP, {Written.Percent(zeroShot)}.",
                "give each class more images, or stay closer to CLIP with --distillation-weight 1; until then dpl zeroshot does as well."
            );
    }

    private static IEnumerable<(string What, string Next)> Undecided(FitResults results)
    {
        if (results.Search is not { Epochs: [.., var last], CandidateLengths.Count: > 1 and var candidates })
            yield break;
        double least = LeastConfidence / candidates;
        string[] places =
        [
            .. new[] { ("text", last.TextAlphas), ("image", last.ImageAlphas) }.SelectMany(tower =>
                tower
                    .Item2.Select((alphas, layer) => (alphas, layer))
                    // Negated, so that NaN counts as undecided.
                    .Where(pair => !(AlphaWeights.Softmax(pair.alphas).Max() >= least))
                    .Select(pair => string.Create(CultureInfo.InvariantCulture, $"{tower.Item1} {pair.layer + 1}"))
            ),
        ];
        if (places.Length == 0)
            yield break;
        int layers = last.TextAlphas.Count + last.ImageAlphas.Count;
        yield return (
            $"{places.Length} of {Written.Count(layers, "layer")} {(places.Length == 1 ? "is" : "are")} undecided: "
                + $"{string.Join(", ", places)}. The search gave its choice there less than {Written.Percent(least)} of the weight.",
            "search with more --search-epochs or more validation images (--validation-per-class), or train uniform lengths "
                + "(--configuration uniform:4) and compare."
        );
    }
}
