using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Runtime;
using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;
using static TorchSharp.torch;

namespace PretrainTinyClip;

/// <summary>Where a run's results are written, and how often it reports.</summary>
internal sealed record PretrainOutputs(
    DirectoryInfo Folder,
    FileInfo? Checkpoint,
    TimeSpan SaveEvery,
    int ReportEvery,
    int EvaluationImages
);

/// <summary>Runs the training on drawings with console output: progress, saves, and a table at the end.</summary>
internal sealed class PretrainCommand(
    PretrainSettings settings,
    PretrainOutputs outputs,
    Device device,
    CancellationToken cancellationToken
)
{
    private const int ImagesAtSaves = 512;

    public int Run()
    {
        using var training = new Pretraining(settings, outputs.Folder.FullName, device);
        string? checkpoint = outputs.Checkpoint?.FullName;
        if (checkpoint is not null && File.Exists(checkpoint))
        {
            training.Resume(checkpoint);
            AnsiConsole.WriteLine($"Resumed at step {training.Position.Step}, after {training.Position.Elapsed:hh\\:mm\\:ss}.");
        }
        ClipConfig config = training.Clip.Config;
        long parameters = training.Clip.Values.Values.Sum(v => v.NumberOfElements);
        AnsiConsole.WriteLine(
            $"{config.Image.Layers} image layers of {config.Image.Width}, {config.Text.Layers} text layers of {config.Text.Width}, "
                + $"{config.VocabularySize} tokens, {parameters:n0} parameters, {config.ImageSize} pixels in patches of "
                + $"{config.PatchSize}, batch {settings.Batch}"
        );

        if (AnsiConsole.Profile.Capabilities.Interactive)
        {
            AnsiConsole
                .Progress()
                .Columns(
                    new TaskDescriptionColumn { Alignment = Justify.Left },
                    new ProgressBarColumn(),
                    new PercentageColumn(),
                    new RemainingTimeColumn()
                )
                .Start(context =>
                {
                    ProgressTask task = context.AddTask("pretraining", maxValue: 1);
                    Train(training, checkpoint, now => (task.Description, task.Value) = (Markup.Escape(Line(now)), now.Share));
                });
        }
        else
        {
            Train(training, checkpoint, now => Console.WriteLine(Line(now)));
        }

        training.Save(checkpoint);
        Evaluate(training, outputs.EvaluationImages, training.Position);
        return cancellationToken.IsCancellationRequested ? Interruption.ExitCode : 0;
    }

    private void Train(Pretraining training, string? checkpoint, Action<PretrainReport> report) =>
        training.Run(
            report,
            outputs.ReportEvery,
            () =>
            {
                training.Save(checkpoint);
                string results = string.Join(", ", training.Evaluate(ImagesAtSaves).Select(r => $"{r.Task} {r.Accuracy:p1}"));
                AnsiConsole.WriteLine($"saved at step {training.Position.Step}: {results}");
            },
            outputs.SaveEvery,
            cancellationToken
        );

    private static string Line(PretrainReport now) =>
        $"{now.Elapsed:hh\\:mm\\:ss} step {now.Step} ({now.Share:p0}): loss {now.Loss:f3} (least {now.Floor:f3}), lr "
        + $"{now.LearningRate:g2}, scale {now.LogitScale:f1}, {now.ImagesPerSecond:f0} images/s";

    private void Evaluate(Pretraining training, int images, RunPosition position)
    {
        IReadOnlyList<ZeroShotResult> results = training.Evaluate(images);
        Write(results);
        WriteSummary(outputs.Folder.FullName, position, settings.Batch, settings.Seed, results);
    }

    /// <summary>Writes evaluation.json next to the model.</summary>
    public static void WriteSummary(string folder, RunPosition position, int batch, int seed, IReadOnlyList<ZeroShotResult> results)
    {
        var summary = new
        {
            steps = position.Step,
            batch,
            seconds = Math.Round(position.Elapsed.TotalSeconds),
            seed,
            results,
        };
        WholeFile.Write(Path.Combine(folder, "evaluation.json"), stream =>
            JsonSerializer.Serialize(
                stream,
                summary,
                new JsonSerializerOptions { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase }
            )
        );
    }

    /// <summary>Writes a table of zero-shot results.</summary>
    public static void Write(IReadOnlyList<ZeroShotResult> results)
    {
        var table = new Table()
            .AddColumn("zero-shot")
            .AddColumn(new TableColumn("classes").RightAligned())
            .AddColumn(new TableColumn("accuracy").RightAligned())
            .AddColumn(new TableColumn("chance").RightAligned())
            .AddColumn(new TableColumn("images").RightAligned());
        foreach (ZeroShotResult r in results)
            table.AddRow(r.Task, $"{r.Classes}", $"{r.Accuracy:p1}", $"{r.Chance:p1}", $"{r.Images}");
        AnsiConsole.Write(table);
    }
}
