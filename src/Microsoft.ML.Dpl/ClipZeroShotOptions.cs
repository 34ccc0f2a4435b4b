using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Images;

namespace Microsoft.ML.Dpl;

/// <summary>The options of <see cref="ClipZeroShotEstimator"/>.</summary>
public sealed class ClipZeroShotOptions
{
    /// <summary>Column with the images: <c>MLImage</c>, file paths as text, or encoded files as bytes.</summary>
    public string ImageColumnName { get; init; } = "Image";

    /// <summary>Name of the added column with the most probable class: a key whose values are the names.</summary>
    public string PredictedLabelColumnName { get; init; } = DefaultColumnNames.PredictedLabel;

    /// <summary>Name of the added column with the class probabilities.</summary>
    public string ScoreColumnName { get; init; } = DefaultColumnNames.Score;

    /// <summary>Templates with {} for a class's name, whose features are averaged; underscores in names become spaces. Null: only
    /// <c>a photo of a {}.</c> is used.</summary>
    public IReadOnlyList<string>? Templates { get; init; }

    /// <summary>Images per forward pass, at least 1.</summary>
    public int BatchSize { get; init; } = DplTrainer.ComputeOptions.DefaultPredictionBatchSize;

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>; null for the <c>MLContext</c>'s GPU or, without one, the CPU. A loaded model uses
    /// only the settings of its <c>MLContext</c>.</summary>
    public string? Device { get; init; }

    /// <summary>What a saved zip of the model contains; <see cref="DplTransformer.Contents"/> can change it later.</summary>
    public ModelContents ModelContents { get; init; }

    /// <summary>The folder that relative image paths are resolved against, which is stored in the saved model; null for the current
    /// folder.</summary>
    public string? ImageFolder { get; init; }

    /// <summary>Whether images given as paths or bytes are rotated and mirrored according to their EXIF orientation; see
    /// <see cref="DplTrainer.ImageOptions.ApplyExifOrientation"/>.</summary>
    public bool ApplyExifOrientation { get; init; }

    /// <summary>The most pixels an image given as path or bytes may have, from 1 to 536,870,897.</summary>
    public long MaxPixels { get; init; } = ImageDecoder.DefaultMaximumPixels;

    /// <exception cref="ArgumentException">An option is missing or out of range.</exception>
    internal void Validate()
    {
        OptionChecks.RequireName(ImageColumnName);
        OptionChecks.RequireName(PredictedLabelColumnName);
        OptionChecks.RequireName(ScoreColumnName);
        OptionChecks.RequireApart((PredictedLabelColumnName, nameof(PredictedLabelColumnName)), (ScoreColumnName, nameof(ScoreColumnName)));
        if (Templates is not null)
            ClipTemplates.Require(Templates, nameof(Templates));
        OptionChecks.RequireAtLeast(BatchSize, 1);
        OptionChecks.RequireDefined(ModelContents);
        if (ModelContents == ModelContents.WithOnnx)
            OnnxWriter.Find();
        OptionChecks.RequireRange(
            MaxPixels >= 1 && MaxPixels <= ImageDecoder.LargestMaximumPixels,
            MaxPixels,
            $"from 1 to {ImageDecoder.LargestMaximumPixels}"
        );
    }
}
