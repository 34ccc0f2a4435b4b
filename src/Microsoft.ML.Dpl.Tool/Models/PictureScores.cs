using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Models;

/// <summary>What a model says of a picture.</summary>
/// <param name="Row">The picture.</param>
/// <param name="Probabilities">One per class; null where the picture could not be read.</param>
/// <param name="Error">Why it could not be read; else null.</param>
internal sealed record ScoredPicture(PictureRow Row, float[]? Probabilities, string? Error);

/// <summary>Scores pictures by their paths.</summary>
/// <param name="mlContext">Of the model.</param>
/// <param name="transformer">The model; not owned.</param>
internal sealed class PictureScores(MLContext mlContext, DplTransformer transformer)
{
    /// <summary>Scores in chunks; those in which a picture cannot be read are halved until it is alone.</summary>
    /// <param name="rows">May come slowly: a chunk is scored once it is full.</param>
    /// <param name="chunk">Pictures at a time, at least 1.</param>
    /// <param name="cancellation">Looked at between chunks.</param>
    public IEnumerable<ScoredPicture> Of(IEnumerable<PictureRow> rows, int chunk, CancellationToken cancellation)
    {
        foreach (PictureRow[] some in rows.Chunk(chunk))
        {
            cancellation.ThrowIfCancellationRequested();
            foreach (ScoredPicture scored in Of(some)) yield return scored;
        }
    }

    private IReadOnlyList<ScoredPicture> Of(IReadOnlyList<PictureRow> rows)
    {
        try
        {
            return [.. rows.Zip(Score(rows), (row, scores) => new ScoredPicture(row, scores, null))];
        }
        catch (InvalidOperationException e) when (e is not ObjectDisposedException)
        {
            // The library's message counts rows of the chunk, which the user does not know: the cause speaks of the file.
            if (rows.Count == 1) return [new ScoredPicture(rows[0], null, (e.InnerException ?? e).Message)];
            int half = rows.Count / 2;
            return [.. Of([.. rows.Take(half)]), .. Of([.. rows.Skip(half)])];
        }
    }

    private float[][] Score(IReadOnlyList<PictureRow> rows)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(PictureRow));
        schema[nameof(PictureRow.ImagePath)].ColumnName = transformer.ImageColumnName;
        foreach (string other in new[] { nameof(PictureRow.Label), nameof(PictureRow.Weight) }) schema.Remove(schema[other]);
        IDataView scored = transformer.Transform(mlContext.Data.LoadFromEnumerable(rows, schema));
        return [.. scored.GetColumn<float[]>(transformer.ScoreColumnName)];
    }
}
