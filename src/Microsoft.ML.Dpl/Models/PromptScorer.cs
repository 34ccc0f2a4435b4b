using System.Drawing;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Network;
using Microsoft.ML.Dpl.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Models;

/// <summary>Prompted CLIP with everything constant folded in: only the image tower and a matrix of class features remain.
/// Thread-safe.</summary>
internal sealed class PromptScorer : IImageScorer, IDisposable
{
    private readonly ImageEncoder _encoder;
    private readonly Tensor _classFeatures; // [classes, embedding]
    private readonly double _logitScale;

    private readonly TensorGate _gate = new("Microsoft.ML.Dpl.DplTransformer");

    /// <param name="backbone">The CLIP; its image tower is rented until this object is disposed.</param>
    /// <param name="prompts">The trained prompts; copied, so the caller may dispose them.</param>
    /// <param name="batchSize">Maximum number of images per forward pass.</param>
    /// <param name="device">The device to compute on.</param>
    public PromptScorer(ClipBackbone backbone, TrainedPrompts prompts, int batchSize, Device device)
    {
        using var scope = NewDisposeScope();
        using var ordinary = inference_mode(false);
        (_logitScale, BatchSize) = (prompts.LogitScale, batchSize);
        _encoder = new ImageEncoder(backbone, weights => prompts.Rows.FoldedInto(weights, device), device);
        try
        {
            _classFeatures = prompts.ClassFeatures.to(device, copy: true).DetachFromDisposeScope();
        }
        catch
        {
            _encoder.Dispose();
            throw;
        }
    }

    public int BatchSize { get; }

    /// <summary>The folded classifier; valid only within <see cref="Use"/>.</summary>
    public FoldedClassifier Classifier => new(_encoder.Tower, _classFeatures, _logitScale);

    /// <summary>The image preprocessing.</summary>
    public ClipImageProcessorConfig Preprocessing => _encoder.Preprocessing;

    public byte[] Prepare(RgbImage image) => _encoder.Prepare(image);

    /// <summary>The preprocessed, normalised image, [3, size, size], as the image tower expects it.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public float[] Pixels(RgbImage image) => Use(() => _encoder.Normalised([Prepare(image)]).cpu().data<float>().ToArray());

    /// <inheritdoc/>
    /// <exception cref="InsufficientMemoryException">There is not enough memory for a single image.</exception>
    public float[][] Score(IReadOnlyList<byte[]> prepared) =>
        MemoryShortage.InParts(
            prepared,
            images =>
                Use(() =>
                {
                    Tensor probabilities = Classifier.Logits(_encoder.Normalised(images)).softmax(-1);
                    return probabilities.cpu().data<float>().ToArray().Chunk((int)_classFeatures.shape[0]).ToArray();
                }),
            "classifying one image",
            "Give this process more memory, end other processes, or use a model of a smaller CLIP."
        );

    /// <summary>How much each patch of an image contributes to a class, and the rectangle that the patches cover, in pixels of the
    /// image.</summary>
    /// <param name="image">An image of any size.</param>
    /// <param name="chosen">Index of the class; null for the most probable one.</param>
    /// <exception cref="ObjectDisposedException">The transformer was disposed.</exception>
    public (PatchRelevance Relevance, RectangleF Seen) Explain(RgbImage image, int? chosen)
    {
        PatchRelevance relevance = Use(() =>
            PatchRelevance.Compute(_encoder.Tower, _encoder.Normalised([Prepare(image)]), _classFeatures, _logitScale, chosen)
        );
        return (relevance, _encoder.Seen(image.Width, image.Height));
    }

    /// <inheritdoc cref="TensorGate.Use"/>
    public T Use<T>(Func<T> work) => _gate.Use(work);

    public void Dispose() =>
        _gate.Dispose(() =>
        {
            _encoder.Dispose();
            _classFeatures.Dispose();
        });
}
