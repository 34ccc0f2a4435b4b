using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

namespace Microsoft.ML;

/// <summary>Extension methods of <c>MLContext</c> and its catalogs for Differentiable Prompt Learning.</summary>
public static class DplCatalog
{
    /// <summary>Few-shot image classification with a frozen CLIP and searched prompts.</summary>
    /// <param name="catalog">The trainers of the multiclass catalog.</param>
    /// <param name="backbone">The frozen CLIP.</param>
    /// <param name="labelColumnName">Column with the classes: a key with names, or text.</param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <param name="validationSet">Validation rows for the search; null to set aside some of the training rows.</param>
    /// <param name="configuration">Prompt lengths to train without a search; null to search for them.</param>
    /// <param name="exampleWeightColumnName">Column of type <c>float</c> with the weight of each row's loss; null for equal
    /// weights.</param>
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
    /// <param name="options">The options of the fit.</param>
    /// <exception cref="ArgumentException">An option is missing, out of range or contradicts another.</exception>
    public static DplTrainer DifferentiablePromptLearning(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        DplTrainer.Options options
    )
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new DplTrainer(MLNetInternals.EnvironmentOf(catalog), options);
    }

    /// <summary>Saves a model like ML.NET's own <c>Save</c>, but atomically: to a temporary file in the same folder, which is flushed to
    /// disk and then renamed. ML.NET overwrites the existing file, which is then lost if the disk is full or the process is
    /// killed.</summary>
    /// <remarks>Logs a note if the zip refers to a CLIP on disk and does not contain it.</remarks>
    /// <param name="catalog">The model operations catalog, <c>mlContext.Model</c>.</param>
    /// <param name="model">Any model, whether or not it contains one of this library.</param>
    /// <param name="inputSchema">The schema of the model's input; null to omit it from the zip.</param>
    /// <param name="filePath">The zip; an existing file is replaced once the new one is complete, and a missing folder is created.</param>
    /// <exception cref="IOException">The file cannot be written; an existing file is unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">Access to the file is denied.</exception>
    public static void SaveWhole(this ModelOperationsCatalog catalog, ITransformer model, DataViewSchema? inputSchema, string filePath)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentException.ThrowIfNullOrWhiteSpace(filePath);
        try
        {
            WholeFile.Write(filePath, stream => catalog.Save(model, inputSchema, stream));
            TellOfClip(catalog, model, filePath);
        }
        // .NET throws ArgumentOutOfRangeException for the system error EFBIG.
        catch (Exception e) when (e is IOException or ArgumentOutOfRangeException { ParamName: "value" })
        {
            string why =
                e is IOException ? e.Message : "a file became larger than the file system, or a limit on the size of files, allows.";
            throw new IOException($"The model could not be saved as '{ShownText.Escape(filePath)}': {why}", e);
        }
    }

    /// <summary>Logs that a zip contains no CLIP, which is easily overlooked on a machine where the CLIP is available.</summary>
    private static void TellOfClip(ModelOperationsCatalog catalog, ITransformer model, string filePath)
    {
        IEnumerable<ClipBackbone?> named = LoadedZip
            .Parts(model)
            .Select(part =>
                part switch
                {
                    DplTransformer { Contents: ModelContents.PromptsOnly or ModelContents.WithOnnx } named => named.Backbone,
                    ClipEmbeddingTransformer { CarriesClip: false } named => named.Backbone,
                    _ => null,
                }
            );
        using var log = new HostLog(MLNetInternals.EnvironmentOf(catalog), nameof(DplCatalog), "Save");
        foreach (ClipBackbone backbone in named.OfType<ClipBackbone>().Where(clip => !clip.IsTiny).Distinct())
        {
            string remedy =
                $"set {nameof(DplTransformer.Contents)}, or for an embedding {nameof(ClipEmbeddingTransformer.CarriesClip)}, before saving";
            if (backbone.Location is null)
                log.Warning(
                    $"The model zip '{ShownText.Escape(filePath)}' does not contain its CLIP, which came in another model zip and is in no "
                        + $"folder, so the model cannot be loaded again where that CLIP is not found otherwise: {remedy}."
                );
            else
                log.Info(
                    $"The model zip '{ShownText.Escape(filePath)}' names the CLIP at '{backbone.Location}' and does not contain it. To "
                        + $"load it on another machine, {remedy}, or make that CLIP available there, too."
                );
        }
    }

    /// <summary>Loads the classifier of a model zip with its own type. For a saved pipeline, <c>Load</c> returns a chain that offers only
    /// the members of <see cref="ITransformer"/>.</summary>
    /// <param name="catalog">The model operations catalog, <c>mlContext.Model</c>.</param>
    /// <param name="filePath">A zip of one model of this library, alone or in a pipeline.</param>
    /// <returns>Only the classifier, without the pipeline's other steps: it reads its image column, or an image passed to
    /// <see cref="DplTransformer.Predict(string)"/>. The caller disposes it.</returns>
    /// <exception cref="IOException">The file is missing or cannot be read, or the model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">The file is not a model or is damaged, or it contains no model of this library or
    /// several.</exception>
    /// <exception cref="InvalidOperationException">The application has no libtorch, so the model was loaded for ONNX Runtime.</exception>
    public static DplTransformer LoadDpl(this ModelOperationsCatalog catalog, string filePath)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ITransformer loaded = LoadedZip.Open(filePath, () => catalog.Load(filePath, out _));
        if (!LoadedZip.Parts(loaded).Any(part => part.GetType().Assembly.GetName().Name == ScoringBackend.Package))
            return LoadedZip.Only<DplTransformer>(loaded, filePath);
        (loaded as IDisposable)?.Dispose();
        throw new InvalidOperationException(
            $"The model zip '{ShownText.Escape(filePath)}' was loaded for ONNX Runtime, since the application has no libtorch: use "
                + "LoadDplWithOnnxRuntime or Model.Load, or reference a libtorch package."
        );
    }

    /// <summary>Creates a classifier from exported prompts, a CLIP and class names, without training. Prompts from
    /// <see cref="DplTransformer.ExportPrompts"/> give bit-identical predictions on the same machine. Relative image paths are resolved
    /// against the current folder, because the image folder of the exported model is not part of the prompts.</summary>
    /// <param name="mlContext">Supplies the GPU setting if <paramref name="device"/> is null.</param>
    /// <param name="prompts">The prompts, for example from <see cref="ExportedPrompts.Load"/>; <see cref="ExportedPrompts.ClassNames"/>
    /// must be set.</param>
    /// <param name="backbone">The CLIP that the prompts were trained with.</param>
    /// <param name="imageColumnName">Column with the images: <c>MLImage</c>, path as text, or encoded bytes.</param>
    /// <param name="predictedLabelColumnName">The added column with the most probable class: a key if it was one in the trained model,
    /// otherwise text.</param>
    /// <param name="scoreColumnName">The added column with the class probabilities.</param>
    /// <param name="device"><c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>; null for the context's GPU or, without one, the CPU.</param>
    /// <returns>The classifier. The caller disposes it.</returns>
    /// <exception cref="ArgumentException">The prompts do not fit the backbone or were trained with another one, there are fewer than two
    /// classes, a name is blank or repeated, two names give the same tokens, or a number is out of range.</exception>
    /// <exception cref="InvalidOperationException">CLIP's text tower cannot be read.</exception>
    public static DplTransformer DifferentiablePromptModel(
        this MLContext mlContext,
        ExportedPrompts prompts,
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
        return DplTransformer.FromPrompts(
            mlContext,
            prompts,
            backbone,
            classes => new ModelColumns(
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
