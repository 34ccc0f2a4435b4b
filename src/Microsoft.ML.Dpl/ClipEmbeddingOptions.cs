using Microsoft.ML.Dpl.Embedding;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML.Dpl;

/// <summary>How CLIP's embeddings of a column are computed, whatever it holds.</summary>
public abstract class ClipEmbeddingOptions
{
    internal const int DefaultBatchSize = DplTrainer.ComputeOptions.DefaultPredictionBatchSize;

    private protected ClipEmbeddingOptions() { }

    /// <summary>Whether every vector is brought to length 1, so that a dot product is the cosine that CLIP compares by.</summary>
    public bool Normalize { get; init; } = true;

    /// <summary>Rows per forward pass, at least 1.</summary>
    public int BatchSize { get; init; } = DefaultBatchSize;

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>; null: the GPU that the <c>MLContext</c> names, else the CPU. A model that is
    /// loaded goes by its <c>MLContext</c> alone.</summary>
    public string? Device { get; init; }

    /// <summary>What a zip will hold; see <see cref="ClipEmbeddingTransformer.CarriesClip"/>.</summary>
    public bool CarryClip { get; init; }

    internal void Validate()
    {
        OptionChecks.RequireAtLeast(BatchSize, 1);
        ValidateInput();
    }

    private protected abstract void ValidateInput();

    internal abstract EmbeddedInput Input { get; }

    /// <summary>The same as a zip keeps it.</summary>
    internal virtual EmbeddingDescription Describe(BackboneReference backbone) => new(Input, backbone, Normalize, CarryClip);
}

/// <summary>How CLIP's embeddings of images are computed.</summary>
public sealed class ClipImageEmbeddingOptions : ClipEmbeddingOptions
{
    /// <summary>Where relative paths of images start; kept in the saved model. Null: the current folder.</summary>
    public string? ImageFolder { get; init; }

    /// <summary>Whether images given as paths or bytes are turned and mirrored as their files ask; see
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

/// <summary>How CLIP's embeddings of texts are computed.</summary>
public sealed class ClipTextEmbeddingOptions : ClipEmbeddingOptions
{
    /// <summary>Whether a text that is longer than CLIP reads (75 tokens between start and end, some 50 English words) ends the work with a
    /// <see cref="TextTooLongException"/>. Otherwise its end is not read, and the log says so once for each pass over the data.</summary>
    public bool RefuseLongTexts { get; init; }

    internal override EmbeddedInput Input => EmbeddedInput.Text;

    internal override EmbeddingDescription Describe(BackboneReference backbone) =>
        base.Describe(backbone) with
        {
            RefuseLongTexts = RefuseLongTexts,
        };

    private protected override void ValidateInput()
    {
        // Nothing beyond what all have in common.
    }
}
