using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;

namespace Microsoft.ML;

/// <summary>Where <c>MLContext</c> offers Differentiable Prompt Learning.</summary>
public static class DplCatalog
{
    /// <summary>Few-shot image classification with a frozen CLIP and searched prompts.</summary>
    /// <param name="catalog">The trainers of the multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP.</param>
    /// <param name="labelColumnName">Column with the classes: a key with names, or text.</param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <param name="validationSet">Rows that the search is judged by; null: a share of the training rows.</param>
    /// <param name="configuration">Prompt lengths to train without a search; null: search.</param>
    /// <param name="exampleWeightColumnName">Column of type <c>float</c> with how much each row's loss counts; null: all alike.</param>
    /// <exception cref="ArgumentException">The configuration does not fit the backbone.</exception>
    /// <example><code>
    /// var pipeline = mlContext.Transforms.Conversion.MapValueToKey("Label")
    /// .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(ClipBackbone.Open("clip-vit-base-patch16"),
    /// imageColumnName: "ImagePath"));
    /// </code></example>
    public static DplTrainer DifferentiablePromptLearning(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        ClipBackbone backbone,
        string labelColumnName = DefaultColumnNames.Label,
        string imageColumnName = "Image",
        IDataView? validationSet = null,
        PromptConfiguration? configuration = null,
        string? exampleWeightColumnName = null
    ) =>
        catalog.DifferentiablePromptLearning(
            new DplTrainer.Options
            {
                Backbone = backbone,
                LabelColumnName = labelColumnName,
                ImageColumnName = imageColumnName,
                Validation = { Set = validationSet },
                Configuration = configuration,
                ExampleWeightColumnName = exampleWeightColumnName,
            }
        );

    /// <summary>Few-shot image classification with a frozen CLIP and searched prompts, with all options.</summary>
    /// <param name="catalog">The trainers of the multiclass catalog.</param>
    /// <param name="options">What the fit does.</param>
    /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
    public static DplTrainer DifferentiablePromptLearning(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        DplTrainer.Options options
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new DplTrainer(MLNetInternals.EnvironmentOf(catalog), options);
    }

    /// <summary>Makes a classifier of exported prompts, CLIP and class names, without training: what
    /// <see cref="DplTransformer.ExportPrompts"/> gave predicts the same bits as before on the same machine.</summary>
    /// <param name="mlContext">Says which GPU is used where <paramref name="device"/> does not.</param>
    /// <param name="prompts">As <see cref="DplPrompts.Load"/> reads them; <see cref="DplPrompts.ClassNames"/> must be set.</param>
    /// <param name="backbone">The CLIP they were trained on.</param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <param name="predictedLabelColumnName">The added column with the most probable class: a key where the trained model's was one, else
    /// text.</param>
    /// <param name="scoreColumnName">The added column with the class probabilities.</param>
    /// <param name="device"><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>; null: the GPU that the context names, else the CPU.</param>
    /// <returns>The classifier. The caller disposes it.</returns>
    /// <exception cref="ArgumentException">The prompts do not fit the backbone or were trained on another, there are fewer than two
    /// classes, a name is blank or repeated, or CLIP reads two alike.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read.</exception>
    public static DplTransformer DifferentiablePromptModel(
        this MLContext mlContext,
        DplPrompts prompts,
        ClipBackbone backbone,
        string imageColumnName = "Image",
        string predictedLabelColumnName = DefaultColumnNames.PredictedLabel,
        string scoreColumnName = DefaultColumnNames.Score,
        string? device = null
    )
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        ArgumentNullException.ThrowIfNull(prompts);
        ArgumentNullException.ThrowIfNull(backbone);
        ArgumentException.ThrowIfNullOrWhiteSpace(imageColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(predictedLabelColumnName);
        ArgumentException.ThrowIfNullOrWhiteSpace(scoreColumnName);
        return DplTransformer.Of(
            mlContext,
            prompts,
            backbone,
            classes => new ModelFace(
                imageColumnName,
                predictedLabelColumnName,
                scoreColumnName,
                DplTrainer.ComputeOptions.DefaultPredictionBatchSize,
                classes
            ),
            device
        );
    }
}
