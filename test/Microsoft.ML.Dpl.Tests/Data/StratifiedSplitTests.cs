using Microsoft.ML.Dpl.Data;

namespace Microsoft.ML.Dpl.Tests.Data;

public sealed class StratifiedSplitTests
{
    public static TheoryData<int> Seeds => [.. Enumerable.Range(0, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void EveryRowIsOnOneSideAndEveryClassOnBoth(int seed)
    {
        var random = new Random(seed);
        int classes = random.Next(1, 9);
        int[] counts = [.. Enumerable.Range(0, classes).Select(_ => random.Next(6) is var n && n == 1 ? 0 : n)];
        int[] labels = [.. counts.SelectMany((n, c) => Enumerable.Repeat(c, n))];
        random.Shuffle(labels);
        string[] names = [.. counts.Select((_, c) => $"class {c}")];
        int wanted = random.Next(1, 5);

        foreach (
            StratifiedSplit split in (StratifiedSplit[])
                [StratifiedSplit.ByCount(labels, names, wanted, seed), StratifiedSplit.ByFraction(labels, names, 0.25, seed)]
        )
        {
            Assert.Equal(Enumerable.Range(0, labels.Length), split.Train.Concat(split.Validation).Order());
            Assert.Equal(split.Train.Order(), split.Train);
            Assert.Equal(split.Validation.Order(), split.Validation);
            for (int c = 0; c < classes; c++)
            {
                if (counts[c] == 0)
                    continue;
                Assert.Contains(split.Train, r => labels[r] == c);
                Assert.Contains(split.Validation, r => labels[r] == c);
            }
        }
        StratifiedSplit byCount = StratifiedSplit.ByCount(labels, names, wanted, seed);
        for (int c = 0; c < classes; c++)
            if (counts[c] > 0)
                Assert.Equal(Math.Min(wanted, counts[c] - 1), byCount.Validation.Count(r => labels[r] == c));
    }

    [Fact]
    public void SeedsDecideAndNothingElse()
    {
        int[] labels = [.. Enumerable.Range(0, 60).Select(i => i % 3)];
        StratifiedSplit first = StratifiedSplit.ByCount(labels, ["a", "b", "c"], 5, 1),
            again = StratifiedSplit.ByCount(labels, ["a", "b", "c"], 5, 1);
        Assert.Equal(first.Train, again.Train);
        Assert.Equal(first.Validation, again.Validation);
        Assert.NotEqual(first.Validation, StratifiedSplit.ByCount(labels, ["a", "b", "c"], 5, 2).Validation);
    }

    [Theory]
    [InlineData(0.1, 2)]
    [InlineData(0.5, 10)]
    [InlineData(0.001, 1)]
    [InlineData(0.999, 19)]
    public void FractionsAreRoundedButLeaveBothSidesARow(double fraction, int expected) =>
        Assert.Equal(expected, StratifiedSplit.ByFraction(new int[20], ["a"], fraction, 1).Validation.Count);

    [Fact]
    public void NamesAClassOfOneRow()
    {
        string message = Assert
            .Throws<InvalidOperationException>(() => StratifiedSplit.ByCount([0, 0, 2], ["cat", "dog", "fox"], 1, 1))
            .Message;
        Assert.Contains("'fox' has one row", message);
        Assert.Contains("at least 2", message);
    }

    [Fact]
    public void RefusesArgumentsOutOfRange()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => StratifiedSplit.ByCount([0, 0], ["a"], 0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => StratifiedSplit.ByCount([0, 1], ["a"], 1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => StratifiedSplit.ByCount([0, -1], ["a"], 1, 1));
        foreach (double fraction in (double[])[0, 1, double.NaN])
            Assert.Throws<ArgumentOutOfRangeException>(() => StratifiedSplit.ByFraction([0, 0], ["a"], fraction, 1));
    }
}
