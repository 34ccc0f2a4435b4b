using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Dpl;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace QuickStart;

/// <summary>Settings of the experiment: what to compare, on which images, for how long.</summary>
internal sealed record ExperimentSettings(
    string Clip,
    ImageTables Images,
    FileInfo Output,
    int? Steps,
    int? SearchEpochs,
    int? TrainingEpochs,
    int? BatchSize,
    double? LearningRate,
    double Distillation,
    int Seed,
    string? Device,
    int[] Candidates
);

/// <summary>Compares zero-shot CLIP, uniform prompts and a fit with search and comparison, all finally trained on the same images, and
/// saves the last.</summary>
internal sealed class Experiment(ExperimentSettings settings, CancellationToken cancellationToken)
{
    private readonly MLContext _mlContext = new(settings.Seed);

    public async Task<int> Run()
    {
        ConsoleProgress.ShowWarnings(_mlContext);
        ClipBackbone backbone = ClipBackbone.Open(settings.Clip);
        IReadOnlyList<Image> trainRows = Image.ReadTable(settings.Images.Train),
            testRows = Image.ReadTable(settings.Images.Test);
        IDataView train = _mlContext.Data.LoadFromEnumerable(trainRows),
            test = _mlContext.Data.LoadFromEnumerable(testRows);
        IReadOnlyList<Image> validationRows = settings.Images.Validation is null ? [] : Image.ReadTable(settings.Images.Validation);
        IDataView? validation = validationRows.Count == 0 ? null : _mlContext.Data.LoadFromEnumerable(validationRows);
        // A fit with a comparison is finally trained on all rows, so uniform prompts get all rows, too.
        IDataView all = _mlContext.Data.LoadFromEnumerable(trainRows.Concat(validationRows));
        ITransformer toKey = _mlContext.Transforms.Conversion.MapValueToKey("Label").Fit(train);
        int classes = trainRows.Select(p => p.Label).Distinct().Count();
        ClipTransformerConfig text = backbone.Config.Text,
            image = backbone.Config.Image;
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{backbone.Name}[/]: {text.Layers} text layers of {text.Width}, {image.Layers} image layers of {image.Width}"
        );
        AnsiConsole.MarkupLineInterpolated($"{trainRows.Count} training images of {classes} classes, {testRows.Count} test images");

