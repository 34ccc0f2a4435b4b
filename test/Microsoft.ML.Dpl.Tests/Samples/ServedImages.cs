using Drawing.Tasks;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tests.Images;
using SkiaSharp;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>A model to serve, images to classify, and the predictions of a prediction engine for each of them.</summary>
public sealed class ServedImages : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ServedImages()
    {
        DrawnTask task = DrawnTasks.Named("lighting");
        Images = [.. Enumerable.Range(0, 64).Select(i => Draw(task, i))];
        Zip = _folder.File("model.zip");
        File.WriteAllBytes(_folder.File("image.png"), Images[0]);

        // Without prompts nothing is trained, but for the server the model is an ordinary one.
        var mlContext = new MLContext(1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(
            task.ClassNames.Select((name, i) => new Row { Label = name, ImageSource = Images[i] })
        );
        using var model = mlContext
            .Transforms.Conversion.MapValueToKey("Label")
            .Append(
                mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    new DplTrainer.Options
                    {
                        Backbone = ClipBackbone.TinyDrawn,
                        ImageColumnName = nameof(Row.ImageSource),
                        Template = task.Template,
                        Configuration = PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn),
                    }
                )
            )
            .Append(mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel"))
            .Fit(rows);
        mlContext.Model.Save(model, rows.Schema, Zip);
        ClassNames = task.ClassNames;
        PredictionEngine<Row, Prediction> engine = mlContext.Model.CreatePredictionEngine<Row, Prediction>(model);
        Expected = [.. Images.Select(image => engine.Predict(new Row { ImageSource = image }))];
    }

    /// <summary>The saved model.</summary>
    public string Zip { get; }

    /// <summary>The class names, in the order of the scores.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>Different PNG files, 96 × 96.</summary>
    public IReadOnlyList<byte[]> Images { get; }

    /// <summary>The path of the first image as a file.</summary>
    public string File1 => _folder.File("image.png");

    internal IReadOnlyList<Prediction> Expected { get; }

    public void Dispose() => _folder.Dispose();

    /// <summary>Saves a model of the same classes that turns images according to their EXIF orientation.</summary>
    /// <returns>The path of the zip.</returns>
    public string SaveTurningModel()
    {
        string zip = _folder.File("turning.zip");
        var mlContext = new MLContext(1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(
            ClassNames.Select((name, i) => new Row { Label = name, ImageSource = Images[i] })
        );
        using DplTransformer model = mlContext
            .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                new DplTrainer.Options
                {
                    Backbone = ClipBackbone.TinyDrawn,
                    ImageColumnName = nameof(Row.ImageSource),
                    Configuration = PromptConfiguration.ZeroShot(ClipBackbone.TinyDrawn),
                    Images = { ApplyExifOrientation = true },
                }
            )
            .Fit(rows);
        mlContext.Model.Save(model, rows.Schema, zip);
        return zip;
    }

    /// <summary>A JPEG file that is stored lying and looks different from each of its eight origins.</summary>
    /// <param name="width">Width as stored.</param>
    /// <param name="height">Height as stored.</param>
    /// <param name="orientation">The EXIF orientation, 1 to 8.</param>
    internal static byte[] Oriented(int width, int height, byte orientation)
    {
        SKBitmap bitmap = ImageBytes.Filled(width, height, SKColors.Green);
        using (var canvas = new SKCanvas(bitmap))
        using (var red = new SKPaint { Color = SKColors.Red })
            canvas.DrawRect(0, 0, width / 2, height / 4, red);
        return ImageBytes.Oriented(ImageBytes.Encoded(bitmap, SKEncodedImageFormat.Jpeg), orientation);
    }

    private static byte[] Draw(DrawnTask task, int index)
    {
        int classIndex = index % task.ClassNames.Count;
        using SKBitmap image = task.Draw(classIndex, DrawnTaskFiles.RandomFor(task, 11, "web", classIndex, index), size: 96);
        using SKData data = image.Encode(SKEncodedImageFormat.Png, quality: 100);
        return data.ToArray();
    }

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public byte[] ImageSource { get; set; } = [];
    }

    internal sealed class Prediction
    {
        public string PredictedLabel { get; set; } = "";

        public float[] Score { get; set; } = [];
    }
}
