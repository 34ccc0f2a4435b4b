using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>Measures a model on labelled pictures.</summary>
internal static class Evaluator
{
    private const int Chunk = 64;

    /// <param name="mlContext">Of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    /// <param name="rows">At least one.</param>
    /// <param name="skipUnreadable">Leave out pictures that cannot be read, with a warning for each, instead of failing at the first.</param>
    /// <param name="cancellation">Looked at between chunks.</param>
    /// <returns>The figures, and how many pictures were left out.</returns>
    /// <exception cref="InvalidDataException">A class is unknown to the model, or a picture cannot be read.</exception>
    public static (TestResults Figures, int Skipped) Evaluate(MLContext mlContext, DplTransformer transformer, IReadOnlyList<PictureRow> rows, bool skipUnreadable, CancellationToken cancellation)
    {
        IReadOnlyList<string> classes = transformer.ClassNames;
        var indices = classes.Select((name, index) => (name, index)).ToDictionary(pair => pair.name, pair => pair.index, StringComparer.Ordinal);
        string[] unknown = [.. rows.Select(row => row.Label).Distinct(StringComparer.Ordinal).Where(name => !indices.ContainsKey(name)).Order(StringComparer.Ordinal)];
        if (unknown.Length > 0)
            throw new InvalidDataException($"The model does not know {(unknown.Length == 1 ? "the class" : "the classes")} {Listed(unknown)}; it knows {Listed(classes)}. Rename classes with --names or --clean-names, or leave them out.");
        var predictions = new List<TestPrediction>();
        foreach (ScoredPicture picture in new PictureScores(mlContext, transformer).Of(rows, Chunk, cancellation))
        {
            if (picture.Probabilities is { } probabilities)
            {
                int best = Array.IndexOf(probabilities, probabilities.Max());
                predictions.Add(new TestPrediction(picture.Row.ImagePath, picture.Row.Label, classes[best], probabilities[best], probabilities[indices[picture.Row.Label]]));
                continue;
            }
            string message = $"{picture.Row.ImagePath}: {picture.Error}";
            if (!skipUnreadable) throw new InvalidDataException($"{message} Mend or remove the picture, or give --skip-unreadable.");
            Terminal.Warn(message);
        }
        if (predictions.Count == 0) throw new InvalidDataException("None of the pictures can be read.");
        return (TestResults.Of(classes, predictions), rows.Count - predictions.Count);
    }

    private static string Listed(IReadOnlyList<string> names) => string.Join(", ", names.Take(20).Select(name => $"'{name}'")) + (names.Count > 20 ? ", …" : "");
}
