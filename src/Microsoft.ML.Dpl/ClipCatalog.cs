using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML;

/// <summary>Extension methods of <c>MLContext</c>'s catalogs for plain CLIP, without any training: embeddings and zero-shot
/// classification.</summary>
public static class ClipCatalog
{
    /// <summary>Adds CLIP's embeddings of images, as features for any of ML.NET's trainers or for comparing images with each other or with
    /// texts.</summary>
    /// <param name="catalog">The transforms catalog.</param>
    /// <param name="outputColumnName">The added column: a vector of <c>float</c>, by default of length 1.</param>
    /// <param name="inputColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes; null if it has the output
    /// column's name.</param>
    /// <param name="backbone">The frozen CLIP.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <exception cref="ArgumentException">A name is empty, or an option is out of range.</exception>
    /// <example><code>
    /// var pipeline = mlContext.Transforms.ClipImageEmbedding("Features", "ImagePath", ClipBackbone.Open("clip-vit-base-patch16"))
    /// .AppendCacheCheckpoint(mlContext)
    /// .Append(mlContext.MulticlassClassification.Trainers.LbfgsMaximumEntropy());
    /// </code></example>
    public static ClipEmbeddingEstimator ClipImageEmbedding(
        this TransformsCatalog catalog,
        string outputColumnName,
        string? inputColumnName,
        ClipBackbone backbone,
        ClipImageEmbeddingOptions? options = null
    ) => Embedding(catalog, outputColumnName, inputColumnName, backbone, options ?? new ClipImageEmbeddingOptions());

    /// <summary>Adds CLIP's embeddings of texts, in the same space as those of images.</summary>
    /// <param name="catalog">The transforms catalog.</param>
    /// <param name="outputColumnName">The added column: a vector of <c>float</c>, by default of length 1.</param>
    /// <param name="inputColumnName">Column with the texts; null if it has the output column's name.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="options">The options; null for the defaults.</param>
    /// <exception cref="ArgumentException">A name is empty, an option is out of range, or the CLIP has no text tower.</exception>
    public static ClipEmbeddingEstimator ClipTextEmbedding(
        this TransformsCatalog catalog,
        string outputColumnName,
        string? inputColumnName,
        ClipBackbone backbone,
        ClipTextEmbeddingOptions? options = null
    ) => Embedding(catalog, outputColumnName, inputColumnName, backbone, options ?? new ClipTextEmbeddingOptions());

    /// <summary>Classifies images with plain CLIP by the classes' names in a text template, without any training.</summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="classNames">The classes in the order of the scores, at least two.</param>
    /// <param name="templates">Templates with {} for a class's name, whose features are averaged, such as those in
    /// <see cref="ClipTemplates"/>; null for <c>a photo of a {}.</c></param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <exception cref="ArgumentException">There are fewer than two names, a name is blank or repeated, or a template does not contain {}
    /// exactly once.</exception>
    /// <example><code>
    /// var pipeline = mlContext.MulticlassClassification
    /// .ClipZeroShot(ClipBackbone.Open("clip-vit-base-patch16"), ["cat", "dog"], ClipTemplates.ImageNet, "ImagePath")
    /// .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
    /// </code></example>
    public static ClipZeroShotEstimator ClipZeroShot(
        this MulticlassClassificationCatalog catalog,
        ClipBackbone backbone,
        IEnumerable<string> classNames,
        IEnumerable<string>? templates = null,
        string imageColumnName = "Image"
    ) =>
        catalog.ClipZeroShot(
            backbone,
            classNames,
            new ClipZeroShotOptions { Templates = templates is null ? null : [.. templates], ImageColumnName = imageColumnName }
        );

    /// <summary>Classifies images with plain CLIP, with all options.</summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="classNames">The classes in the order of the scores, at least two.</param>
    /// <param name="options">Columns, templates and how images are read.</param>
    /// <exception cref="ArgumentException">There are fewer than two names, a name is blank or repeated, or an option is out of
    /// range.</exception>
    public static ClipZeroShotEstimator ClipZeroShot(
        this MulticlassClassificationCatalog catalog,
        ClipBackbone backbone,
        IEnumerable<string> classNames,
        ClipZeroShotOptions options
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(backbone);
        ArgumentNullException.ThrowIfNull(classNames);
        ArgumentNullException.ThrowIfNull(options);
        return new ClipZeroShotEstimator(MLNetInternals.EnvironmentOf(catalog), backbone, [.. classNames], options);
    }

    private static ClipEmbeddingEstimator Embedding(
        TransformsCatalog catalog,
        string outputColumnName,
        string? inputColumnName,
        ClipBackbone backbone,
        ClipEmbeddingOptions options
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new ClipEmbeddingEstimator(MLNetInternals.EnvironmentOf(catalog), outputColumnName, inputColumnName, backbone, options);
    }
}
