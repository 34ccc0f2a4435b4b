using Microsoft.ML.Dpl.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Dpl.Clip;

/// <summary>A CLIP that was loaded from a model zip. Its weights exist only in memory, once, and are freed with the last lease.</summary>
internal sealed class CarriedClip : IClipSource
{
    private readonly string _sha256;
    private readonly ClipImageProcessorConfig _processor;
    private readonly ClipVocabulary? _vocabulary;

    // Passed to the first lease; from then on the leases own them.
    private ImageWeights? _image;
    private TextWeights? _text;

    /// <param name="sha256">The SHA-256 of the original weights.</param>
    /// <param name="processor">The image preprocessing.</param>
    /// <param name="image">The image tower on the CPU; this object takes ownership of it.</param>
    /// <param name="text">The text tower on the CPU, of which this object takes ownership, and the vocabulary; null if the zip contains
    /// only the image tower.</param>
    public CarriedClip(
        string sha256,
        ClipImageProcessorConfig processor,
        ImageWeights image,
        (TextWeights Weights, ClipVocabulary Vocabulary)? text
    ) => (_sha256, _processor, _image, _text, _vocabulary) = (sha256, processor, image, text?.Weights, text?.Vocabulary);

    public bool HasText => _vocabulary is not null;

    public string HashWeights() => _sha256;

    public void RequireUnchanged() => Hold().Dispose();

    public Lease<ImageWeights> RentImageTower(ClipConfig config, Device device) =>
        device.type == DeviceType.CPU
            ? RentImageTower()
            : SharedWeights.Rent((this, typeof(ImageWeights), ComputeDevice.KeyOf(device)), () =>
            {
                using Lease<ImageWeights> here = RentImageTower();
                return ImageWeights.FromTensors(config, Copies(here.Value.Tensors, device));
            });

    public Lease<TextWeights> RentTextTower(ClipConfig config, Device device) =>
        device.type == DeviceType.CPU ? RentTextTower() : SharedWeights.Rent((this, typeof(TextWeights), ComputeDevice.KeyOf(device)), () =>
            {
                using Lease<TextWeights> here = RentTextTower();
                return TextWeights.FromTensors(config, Copies(here.Value.Tensors, device), here.Value.LogitScale);
            });

    public ClipVocabulary ReadVocabulary() => _vocabulary ?? throw NoText();

    public ClipImageProcessorConfig ReadImageProcessor(int imageSize) => _processor;

    /// <inheritdoc/>
    public IDisposable Hold()
    {
        Lease<ImageWeights> image = RentImageTower();
        try
        {
            return new Share(image, HasText ? RentTextTower() : null);
        }
        catch
        {
            image.Dispose();
            throw;
        }
    }

    private Lease<ImageWeights> RentImageTower() =>
        SharedWeights.Rent((this, typeof(ImageWeights)), () => Interlocked.Exchange(ref _image, null) ?? throw Gone());

    private Lease<TextWeights> RentTextTower() =>
        HasText
            ? SharedWeights.Rent((this, typeof(TextWeights)), () => Interlocked.Exchange(ref _text, null) ?? throw Gone())
            : throw NoText();

    private static Tensor[] Copies(IEnumerable<Tensor> tensors, Device device)
    {
        using var ordinary = inference_mode(false);
        using var noGradients = no_grad();
        return [.. tensors.Select(tensor => tensor.to(device, copy: true).DetachFromDisposeScope())];
    }

    private static IOException Gone() =>
        new(
            "it came in a model zip, and the model loaded from it was disposed, or collected because nothing referred to it any more. Load "
                + "the model again, and keep it until another model uses its CLIP."
        );

    private static IOException NoText() =>
        new(
            "it came in a model zip that carries the image tower only. Save the model with the contents WithClip, or with PromptsOnly "
                + "and CLIP's folder at hand where it is loaded."
        );

    private sealed record Share(IDisposable Image, IDisposable? Text) : IDisposable
    {
        public void Dispose()
        {
            Image.Dispose();
            Text?.Dispose();
        }
    }
}
