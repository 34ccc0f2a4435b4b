using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.Dpl.Clip;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl compare</c>: several configurations on the same pictures with the same budget.</summary>
internal static class CompareCommand
{
    /// <summary>One configuration's outcome.</summary>
    private sealed record Compared(string Name, PromptConfiguration Configuration, AccuracyInterval Accuracy, double MacroAccuracy, double LogLoss, double CalibrationError, double? ValidationAccuracy, double Seconds);

    public static System.CommandLine.Command Create()
    {
        var data = new DataOptions(learns: true);
        var clip = new ModelOptions(needsClip: true);
        var search = new SearchOptions();
        var training = new TrainingOptions();
        var common = new CommonOptions();
        var progress = new ProgressOptions();
        var configurations = new Option<string[]>("--configuration") { Description = $"Once for each configuration: search; {ConfigurationArgument.Forms}. Default: zero-shot, uniform:4 and search.", DefaultValueFactory = _ => ["zero-shot", "uniform:4", ConfigurationArgument.Search] };
        var json = new Option<string?>("--json") { Description = "File for the table as JSON. Default: none." };
        var command = new ExampledCommand(
            "compare", "Fits several configurations on the same pictures with the same options and tests each: accuracy with its 95 % interval, mean over classes, log-loss, calibration, time.",
            "dpl compare train.tsv --test test.tsv --clip ViT-B/16 --configuration zero-shot --configuration uniform:4 --configuration search");
        data.AddTo(command);
        clip.AddTo(command);
        command.Options.Add(configurations);
        command.Options.Add(json);
        search.AddTo(command);
        training.AddTo(command);
        common.AddTo(command);
        foreach (Option option in progress.All) command.Options.Add(option);
        command.SetAction((arguments, cancellation) =>
        {
            ClipBackbone backbone = clip.Backbone(arguments);
            // All are read before the first is fitted.
            (string Name, PromptConfiguration? Lengths)[] chosen = [.. arguments.GetRequiredValue(configurations).Select(text => (text, ConfigurationArgument.Parse(text, backbone)))];
            OutputFile? file = arguments.GetValue(json) is { } path ? OutputFile.Check(path, "--json") : null;
            PictureSets sets = data.Read(arguments, common.Seed(arguments));
            if (sets.Test.Count == 0) throw new ArgumentException("A comparison needs test pictures: name them with --test, or give data with a test split.");
            DplTrainer.Options OptionsOf(PromptConfiguration? lengths)
            {
                var options = new DplTrainer.Options { Backbone = backbone, Configuration = lengths, CancellationToken = cancellation };
                search.Apply(arguments, options);
                training.Apply(arguments, options);
                common.Apply(arguments, options);
                clip.Apply(arguments, options);
                return options;
            }
            var compared = new List<Compared>();
            var sessions = new List<FitSession>();
            foreach (var (name, lengths) in chosen)
            {
                DplTrainer.Options options = OptionsOf(lengths);
                sessions.Add(new FitSession(options, sets, data.HasWeights(arguments), progress.Mode(arguments), CommandLine.IsVerbose(arguments), common.TensorBoard(arguments)));
                compared.Add(Compare(name, sessions[^1], options, sets, cancellation));
            }
            file?.Write(path => File.WriteAllText(path, JsonSerializer.Serialize(compared, ToolJson.Indented)));
            Write(compared, sets.Test.Count);
            foreach (FitSession done in sessions) done.Forget();
            return Task.FromResult((int)ExitCode.Success);
        });
        return command;
    }

    private static Compared Compare(string name, FitSession session, DplTrainer.Options options, PictureSets sets, CancellationToken cancellation)
    {
        long began = Stopwatch.GetTimestamp();
        using DplTransformer transformer = session.Fit(name);
        TimeSpan time = Stopwatch.GetElapsedTime(began);
        (TestResults test, _) = Evaluator.Evaluate(session.MLContext, transformer, sets.Test, options.SkipUnreadableImages, cancellation);
        return new Compared(
            name, transformer.Configuration, test.Accuracy, test.MacroAccuracy, test.LogLoss, test.Calibration.ExpectedError, transformer.ValidationAccuracy, time.TotalSeconds);
    }

    private static void Write(IReadOnlyList<Compared> compared, int pictures)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("configuration");
        foreach (string column in new[] { "accuracy", "95 % interval", "class mean", "log-loss", "calibration error", "time" }) table.AddColumn(new TableColumn(column).RightAligned());
        table.AddColumn("prompt rows");
        foreach (Compared row in compared)
        {
            table.AddRow(
                Markup.Escape(row.Name), EvaluationTables.Percent(row.Accuracy.Accuracy), EvaluationTables.Interval(row.Accuracy), EvaluationTables.Percent(row.MacroAccuracy),
                FormattableString.Invariant($"{row.LogLoss:f4}"), EvaluationTables.Percent(row.CalibrationError), FormattableString.Invariant($"{TimeSpan.FromSeconds(row.Seconds):hh\\:mm\\:ss}"), Markup.Escape(row.Configuration.ToString()));
        }
        Terminal.Out.Write(table);
        Console.Out.WriteLine($"{pictures} test pictures.");
    }
}
