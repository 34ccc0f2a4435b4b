using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>How well probabilities fit the labels of images. Settings are compared by the number of correct images and, if that is equal,
/// by the lower loss, since ties are frequent with few images.</summary>
/// <param name="Right">Number of images whose most probable class is the true one.</param>
/// <param name="Loss">Sum over the images of the negative natural logarithm of the true class's probability, which is raised to at least
/// 1e-15.</param>
internal readonly record struct LabelScore(long Right, double Loss)
{
    /// <param name="probabilities">[image][class].</param>
    /// <param name="labels">The index of each image's true class.</param>
    public static LabelScore Compute(IReadOnlyList<float[]> probabilities, IReadOnlyList<int> labels)
    {
        long right = 0;
        double loss = 0;
        foreach (var (scores, label) in probabilities.Zip(labels))
        {
            if (ClassProbabilities.Best(scores) == label)
                right++;
            loss += ClassProbabilities.LogLoss(scores[label]);
        }
        return new LabelScore(right, loss);
    }

    /// <summary>Whether this score is strictly better than the other.</summary>
    public bool IsBetterThan(LabelScore other) => Right > other.Right || (Right == other.Right && Loss < other.Loss);
}
