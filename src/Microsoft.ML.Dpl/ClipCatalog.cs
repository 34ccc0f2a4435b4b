using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML;

/// <summary>Where <c>MLContext</c> offers plain CLIP, without any training: its embeddings, and zero-shot classification.</summary>
public static class ClipCatalog
{
    /// <summary>CLIP's embeddings of images, for any of ML.NET's trainers, and for comparing images with each other or with
    /// texts.</summary>
    /// <param name="catalog">The transforms.</param>
    /// <param name="outputColumnName">The added column: a vector of <c>float</c>, by default of length 1.</param>
    /// <param name="inputColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes. Null: the output's
    /// name.</param>
    /// <param name="backbone">The frozen CLIP.</param>
    /// <param name="options">How; null: the defaults.</param>
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

    /// <summary>CLIP's embeddings of texts, in the same space as those of images.</summary>
    /// <param name="catalog">The transforms.</param>
    /// <param name="outputColumnName">The added column: a vector of <c>float</c>, by default of length 1.</param>
    /// <param name="inputColumnName">Column with the texts. Null: the output's name.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="options">How; null: the defaults.</param>
    /// <exception cref="ArgumentException">A name is empty, an option is out of range, or the CLIP has no text tower.</exception>
    public static ClipEmbeddingEstimator ClipTextEmbedding(
        this TransformsCatalog catalog,
        string outputColumnName,
        string? inputColumnName,
        ClipBackbone backbone,
        ClipTextEmbeddingOptions? options = null
    ) => Embedding(catalog, outputColumnName, inputColumnName, backbone, options ?? new ClipTextEmbeddingOptions());

    /// <summary>Image classification by plain CLIP: the classes' names in a text, without any training.</summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="classNames">The classes in the order of the scores, at least two.</param>
    /// <param name="templates">Texts of a class with {} for its name, whose features are averaged: <see cref="ClipTemplates"/> has some.
    /// Null: <c>a photo of a {}.</c></param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <exception cref="ArgumentException">Fewer than two names, a blank or repeated one, or a template that does not hold {}
    /// once.</exception>
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

    /// <summary>Image classification by plain CLIP, with all options.</summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP, with its text tower.</param>
    /// <param name="classNames">The classes in the order of the scores, at least two.</param>
    /// <param name="options">Columns, texts and how images are read.</param>
    /// <exception cref="ArgumentException">Fewer than two names, a blank or repeated one, or an option is out of range.</exception>
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
