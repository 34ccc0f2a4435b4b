using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>What a model says of an image: a class's probabilities, or CLIP's vector.</summary>
/// <param name="Row">The image.</param>
/// <param name="Numbers">Null where the image could not be read.</param>
/// <param name="Error">Why it could not be read; else null.</param>
internal sealed record ScoredImage(ImageRow Row, float[]? Numbers, string? Error);

/// <summary>Scores images by their paths.</summary>
/// <param name="mlContext">Of the model.</param>
/// <param name="transform">The model, lazily or at once.</param>
/// <param name="imageColumn">The column that it reads paths from.</param>
/// <param name="numbersColumn">The column that it adds.</param>
internal sealed class ImageScores(MLContext mlContext, Func<IDataView, IDataView> transform, string imageColumn, string numbersColumn)
{
    /// <param name="mlContext">Of the model.</param>
    /// <param name="transformer">The model; not owned.</param>
    public ImageScores(MLContext mlContext, DplTransformer transformer)
        : this(mlContext, transformer.Transform, transformer.ImageColumnName, transformer.ScoreColumnName) { }

    /// <summary>Scores in chunks; those in which an image cannot be read are halved until it is alone.</summary>
    /// <param name="rows">May come slowly: a chunk is scored once it is full.</param>
    /// <param name="chunk">Images at a time, at least 1.</param>
    /// <param name="cancellationToken">Looked at between chunks.</param>
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
            // The library's message counts rows of the chunk, which the user does not know: the cause speaks of the file.
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
