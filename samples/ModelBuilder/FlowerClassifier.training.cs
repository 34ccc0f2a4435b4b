using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace ModelBuilder;

/// <summary>This part trains. Against what Model Builder generates, only the trainer in
/// <see cref="BuildPipeline(MLContext, DplTrainer.Options)"/> differs.</summary>
public static partial class FlowerClassifier
{
    private static readonly string[] ImageEndings = [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"];

    /// <summary>Trains a model on a folder of images and saves it.</summary>
    /// <param name="outputModelPath">Where the model goes.</param>
    /// <param name="imageFolder">A folder with one folder of images for each class, named as the class.</param>
    /// <param name="options">What the trainer does; null: <see cref="DefaultOptions"/>.</param>
    public static void Train(string outputModelPath, string imageFolder, DplTrainer.Options? options = null)
    {
        var mlContext = new MLContext(seed: 1);
        Train(mlContext, outputModelPath, LoadImageFromFolder(mlContext, imageFolder), options);
    }

    /// <summary>Trains a model on images that were loaded and saves it.</summary>
    /// <param name="mlContext">The context of the data.</param>
    /// <param name="outputModelPath">Where the model goes.</param>
    /// <param name="data">With the columns Label and ImageSource.</param>
    /// <param name="options">What the trainer does; null: <see cref="DefaultOptions"/>.</param>
    public static void Train(MLContext mlContext, string outputModelPath, IDataView data, DplTrainer.Options? options = null)
    {
        ITransformer model = RetrainModel(mlContext, data, options);
        // Frees what the trained model holds outside the garbage collector's sight.
        using var held = model as IDisposable;
        SaveModel(mlContext, model, data, outputModelPath);
    }

    /// <summary>Images in folders named as their classes, in the order of their names. Files are read when the data is, and closed again at
    /// once.</summary>
    /// <param name="mlContext">Makes the data view.</param>
    /// <param name="folder">A folder with one folder of images for each class.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such folder.</exception>
    /// <exception cref="InvalidDataException">There is no folder with images in it.</exception>
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

    /// <summary>Image files and their classes. Files are read when the data is, and closed again at once.</summary>
    /// <param name="mlContext">Makes the data view.</param>
    /// <param name="images">Paths and classes.</param>
    public static IDataView LoadImages(MLContext mlContext, IEnumerable<(string File, string Label)> images) =>
        mlContext.Data.LoadFromEnumerable(
            images.Select(image => new ModelInput { Label = image.Label, ImageSource = File.ReadAllBytes(image.File) })
        );

    /// <summary>Saves a model as a file that <c>mlContext.Model.Load</c> reads, whole or not at all.</summary>
    public static void SaveModel(MLContext mlContext, ITransformer model, IDataView data, string modelSavePath) =>
        mlContext.Model.SaveWhole(model, data.Schema, modelSavePath);

    /// <summary>Trains the pipeline.</summary>
    /// <param name="mlContext">The context of the data.</param>
    /// <param name="trainData">With the columns Label and ImageSource.</param>
    /// <param name="options">What the trainer does; null: <see cref="DefaultOptions"/>.</param>
    public static ITransformer RetrainModel(MLContext mlContext, IDataView trainData, DplTrainer.Options? options = null) =>
        BuildPipeline(mlContext, options ?? DefaultOptions()).Fit(trainData);

    /// <summary>The pipeline with <see cref="DefaultOptions"/>.</summary>
    public static IEstimator<ITransformer> BuildPipeline(MLContext mlContext) => BuildPipeline(mlContext, DefaultOptions());

    /// <summary>Classes to keys, the trainer, keys to classes.</summary>
    /// <param name="mlContext">Makes the parts.</param>
    /// <param name="options">What the trainer does.</param>
    public static IEstimator<ITransformer> BuildPipeline(MLContext mlContext, DplTrainer.Options options) =>
        mlContext
            .Transforms.Conversion.MapValueToKey(outputColumnName: "Label", inputColumnName: "Label", addKeyValueAnnotationsAsText: false)
            .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(options))
            .Append(mlContext.Transforms.Conversion.MapKeyToValue(outputColumnName: "PredictedLabel", inputColumnName: "PredictedLabel"));

    /// <summary>The CLIP that comes along, on the columns of <see cref="ModelInput"/>. Its image tower goes into the model, which then
    /// predicts on any machine, and without libtorch.</summary>
    public static DplTrainer.Options DefaultOptions() =>
        new()
        {
            Backbone = ClipBackbone.Tiny,
            LabelColumnName = "Label",
            ImageColumnName = "ImageSource",
            ModelContents = ModelContents.WithImageTower,
        };
}
