using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>The weights of the image cache relative to CLIP's text classifier.</summary>
/// <param name="Alpha">Weight of the cache's logits.</param>
/// <param name="Beta">How fast the influence of a cached image falls with its distance.</param>
internal readonly record struct CacheWeights(double Alpha, double Beta)
{
    /// <summary>The paper's weights for ImageNet.</summary>
    public static CacheWeights Default { get; } = new(1, 5.5);
}

/// <summary>
/// Tip-Adapter's classifier (Zhang et al., ECCV 2022, arXiv 2207.09519, equations 4 to 6): the logits of an image embedding f are α ·
/// exp(−β (1 − f Kᵀ)) L + s · f Wᵀ, with the training images' embeddings K, their one-hot labels L, the classes' text embeddings W, and
/// CLIP's logit scale s.
/// </summary>
internal sealed class CacheModel : IDisposable
{
    /// <param name="keys">Embeddings of the training images, [image][width].</param>
    /// <param name="places">Zero-based class index of each training image.</param>
    /// <param name="texts">Text embeddings of the classes, [class][width].</param>
    /// <param name="logitScale">CLIP's factor on cosine similarities.</param>
    public CacheModel(IReadOnlyList<float[]> keys, IReadOnlyList<int> places, IReadOnlyList<float[]> texts, double logitScale)
    {
        using var scope = NewDisposeScope();
        Keys = FeatureTensors.Create(keys).DetachFromDisposeScope();
        Values = OneHot(places, texts.Count).DetachFromDisposeScope();
        Texts = FeatureTensors.Create(texts).DetachFromDisposeScope();
        LogitScale = logitScale;
    }

    /// <summary>Embeddings of the cached images, [images, width]; training changes them in place.</summary>
    public Tensor Keys { get; }

    /// <summary>One-hot labels of the cached images, [images, classes].</summary>
    public Tensor Values { get; }

    public double LogitScale { get; }

    private Tensor Texts { get; }

    /// <summary>Logits of CLIP's text classifier alone, [images, classes].</summary>
    public Tensor TextLogits(Tensor features) => features.matmul(Texts.t()).Times(LogitScale);

    /// <summary>Logits of the cache at an alpha of 1, [images, classes].</summary>
    /// <param name="affinity">Dot products with the keys, [images, cached images].</param>
    /// <param name="beta">See <see cref="CacheWeights"/>.</param>
    public Tensor CacheLogits(Tensor affinity, double beta) => affinity.OneMinus().Times(-beta).exp().matmul(Values);

    /// <summary>The weighted sum of both logits, [images, classes].</summary>
    public Tensor Logits(Tensor features, Tensor keys, CacheWeights weights) =>
        TextLogits(features).Plus(CacheLogits(features.matmul(keys.t()), weights.Beta).Times(weights.Alpha));

    /// <param name="images">Image embeddings, [image][width].</param>
    /// <param name="weights">Weights of the cache.</param>
    /// <returns>Probabilities, [image][class].</returns>
    public float[][] Probabilities(IReadOnlyList<float[]> images, CacheWeights weights)
    {
        if (images.Count == 0)
            return [];
        using var scope = NewDisposeScope();
        using var still = no_grad();
        return FeatureTensors.Rows(Logits(FeatureTensors.Create(images), Keys, weights).softmax(1));
    }

    public void Dispose()
    {
        Keys.Dispose();
        Values.Dispose();
        Texts.Dispose();
    }

    private static Tensor OneHot(IReadOnlyList<int> places, int classes) =>
        FeatureTensors.Create([
            .. places.Select(place =>
            {
                var row = new float[classes];
                row[place] = 1;
                return row;
            }),
        ]);
}
