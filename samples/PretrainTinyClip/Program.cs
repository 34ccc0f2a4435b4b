using System.CommandLine;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Display;
using PretrainTinyClip;
using PretrainTinyClip.Photographs;
using Spectre.Console;
using TorchSharp;

var defaults = new PretrainSettings();
var output = new Option<DirectoryInfo>("--output")
{
    Description = "Folder for the model in Hugging Face's layout.",
    DefaultValueFactory = _ => new DirectoryInfo("tiny-clip"),
};
var minutes = new Option<double>("--minutes")
{
    Description = "Length of the run, where --steps is not given.",
    DefaultValueFactory = _ => 45,
};
var steps = new Option<int?>("--steps") { Description = "Length of the run in steps; the same steps give the same model." };
var seed = new Option<int>("--seed") { Description = "Seed of images and initial values.", DefaultValueFactory = _ => defaults.Seed };
var device = new Option<string?>("--device") { Description = "cpu, cuda or cuda:n." };
var batch = new Option<int>("--batch") { Description = "Images per step.", DefaultValueFactory = _ => defaults.Batch };
var learningRate = new Option<double?>("--learning-rate")
{
    Description = $"Highest learning rate. Default: {defaults.LearningRate}; with --photographs {new PhotographSettings().LearningRate}.",
};
var imageSize = new Option<int>("--image-size")
{
    Description = "Side of an image in pixels.",
    DefaultValueFactory = _ => defaults.ImageSize,
};
var patchSize = new Option<int>("--patch-size")
{
    Description = "Side of a patch in pixels.",
    DefaultValueFactory = _ => defaults.PatchSize,
};
var width = new Option<int>("--width")
{
    Description = "Width of the image tower, a multiple of 64.",
    DefaultValueFactory = _ => defaults.Width,
};
var layers = new Option<int>("--layers") { Description = "Layers of the image tower.", DefaultValueFactory = _ => defaults.Layers };
var textWidth = new Option<int>("--text-width")
{
    Description = "Width of the text tower, a multiple of 64.",
    DefaultValueFactory = _ => defaults.TextWidth,
};
var textLayers = new Option<int>("--text-layers")
{
    Description = "Layers of the text tower.",
    DefaultValueFactory = _ => defaults.TextLayers,
};
var easy = new Option<long>("--easy-images")
{
    Description = "Number of images at the beginning that are made easier, gradually less so.",
    DefaultValueFactory = _ => defaults.EasyImages,
};
var checkpoint = new Option<FileInfo?>("--checkpoint")
{
    Description = "File for the run's state; a run whose file already exists is resumed.",
};
var saveMinutes = new Option<double>("--save-minutes")
{
    Description = "Time between saves of model and checkpoint.",
    DefaultValueFactory = _ => 4,
};
var reportEvery = new Option<int>("--report-every") { Description = "Steps between reports.", DefaultValueFactory = _ => 25 };
var images = new Option<int>("--evaluation-images")
{
    Description = "Held-out images in the last evaluation.",
    DefaultValueFactory = _ => 2000,
};
var evaluate = new Option<DirectoryInfo?>("--evaluate") { Description = "Evaluates a folder that this program saved, and trains nothing." };

var photographs = new Option<DirectoryInfo?>("--photographs")
{
    Description = "Trains on photographs: the folder that holds tiny-imagenet-200 and caltech101.",
};
var cache = new Option<DirectoryInfo>("--cache")
{
    Description = "Folder for decoded photographs and the teacher's features.",
    DefaultValueFactory = _ => new DirectoryInfo("photograph-cache"),
};
var teacher = new Option<FileInfo?>("--teacher") { Description = "ResNet18.onnx of the package Microsoft.ML.DnnImageFeaturizer.ResNet18." };
var heldOut = new Option<DirectoryInfo?>("--held-out") { Description = "Folder of tables whose images of Caltech101 are left out." };
var wordNet = new Option<DirectoryInfo>("--wordnet")
{
    Description = "Folder with WordNet's data.noun and index.noun.",
    DefaultValueFactory = _ => new DirectoryInfo("/usr/share/wordnet"),
};
var products = new Option<ComputePrecision>("--precision")
{
    Description = "Precision of the image tower's matrix products: Float32 or BFloat16.",
    DefaultValueFactory = _ => ComputePrecision.Float32,
};
products.AcceptOnlyFromAmong(nameof(ComputePrecision.Float32), nameof(ComputePrecision.BFloat16));
var workers = new Option<int>("--workers")
{
    Description = "Number of threads that share a step.",
    DefaultValueFactory = _ => new PhotographSettings().Workers,
};
var falling = new Option<double>("--falling")
{
    Description = "Fraction of the run, at its end, in which the learning rate falls to zero, above 0 and at most 1.",
    DefaultValueFactory = _ => new PhotographSettings().Falling,
};
var initial = new Option<DirectoryInfo?>("--initial")
{
    Description = "Folder that this program saved from the same photographs; a new run begins with its weights.",
};
var prepareOnly = new Option<bool>("--prepare-only") { Description = "Ends when the cache is complete." };

