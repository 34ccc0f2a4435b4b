namespace Microsoft.ML.Dpl.Optimization;

/// <summary>The learning rate of each epoch: one epoch of constant warm-up, then a cosine towards zero (Loshchilov, Hutter 2017, without
/// restarts).</summary>
internal static class LearningRateSchedule
{
    /// <summary>The rate of the first epoch, or the highest rate where that is lower.</summary>
    public const double WarmUp = 1e-5;

    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="epochs">The number of epochs of a whole run.</param>
    /// <param name="learningRate">The highest rate.</param>
    public static double At(int epoch, int epochs, double learningRate) =>
        epoch == 0 ? Math.Min(WarmUp, learningRate) : 0.5 * learningRate * (1 + Math.Cos(Math.PI * (epoch - 1) / epochs));
}
