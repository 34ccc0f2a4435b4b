using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tool.Studies.Methods;

/// <summary>How strongly a cache of images counts beside CLIP's texts.</summary>
/// <param name="Alpha">The cache's factor.</param>
/// <param name="Beta">How fast an image's say falls with its distance.</param>
internal readonly record struct CacheWeights(double Alpha, double Beta)
{
    /// <summary>Those of the paper for ImageNet.</summary>
    public static CacheWeights Default { get; } = new(1, 5.5);
}

/// <summary>
/// Tip-Adapter's classifier (Zhang et al., ECCV 2022, arXiv 2207.09519, equations 4 to 6): logits of an image's vector f are
/// α · exp(−β (1 − f Kᵀ)) L + s · f Wᵀ, with the training images' vectors K, their classes L as rows of zeros and a one, the classes' text
/// vectors W, and CLIP's factor s.
/// </summary>
internal sealed class CacheModel : IDisposable
{
    /// <param name="keys">[image][width].</param>
    /// <param name="places">Each image's class.</param>
    /// <param name="texts">[class][width].</param>
    /// <param name="logitScale">CLIP's factor on cosines.</param>
    public CacheModel(IReadOnlyList<float[]> keys, IReadOnlyList<int> places, IReadOnlyList<float[]> texts, double logitScale)
    {
        using var scope = NewDisposeScope();
        Keys = FeatureTensors.Create(keys).DetachFromDisposeScope();
        Values = OneHot(places, texts.Count).DetachFromDisposeScope();
        Texts = FeatureTensors.Create(texts).DetachFromDisposeScope();
        LogitScale = logitScale;
    }

    /// <summary>[images, width]; training changes them in place.</summary>
    public Tensor Keys { get; }

    /// <summary>[images, classes].</summary>
    public Tensor Values { get; }

    public double LogitScale { get; }

    private Tensor Texts { get; }

    /// <summary>[images, classes] logits of CLIP's texts alone.</summary>
    public Tensor TextLogits(Tensor features) => features.matmul(Texts.t()).Times(LogitScale);

    /// <summary>[images, classes]: what the cache adds at an alpha of 1.</summary>
    /// <param name="affinity">[images, cached images] products with the keys.</param>
    /// <param name="beta">See <see cref="CacheWeights"/>.</param>
    public Tensor CacheLogits(Tensor affinity, double beta) => affinity.OneMinus().Times(-beta).exp().matmul(Values);

    /// <summary>Their sum.</summary>
    public Tensor Logits(Tensor features, Tensor keys, CacheWeights weights) =>
        TextLogits(features).Plus(CacheLogits(features.matmul(keys.t()), weights.Beta).Times(weights.Alpha));

    /// <param name="images">[image][width].</param>
    /// <param name="weights">Of the cache.</param>
    /// <returns>[image][class].</returns>
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
