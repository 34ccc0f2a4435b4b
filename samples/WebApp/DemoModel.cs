using Drawing.Tasks;
using Microsoft.ML;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;

namespace WebApp;

/// <summary>A small model of drawn pictures, so that there is something to see without photographs and without a download.</summary>
internal static class DemoModel
{
    private const int Pixels = 224;

    /// <summary>The folder with pictures that the model was not trained on.</summary>
    public static string ExamplesFolder(string folder) => Path.Combine(folder, "examples");

    /// <summary>Loads the model of a folder, or makes it there: half a minute on two cores.</summary>
    /// <param name="folder">Made if missing.</param>
    /// <param name="progress">Hears of every step of training.</param>
    /// <param name="cancellation">Ends the training.</param>
    public static ServedModel LoadOrMake(string folder, IProgress<DplProgress> progress, CancellationToken cancellation)
    {
        string zip = Path.Combine(folder, "model.zip");
        if (!File.Exists(zip)) Make(folder, zip, progress, cancellation);
        return ServedModel.Load(zip, clip: null, "Colours of drawn things under coloured light");
    }

    private static void Make(string folder, string zip, IProgress<DplProgress> progress, CancellationToken cancellation)
    {
        DrawnTask task = DrawnTasks.Named("lighting");
        string pictures = Path.Combine(folder, task.Name);
        DrawnTaskFiles.Write(task, pictures, trainPerClass: 16, validationPerClass: 1, testPerClass: 1, seed: 1, Pixels);
        CopyExamples(Path.Combine(pictures, "test"), ExamplesFolder(folder));

        var mlContext = new MLContext(seed: 1);
        string[] rows = File.ReadAllLines(Path.Combine(pictures, "train.tsv"))[1..];
        IDataView data = mlContext.Data.LoadFromEnumerable(rows.Select(row => row.Split('\t')).Select(cells => new LabelledPicture { Label = cells[1], ImageSource = File.ReadAllBytes(Path.Combine(pictures, cells[0])) }));
        var pipeline = mlContext.Transforms.Conversion.MapValueToKey("Label")
            .Append(mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(new DplTrainer.Options
            {
                Backbone = ClipBackbone.Tiny,
                ImageColumnName = nameof(LabelledPicture.ImageSource),
                Template = task.Template,
                // No search: uniform lengths do as well on this task, and the visitor waits.
                Configuration = PromptConfiguration.Uniform(ClipBackbone.Tiny, 6),
                BatchSize = 16,
                TrainingEpochs = 40,
                Progress = progress,
                CancellationToken = cancellation,
            }))
            .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        using var model = pipeline.Fit(data);
        // Under another name first: a start that is cut short leaves no half a model.
        mlContext.Model.Save(model, data.Schema, zip + ".part");
        File.Move(zip + ".part", zip, overwrite: true);
    }

    private static void CopyExamples(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string folder in Directory.GetDirectories(from)) File.Copy(Path.Combine(folder, "000.png"), Path.Combine(to, Path.GetFileName(folder) + ".png"), overwrite: true);
    }

    private sealed class LabelledPicture
    {
        public string Label { get; set; } = "";

        public byte[] ImageSource { get; set; } = [];
    }
}
