using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>Draws the pictures of a few-shot experiment: so many of each class for training, and as many but at most 4 of each for validation, as CoOp does.</summary>
internal static class FewShotDraw
{
    private const int MostForValidation = 4;

    /// <param name="sets">Stay as they are. A class with fewer pictures gives all it has; test pictures are not drawn from.</param>
    /// <param name="shots">Of each class, at least 1.</param>
    /// <param name="seed">Equal seeds draw equal pictures, whatever the order of the rows.</param>
    public static PictureSets Draw(PictureSets sets, int shots, int seed) => sets.With((split, rows) => split switch
    {
        PictureSplit.Train => Of(rows, shots, seed, split),
        PictureSplit.Validation => Of(rows, Math.Min(shots, MostForValidation), seed, split),
        _ => rows,
    });

    private static PictureRow[] Of(IReadOnlyList<PictureRow> rows, int shots, int seed, PictureSplit split)
        => [.. rows.GroupBy(row => row.Label, StringComparer.Ordinal).OrderBy(group => group.Key, StringComparer.Ordinal).SelectMany(group =>
        {
            PictureRow[] ordered = [.. group.OrderBy(row => row.ImagePath, StringComparer.Ordinal)];
            // A generator of its own for each class: one class more does not change what the others get.
            byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{split}/{group.Key}"));
            new Random(BinaryPrimitives.ReadInt32LittleEndian(hash)).Shuffle(ordered);
            return ordered.Take(shots);
        })];
}
