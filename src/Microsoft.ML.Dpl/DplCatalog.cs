using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;

namespace Microsoft.ML;

/// <summary>Where <c>MLContext</c> offers Differentiable Prompt Learning.</summary>
public static class DplCatalog
{
    /// <summary>Few-shot image classification with a frozen CLIP and searched prompts.</summary>
    /// <param name="catalog">The trainers of the multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP.</param>
    /// <param name="labelColumnName">Column with the classes: a key with names, or text.</param>
    /// <param name="imageColumnName">Column with the pictures: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <param name="validationSet">Rows that the search is judged by; null: a share of the training rows.</param>
    /// <param name="configuration">Context lengths to train without a search; null: search.</param>
    /// <param name="exampleWeightColumnName">Column of type <c>float</c> with how much each row's loss counts; null: all alike.</param>
    /// <exception cref="ArgumentException">The configuration does not fit the backbone.</exception>
    /// <example><code>
    /// var pipeline = mlContext.Transforms.Conversion.MapValueToKey("Label")
    ///     .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(ClipBackbone.Open("clip-vit-base-patch16"), imageColumnName: "ImagePath"));
    /// </code></example>
    public static DplTrainer DifferentiablePromptLearning(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        ClipBackbone backbone,
        string labelColumnName = DefaultColumnNames.Label,
        string imageColumnName = "Image",
        IDataView? validationSet = null,
        PromptConfiguration? configuration = null,
        string? exampleWeightColumnName = null)
        => catalog.DifferentiablePromptLearning(new DplTrainer.Options
        {
            Backbone = backbone,
            LabelColumnName = labelColumnName,
            ImageColumnName = imageColumnName,
            ValidationSet = validationSet,
            Configuration = configuration,
            ExampleWeightColumnName = exampleWeightColumnName,
        });

    /// <summary>Few-shot image classification with a frozen CLIP and searched prompts, with all options.</summary>
    /// <param name="catalog">The trainers of the multiclass catalog.</param>
    /// <param name="options">What the fit does.</param>
    /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
    public static DplTrainer DifferentiablePromptLearning(this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, DplTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new DplTrainer(MLNetInternals.EnvironmentOf(catalog), options);
    }

    /// <summary>Makes a CLIP known to the models that this process loads: a model zip names its CLIP by SHA-256 and does not contain it.</summary>
    /// <param name="mlContext">The context; the backbone is known to all contexts of the process.</param>
    /// <param name="backbone">The CLIP that models were trained on.</param>
    /// <returns><paramref name="mlContext"/></returns>
    public static MLContext UseClipBackbone(this MLContext mlContext, ClipBackbone backbone)
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        ArgumentNullException.ThrowIfNull(backbone);
        BackboneLocator.Register(backbone);
        return mlContext;
    }
}