var root = new RootCommand(
    "Trains a small CLIP from scratch on drawn images, or on photographs and drawn images, and saves it in Hugging Face's layout."
)
{
    output,
    minutes,
    steps,
    seed,
    device,
    batch,
    learningRate,
    imageSize,
    patchSize,
    width,
    layers,
    textWidth,
    textLayers,
    easy,
    checkpoint,
    saveMinutes,
    reportEvery,
    images,
    evaluate,
    photographs,
    cache,
    teacher,
    heldOut,
    wordNet,
    products,
    initial,
    workers,
    falling,
    prepareOnly,
};
root.SetAction(
    (arguments, cancellationToken) =>
        Task.FromResult(
            Guarded(() =>
            {
                torch.Device where = ComputeDevice.Choose(
                    arguments.GetValue(device),
                    gpuDeviceId: null,
                    fallbackToCpu: false,
                    AnsiConsole.WriteLine,
                    AnsiConsole.WriteLine
                );
                if (arguments.GetValue(evaluate) is { } folder)
                {
                    PretrainCommand.Write(SavedClip.Evaluate(folder.FullName, arguments.GetValue(seed), arguments.GetValue(images), where));
                    return 0;
                }
                var outputs = new PretrainOutputs(
                    arguments.GetRequiredValue(output),
                    arguments.GetValue(checkpoint),
                    TimeSpan.FromMinutes(arguments.GetValue(saveMinutes)),
                    Math.Max(1, arguments.GetValue(reportEvery)),
                    arguments.GetValue(images)
                );
                Option[] ofDrawings = [minutes, device, batch, imageSize, patchSize, width, layers, textWidth, textLayers, easy],
                    ofPhotographs = [cache, teacher, heldOut, wordNet, products, initial, workers, falling, prepareOnly];
                bool onPhotographs = arguments.GetValue(photographs) is not null;
                foreach (Option option in onPhotographs ? ofDrawings : ofPhotographs)
                    if (arguments.GetResult(option) is { Implicit: false })
                        throw new ArgumentException(
                            $"{option.Name} is for a run {(onPhotographs ? "without" : "with")} --photographs only."
                        );
                if (arguments.GetValue(photographs) is { } data)
                {
                    var inputs = new PhotographInputs(
                        data.FullName,
                        arguments.GetRequiredValue(cache).FullName,
                        arguments.GetValue(teacher)?.FullName,
                        arguments.GetValue(heldOut)?.FullName,
                        arguments.GetRequiredValue(wordNet).FullName,
                        arguments.GetValue(initial)?.FullName
                    );
                    var usual = new PhotographSettings();
                    var photographed = new PhotographSettings(
                        arguments.GetValue(steps) ?? usual.Steps,
                        arguments.GetValue(seed),
                        LearningRate: arguments.GetValue(learningRate) ?? usual.LearningRate,
                        Workers: Math.Clamp(arguments.GetValue(workers), 1, usual.Drawings),
                        Falling: arguments.GetValue(falling) is > 0 and <= 1 and var share
                            ? share
                            : throw new ArgumentException("--falling must be above 0 and at most 1.")
                    );
                    torch.ScalarType rounded =
                        arguments.GetValue(products) == ComputePrecision.Float32 ? torch.ScalarType.Float32 : torch.ScalarType.BFloat16;
                    return new PhotographCommand(inputs, photographed, outputs, rounded, cancellationToken).Run(
                        arguments.GetValue(prepareOnly)
                    );
                }
                var settings = new PretrainSettings(
                    arguments.GetValue(imageSize),
                    arguments.GetValue(patchSize),
                    arguments.GetValue(width),
                    arguments.GetValue(layers),
                    arguments.GetValue(textWidth),
                    arguments.GetValue(textLayers),
                    defaults.EmbeddingWidth,
                    arguments.GetValue(batch),
                    arguments.GetValue(learningRate) ?? defaults.LearningRate,
                    defaults.WeightDecay,
                    arguments.GetValue(steps),
                    TimeSpan.FromMinutes(arguments.GetValue(minutes)),
                    arguments.GetValue(seed),
                    arguments.GetValue(easy)
                );
                return new PretrainCommand(settings, outputs, where, cancellationToken).Run();
            })
        )
);

// A cancelled run still saves and evaluates what it has.
return await Interruption.Run(root.Parse(args));

// Errors in the input are shown as one line without a stack trace.
static int Guarded(Func<int> run)
{
    try
    {
        return run();
    }
    catch (Exception e)
        when (e
                is ArgumentException
                    or InvalidOperationException
                    or InvalidDataException
                    or IOException
                    or UnauthorizedAccessException
                    or DllNotFoundException
        )
    {
        AnsiConsole.MarkupLineInterpolated($"[red]{e.Message}[/]");
        return 1;
    }
}
