using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Data;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>A whole fit with the embedded CLIP on a drawn task, stage by stage, and prediction with the resulting model.</summary>
internal sealed class EndToEndBenchmark(string taskName, int batch, int searchEpochs, int trainingEpochs)
{
    public void Run(bool json)
    {
        using var data = BenchmarkTask.Drawn(taskName, seed: 1, testPerClass: 25);
        var stages = new StageClock();
        DplTrainer.Options options = data.Options(seed: 1);
        (options.Training.Recipe, options.Validation.Set) = (TrainingRecipe.Paper, data.Validation);
        (options.Training.BatchSize, options.Search.Epochs, options.Training.Epochs, options.Progress) = (
            batch,
            searchEpochs,
            trainingEpochs,
            stages
        );
        long began = Stopwatch.GetTimestamp();
        using DplTransformer transformer = data
            .Context.MulticlassClassification.Trainers.DifferentiablePromptLearning(options)
            .Fit(data.Train);
        TimeSpan whole = Stopwatch.GetElapsedTime(began);
        began = Stopwatch.GetTimestamp();
        long rows = transformer.Transform(data.Test).GetColumn<string>("PredictedLabel").LongCount();
        TimeSpan prediction = Stopwatch.GetElapsedTime(began);
        double other = (whole - stages.Search - stages.Training).TotalSeconds;
        if (json)
        {
            Console.WriteLine(
                JsonSerializer.Serialize(
                    new
                    {
                        task = taskName,
                        batch,
                        searchEpochs,
                        trainingEpochs,
                        seconds = new
                        {
                            whole = whole.TotalSeconds,
                            search = stages.Search.TotalSeconds,
                            training = stages.Training.TotalSeconds,
                            other,
                            prediction = prediction.TotalSeconds,
                        },
                        predictedImages = rows,
                    }
                )
            );
            return;
        }
        var table = new Table()
            .AddColumn($"{taskName}, batch {batch}")
            .AddColumn(new TableColumn("seconds").RightAligned())
            .AddColumn(new TableColumn("share").RightAligned());
        void Add(string name, double seconds) => table.AddRow(name, $"{seconds:f1}", $"{seconds / whole.TotalSeconds:p0}");
        Add($"search, {searchEpochs} epochs", stages.Search.TotalSeconds);
        Add($"training, {trainingEpochs} epochs", stages.Training.TotalSeconds);
        Add("reading images and the rest", other);
        Add("whole fit", whole.TotalSeconds);
        table.AddRow($"prediction of {rows} images", $"{prediction.TotalSeconds:f1}", "");
        AnsiConsole.Write(table);
    }
}
