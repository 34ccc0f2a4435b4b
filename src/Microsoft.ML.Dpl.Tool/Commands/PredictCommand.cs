using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl predict</c>: classifies images with a saved model.</summary>
internal sealed class PredictCommand
{
    private const string FromInput = "-";

    private readonly Argument<string> _model = new("model") { Description = "A saved model." };
    private readonly Argument<string[]> _images = new("images")
    {
        Description =
            "Image files; folders, whose images are taken, those in sub-folders too; or - for paths on the standard input, one a line.",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly ChoiceOption<PredictionFormat> _format = new(
        "--format",
        "table, csv or jsonl (one JSON object a line). csv and jsonl are written as images are done.",
        PredictionFormat.Table
    );
    private readonly Option<int> _top = new("--top")
    {
        Description = "Most probable classes to show of each image.",
        HelpName = "number",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<bool> _keepFormulas = new("--keep-formulas")
    {
        Description =
            "Writes fields of csv as they are. Without it an apostrophe comes before those that a spreadsheet would take for formulas.",
    };
    private readonly Option<int> _batch = new("--batch-size")
    {
        Description = "Images that are collected before they are classified together; 1 answers each at once.",
        HelpName = "number",
        DefaultValueFactory = _ => 32,
    };
    private readonly ModelOptions _clip = new(needsClip: false);
    private readonly ProgressOptions _progress = new();

    public static System.CommandLine.Command Create()
    {
        var verb = new PredictCommand();
        var command = new ExampledCommand(
            "predict",
            "Classifies images with a saved model. Files that cannot be read are named on the error stream, and the others are done.",
            "dpl predict model.zip holiday.jpg",
            "dpl predict model.zip photos --top 3 --format csv > classes.csv",
            "find . -name '*.png' | dpl predict model.zip - --format jsonl"
        );
        command.Arguments.Add(verb._model);
        command.Arguments.Add(verb._images);
        foreach (Option option in new Option[] { verb._format, verb._keepFormulas, verb._top, verb._batch })
            command.Options.Add(option);
        verb._clip.AddTo(command);
        verb._progress.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        return command;
    }

    private ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        ProgressMode mode = _progress.Choose(arguments);
        (int top, int batch, PredictionFormat format) = (arguments.GetValue(_top), arguments.GetValue(_batch), _format.Of(arguments));
        if (top < 1)
            throw new ArgumentException($"--top must be at least 1; it is {top}.");
        if (batch < 1)
            throw new ArgumentException($"--batch-size must be at least 1; it is {batch}.");
        string[] named = arguments.GetRequiredValue(_images),
            listed = [.. named.Where(path => path != FromInput).SelectMany(path => NamedImages.Expand(path, cancellationToken))];
        bool readsInput = named.Contains(FromInput);
        var mlContext = new MLContext();
        FitSession.Forward(mlContext, CommandLine.IsVerbose(arguments));
        _clip.Apply(arguments, mlContext, cancellationToken);
        using SavedModel saved = SavedModel.Load(mlContext, arguments.GetRequiredValue(_model));
        using TextWriter output = StandardOutput.Open();
        var writer = PredictionWriter.Create(format, saved.Transformer.ClassNames, top, output, arguments.GetValue(_keepFormulas));
        // Where answers appear on the terminal as they come, they are progress enough.
        if (mode == ProgressMode.Bars && format != PredictionFormat.Table && !Console.IsOutputRedirected)
            mode = ProgressMode.None;

        int failed = 0,
            all = 0;
        // The user's own spelling is what is written; the library is given full paths, since a model may have a folder of its own for
        // relative ones.
        IEnumerable<ImageRow> rows = (readsInput ? listed.Concat(StandardInput.Lines(cancellationToken)) : listed).Select(
            NamedImages.RowOf
        );
        try
        {
            ImageDisplay.Show(mode, "predict", readsInput ? null : listed.Length, progress =>
            {
                foreach (ScoredImage image in new ImageScores(mlContext, saved.Transformer).Of(rows, batch, cancellationToken))
                {
                    all++;
                    writer.Write(image.Row.Label, image.Numbers, image.Error);
                    if (image.Error is not null)
                    {
                        failed++;
                        Terminal.Fail($"{image.Row.Label}: {image.Error}");
                    }
                    progress.Report(new ImageProgress(all));
                }
                return all;
            });
        }
        catch (OperationCanceledException) when (all > 0)
        {
            writer.End();
            Terminal.Fail($"Cancelled after {all} images.");
            return ExitCode.Cancelled;
        }
        writer.End();
        if (all == 0)
            Terminal.Warn("There were no images to classify.");
        if (failed == 0)
            return ExitCode.Success;
        Terminal.Fail($"{failed} of {all} images could not be read.");
        return ExitCode.PartlyFailed;
    }
}
