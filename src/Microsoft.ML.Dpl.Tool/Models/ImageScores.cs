using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>A model's output for an image: the probabilities of the classes, or CLIP's embedding.</summary>
/// <param name="Row">The image.</param>
/// <param name="Numbers">Probabilities or embedding; null if the image could not be read.</param>
/// <param name="Error">Why the image could not be read; otherwise null.</param>
internal sealed record ScoredImage(ImageRow Row, float[]? Numbers, string? Error);

/// <summary>Scores images by their paths.</summary>
/// <param name="mlContext">The context of the model.</param>
/// <param name="transform">Applies the model, lazily or eagerly.</param>
/// <param name="imageColumn">The column that the model reads paths from.</param>
/// <param name="numbersColumn">The column that the model adds.</param>
internal sealed class ImageScores(MLContext mlContext, Func<IDataView, IDataView> transform, string imageColumn, string numbersColumn)
{
    /// <param name="mlContext">The context of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    public ImageScores(MLContext mlContext, DplTransformer transformer)
        : this(mlContext, transformer.Transform, transformer.ImageColumnName, transformer.ScoreColumnName) { }

    /// <summary>Scores in chunks; a chunk with an unreadable image is halved until that image is alone.</summary>
    /// <param name="rows">The images. They may arrive slowly: a chunk is scored once it is full.</param>
    /// <param name="chunk">Number of images in a chunk, at least 1.</param>
    /// <param name="cancellationToken">Checked between chunks.</param>
    public IEnumerable<ScoredImage> Score(IEnumerable<ImageRow> rows, int chunk, CancellationToken cancellationToken)
    {
        foreach (ImageRow[] some in rows.Chunk(chunk))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (ScoredImage scored in ScoreOrHalve(some))
                yield return scored;
        }
    }

    private IReadOnlyList<ScoredImage> ScoreOrHalve(IReadOnlyList<ImageRow> rows)
    {
        try
        {
            return [.. rows.Zip(Score(rows), (row, scores) => new ScoredImage(row, scores, null))];
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
        {
            // The library's message has the row number within the chunk, which means nothing to the user; the inner exception names the
            // file.
            if (rows.Count == 1)
                return [new ScoredImage(rows[0], null, (e.InnerException ?? e).Message)];
            int half = rows.Count / 2;
            return [.. ScoreOrHalve([.. rows.Take(half)]), .. ScoreOrHalve([.. rows.Skip(half)])];
        }
    }

    private float[][] Score(IReadOnlyList<ImageRow> rows)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(ImageRow));
        schema[nameof(ImageRow.ImagePath)].ColumnName = imageColumn;
        foreach (string other in new[] { nameof(ImageRow.Label), nameof(ImageRow.Weight) })
            schema.Remove(schema[other]);
        return [.. transform(mlContext.Data.LoadFromEnumerable(rows, schema)).GetColumn<float[]>(numbersColumn)];
    }
}
