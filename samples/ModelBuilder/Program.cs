using System.CommandLine;
using System.Reflection;
using Drawing.Tasks;
using EuroSat;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Runtime;
using ModelBuilder;

var clip = new Option<string>("--clip")
{
    Description = "Folder of a CLIP in Hugging Face layout, a .safetensors file with OpenAI's names, or tiny: the one that comes along.",
    DefaultValueFactory = _ => "tiny",
};
var output = new Option<FileInfo>("--output")
{
    Description = "File for the model.",
    DefaultValueFactory = _ => new FileInfo("modelbuilder/FlowerClassifier.zip"),
};
var test = new Option<DirectoryInfo>("--test")
{
    Description = "Folder of other images, laid out alike, to measure the model on.",
}.AcceptExistingOnly();
var template = new Option<string?>("--template")
{
    Description = "Text of a class. Default: a photo of a {}., or that of the satellite tiles.",
};
var searchEpochs = new Option<int?>("--search-epochs")
{
    Description = "Epochs of search; 0: no search, 4 prompt rows in every layer. Default: the trainer's.",
};
var trainingEpochs = new Option<int?>("--training-epochs") { Description = "Epochs of training. Default: the trainer's." };
var batch = new Option<int?>("--batch") { Description = "Images per step. Default: the trainer's." };
var device = new Option<string?>("--device") { Description = "cpu, cuda or cuda:n." };

var folder = new Argument<DirectoryInfo>("folder")
{
    Description = "One folder of images for each class, named as the class. Default: satellite tiles that come along.",
    Arity = ArgumentArity.ZeroOrOne,
}.AcceptExistingOnly();
var train = new Command("train", "Trains a classifier on a folder of images and saves it as an ML.NET model.")
{
    folder,
    clip,
    output,
    test,
    template,
    searchEpochs,
    trainingEpochs,
    batch,
    device,
};
train.SetAction(
    (arguments, cancellationToken) =>
        Guarded(() =>
        {
            FileInfo zip = arguments.GetRequiredValue(output);
            DplTrainer.Options OptionsFor(string usual) => Options(arguments, arguments.GetValue(template) ?? usual, cancellationToken);
            if (arguments.GetValue(folder) is { } own)
                TrainOnFolder(own, arguments.GetValue(test), zip, OptionsFor("a photo of a {}."));
            else if (arguments.GetValue(test) is not null)
                throw new ArgumentException("--test belongs to a folder of your own: name it too.");
            else
                TrainOnTiles(zip, OptionsFor(EuroSatTiles.Template));
        })
);

var model = new Argument<FileInfo>("model") { Description = "A saved model." }.AcceptExistingOnly();
var files = new Argument<FileInfo[]>("files") { Description = "Image files.", Arity = ArgumentArity.OneOrMore }.AcceptExistingOnly();
var predict = new Command("predict", "Classifies images with a saved model: all classes, the most probable first.") { model, files };
predict.SetAction((arguments, _) => Guarded(() => Predict(arguments.GetRequiredValue(model), arguments.GetRequiredValue(files))));

var root = new RootCommand(
    "The classifier that Model Builder would generate, with prompts for CLIP as its trainer. Without a command it draws a small task "
        + "and learns it."
)
{
    train,
    predict,
    clip,
    output,
    searchEpochs,
    trainingEpochs,
    batch,
    device,
};
root.SetAction(
    (arguments, cancellationToken) =>
        Guarded(() =>
        {
            FileInfo zip = arguments.GetRequiredValue(output);
            DrawnTask task = DrawnTasks.Named("lighting");
            string images = Path.Combine(zip.DirectoryName!, "lighting");
            DrawnTaskFiles.Write(task, images, trainPerClass: 16, validationPerClass: 1, testPerClass: 25, seed: 1);
            Console.WriteLine($"Drew images of {task.ClassNames.Count} classes into {images}.");
            DirectoryInfo Split(string name) => new(Path.Combine(images, name));
            TrainOnFolder(Split("train"), Split("test"), zip, Options(arguments, task.Template, cancellationToken));
            Predict(
                zip,
                [
                    .. Split("test")
                        .EnumerateFiles("000.png", SearchOption.AllDirectories)
                        .OrderBy(file => file.FullName, StringComparer.Ordinal)
                        .Take(2),
                ]
            );
        })
);
return await Interruption.Run(root.Parse(args));

