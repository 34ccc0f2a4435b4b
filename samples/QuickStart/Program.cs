using System.CommandLine;
using System.Reflection;
using EuroSat;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Display;
using QuickStart;
using Spectre.Console;

var clip = new Option<string?>("--clip")
{
    Description =
        "Folder of a CLIP in Hugging Face layout, a .safetensors file with OpenAI's names, or one of those that come along: tiny, which "
        + "knows photographs, and tiny-drawn, which knows drawings alone. Default: tiny, and tiny-drawn for a drawn --task.",
};
var task = new Option<string>("--task")
{
    HelpName = "task",
    Description =
        $"The images if no --train is given: {string.Join(", ", ImageTables.Tasks)}. eurosat are satellite photographs that come along, "
        + "the others are drawn.",
    DefaultValueFactory = _ => EuroSatTiles.Name,
};
task.AcceptOnlyFromAmong([.. ImageTables.Tasks]);
var train = new Option<FileInfo>("--train")
{
    Description = "Table of training images: ImagePath and Label, separated by tabs. Default: those of --task.",
}.AcceptExistingOnly();
var validation = new Option<FileInfo>("--validation")
{
    Description = "Table of validation images. Default: 4 training images of each class.",
}.AcceptExistingOnly();
var test = new Option<FileInfo>("--test") { Description = "Table of test images; belongs to --train." }.AcceptExistingOnly();
var output = new Option<FileInfo>("--output")
{
    Description = "File for the model.",
    DefaultValueFactory = _ => new FileInfo("quickstart/model.zip"),
};
var searchEpochs = new Option<int?>("--search-epochs") { Description = "Epochs of search. Default: the trainer's." };
var steps = new Option<int?>("--steps")
{
    Description = $"Steps of training. Default: {ImageTables.TileSteps} for the satellite tiles, else the trainer's.",
};
var trainingEpochs = new Option<int?>("--training-epochs") { Description = "Epochs of training. Default: the trainer's." };
var batch = new Option<int?>("--batch") { Description = "Images per step. Default: the trainer's." };
var learningRate = new Option<double?>("--learning-rate") { Description = "Learning rate of the prompts. Default: the trainer's." };
var distillation = new Option<double>("--distillation")
{
    Description = "Weight of staying close to zero-shot CLIP in training.",
    DefaultValueFactory = _ => 0,
};
var candidates = new Option<int[]>("--candidates")
{
    Description = "Prompt lengths to choose from.",
    AllowMultipleArgumentsPerToken = true,
    DefaultValueFactory = _ => [0, 4, 8, 16],
};
var template = new Option<string?>("--template") { Description = "Text of a class. Default: a photo of a {}., or that of the --task." };
var seed = new Option<int>("--seed") { Description = "Seed of everything random.", DefaultValueFactory = _ => 1 };
var device = new Option<string?>("--device") { Description = "cpu, cuda or cuda:n." };

var root = new RootCommand(
    "Compares zero-shot CLIP, uniform prompts and a fit as the trainer does it, saves the last as an ML.NET model and loads it again."
)
{
    clip,
    task,
    train,
    validation,
    test,
    output,
    steps,
    searchEpochs,
    trainingEpochs,
    batch,
    learningRate,
    distillation,
    candidates,
    template,
    seed,
    device,
};
root.SetAction(
    (arguments, cancellationToken) =>
        Guarded(() =>
        {
            FileInfo zip = arguments.GetRequiredValue(output);
            bool ownTables = arguments.GetValue(train) is not null;
            // Open the CLIP before drawing or reading anything, so that a wrong path fails at once and leaves nothing behind.
            bool drawn = !ownTables && arguments.GetRequiredValue(task) != EuroSatTiles.Name;
            string chosen = arguments.GetValue(clip) ?? (drawn ? ClipBackbone.TinyDrawnName : ClipBackbone.TinyName);
            ClipBackbone.Open(chosen);
            if (ownTables != arguments.GetValue(test) is not null)
                throw new ArgumentException("--train and --test go together.");
            Directory.CreateDirectory(zip.DirectoryName!);
            ImageTables images = ownTables
                ? new ImageTables(arguments.GetValue(train)!, arguments.GetValue(validation), arguments.GetValue(test)!, "a photo of a {}.")
                : ImageTables.Find(arguments.GetRequiredValue(task), zip.Directory!, arguments.GetValue(seed));
            return new Experiment(
                new ExperimentSettings(
                    chosen,
                    images with
                    {
                        Template = arguments.GetValue(template) ?? images.Template,
                    },
                    zip,
                    Steps(arguments.GetValue(steps), arguments.GetValue(trainingEpochs), drawn || ownTables),
                    arguments.GetValue(searchEpochs),
                    arguments.GetValue(trainingEpochs),
                    arguments.GetValue(batch),
                    arguments.GetValue(learningRate),
                    arguments.GetValue(distillation),
                    arguments.GetValue(seed),
                    arguments.GetValue(device),
                    arguments.GetRequiredValue(candidates)
                ),
                cancellationToken
            ).Run();
        })
);

var zip = new Argument<FileInfo>("model") { Description = "A saved model." }.AcceptExistingOnly();
var images = new Argument<string[]>("images") { Description = "Image files." };
var predict = new Command("predict", "Classifies images with a saved model.") { zip, images };
predict.SetAction(
    (arguments, _) =>
        Guarded(() => Task.FromResult(SavedModel.Classify(arguments.GetRequiredValue(zip), arguments.GetRequiredValue(images))))
);
root.Subcommands.Add(predict);
return await Interruption.Run(root.Parse(args));

// The trainer's default number of steps on the tiles would take too long for a first look.
static int? Steps(int? given, int? epochs, bool usual) => given ?? (usual || epochs is not null ? null : ImageTables.TileSteps);

// Errors in the input are shown as one line without a stack trace.
static async Task<int> Guarded(Func<Task<int>> run)
{
    try
    {
        // Must precede any other use of TorchSharp, which some systems can load only in this way.
        LibTorchRuntime.Load();
        return await run();
    }
    catch (OperationCanceledException)
    {
        AnsiConsole.MarkupLine("[yellow]Cancelled.[/]");
        return Interruption.ExitCode;
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
        AnsiConsole.MarkupLineInterpolated($"[red]{Cause(e).Message}[/]");
        return 1;
    }
}

// ML.NET wraps exceptions that occur while a model is loaded.
static Exception Cause(Exception e) => e is TargetInvocationException { InnerException: { } inner } ? Cause(inner) : e;
