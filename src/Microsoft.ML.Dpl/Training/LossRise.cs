namespace Microsoft.ML.Dpl.Training;

/// <summary>Tells steps that are too long from the noise of batches and crops, while all numbers are finite.</summary>
internal static class LossRise
{
    /// <summary>Whether an epoch's mean training loss lies far above the first epoch's, in which the prompts hardly moved.</summary>
    public static bool IsLarge(double first, double now) => now > 1.5 * first && now > first + 0.5;
}