DplTrainer.Options Options(ParseResult arguments, string classTemplate, CancellationToken cancellationToken)
{
    DplTrainer.Options options = FlowerClassifier.DefaultOptions();
    options.Backbone = ClipBackbone.Open(arguments.GetRequiredValue(clip));
    options.Template = classTemplate;
    options.Training.BatchSize = arguments.GetValue(batch);
    options.Training.Epochs = arguments.GetValue(trainingEpochs);
    if (arguments.GetValue(searchEpochs) == 0)
        options.Configuration = PromptConfiguration.Uniform(options.Backbone, 4);
    else
        options.Search.Epochs = arguments.GetValue(searchEpochs);
    options.Compute.Device = arguments.GetValue(device);
    options.Progress = new EpochLines();
    (options.CancellationToken, options.OnCancel) = (cancellationToken, InterruptionBehavior.ReturnBest);
    return options;
}

static void TrainOnFolder(DirectoryInfo images, DirectoryInfo? others, FileInfo zip, DplTrainer.Options options)
{
    MLContext mlContext = NewContext();
    FlowerClassifier.Train(mlContext, zip.FullName, FlowerClassifier.LoadImageFromFolder(mlContext, images.FullName), options);
    Saved(zip, options.CancellationToken);
    if (others is not null)
        Measure(zip, context => FlowerClassifier.LoadImageFromFolder(context, others.FullName), others.FullName);
}

static void TrainOnTiles(FileInfo zip, DplTrainer.Options options)
{
    static IDataView Load(MLContext mlContext, IEnumerable<EuroSatTile> tiles) =>
        FlowerClassifier.LoadImages(mlContext, tiles.Select(tile => (tile.ImagePath, tile.Label)));
    Console.WriteLine($"Satellite tiles in {EuroSatTiles.Folder}.");
    MLContext mlContext = NewContext();
    FlowerClassifier.Train(mlContext, zip.FullName, Load(mlContext, EuroSatTiles.Train), options);
    Saved(zip, options.CancellationToken);
    Measure(zip, context => Load(context, EuroSatTiles.Test), EuroSatTiles.TestTable);
    Predict(zip, [new FileInfo(EuroSatTiles.Test[0].ImagePath)]);
}

// Show the trainer's warnings, which say why a model is worse than it could be and would otherwise be lost in the log.
static MLContext NewContext()
{
    var mlContext = new MLContext(seed: 1);
    mlContext.Log += (_, e) =>
    {
        if (e.Kind == ChannelMessageKind.Warning && e.Source.Contains("Dpl", StringComparison.Ordinal))
            Console.Error.WriteLine($"Warning: {e.RawMessage}");
    };
    return mlContext;
}

static void Saved(FileInfo zip, CancellationToken cancellationToken)
{
    zip.Refresh();
    string best = cancellationToken.IsCancellationRequested ? ", the best there was when it was cancelled" : "";
    Console.WriteLine($"Saved {zip.FullName} ({zip.Length / 1024} KiB){best}.");
    cancellationToken.ThrowIfCancellationRequested();
}

static void Measure(FileInfo zip, Func<MLContext, IDataView> load, string others)
{
    var mlContext = new MLContext();
    ITransformer saved = mlContext.Model.Load(zip.FullName, out _);
    using var held = saved as IDisposable;
    MulticlassClassificationMetrics metrics = FlowerClassifier.Evaluate(mlContext, saved, load(mlContext));
    Console.WriteLine(
        $"Accuracy on {others}: {metrics.MicroAccuracy:f4}, mean over classes {metrics.MacroAccuracy:f4}, log-loss {metrics.LogLoss:f3}."
    );
}

static void Predict(FileInfo zip, FileInfo[] images)
{
    FlowerClassifier.MLNetModelPath = zip.FullName;
    foreach (FileInfo image in images)
    {
        Console.WriteLine(Path.Combine(image.Directory!.Name, image.Name));
        foreach (
            var (label, score) in FlowerClassifier.PredictAllLabels(
                new FlowerClassifier.ModelInput { ImageSource = File.ReadAllBytes(image.FullName) }
            )
        )
            Console.WriteLine($"  {score:f4}  {label}");
    }
}

// Errors in the input are shown as one line without a stack trace.
static Task<int> Guarded(Action run)
{
    try
    {
        // Must precede any other use of TorchSharp, which some systems can load only in this way.
        LibTorchRuntime.Load();
        run();
        return Task.FromResult(0);
    }
    catch (OperationCanceledException)
    {
        Console.Error.WriteLine("Cancelled.");
        return Task.FromResult(Interruption.ExitCode);
    }
    catch (Exception e)
        when (Cause(e)
                is ArgumentException
                    or InvalidOperationException
                    or InvalidDataException
                    or IOException
                    or UnauthorizedAccessException
                    or DllNotFoundException
        )
    {
        Console.Error.WriteLine(Cause(e).Message);
        return Task.FromResult(1);
    }
}

// ML.NET wraps exceptions that occur while a model is loaded.
static Exception Cause(Exception e) => e is TargetInvocationException { InnerException: { } inner } ? Cause(inner) : e;
