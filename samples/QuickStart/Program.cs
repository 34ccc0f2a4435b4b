using System.CommandLine;
using System.Reflection;
using QuickStart;
using Spectre.Console;

var clip = new Option<string>("--clip") { Description = "Folder of a CLIP in Hugging Face layout, or a .safetensors file with OpenAI's names.", Required = true };
var train = new Option<FileInfo>("--train") { Description = "Table of training pictures: ImagePath and Label, separated by tabs.", Required = true }.AcceptExistingOnly();
var validation = new Option<FileInfo?>("--validation") { Description = "Table of validation pictures. Default: 4 training pictures of each class." };
var test = new Option<FileInfo>("--test") { Description = "Table of test pictures.", Required = true }.AcceptExistingOnly();
var output = new Option<FileInfo>("--output") { Description = "Where the model goes.", DefaultValueFactory = _ => new FileInfo("model.zip") };
var searchEpochs = new Option<int>("--search-epochs") { Description = "Epochs of search.", DefaultValueFactory = _ => 12 };
var trainingEpochs = new Option<int>("--training-epochs") { Description = "Epochs of training.", DefaultValueFactory = _ => 15 };
var batch = new Option<int>("--batch") { Description = "Pictures per step.", DefaultValueFactory = _ => 16 };
var learningRate = new Option<double>("--learning-rate") { Description = "Of prompts and alphas.", DefaultValueFactory = _ => 0.0035 };
var candidates = new Option<int[]>("--candidates") { Description = "Context lengths to choose from.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [0, 2, 4, 6] };
var template = new Option<string>("--template") { Description = "Text of a class.", DefaultValueFactory = _ => "a photo of a {}." };
var seed = new Option<int>("--seed") { Description = "Of everything random.", DefaultValueFactory = _ => 1 };
var device = new Option<string?>("--device") { Description = "cpu, cuda or cuda:n." };

var root = new RootCommand("Compares zero-shot CLIP, uniform prompts and searched prompts, saves the last as an ML.NET model and loads it again.")
{
    clip, train, validation, test, output, searchEpochs, trainingEpochs, batch, learningRate, candidates, template, seed, device,
};
root.SetAction((arguments, cancellation) => Guarded(() => new Experiment(
    new ExperimentSettings(
        arguments.GetRequiredValue(clip), arguments.GetRequiredValue(train), arguments.GetValue(validation), arguments.GetRequiredValue(test), arguments.GetRequiredValue(output),
        arguments.GetValue(searchEpochs), arguments.GetValue(trainingEpochs), arguments.GetValue(batch), arguments.GetValue(learningRate),
        arguments.GetRequiredValue(template), arguments.GetValue(seed), arguments.GetValue(device), arguments.GetRequiredValue(candidates)),
    cancellation).Run()));

var zip = new Argument<FileInfo>("model") { Description = "A saved model." }.AcceptExistingOnly();
var pictures = new Argument<string[]>("pictures") { Description = "Picture files." };
var predict = new Command("predict", "Classifies pictures with a saved model.") { zip, pictures };
predict.SetAction((arguments, _) => Guarded(() => Task.FromResult(SavedModel.Classify(arguments.GetRequiredValue(zip), arguments.GetRequiredValue(pictures)))));
root.Subcommands.Add(predict);
return await root.Parse(args).InvokeAsync();

// Wrong input is the user's to mend: one line, no stack trace.
static async Task<int> Guarded(Func<Task<int>> run)
{
    try
    {
        return await run();
    }
    catch (OperationCanceledException)
    {
        AnsiConsole.MarkupLine("[yellow]Cancelled.[/]");
        return 2;
    }
    catch (Exception e) when (Cause(e) is ArgumentException or InvalidOperationException or InvalidDataException or IOException or UnauthorizedAccessException or DllNotFoundException)
    {
        AnsiConsole.MarkupLineInterpolated($"[red]{Cause(e).Message}[/]");
        return 1;
    }
}

// ML.NET wraps what happens while a model loads.
static Exception Cause(Exception e) => e is TargetInvocationException { InnerException: { } inner } ? Cause(inner) : e;
