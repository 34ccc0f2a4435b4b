namespace Microsoft.ML.Dpl.Optimization;

/// <summary>What is wrong with a stage's losses while all of them are finite.</summary>
internal enum LossTrouble
{
    None,

    /// <summary>The latest epoch's mean lies far above the first one's, in which the prompts hardly moved.</summary>
    Risen,

    /// <summary>The latest two epochs' means are those of guessing: the prompts drown images or class names, all classes get the same
    /// probability, and no gradient leads back.</summary>
    Chance,
}

/// <summary>Finds trouble in the mean training losses of a stage's epochs.</summary>
internal static class LossTroubles
{
    // Beyond the noise of batches and crops: by half as much again, and by this much where the first loss is small.
    private const double LargeFactor = 1.5,
        LargeRise = 0.5;

    // A loss of drowned prompts is ln(classes) up to rounding; others only pass it.
    private const double NearChance = 2e-3;

    /// <param name="losses">In nats, the first epoch first.</param>
    /// <param name="classes">The number of classes, at least 2.</param>
    public static LossTrouble Find(IReadOnlyList<double> losses, int classes)
    {
        if (losses.Count < 2)
            return LossTrouble.None;
        double first = losses[0],
            now = losses[^1];
        if (IsChance(now, classes) && IsChance(losses[^2], classes))
            return LossTrouble.Chance;
        return now > LargeFactor * first && now > first + LargeRise ? LossTrouble.Risen : LossTrouble.None;
    }

    /// <summary>Whether a mean loss is that of guessing among so many classes.</summary>
    public static bool IsChance(double loss, int classes) => Math.Abs(loss - Math.Log(classes)) <= NearChance * Math.Log(classes);
}
