using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl;

/// <summary>The options shared by CLIP's image and text embeddings.</summary>
public abstract class ClipEmbeddingOptions
{
    internal const int DefaultBatchSize = DplTrainer.ComputeOptions.DefaultPredictionBatchSize;

    private protected ClipEmbeddingOptions() { }

    /// <summary>Whether vectors are normalised to length 1, so that a dot product is the cosine similarity that CLIP uses.</summary>
    public bool Normalize { get; init; } = true;

    /// <summary>Rows per forward pass, at least 1.</summary>
    public int BatchSize { get; init; } = DefaultBatchSize;

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>; null for the <c>MLContext</c>'s GPU or, without one, the CPU. A loaded model uses
    /// only the settings of its <c>MLContext</c>.</summary>
    public string? Device { get; init; }

    /// <summary>Whether saved zips contain CLIP; see <see cref="ClipEmbeddingTransformer.CarriesClip"/>.</summary>
    public bool CarryClip { get; init; }

    internal void Validate()
    {
        OptionChecks.RequireAtLeast(BatchSize, 1);
        ValidateInput();
    }

    private protected abstract void ValidateInput();

    internal abstract EmbeddedInput Input { get; }

    /// <summary>The description of these options for a zip.</summary>
    internal virtual EmbeddingDescription Describe(BackboneReference backbone) => new(Input, backbone, Normalize, CarryClip);
}

/// <summary>The options for CLIP's embeddings of images.</summary>
public sealed class ClipImageEmbeddingOptions : ClipEmbeddingOptions
{
    /// <summary>The folder that relative image paths are resolved against, which is stored in the saved model; null for the current
    /// folder.</summary>
    public string? ImageFolder { get; init; }

    /// <summary>Whether images given as paths or bytes are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>The most pixels an image given as path or bytes may have, from 1 to 536,870,897.</summary>
    public long MaxPixels { get; init; } = ImageDecoder.DefaultMaximumPixels;

    internal override EmbeddedInput Input => EmbeddedInput.Image;

    internal override EmbeddingDescription Describe(BackboneReference backbone) =>
        base.Describe(backbone) with
        {
            ImageFolder = ImageFolder,
            ApplyExifOrientation = ApplyExifOrientation,
            MaxImagePixels = MaxPixels,
        };

    private protected override void ValidateInput() =>
        OptionChecks.RequireRange(
            MaxPixels >= 1 && MaxPixels <= ImageDecoder.LargestMaximumPixels,
            MaxPixels,
            $"from 1 to {ImageDecoder.LargestMaximumPixels}"
        );
}

/// <summary>The options for CLIP's embeddings of texts.</summary>
public sealed class ClipTextEmbeddingOptions : ClipEmbeddingOptions
{
    /// <summary>Whether a text that is too long for CLIP (more than 75 tokens between start and end, about 50 English words) causes a
    /// <see cref="TextTooLongException"/>. Otherwise it is truncated, with a warning in the log once per pass over the data.</summary>
    public bool RefuseLongTexts { get; init; }

    internal override EmbeddedInput Input => EmbeddedInput.Text;

    internal override EmbeddingDescription Describe(BackboneReference backbone) =>
        base.Describe(backbone) with
        {
            RefuseLongTexts = RefuseLongTexts,
        };

    private protected override void ValidateInput()
    {
        // There are no checks beyond the common ones.
    }
}
