namespace Microsoft.ML.Dpl.Training;

/// <summary>The learning rate of each epoch: one epoch of constant warm-up, then a cosine towards zero (Loshchilov, Hutter 2017, without restarts).</summary>
internal static class LearningRateSchedule
{
    private const double WarmUp = 1e-5;

    /// <param name="epoch">From 0.</param>
    /// <param name="epochs">How many there will be.</param>
    /// <param name="learningRate">The highest rate.</param>
    public static double At(int epoch, int epochs, double learningRate)
        => epoch == 0 ? WarmUp : 0.5 * learningRate * (1 + Math.Cos(Math.PI * (epoch - 1) / epochs));
}
