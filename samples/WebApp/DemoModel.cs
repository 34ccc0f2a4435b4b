using Microsoft.ML;
using Microsoft.ML.Dpl;

namespace WebApp;

/// <summary>A small model that shows the application without the user's own images and without a download.</summary>
internal static class DemoModel
{
    /// <summary>The folder of example images that the model was not trained on.</summary>
    public static string ExamplesFolder(string folder) => Path.Combine(folder, "examples");

    /// <summary>Loads the model from a folder, or trains it first, which takes half a minute on two cores.</summary>
    /// <param name="demo">The images of the demo, see <see cref="DemoImages"/>.</param>
    /// <param name="folder">Folder of the model, created if missing.</param>
    /// <param name="progress">Receives the training's progress.</param>
    /// <param name="cancellationToken">Cancels drawing and training.</param>
    public static ServedModel LoadOrMake(string demo, string folder, IProgress<FitProgress> progress, CancellationToken cancellationToken)
    {
        string zip = Path.Combine(folder, "model.zip");
        if (!File.Exists(zip))
            Make(DemoImages.Create(demo, folder, cancellationToken), folder, zip, progress, cancellationToken);
        return ServedModel.Load(zip, clip: null, DemoImages.Title(demo));
    }

    private static void Make(
        DemoImages images,
        string folder,
        string zip,
        IProgress<FitProgress> progress,
        CancellationToken cancellationToken
    )
    {
        CopyExamples(images.Examples, ExamplesFolder(folder));

        var mlContext = new MLContext(seed: 1);
        IDataView data = mlContext.Data.LoadFromEnumerable(
            images.Train.Select(image => new LabelledImage { Label = image.Label, ImageSource = File.ReadAllBytes(image.Path) })
        );
        var pipeline = mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(
                mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    new DplTrainer.Options
                    {
                        Backbone = images.Backbone,
                        ImageColumnName = nameof(LabelledImage.ImageSource),
                        Template = images.Template,
                        Configuration = images.Prompts,
                        Progress = progress,
                        CancellationToken = cancellationToken,
                        // Servers without libtorch can load the model, too.
                        ModelContents = ModelContents.WithOnnx,
                    }
                )
            )
            .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        using var model = pipeline.Fit(data);
        // Atomic, so that an interrupted start leaves no partial model.
        mlContext.Model.SaveWhole(model, data.Schema, zip);
    }

    private static void CopyExamples(IEnumerable<(string Path, string Label)> examples, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var (path, label) in examples)
            File.Copy(path, Path.Combine(to, label.Replace(' ', '_') + Path.GetExtension(path)), overwrite: true);
    }

    private sealed class LabelledImage
    {
        public string Label { get; set; } = "";

        public byte[] ImageSource { get; set; } = [];
    }
}
