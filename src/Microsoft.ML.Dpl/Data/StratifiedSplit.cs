using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML.Dpl.Data;

/// <summary>A split into training and validation rows in which every class that has rows is on both sides.</summary>
/// <param name="Train">Row indices, ascending.</param>
/// <param name="Validation">Row indices, ascending; none of them is in <paramref name="Train"/>.</param>
internal sealed record StratifiedSplit(IReadOnlyList<int> Train, IReadOnlyList<int> Validation)
{
    /// <summary>Takes <paramref name="perClass"/> validation rows from each class, or all but one if a class does not have more.</summary>
    /// <param name="labels">The class index of each row.</param>
    /// <param name="classNames">Names by class index, for messages; classes without rows are allowed.</param>
    /// <param name="perClass">Validation rows of each class, at least 1.</param>
    /// <param name="seed">Seed that determines the rows taken; those of a class do not depend on the other classes.</param>
    /// <exception cref="InvalidOperationException">A class has a single row.</exception>
    public static StratifiedSplit ByCount(IReadOnlyList<int> labels, IReadOnlyList<string> classNames, int perClass, int seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(perClass, 1);
        return Split(labels, classNames, _ => perClass, seed);
    }

    /// <summary>Takes a fraction of each class's rows, rounded to the nearest number, but at least one and never all.</summary>
    /// <param name="labels">The class index of each row.</param>
    /// <param name="classNames">Names by class index, for messages; classes without rows are allowed.</param>
    /// <param name="fraction">The fraction of each class's rows, between 0 and 1, both excluded.</param>
    /// <param name="seed">Seed that determines the rows taken; those of a class do not depend on the other classes.</param>
    /// <exception cref="InvalidOperationException">A class has a single row.</exception>
    public static StratifiedSplit ByFraction(IReadOnlyList<int> labels, IReadOnlyList<string> classNames, double fraction, int seed)
    {
        if (!(fraction is > 0 and < 1))
            throw new ArgumentOutOfRangeException(nameof(fraction), fraction, "The fraction must be above 0 and below 1.");
        return Split(labels, classNames, rows => (int)Math.Round(fraction * rows), seed);
    }

    private static StratifiedSplit Split(IReadOnlyList<int> labels, IReadOnlyList<string> classNames, Func<int, int> wanted, int seed)
    {
        var rowsByClass = new List<int>[classNames.Count];
        for (int row = 0; row < labels.Count; row++)
        {
            int label = labels[row];
            if ((uint)label >= (uint)rowsByClass.Length)
                throw new ArgumentOutOfRangeException(
                    nameof(labels),
                    label,
                    $"Row {row} has a class index outside 0 to {rowsByClass.Length - 1}."
                );
            (rowsByClass[label] ??= []).Add(row);
        }

        List<int> train = [],
            validation = [];
        for (int label = 0; label < rowsByClass.Length; label++)
        {
            if (rowsByClass[label] is not { } all)
                continue;
            if (all.Count == 1)
                throw new InvalidOperationException(
                    $"Class '{classNames[label]}' has one row, but every class needs a training row and a validation row: add rows, so "
                        + "that it has at least 2, or leave the class out."
                );
            int[] rows = [.. all];
            Seeds.Random(seed, "split", label).Shuffle(rows);
            int taken = Math.Clamp(wanted(rows.Length), 1, rows.Length - 1);
            validation.AddRange(rows.AsSpan(0, taken));
            train.AddRange(rows.AsSpan(taken));
        }
        train.Sort();
        validation.Sort();
        return new StratifiedSplit(train, validation);
    }
}
