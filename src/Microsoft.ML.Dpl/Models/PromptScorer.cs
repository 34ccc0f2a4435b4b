using System.Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Prompted CLIP with everything constant folded: the image tower and a matrix of class features. Thread-safe.</summary>
internal sealed class PromptScorer : IImageScorer, IDisposable
{
    private readonly Lease<VisionWeights> _vision;
    private readonly FoldedImageTower _tower;
    private readonly Tensor _classFeatures; // [classes, embedding]
    private readonly double _logitScale;
    private readonly ClipImageProcessor _processor;
    private readonly Device _device;
    private readonly double _covered; // share of the crop's side that whole patches cover

    private readonly UseGate _gate = new("Microsoft.ML.Dpl.DplTransformer");

    /// <param name="backbone">Its image tower is rented until this is disposed.</param>
    /// <param name="prompts">Not kept.</param>
    /// <param name="batchSize">Most images one forward pass takes.</param>
    /// <param name="device">Where it computes.</param>
    public PromptScorer(ClipBackbone backbone, TrainedPrompts prompts, int batchSize, Device device)
    {
        using var scope = NewDisposeScope();
        using var ordinary = inference_mode(false);
        (_logitScale, _processor, _device, BatchSize) = (prompts.LogitScale, backbone.CreateImageProcessor(), device, batchSize);
        _covered = (double)backbone.Config.Grid * backbone.Config.PatchSize / backbone.Config.ImageSize;
        _vision = backbone.RentVision(device);
        try
        {
            _tower = prompts.Rows.FoldedInto(_vision.Value, device);
            _classFeatures = prompts.ClassFeatures.to(device, copy: true).DetachFromDisposeScope();
        }
        catch
        {
            // A lease that nobody returns would keep CLIP in memory for good.
            _tower?.Dispose();
            _vision.Dispose();
            throw;
        }
    }

    public int BatchSize { get; }

    /// <summary>What it computes with, valid within <see cref="Use"/>.</summary>
    public FoldedClassifier Classifier => new(_tower, _classFeatures, _logitScale);

    /// <summary>How images are prepared.</summary>
    public ClipImageProcessorConfig Preprocessing => _processor.Config;

    public byte[] Prepare(RgbImage image) => _processor.Prepare(image);

    /// <summary>[3, size, size] as the image tower takes an image.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public float[] Pixels(RgbImage image) => Use(() => Normalised([Prepare(image)]).cpu().data<float>().ToArray());

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single image.</exception>
    public float[][] Score(IReadOnlyList<byte[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            images =>
                Use(() =>
                {
                    Tensor probabilities = Classifier.Logits(Normalised(images)).softmax(-1);
                    return probabilities.cpu().data<float>().ToArray().Chunk((int)_classFeatures.shape[0]).ToArray();
                }),
            "classifying one image",
            "Let the process have more, end others, or use a model of a smaller CLIP."
        );

    /// <summary>What the patches of an image contribute to a class, and the rectangle of the image that they cover, in its
    /// pixels.</summary>
    /// <param name="image">Of any size.</param>
    /// <param name="chosen">Index of the class; null: the most probable one.</param>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public (PatchRelevance Relevance, RectangleF Seen) Explain(RgbImage image, int? chosen)
    {
        PatchRelevance relevance = Use(() => PatchRelevance.Of(_tower, Normalised([Prepare(image)]), _classFeatures, _logitScale, chosen));
        var (x, y, width, height) = _processor.CropOf(image.Width, image.Height);
        // Pixels that fill no whole patch lie at the right and at the bottom.
        return (relevance, new RectangleF((float)x, (float)y, (float)(width * _covered), (float)(height * _covered)));
    }

    /// <summary>Does something with the transformer's tensors, which a dispose waits for; in a dispose scope of its own.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public T Use<T>(Func<T> work) =>
        _gate.Use(() =>
        {
            // A caller in inference mode would get tensors that no gradient passes.
            using var ordinary = inference_mode(false);
            using var scope = NewDisposeScope();
            return work();
        });

    public void Dispose() =>
        _gate.Dispose(() =>
        {
            _tower.Dispose();
            _classFeatures.Dispose();
            _vision.Dispose();
        });

    /// <summary>[n, 3, size, size] in the caller's dispose scope.</summary>
    private Tensor Normalised(IReadOnlyList<byte[]> prepared)
    {
        int size = _processor.ImageSize;
        Tensor pixels = empty([prepared.Count, 3, size, size], ScalarType.Byte);
        for (int i = 0; i < prepared.Count; i++)
            prepared[i].CopyTo(pixels.bytes.Slice(i * 3 * size * size, 3 * size * size));
        return _processor.Normalise(pixels.to(_device));
    }
}
