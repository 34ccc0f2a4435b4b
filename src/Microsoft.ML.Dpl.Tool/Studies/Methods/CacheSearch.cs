using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>Chooses Tip-Adapter's two weights on validation images. Its authors' code has grids of 20 alphas and 200 betas, whose ends
/// differ by data set: alphas end below 3, 10, 13 or 30, betas below 7, 12, 13 or 30. Here all these alphas are tried with the betas that
/// end below 30, so that no data set needs its own grid.</summary>
internal static class CacheSearch
{
    // Limits the memory, since logits are computed for all alphas at once.
    private const int Chunk = 128;

    public static IReadOnlyList<double> Alphas { get; } =
    [
        .. new double[] { 3, 10, 13, 30 }
            .SelectMany(end => Grid(20, end))
            .Distinct()
            .Order(),
    ];

    public static IReadOnlyList<double> Betas { get; } = Grid(200, 30);

    /// <param name="model">The model, with its final keys.</param>
    /// <param name="images">Image features [image][width], at least one.</param>
    /// <param name="places">Each image's class.</param>
    /// <param name="cancellationToken">Checked between betas.</param>
    /// <returns>The best weights, among equally good ones those with the smallest beta and then the smallest alpha, and their
    /// score.</returns>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public static (CacheWeights Weights, LabelScore Score) Best(
        CacheModel model,
        IReadOnlyList<float[]> images,
        IReadOnlyList<int> places,
        CancellationToken cancellationToken
    )
    {
        var scores = new LabelScore[Betas.Count * Alphas.Count];
        using var still = no_grad();
        for (int start = 0; start < images.Count; start += Chunk)
        {
            float[][] some = [.. images.Skip(start).Take(Chunk)];
            Add(scores, model, some, [.. places.Skip(start).Take(Chunk).Select(place => (long)place)], cancellationToken);
        }
        int best = 0;
        for (int i = 1; i < scores.Length; i++)
            best = scores[i].IsBetterThan(scores[best]) ? i : best;
        return (new CacheWeights(Alphas[best % Alphas.Count], Betas[best / Alphas.Count]), scores[best]);
    }

    private static void Add(
        LabelScore[] scores,
        CacheModel model,
        IReadOnlyList<float[]> images,
        long[] places,
        CancellationToken cancellationToken
    )
    {
        using var scope = NewDisposeScope();
        Tensor features = FeatureTensors.Create(images);
        Tensor texts = model.TextLogits(features),
            affinity = features.matmul(model.Keys.t());
        Tensor labels = tensor(places);
        Tensor alphas = FeatureTensors
            .Create([
                [.. Alphas.Select(alpha => (float)alpha)],
            ])
            .reshape(Alphas.Count, 1, 1);
        Tensor picks = labels.reshape(1, -1, 1).expand(Alphas.Count, -1, 1);
        for (int b = 0; b < Betas.Count; b++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var step = NewDisposeScope();
            Tensor logits = (alphas * model.CacheLogits(affinity, Betas[b])).Plus(texts); // [alphas, images, classes]
            long[] right = [.. logits.argmax(2).eq(labels).sum(1).data<long>()];
            float[] losses = [.. (-logits.log_softmax(2).gather(2, picks)).sum([1, 2]).data<float>()];
            for (int a = 0; a < Alphas.Count; a++)
            {
                ref LabelScore score = ref scores[b * Alphas.Count + a];
                score = new LabelScore(score.Right + right[a], score.Loss + losses[a]);
            }
        }
    }

    private static double[] Grid(int count, double end) => [.. Enumerable.Range(0, count).Select(i => 0.1 + i * (end - 0.1) / count)];
}
