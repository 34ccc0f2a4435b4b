using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Tool.Studies.Methods;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>Compares a search that ends once it is decided with one that runs all its epochs, each followed by training: how much time is
/// saved, and whether the result is as good.</summary>
internal sealed class EarlyStopBenchmark(
    IReadOnlyList<string> tasks,
    int batch,
    int searchEpochs,
    int trainingEpochs,
    int patience,
    double margin
)
{
    /// <param name="Text">Prompt lengths of the text tower's layers.</param>
    /// <param name="Image">Prompt lengths of the image tower's layers.</param>
    /// <param name="Epochs">Search epochs that were run.</param>
    /// <param name="Seconds">Duration of the search stage, in seconds.</param>
    /// <param name="Accuracy">Accuracy on the test images, 0 to 1.</param>
    private sealed record Outcome(string Text, string Image, int Epochs, double Seconds, double Accuracy);

    public void Run(bool json)
    {
        var rows = new List<object>();
        var table = new Table()
            .AddColumn("task")
            .AddColumn("epochs")
            .AddColumn("of the search's time")
            .AddColumn("text")
            .AddColumn("image")
            .AddColumn("accuracy ± standard error");
        foreach (string task in tasks)
        {
            using var data = BenchmarkTask.Drawn(task, seed: 1, testPerClass: 25);
            int images = data.Test.GetColumn<string>("Label").Count();
            Outcome Fit(int? searchPatience)
            {
                var stages = new StageClock();
                DplTrainer.Options options = data.Options(seed: 1);
                (options.Training.Recipe, options.Validation.Set) = (TrainingRecipe.Paper, data.Validation);
                (options.Training.BatchSize, options.Search.Epochs, options.Training.Epochs, options.Progress) = (
                    batch,
                    searchEpochs,
                    trainingEpochs,
                    stages
                );
                (options.Search.Patience, options.Search.Margin) = (searchPatience, margin);
                using DplTransformer transformer = data
                    .Context.MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
                    .Fit(data.Train);
                (double accuracy, _) = data.Evaluate(
                    new PromptClassifier(data.Context, transformer, isCoupled: false, learnsTemperature: false)
                );
                return new Outcome(
                    string.Join(' ', transformer.Configuration.Text),
                    string.Join(' ', transformer.Configuration.Image),
                    transformer.SearchReport!.Epochs.Count,
                    stages.Search.TotalSeconds,
                    accuracy
                );
            }
            Outcome all = Fit(null),
                shorter = Fit(patience);
            rows.Add(
                new
                {
                    task,
                    images,
                    all,
                    shorter,
                    sameConfiguration = (all.Text, all.Image) == (shorter.Text, shorter.Image),
                    searchTimeRatio = shorter.Seconds / all.Seconds,
                }
            );
            foreach (Outcome o in new[] { all, shorter })
            {
                table.AddRow(
                    task,
                    $"{o.Epochs}",
                    $"{o.Seconds / all.Seconds:p0}",
                    o.Text,
                    o.Image,
                    $"{o.Accuracy:p1} ± {Math.Sqrt(o.Accuracy * (1 - o.Accuracy) / images):p1}"
                );
            }
        }
        if (json)
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        batch,
                        searchEpochs,
                        trainingEpochs,
                        patience,
                        margin,
                        rows,
                    }
                )
            );
        else
            AnsiConsole.Write(table);
    }
}
