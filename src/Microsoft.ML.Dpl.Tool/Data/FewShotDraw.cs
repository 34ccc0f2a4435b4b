using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>
/// Draws the images of a few-shot experiment: so many of each class for training, and as many but at most 4 of each for validation.
/// Of a split file of CoOp it draws the very images that CoOp's code (Zhou et al., IJCV 2022, arXiv 2109.01134) and those that build on it
/// draw with the same seed.
/// </summary>
internal static class FewShotDraw
{
    private const int MostForValidation = 4;

    /// <param name="sets">Stay as they are. A class with fewer images gives all it has; test images are not drawn from.</param>
    /// <param name="shots">Of each class, at least 1.</param>
    /// <param name="seed">Equal seeds draw equal images: of a split file by its order, of other data whatever the order of the
    /// rows.</param>
    public static ImageSets Draw(ImageSets sets, int shots, int seed)
    {
        // One generator for training and then validation, as in CoOp.
        PythonRandom? python = sets.IsCoOpSplit ? new PythonRandom(seed) : null;
        return sets.With(
            (split, rows) =>
                split switch
                {
                    ImageSplit.Train => Draw(rows, shots, split),
                    ImageSplit.Validation => Draw(rows, Math.Min(shots, MostForValidation), split),
                    _ => rows,
                }
        );

        ImageRow[] Draw(IReadOnlyList<ImageRow> rows, int most, ImageSplit split) =>
            python is null ? InAnyOrder(rows, most, seed, split) : AsCoOp(rows, most, python);
    }

    /// <summary>Classes in the order in which they first occur; those that have too few give all and take nothing from the
    /// generator.</summary>
    private static ImageRow[] AsCoOp(IReadOnlyList<ImageRow> rows, int shots, PythonRandom random) =>
        [
            .. rows.GroupBy(row => row.Label, StringComparer.Ordinal)
                .SelectMany(group =>
                {
                    ImageRow[] all = [.. group];
                    return all.Length < shots ? all : random.Sample(all.Length, shots).Select(index => all[index]);
                }),
        ];

    private static ImageRow[] InAnyOrder(IReadOnlyList<ImageRow> rows, int shots, int seed, ImageSplit split) =>
        [
            .. rows.GroupBy(row => row.Label, StringComparer.Ordinal)
                .OrderBy(group => group.Key, StringComparer.Ordinal)
                .SelectMany(group =>
                {
                    ImageRow[] ordered = [.. group.OrderBy(row => row.ImagePath, StringComparer.Ordinal)];
                    // A generator of its own for each class: one class more does not change what the others get.
                    byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{split}/{group.Key}"));
                    new Random(BinaryPrimitives.ReadInt32LittleEndian(hash)).Shuffle(ordered);
                    return ordered.Take(shots);
                }),
        ];
}
