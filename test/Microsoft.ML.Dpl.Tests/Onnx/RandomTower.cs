using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Onnx;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tests.Network;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Tests.Onnx;

/// <summary>A random CLIP's image tower with random prompts and classes.</summary>
internal sealed class RandomTower : IDisposable
{
    public const int Classes = 7;

    private readonly IDisposable _scope;
    private readonly RandomClip _clip;
    private readonly Generator _generator;

    public RandomTower(ClipConfig config, int[] lengths)
        : this(config, (clip, generator) => WithLengths(lengths, clip, generator)) { }

    private RandomTower(ClipConfig config, Func<RandomClip, Generator, FoldedImageTower> fold)
    {
        LibTorch.EnsureLoaded();
        _scope = NewDisposeScope();
        _clip = new RandomClip(config, seed: 3);
        _generator = Seeds.Generator(4, "onnx");
        Classifier = new FoldedClassifier(
            fold(_clip, _generator),
            PromptedClip.UnitRows(randn([Classes, config.EmbeddingWidth], generator: _generator)),
            20
        );
    }

    /// <summary>A tower with random prompts and mixture weights, with the same candidates in every layer.</summary>
    public static RandomTower WithMixture(ClipConfig config, int[] candidates) => new(config, (clip, generator) =>
        {
            using MixtureBranch branch = RandomMixture.Branch(candidates, config.Image, generator);
            return new FoldedImageTower(clip.Image, branch.Layers());
        });

    /// <summary>The shape of a small CLIP, named by its special feature.</summary>
    public static ClipConfig ShapeOf(string name) =>
        name switch
        {
            "gelu" => RandomClip.Shape(activation: ClipActivation.Gelu),
            // Three columns of pixels are left over, too few for a patch; the only layer is both first and last.
            "odd" => RandomClip.Shape(imageSize: 23, patch: 5, imageLayers: 1, imageWidth: 22, imageHeads: 2),
            "wide" => RandomClip.Shape(imageSize: 12, patch: 12, imageLayers: 2, imageWidth: 40, imageHeads: 1),
            _ => RandomClip.Shape(),
        };

    private static FoldedImageTower WithLengths(int[] lengths, RandomClip clip, Generator generator) =>
        new(clip.Image, [.. lengths.Select(length => length == 0 ? null : randn([length, clip.Config.Image.Width], generator: generator))]);

    public FoldedClassifier Classifier { get; }

    public Tensor Images(int batch) => randn([batch, 3, _clip.Config.ImageSize, _clip.Config.ImageSize], generator: _generator);

    public byte[] Written(OnnxPrecision precision = OnnxPrecision.Float32)
    {
        using var stream = new MemoryStream();
        OnnxImageModel.Write(OnnxClassifier.Create(ClassifierArrays.From(Classifier), [], precision: precision), stream);
        return stream.ToArray();
    }

    public void Dispose()
    {
        Classifier.Tower.Dispose();
        _generator.Dispose();
        _clip.Dispose();
        _scope.Dispose();
    }
}
