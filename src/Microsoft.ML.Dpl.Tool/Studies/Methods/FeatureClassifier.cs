using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Vectors of images by a network that stays as it is.</summary>
internal interface IImageFeatures : IDisposable
{
    /// <returns>[image][width].</returns>
    /// <exception cref="InvalidDataException">An image cannot be read; the message names the file.</exception>
    float[][] Images(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken);
}

/// <summary>A classifier of image vectors. It knows the classes that it was made of, and no others.</summary>
/// <param name="classes">In the order of the probabilities.</param>
/// <param name="features">Owned.</param>
/// <param name="score">Makes [image][class] probabilities of [image][width] vectors.</param>
/// <param name="owned">Disposed with it; null: nothing.</param>
internal sealed class FeatureClassifier(
    IReadOnlyList<string> classes,
    IImageFeatures features,
    Func<float[][], float[][]> score,
    IDisposable? owned = null
) : IStudyClassifier
{
    // Bounds what similarities to a large cache take.
    private const int Chunk = 256;

    public IReadOnlyList<string> Classes => classes;

    public long TrainedNumbers { get; init; }

    public double? ValidationAccuracy { get; init; }

    public string? Choice { get; init; }

    public IReadOnlyList<float[]> Probabilities(IReadOnlyList<ImageRow> rows, CancellationToken cancellationToken) =>
        [.. rows.Chunk(Chunk).SelectMany(some => score(features.Images(some, cancellationToken)))];

    public IStudyClassifier WithClasses(IReadOnlyList<string> names) =>
        throw new NotSupportedException(
            $"It knows the {classes.Count} classes that it has images of, and no others: ask a method that reads names, such as zero-shot."
        );

    public void Dispose()
    {
        owned?.Dispose();
        features.Dispose();
    }
}
