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
        Description = "Image files; folders, including their sub-folders; or - for paths on the standard input, one per line.",
        Arity = ArgumentArity.OneOrMore,
    };
    private readonly ChoiceOption<PredictionFormat> _format = new(
        "--format",
        "table, csv or jsonl (one JSON object per line). csv and jsonl are written as images are done.",
        PredictionFormat.Table
    );
    private readonly Option<int> _top = new("--top")
    {
        Description = "Number of most probable classes to show for each image.",
        HelpName = "number",
        DefaultValueFactory = _ => 1,
    };
    private readonly Option<bool> _keepFormulas = new("--keep-formulas")
    {
        Description =
            "Writes CSV fields unchanged. Without it, those that a spreadsheet would treat as formulas get an apostrophe in front.",
    };
    private readonly Option<int> _batch = new("--batch-size")
    {
        Description = "Number of images that are classified together; with 1, each is answered at once.",
        HelpName = "number",
        DefaultValueFactory = _ => 32,
    };
    private readonly PartsOptions _parts = new();
    private readonly EngineOptions _engine = new();
    private readonly ModelOptions _clip = new(needsClip: false);
    private readonly ProgressOptions _progress = new();

    public static System.CommandLine.Command Create()
    {
        var verb = new PredictCommand();
        var command = new ExampledCommand(
            "predict",
            "Classifies images with a saved model. Files that cannot be read are named on the error stream, and the others are done. Where "
                + "no class reaches the model's threshold (see dpl inspect), the class is empty, or left out in jsonl, whose 'top' lists "
                + "the most probable classes all the same.",
            "dpl predict model.zip holiday.jpg",
            "dpl predict model.zip photos --top 3 --format csv > classes.csv",
            "find . -name '*.png' | dpl predict model.zip - --format jsonl",
            "dpl predict model.zip photos --precision int8 --format csv > classes.csv",
            "dpl predict model.zip - --format jsonl --output classes --shard 3/64 --resume < all.txt"
        );
        command.Arguments.Add(verb._model);
        command.Arguments.Add(verb._images);
        foreach (Option option in new Option[] { verb._format, verb._keepFormulas, verb._top, verb._batch })
            command.Options.Add(option);
        verb._parts.AddTo(command);
        verb._engine.AddTo(command);
        verb._clip.AddTo(command);
        verb._progress.AddTo(command);
        command.SetAction((arguments, cancellationToken) => Task.FromResult((int)verb.Run(arguments, cancellationToken)));
        return command;
    }

    private ExitCode Run(ParseResult arguments, CancellationToken cancellationToken)
    {
        ProgressMode mode = _progress.Choose(arguments);
        (int top, int batch, PredictionFormat format) = (arguments.GetValue(_top), arguments.GetValue(_batch), _format.Read(arguments));
        if (top < 1)
            throw new ArgumentException($"--top must be at least 1; it is {top}.");
        if (batch < 1)
            throw new ArgumentException($"--batch-size must be at least 1; it is {batch}.");
        PartsRequest? parts = _parts.Read(arguments, format);
        EngineRequest request = _engine.Read(arguments, _clip);
        string[] named = arguments.GetRequiredValue(_images),
            listed = [.. named.Where(path => path != FromInput).SelectMany(path => NamedImages.Expand(path, cancellationToken))];
        bool readsInput = named.Contains(FromInput);
        var mlContext = new MLContext();
        FitSession.Forward(mlContext, CommandLine.IsVerbose(arguments));
        string model = arguments.GetRequiredValue(_model);
        ScoringEngine engine = request.Choose(SavedModel.Check(model));
        if (engine == ScoringEngine.LibTorch)
            _clip.Apply(arguments, mlContext, cancellationToken);
        using SavedClassifier saved = SavedClassifier.Load(mlContext, model, engine, request);
        IEnumerable<string> images = readsInput ? listed.Concat(StandardInput.Lines(cancellationToken)) : listed;
        // Paths are written as the user gave them, but the library gets full paths, since a model may resolve relative ones against a
        // folder of its own.
        IEnumerable<ScoredImage> Score(IEnumerable<string> paths) =>
            saved.Scores.Score(paths.Select(NamedImages.RowOf), batch, cancellationToken);
        if (parts is null)
            return Print(arguments, mode, saved, Score(images), readsInput ? null : listed.Length);
        // The range of a shard depends on the number of images, so all must be read first.
        if (parts.Shard.Count > 1)
            (images, readsInput) = (listed = [.. images], false);
        var settings = new PartSettings(
            SavedModel.Digest(model),
            format,
            top,
            arguments.GetValue(_keepFormulas),
            batch,
            parts.PartSize,
            parts.Shard.Count > 1 ? listed.Length : null,
            saved.Engine,
            request.Precision
        );
        var folder = new PredictionParts(parts, settings);
        string[]? own = readsInput ? null : [.. folder.Select(images)];
        return Write(mode, folder, own ?? images, own?.Length, Score, saved, parts);
    }

    /// <summary>Writes predictions to the standard output.</summary>
    private ExitCode Print(ParseResult arguments, ProgressMode mode, SavedClassifier saved, IEnumerable<ScoredImage> scored, int? count)
    {
        PredictionFormat format = _format.Read(arguments);
        using TextWriter output = StandardOutput.Open();
        var writer = PredictionWriter.Create(
            format,
            saved.ClassNames,
            arguments.GetValue(_top),
            output,
            arguments.GetValue(_keepFormulas),
            saved.Threshold
        );
        // Predictions that appear on the terminal one by one show the progress themselves.
        if (mode == ProgressMode.Bars && format != PredictionFormat.Table && !Console.IsOutputRedirected)
            mode = ProgressMode.None;
        int failed = 0,
            all = 0;
        try
        {
            ImageDisplay.Show(mode, "predict", count, progress =>
            {
                foreach (ScoredImage image in scored)
                {
                    all++;
                    writer.Write(image.Row.Label, image.Numbers, image.Error);
                    failed += Tell(image);
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
        return End(all, failed);
    }

    /// <summary>Writes predictions as parts in a folder.</summary>
    private static ExitCode Write(
        ProgressMode mode,
        PredictionParts folder,
        IEnumerable<string> images,
        int? count,
        Func<IEnumerable<string>, IEnumerable<ScoredImage>> score,
        SavedClassifier saved,
        PartsRequest request
    )
    {
        int done = 0;
        try
        {
            (int all, int failed) = ImageDisplay.Show(mode, "predict", count, progress =>
                folder.Write(images, score, saved.ClassNames, saved.Threshold, (number, image) =>
                {
                    done += number;
                    if (image is not null)
                        Tell(image);
                    progress.Report(new ImageProgress(done));
                })
            );
            string shard = request.Shard.Count > 1 ? $" of shard {request.Shard.Index + 1}/{request.Shard.Count}" : "";
            if (all == 0)
                Terminal.Warn(
                    request.Shard.Count > 1
                        ? $"There are no images for shard {request.Shard.Index + 1}/{request.Shard.Count}: a part has {request.PartSize} "
                            + "images (--part-size), and there are fewer parts than shards."
                        : "There were no images to classify."
                );
            else
                Terminal.Note($"All {all} images{shard} are in '{request.Folder}'; cat {folder.Pattern} puts the shards together.");
            return End(all, failed);
        }
        catch (OperationCanceledException)
        {
            Terminal.Fail($"Cancelled after {done} images; the same command with --resume continues from the last complete part.");
            return ExitCode.Cancelled;
        }
    }

    private static int Tell(ScoredImage image)
    {
        if (image.Error is null)
            return 0;
        Terminal.Fail($"{image.Row.Label}: {image.Error}");
        return 1;
    }

    private static ExitCode End(int all, int failed)
    {
        if (failed == 0)
            return ExitCode.Success;
        Terminal.Fail($"{failed} of {all} images could not be read.");
        return ExitCode.PartlyFailed;
    }
}
