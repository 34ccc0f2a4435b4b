namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>What is read from the probabilities of an image's classes.</summary>
internal static class ClassProbabilities
{
    // Keeps one mistake that a model is certain of from making a mean infinite.
    private const double LeastProbability = 1e-15;

    /// <summary>The index of the most probable class, the first one in a tie.</summary>
    public static int Best(float[] probabilities) => Array.IndexOf(probabilities, probabilities.Max());

    /// <summary>The negative natural logarithm of the true class's probability, which is raised to at least 1e-15.</summary>
    public static double LogLoss(double trueProbability) => -Math.Log(Math.Max(trueProbability, LeastProbability));
}