        var table = new Table()
            .AddColumn("prompts")
            .AddColumn(new TableColumn("accuracy").RightAligned())
            .AddColumn(new TableColumn("right").RightAligned())
            .AddColumn(new TableColumn("class mean").RightAligned())
            .AddColumn(new TableColumn("time").RightAligned());
        DplTransformer Compare(string name, PromptConfiguration? configuration)
        {
            bool compares = configuration is null;
            long began = Stopwatch.GetTimestamp();
            DplTransformer transformer = ConsoleProgress.Show(name, progress =>
                _mlContext
                    .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                        OptionsFor(
                            backbone,
                            configuration,
                            compares && validation is not null ? toKey.Transform(validation) : null,
                            progress
                        )
                    )
                    .Fit(toKey.Transform(compares ? train : all))
            );
            TimeSpan time = Stopwatch.GetElapsedTime(began);
            MulticlassClassificationMetrics metrics = _mlContext.MulticlassClassification.Evaluate(
                transformer.Transform(toKey.Transform(test))
            );
            double accuracy = metrics.MicroAccuracy;
            table.AddRow(
                name,
                $"{accuracy:p2}",
                $"{accuracy * testRows.Count:f0} of {testRows.Count}",
                $"{metrics.MacroAccuracy:p2}",
                $"{time:hh\\:mm\\:ss}"
            );
            AnsiConsole.MarkupLineInterpolated($"{name}: [bold]{accuracy:p2}[/]");
            return transformer;
        }

        Compare("zero-shot CLIP", PromptConfiguration.ZeroShot(backbone)).Dispose();
        // The other lengths are compared within the fit.
        int length = settings.Candidates.First(length => length > 0);
        DplTransformer last = Compare($"uniform, length {length}", PromptConfiguration.Uniform(backbone, length));
        if (!cancellationToken.IsCancellationRequested)
        {
            last.Dispose();
            last = Compare("searched and compared (DPL)", null);
        }

        AnsiConsole.Write(table);
        WriteFinalists(last);
        WriteConfiguration(last);
        ITransformer model = new TransformerChain<ITransformer>(toKey, last, KeyToText(toKey.Transform(train), last));
        _mlContext.Model.SaveWhole(model, train.Schema, settings.Output.FullName);
        double size = new FileInfo(settings.Output.FullName).Length / 1024.0;
        last.Dispose();
        if (cancellationToken.IsCancellationRequested)
        {
            AnsiConsole.MarkupLineInterpolated(
                $"[yellow]Cancelled.[/] The best there was by then is saved as {settings.Output.FullName} ({size:f0} KiB)."
            );
            return Interruption.ExitCode;
        }
        AnsiConsole.MarkupLineInterpolated($"Saved as {settings.Output.FullName} ({size:f0} KiB). Loaded again by a fresh process:");

        IEnumerable<string> examples = testRows
            .GroupBy(p => p.Label)
            .Where((_, index) => index % Math.Max(1, classes / 6) == 0)
            .Take(6)
            .Select(group => group.First().ImagePath);
        return await SavedModel.ClassifyInFreshProcess(settings.Output, examples, cancellationToken);
    }

    private DplTrainer.Options OptionsFor(
        ClipBackbone backbone,
        PromptConfiguration? configuration,
        IDataView? validation,
        IProgress<FitProgress> progress
    ) =>
        new()
        {
            Backbone = backbone,
            ImageColumnName = nameof(Image.ImagePath),
            Validation = { Set = validation },
            Configuration = configuration,
            Search =
            {
                CandidateLengths = settings.Candidates,
                Epochs = settings.SearchEpochs,
                LearningRate = settings.LearningRate,
            },
            Template = settings.Images.Template,
            Training =
            {
                BatchSize = settings.BatchSize,
                Epochs = settings.TrainingEpochs,
                Steps = settings.Steps,
                LearningRate = settings.LearningRate,
                DistillationWeight = settings.Distillation,
            },
            Seed = settings.Seed,
            Compute = { Device = settings.Device },
            Progress = progress,
            CancellationToken = cancellationToken,
            OnCancel = InterruptionBehavior.ReturnBest,
        };

    private ITransformer KeyToText(IDataView keyed, DplTransformer searched) =>
        _mlContext.Transforms.Conversion.MapKeyToValue("PredictedLabel").Fit(searched.Transform(keyed));

    /// <summary>Writes the finalists that the fit compared before it trained the best of them: searched and uniform lengths.</summary>
    private static void WriteFinalists(DplTransformer transformer)
    {
        if (transformer.Finalists is not { Count: > 0 } finalists)
            return;
        var rows = new Table()
            .Border(TableBorder.Simple)
            .AddColumn("compared by short trainings")
            .AddColumn(new TableColumn("validation loss").RightAligned())
            .AddColumn(new TableColumn("validation accuracy").RightAligned());
        foreach (Finalist finalist in finalists)
            rows.AddRow(Markup.Escape($"{finalist}"), $"{finalist.ValidationLoss:f3}", $"{finalist.ValidationAccuracy:p1}");
        AnsiConsole.Write(rows);
    }

    private static void WriteConfiguration(DplTransformer transformer)
    {
        var rows = new Table().Border(TableBorder.Simple).AddColumn("prompt rows per layer");
        for (int layer = 1; layer <= Math.Max(transformer.Configuration.Text.Count, transformer.Configuration.Image.Count); layer++)
            rows.AddColumn(new TableColumn($"{layer}").RightAligned());
        rows.AddRow(["text", .. transformer.Configuration.Text.Select(n => $"{n}")]);
        rows.AddRow(["image", .. transformer.Configuration.Image.Select(n => $"{n}")]);
        if (transformer.SearchReport is { } search)
        {
            rows.AddRow(["text, confidence", .. search.TextConfidence.Select(c => $"{c:f2}")]);
            rows.AddRow(["image, confidence", .. search.ImageConfidence.Select(c => $"{c:f2}")]);
        }
        AnsiConsole.Write(rows);
    }
}
