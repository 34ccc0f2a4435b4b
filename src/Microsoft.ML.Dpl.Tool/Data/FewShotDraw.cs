using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Microsoft.ML.Dpl.Tool.Data;

/// <summary>
/// Draws the images of a few-shot experiment: a given number per class for training, and the same number but at most 4 per class for
/// validation. From a split file of CoOp it draws exactly the images that CoOp's code (Zhou et al., IJCV 2022, arXiv 2109.01134) and code
/// derived from it draw with the same seed.
/// </summary>
internal static class FewShotDraw
{
    private const int MostForValidation = 4;

    /// <param name="sets">The images; not modified. A class with fewer images contributes all it has; test images are left as they
    /// are.</param>
    /// <param name="shots">Number of images per class, at least 1.</param>
    /// <param name="seed">Equal seeds draw the same images. For a split file the draw depends on the order of its rows, for other data it
    /// does not.</param>
    public static ImageSets Draw(ImageSets sets, int shots, int seed)
    {
        // One generator for training and then validation, as in CoOp's code.
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

    /// <summary>Draws as CoOp's code does: classes in the order of first occurrence; a class with too few images contributes all of them
    /// without consuming random numbers.</summary>
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
                    // A separate generator per class, so that adding a class does not change what is drawn from the others.
                    byte[] hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{seed}/{split}/{group.Key}"));
                    new Random(BinaryPrimitives.ReadInt32LittleEndian(hash)).Shuffle(ordered);
                    return ordered.Take(shots);
                }),
        ];
}
