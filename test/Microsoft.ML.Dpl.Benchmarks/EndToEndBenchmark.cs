using System.Diagnostics;
using System.Text.Json;
using Drawing.Tasks;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl.Clip;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Benchmarks;

/// <summary>A whole fit on the embedded CLIP and a drawn task, stage by stage, and prediction with what it gave.</summary>
internal sealed class EndToEndBenchmark(string taskName, int batch, int searchEpochs, int trainingEpochs)
{
    public void Run(bool json)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("dpl-benchmark-");
        try
        {
            DrawnTask task = DrawnTasks.Named(taskName);
            DrawnTaskFiles.Write(task, folder.FullName, trainPerClass: 16, validationPerClass: 4, testPerClass: 25, seed: 1);
            var mlContext = new MLContext(1);
            IDataView Read(string table) => mlContext.Data.LoadFromTextFile<Row>(Path.Combine(folder.FullName, table), hasHeader: true);
            IDataView train = Read("train.tsv"), test = Read("test.tsv");
            var stages = new StageClock();
            long began = Stopwatch.GetTimestamp();
            using DplTransformer transformer = mlContext.MulticlassClassification.Trainers.DifferentiablePromptLearning(new DplTrainer.Options
            {
                Backbone = ClipBackbone.Tiny,
                ImageColumnName = nameof(Row.ImagePath),
                ImageFolder = folder.FullName,
                ValidationSet = Read("validation.tsv"),
                Template = task.Template,
                BatchSize = batch,
                SearchEpochs = searchEpochs,
                TrainingEpochs = trainingEpochs,
                Progress = stages,
            }).Fit(train);
            TimeSpan whole = Stopwatch.GetElapsedTime(began);
            began = Stopwatch.GetTimestamp();
            long rows = transformer.Transform(test).GetColumn<string>("PredictedLabel").LongCount();
            TimeSpan prediction = Stopwatch.GetElapsedTime(began);
            double other = (whole - stages.Search - stages.Training).TotalSeconds;
            if (json)
            {
                Console.WriteLine(JsonSerializer.Serialize(new { task = taskName, batch, searchEpochs, trainingEpochs, seconds = new { whole = whole.TotalSeconds, search = stages.Search.TotalSeconds, training = stages.Training.TotalSeconds, other, prediction = prediction.TotalSeconds }, predictedPictures = rows }));
                return;
            }
            var table = new Table().AddColumn($"{taskName}, batch {batch}").AddColumn(new TableColumn("seconds").RightAligned()).AddColumn(new TableColumn("share").RightAligned());
            void Add(string name, double seconds) => table.AddRow(name, $"{seconds:f1}", $"{seconds / whole.TotalSeconds:p0}");
            Add($"search, {searchEpochs} epochs", stages.Search.TotalSeconds);
            Add($"training, {trainingEpochs} epochs", stages.Training.TotalSeconds);
            Add("reading pictures and the rest", other);
            Add("whole fit", whole.TotalSeconds);
            table.AddRow($"prediction of {rows} pictures", $"{prediction.TotalSeconds:f1}", "");
            AnsiConsole.Write(table);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private sealed class Row
    {
        [LoadColumn(0)]
        public string ImagePath { get; set; } = "";

        [LoadColumn(1)]
        public string Label { get; set; } = "";
    }

    /// <summary>Called on the fit's own thread at every step.</summary>
    private sealed class StageClock : IProgress<DplProgress>
    {
        public TimeSpan Search { get; private set; }

        public TimeSpan Training { get; private set; }

        public void Report(DplProgress value)
        {
            if (value.Stage == DplStage.Search) Search = value.Elapsed;
            else Training = value.Elapsed;
        }
    }
}
