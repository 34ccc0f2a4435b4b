using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.MLNet;
using Microsoft.ML.Dpl.Models;
using Microsoft.ML.Dpl.Runtime;

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

    /// <summary>Saves a model as ML.NET's own <c>Save</c> does, but whole or not at all: beside its place, then to the disk itself, then
    /// renamed. ML.NET's own writes over the file that is there, which a full disk or a kill then costs.</summary>
    /// <remarks>The log is told where a zip names a CLIP's folder and does not contain it.</remarks>
    /// <param name="catalog">What saves and loads models: <c>mlContext.Model</c>.</param>
    /// <param name="model">Any model, with this library's in it or not.</param>
    /// <param name="inputSchema">The columns that the model reads; null: they are not kept in the zip.</param>
    /// <param name="filePath">The zip; a file there is replaced once the new one is complete, and a missing folder is made.</param>
    /// <exception cref="IOException">It cannot be written; what was there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
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
        // The latter is what .NET makes of the system's EFBIG.
        catch (Exception e) when (e is IOException or ArgumentOutOfRangeException { ParamName: "value" })
        {
            string why =
                e is IOException ? e.Message : "a file became larger than the file system, or a limit on the size of files, allows.";
            throw new IOException($"The model could not be saved as '{ShownText.Escape(filePath)}': {why}", e);
        }
    }

    /// <summary>Says that a zip holds no CLIP, which is forgotten easily where it lies at hand.</summary>
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
        foreach (
            ClipBackbone backbone in named.OfType<ClipBackbone>().Where(clip => clip is { Location: not null, IsTiny: false }).Distinct()
        )
            log.Info(
                $"The model zip '{ShownText.Escape(filePath)}' names the CLIP at '{backbone.Location}' and does not contain it. Where it "
                    + $"is to be loaded on another machine, set {nameof(DplTransformer.Contents)}, or for an embedding "
                    + $"{nameof(ClipEmbeddingTransformer.CarriesClip)}, before saving; or have that CLIP there, too."
            );
    }

    /// <summary>Loads the classifier of a model zip as what it is: <c>Load</c> gives a chain where a pipeline was saved, on which only what
    /// any model can do is at hand.</summary>
    /// <param name="catalog">What saves and loads models: <c>mlContext.Model</c>.</param>
    /// <param name="filePath">A zip of one model of this library, alone or in a pipeline.</param>
    /// <returns>The classifier alone, without what stands before and after it in a pipeline: it reads its own image column, or an image
    /// given to <see cref="DplTransformer.Predict(string)"/>. The caller disposes it.</returns>
    /// <exception cref="IOException">The file is missing or cannot be read, or the model's CLIP was not found.</exception>
    /// <exception cref="InvalidDataException">It is no model, damaged, or holds none or several of this library's.</exception>
    /// <exception cref="InvalidOperationException">The application has no libtorch, so that ONNX Runtime scores the model.</exception>
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

    /// <summary>Makes a classifier of exported prompts, CLIP and class names, without training: what
    /// <see cref="DplTransformer.ExportPrompts"/> gave predicts the same bits as before on the same machine.</summary>
    /// <param name="mlContext">Says which GPU is used where <paramref name="device"/> does not.</param>
    /// <param name="prompts">As <see cref="ExportedPrompts.Load"/> reads them; <see cref="ExportedPrompts.ClassNames"/> must be set.</param>
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
