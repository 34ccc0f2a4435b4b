using System.CommandLine;
using System.Text.Json;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl evaluate</c>: evaluates a saved model on labelled images.</summary>
internal static class EvaluateCommand
{
    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var data = new DataOptions(learns: false);
        var clip = new ModelOptions(needsClip: false);
        var format = new ChoiceOption<ResultFormat>("--format", "table, or json with every prediction.", ResultFormat.Table);
        var progress = new ProgressOptions();
        var skip = new Option<bool>("--skip-unreadable")
        {
            Description = "Leaves out images that cannot be read, instead of stopping at the first; the exit code then says so.",
        };
        var command = new ExampledCommand(
            "evaluate",
            "Measures a saved model on labelled images, those of the test split where the data has one, else all: accuracy and its "
                + "interval, mean over classes, log-loss, calibration, each class, and which classes are confused. Images for which no "
                + "class reaches the model's threshold (see dpl inspect) count as wrong, and their number is shown.",
            "dpl evaluate model.zip test.tsv",
            "dpl evaluate model.zip photos/test --format json > test.json"
        );
        command.Arguments.Add(model);
        data.AddTo(command);
        clip.AddTo(command);
        command.Options.Add(format);
        command.Options.Add(skip);
        progress.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
                Task.FromResult(
                    (int)Run(
                        arguments,
                        arguments.GetRequiredValue(model),
                        data,
                        clip,
                        format.Read(arguments),
                        arguments.GetValue(skip),
                        progress.Choose(arguments),
                        cancellationToken
                    )
                )
        );
        return command;
    }

    private static ExitCode Run(
        ParseResult arguments,
        string model,
        DataOptions data,
        ModelOptions clip,
        ResultFormat format,
        bool skip,
        ProgressMode mode,
        CancellationToken cancellationToken
    )
    {
        IReadOnlyList<ImageRow> rows = data.Read(arguments, cancellationToken).ToEvaluate;
        ImageChecks.RequireFiles(rows, "images", skip);
        var mlContext = new MLContext();
        FitSession.Forward(mlContext, CommandLine.IsVerbose(arguments));
        clip.Apply(arguments, mlContext, cancellationToken);
        using SavedModel saved = SavedModel.Load(mlContext, model);
        (TestResults figures, int skipped) = Evaluator.Evaluate(mlContext, saved.Transformer, rows, skip, mode, "test", cancellationToken);
        if (format == ResultFormat.Json)
            Console.Out.WriteLine(JsonSerializer.Serialize(figures, ToolJson.Indented));
        else
            EvaluationTables.Write(figures);
        if (skipped == 0)
            return ExitCode.Success;
        Terminal.Fail($"{skipped} of {rows.Count} images could not be read; the figures cover the others.");
        return ExitCode.PartlyFailed;
    }
}
