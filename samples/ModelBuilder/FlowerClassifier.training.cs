using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace ModelBuilder;

/// <summary>The training part. Compared with the code that Model Builder generates, only the trainer in
/// <see cref="BuildPipeline(MLContext, DplTrainer.Options)"/> differs.</summary>
public static partial class FlowerClassifier
{
    private static readonly string[] ImageEndings = [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"];

    /// <summary>Trains a model on a folder of images and saves it.</summary>
    /// <param name="outputModelPath">Path to save the model to.</param>
    /// <param name="imageFolder">A folder with one folder of images for each class, named as the class.</param>
    /// <param name="options">Options of the trainer; null: <see cref="DefaultOptions"/>.</param>
    public static void Train(string outputModelPath, string imageFolder, DplTrainer.Options? options = null)
    {
        var mlContext = new MLContext(seed: 1);
        Train(mlContext, outputModelPath, LoadImageFromFolder(mlContext, imageFolder), options);
    }

    /// <summary>Trains a model on a data view of images and saves it.</summary>
    /// <param name="mlContext">The context of the data.</param>
    /// <param name="outputModelPath">Path to save the model to.</param>
    /// <param name="data">The training data, with the columns Label and ImageSource.</param>
    /// <param name="options">Options of the trainer; null: <see cref="DefaultOptions"/>.</param>
    public static void Train(MLContext mlContext, string outputModelPath, IDataView data, DplTrainer.Options? options = null)
    {
        ITransformer model = RetrainModel(mlContext, data, options);
        // Frees the trained model's native memory.
        using var held = model as IDisposable;
        SaveModel(mlContext, model, data, outputModelPath);
    }

    /// <summary>Loads images from folders that are named as their classes, ordered by name. Files are read lazily, when the data view is
    /// enumerated, and closed immediately.</summary>
    /// <param name="mlContext">The context that creates the data view.</param>
    /// <param name="folder">A folder with one folder of images for each class.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">The folder contains no folder with images.</exception>
    public static IDataView LoadImageFromFolder(MLContext mlContext, string folder)
    {
        if (!Directory.Exists(folder))
            throw new DirectoryNotFoundException($"There is no folder '{folder}'.");
        (string File, string Label)[] images =
        [
            .. from directory in new DirectoryInfo(folder).GetDirectories().OrderBy(d => d.Name, StringComparer.Ordinal)
            from file in directory.GetFiles().OrderBy(f => f.Name, StringComparer.Ordinal)
            where ImageEndings.Contains(file.Extension.ToLowerInvariant())
            select (file.FullName, directory.Name),
        ];
        if (images.Length == 0)
            throw new InvalidDataException(
                $"'{folder}' has no folder with images in it. Make one folder for each class, named as the class, and put its images "
                    + $"({string.Join(", ", ImageEndings)}) there."
            );
        return LoadImages(mlContext, images);
    }

    /// <summary>Loads image files with given classes. Files are read lazily, when the data view is enumerated, and closed
    /// immediately.</summary>
    /// <param name="mlContext">The context that creates the data view.</param>
    /// <param name="images">Paths and classes of the images.</param>
    public static IDataView LoadImages(MLContext mlContext, IEnumerable<(string File, string Label)> images) =>
        mlContext.Data.LoadFromEnumerable(
            images.Select(image => new ModelInput { Label = image.Label, ImageSource = File.ReadAllBytes(image.File) })
        );

    /// <summary>Atomically saves a model to a file for <c>mlContext.Model.Load</c>.</summary>
    public static void SaveModel(MLContext mlContext, ITransformer model, IDataView data, string modelSavePath) =>
        mlContext.Model.SaveWhole(model, data.Schema, modelSavePath);

    /// <summary>Trains the pipeline.</summary>
    /// <param name="mlContext">The context of the data.</param>
    /// <param name="trainData">The training data, with the columns Label and ImageSource.</param>
    /// <param name="options">Options of the trainer; null: <see cref="DefaultOptions"/>.</param>
    public static ITransformer RetrainModel(MLContext mlContext, IDataView trainData, DplTrainer.Options? options = null) =>
        BuildPipeline(mlContext, options ?? DefaultOptions()).Fit(trainData);

    /// <summary>Builds the pipeline with <see cref="DefaultOptions"/>.</summary>
    public static IEstimator<ITransformer> BuildPipeline(MLContext mlContext) => BuildPipeline(mlContext, DefaultOptions());

    /// <summary>Builds the pipeline: maps classes to keys, trains, and maps predicted keys back to classes.</summary>
    /// <param name="mlContext">The context that creates the estimators.</param>
    /// <param name="options">Options of the trainer.</param>
    public static IEstimator<ITransformer> BuildPipeline(MLContext mlContext, DplTrainer.Options options) =>
        mlContext
            .Transforms.Conversion.MapValueToKey(outputColumnName: "Label", inputColumnName: "Label", addKeyValueAnnotationsAsText: false)
            .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options))
            .Append(mlContext.Transforms.Conversion.MapKeyToValue(outputColumnName: "PredictedLabel", inputColumnName: "PredictedLabel"));

    /// <summary>The embedded CLIP with the columns of <see cref="ModelInput"/>. Its image tower is saved in the model, which then predicts
    /// on any machine, even without libtorch.</summary>
    public static DplTrainer.Options DefaultOptions() =>
        new()
        {
            Backbone = ClipBackbone.Tiny,
            LabelColumnName = "Label",
            ImageColumnName = "ImageSource",
            ModelContents = ModelContents.WithImageTower,
        };
}
