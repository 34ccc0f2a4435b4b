using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Computes feature vectors of images with a frozen network.</summary>
internal interface IImageFeatures : IDisposable
{
    /// <returns>Features [image][width].</returns>
    /// <exception cref="InvalidDataException">An image cannot be read; the message names the file.</exception>
    float[][] Images(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken);
}

/// <summary>A classifier of feature vectors, which knows only the classes that it was trained on.</summary>
/// <param name="classes">Class names in the order of the probabilities.</param>
/// <param name="features">Computes the features; disposed with this object.</param>
/// <param name="score">Computes probabilities [image][class] from features [image][width].</param>
/// <param name="owned">Another object to dispose with this one; may be null.</param>
internal sealed class FeatureClassifier(
    IReadOnlyList<string> classes,
    IImageFeatures features,
    Func<float[][], float[][]> score,
    IDisposable? owned = null
) : IStudyClassifier
{
    // Limits the memory for similarities to a large cache.
    private const int Chunk = 256;

    public IReadOnlyList<string> Classes => classes;

    public long TrainedNumbers { get; init; }

    public double? ValidationAccuracy { get; init; }

    public string? Choice { get; init; }

    public IReadOnlyList<float[]> Probabilities(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken) =>
        [.. rows.Chunk(Chunk).SelectMany(some => score(features.Images(some, cancellationToken)))];

    public IStudyClassifier WithClasses(IReadOnlyList<string> names) =>
        throw new NotSupportedException(
            $"It knows only the {classes.Count} classes that it has images of: ask a method that reads names, such as zero-shot."
        );

    public void Dispose()
    {
        owned?.Dispose();
        features.Dispose();
    }
}
