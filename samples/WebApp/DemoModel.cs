using Microsoft.ML;
using Microsoft.ML.Dpl;

namespace WebApp;

/// <summary>A small model, so that there is something to see without photographs of one's own and without a download.</summary>
internal static class DemoModel
{
    /// <summary>The folder with images that the model was not trained on.</summary>
    public static string ExamplesFolder(string folder) => Path.Combine(folder, "examples");

    /// <summary>Loads the model of a folder, or makes it there: half a minute on two cores.</summary>
    /// <param name="demo">Of which images: see <see cref="DemoImages"/>.</param>
    /// <param name="folder">Made if missing.</param>
    /// <param name="progress">Receives every step of training.</param>
    /// <param name="cancellationToken">Ends drawing and training.</param>
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
                        // So that a server without libtorch can have it, too.
                        ModelContents = ModelContents.WithOnnx,
                    }
                )
            )
            .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        using var model = pipeline.Fit(data);
        // A start that is cut short leaves no half a model.
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
