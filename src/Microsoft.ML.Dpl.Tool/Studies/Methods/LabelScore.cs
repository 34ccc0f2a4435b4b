namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>How well probabilities fit the labels of images. Settings are compared by how many are right and, of equals, by the lower loss,
/// since few images often leave several alike.</summary>
/// <param name="Right">Images whose most probable class is theirs.</param>
/// <param name="Loss">Sum over the images of the negative logarithm of their class's probability; those below 1e-15 count as
/// that.</param>
internal readonly record struct LabelScore(long Right, double Loss)
{
    private const double LeastProbability = 1e-15;

    /// <param name="probabilities">[image][class].</param>
    /// <param name="labels">The place of each image's class.</param>
    public static LabelScore Compute(IReadOnlyList<float[]> probabilities, IReadOnlyList<int> labels)
    {
        long right = 0;
        double loss = 0;
        foreach (var (scores, label) in probabilities.Zip(labels))
        {
            if (Array.IndexOf(scores, scores.Max()) == label)
                right++;
            loss -= Math.Log(Math.Max(scores[label], LeastProbability));
        }
        return new LabelScore(right, loss);
    }

    /// <summary>Of equals neither is better.</summary>
    public bool IsBetterThan(LabelScore other) => Right > other.Right || (Right == other.Right && Loss < other.Loss);
}
