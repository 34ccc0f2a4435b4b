using Microsoft.ML.Dpl.Tests;
using Microsoft.ML.Dpl.Tool.Data;

namespace Microsoft.ML.Dpl.Tool.Tests.Data;

/// <summary>Draws of a split file are those that CoOp makes with the same seed.</summary>
public sealed class FewShotDrawTests
{
    /// <summary>Images of each class of Caltech101, in the order of its split file, which uses half of them for training and a fifth for
    /// validation.</summary>
    private static readonly int[] Caltech101 =
    [
        435,
        200,
        796,
        55,
        797,
        42,
        42,
        47,
        54,
        46,
        33,
        127,
        98,
        43,
        85,
        91,
        50,
        43,
        123,
        47,
        59,
        62,
        107,
        47,
        69,
        73,
        70,
        50,
        51,
        57,
        67,
        52,
        65,
        68,
        75,
        64,
        53,
        64,
        85,
        67,
        67,
        45,
        34,
        34,
        51,
        99,
        100,
        42,
        54,
        88,
        80,
        31,
        64,
        86,
        114,
        61,
        81,
        78,
        41,
        66,
        43,
        40,
        87,
        32,
        76,
        55,
        35,
        39,
        47,
        38,
        45,
        53,
        34,
        57,
        82,
        59,
        49,
        40,
        63,
        39,
        84,
        57,
        35,
        64,
        45,
        86,
        59,
        64,
        35,
        85,
        49,
        86,
        75,
        238,
        37,
        59,
        34,
        56,
        39,
        60,
    ];

    /// <summary>The expected numbers come from CPython's <c>random.seed(seed); random.sample(range(count), taken)</c>.</summary>
    [Theory]
    [InlineData(0, 30, new[] { 27, 12, 24, 28 })]
    [InlineData(1, 217, new[] { 34, 145, 216, 205, 195, 16, 65, 30, 126, 194, 115, 120, 166, 97, 201, 53 })]
    [InlineData(1, 20, new[] { 4, 18, 2, 8, 3, 7, 12, 14, 13, 10, 6, 15, 1, 16, 0, 9 })]
    [InlineData(2, 87, new[] { 7, 11, 10, 46 })]
    [InlineData(-3, 1000, new[] { 243, 606, 557, 133, 378, 937, 618, 485, 640, 594, 67, 620, 13, 930, 857, 480 })]
    [InlineData(
        int.MaxValue,
        100000,
        new[] { 41649, 15776, 25735, 38059, 94115, 43550, 980, 70560, 25342, 20152, 28583, 67845, 57638, 44334, 82610, 89629 }
    )]
    [InlineData(7, 5, new[] { 2, 1, 3, 0, 4 })]
    [InlineData(7, 100, new int[0])]
    public void Samples_are_those_of_Python(int seed, int count, int[] expected) =>
        Assert.Equal(expected, new PythonRandom(seed).Sample(count, expected.Length));

    /// <summary>One generator draws for all classes in turn; the expected numbers are CPython's with seed 1.</summary>
    [Fact]
    public void One_generator_goes_on_from_class_to_class()
    {
        var random = new PythonRandom(1);
        int[][] drawn = [.. new[] { 217, 99, 21, 22, 85, 86 }.Select(count => random.Sample(count, 16))];
        Assert.Equal([12, 62, 3, 49, 55, 77, 97, 98, 0, 89, 57, 34, 92, 29, 75, 13], drawn[1]);
        Assert.Equal([7, 11, 21, 19, 14, 9, 0, 6, 13, 8, 10, 1, 2, 4, 20, 5], drawn[3]);
        Assert.Equal([85, 22, 46, 70, 47, 11, 56, 84, 65, 13, 20, 66, 50, 62, 3, 60], drawn[5]);
    }

    /// <summary>The split file is not available, but three draws from it are: whatever different seeds draw from one position of the file
    /// must be the same image, and no image may have two positions.</summary>
    [Fact]
    public void The_draws_of_Caltech101_fit_one_split_file()
    {
        (string Path, string Label)[] Table(string name) =>
            [
                .. File.ReadLines(GoldenFolder.At($"draws/caltech101/{name}"))
                    .Skip(1)
                    .Select(line => line.Split('\t'))
                    .Select(fields => (fields[0], fields[1])),
            ];
        string[] classes = [.. Table("shot16-seed1.train.tsv").Select(row => row.Label).Distinct()];
        Assert.Equal(Caltech101.Length, classes.Length);
        ImageRow[] Places(double share) =>
            [
                .. classes
                    .Zip(Caltech101)
                    .SelectMany(pair =>
                        Enumerable
                            .Range(0, (int)Math.Round(pair.Second * share))
                            .Select(i => new ImageRow { ImagePath = $"{pair.First} {i}", Label = pair.First })
                    ),
            ];
        var sets = new ImageSets("split", Places(0.5), Places(0.2), []) { IsCoOpSplit = true };

        var image = new Dictionary<string, string>();
        int shared = 0;
        foreach (int seed in new[] { 1, 2, 3 })
        {
            ImageSets drawn = FewShotDraw.Draw(sets, 16, seed);
            foreach (var (rows, name) in new[] { (drawn.Train, "train"), (drawn.Validation, "val") })
            {
                (string Path, string Label)[] expected = Table($"shot16-seed{seed}.{name}.tsv");
                Assert.Equal(expected.Select(row => row.Label), rows.Select(row => row.Label));
                foreach (var (place, path) in rows.Zip(expected, (row, e) => ($"{name} {row.ImagePath}", e.Path)))
                {
                    if (image.TryAdd(place, path))
                        continue;
                    Assert.Equal(image[place], path);
                    shared++;
                }
            }
        }
        Assert.Equal(image.Count, image.Values.Distinct().Count());
        // More than two thousand coincidences that another generator would not produce.
        Assert.InRange(shared, 2000, 3000);
    }

    [Fact]
    public void Classes_with_too_few_images_give_all_in_order()
    {
        ImageRow[] rows = [.. Enumerable.Range(0, 3).Select(i => new ImageRow { ImagePath = $"/{2 - i}", Label = "few" })];
        ImageSets drawn = FewShotDraw.Draw(new ImageSets("x", rows, rows, []) { IsCoOpSplit = true }, 4, seed: 1);
        Assert.Equal(rows, drawn.Train);
        Assert.Equal(rows, drawn.Validation);
    }
}
