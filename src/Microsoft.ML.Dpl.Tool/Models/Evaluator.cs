using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>Measures a model on labelled images.</summary>
internal static class Evaluator
{
    private const int Chunk = 32;

    /// <param name="mlContext">The context of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    /// <param name="rows">The images, at least one.</param>
    /// <param name="skipUnreadable">Whether to leave out images that cannot be read, with a warning for each, instead of failing at the
    /// first.</param>
    /// <param name="mode">How progress is shown.</param>
    /// <param name="name">Name shown with the progress.</param>
    /// <param name="cancellationToken">Checked between chunks.</param>
    /// <returns>The results, where an image below the model's threshold has no prediction; and how many images were left out.</returns>
    /// <exception cref="InvalidDataException">A class is unknown to the model, or an image cannot be read.</exception>
    public static (TestResults Figures, int Skipped) Evaluate(
        MLContext mlContext,
        DplTransformer transformer,
        IReadOnlyList<ImageRow> rows,
        bool skipUnreadable,
        ProgressMode mode,
        string name,
        CancellationToken cancellationToken
    )
    {
        IReadOnlyList<string> classes = transformer.ClassNames;
        var indices = classes
            .Select((name, index) => (name, index))
            .ToDictionary(pair => pair.name, pair => pair.index, StringComparer.Ordinal);
        ImageChecks.RequireKnown(rows, classes, "The model does not know");
        var predictions = new List<TestPrediction>();
        ImageDisplay.Show(mode, name, rows.Count, progress =>
        {
            int done = 0,
                right = 0;
            foreach (ScoredImage image in new ImageScores(mlContext, transformer).Score(rows, Chunk, cancellationToken))
            {
                done++;
                if (image.Numbers is { } probabilities)
                {
                    int best = ClassProbabilities.Best(probabilities);
                    var prediction = new TestPrediction(
                        image.Row.ImagePath,
                        image.Row.Label,
                        probabilities[best] < transformer.Threshold ? null : classes[best],
                        probabilities[best],
                        probabilities[indices[image.Row.Label]]
                    );
                    predictions.Add(prediction);
                    if (prediction.Predicted == prediction.True)
                        right++;
                }
                else
                {
                    string message = $"{image.Row.ImagePath}: {image.Error}";
                    if (!skipUnreadable)
                        throw new InvalidDataException($"{message} Repair or remove the image, or give --skip-unreadable.");
                    Terminal.Warn(message);
                }
                progress.Report(new ImageProgress(done, predictions.Count == 0 ? null : (double)right / predictions.Count));
            }
            return done;
        });
        if (predictions.Count == 0)
            throw new InvalidDataException("None of the images can be read.");
        TestResults figures = TestResults.From(classes, predictions);
        if (transformer.Threshold is not null)
            figures = figures with { Unanswered = predictions.Count(prediction => prediction.Predicted is null) };
        return (figures, rows.Count - predictions.Count);
    }
}
