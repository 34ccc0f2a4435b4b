namespace Microsoft.ML.Dpl.Optimization;

/// <summary>Learning rates that fall as a cosine towards zero (Loshchilov, Hutter 2017, without restarts).</summary>
internal static class LearningRateSchedule
{
    /// <summary>Learning rate of the paper's first epoch; <see cref="At"/> caps it at the highest rate.</summary>
    public const double WarmUp = 1e-5;

    /// <summary>The paper's learning rate, which changes once per epoch: one epoch of constant warm-up, then the cosine.</summary>
    /// <param name="epoch">The epoch, from 0.</param>
    /// <param name="epochs">The number of epochs of a whole run.</param>
    /// <param name="learningRate">The highest rate.</param>
    public static double At(int epoch, int epochs, double learningRate) =>
        epoch == 0 ? Math.Min(WarmUp, learningRate) : 0.5 * learningRate * (1 + Math.Cos(Math.PI * (epoch - 1) / epochs));

    /// <summary>A learning rate that changes every step, as a fraction of the highest: a linear warm-up over the first tenth of the steps,
    /// then the cosine.</summary>
    /// <param name="step">The step of the run, from 0.</param>
    /// <param name="steps">The number of steps of the run, at least 1.</param>
    /// <returns>Above 0, at most 1.</returns>
    public static double ShareAt(long step, long steps)
    {
        long warmUp = steps / 10;
        return step < warmUp ? (step + 1d) / (warmUp + 1) : 0.5 * (1 + Math.Cos(Math.PI * (step - warmUp) / (steps - warmUp)));
    }
}
