using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Data;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl predict</c>: classifies pictures with a saved model.</summary>
internal static class PredictCommand
{
    private const string StandardInput = "-";

    public static System.CommandLine.Command Create()
    {
        var model = new Argument<string>("model") { Description = "A saved model." };
        var pictures = new Argument<string[]>("pictures") { Description = "Picture files; folders, whose pictures are taken, those in sub-folders too; or - for paths on the standard input, one a line.", Arity = ArgumentArity.OneOrMore };
        var format = new Option<PredictionFormat>("--format") { Description = "table, csv or jsonl (one JSON object a line). csv and jsonl are written as pictures are done.", HelpName = "table|csv|jsonl", DefaultValueFactory = _ => PredictionFormat.Table };
        var top = new Option<int>("--top") { Description = "Most probable classes to show of each picture.", DefaultValueFactory = _ => 1 };
        var batch = new Option<int>("--batch-size") { Description = "Pictures that are collected before they are classified together; 1 answers each at once.", DefaultValueFactory = _ => 32 };
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "predict", "Classifies pictures with a saved model. Files that cannot be read are named on the error stream, and the others are done.",
            "dpl predict model.zip holiday.jpg", "dpl predict model.zip photos --top 3 --format csv > classes.csv", "find . -name '*.png' | dpl predict model.zip - --format jsonl");
        command.Arguments.Add(model);
        command.Arguments.Add(pictures);
        foreach (Option option in new Option[] { format, top, batch }) command.Options.Add(option);
        clip.AddTo(command);
        command.SetAction((arguments, cancellation) => Task.FromResult((int)Run(
            arguments, arguments.GetRequiredValue(model), arguments.GetRequiredValue(pictures), arguments.GetValue(format), arguments.GetValue(top), arguments.GetValue(batch), clip, cancellation)));
        return command;
    }

    private static ExitCode Run(
        ParseResult arguments, string model, string[] pictures, PredictionFormat format, int top, int batch, ModelOptions clip, CancellationToken cancellation)
    {
        if (top < 1) throw new ArgumentException($"--top must be at least 1; it is {top}.");
        if (batch < 1) throw new ArgumentException($"--batch-size must be at least 1; it is {batch}.");
        IEnumerable<string> paths = [.. pictures.Where(path => path != StandardInput).SelectMany(Expand)];
        if (pictures.Contains(StandardInput)) paths = paths.Concat(Lines(Console.In));
        var mlContext = new MLContext();
        FitSession.Forward(mlContext, CommandLine.IsVerbose(arguments));
        clip.Apply(arguments, mlContext);
        using SavedModel saved = SavedModel.Load(mlContext, model);
        var writer = PredictionWriter.Create(format, saved.Transformer.ClassNames, top, Console.Out);
        int failed = 0, all = 0;
        // The user's own spelling is what is written; the library is given full paths, since a model may have a folder of its own for relative ones.
        IEnumerable<PictureRow> rows = paths.Select(path => new PictureRow { ImagePath = Path.GetFullPath(path), Label = path });
        foreach (ScoredPicture picture in new PictureScores(mlContext, saved.Transformer).Of(rows, batch, cancellation))
        {
            all++;
            writer.Write(picture.Row.Label, picture.Probabilities, picture.Error);
            if (picture.Error is null) continue;
            failed++;
            Terminal.Fail($"{picture.Row.Label}: {picture.Error}");
        }
        writer.End();
        if (all == 0) Terminal.Warn("There were no pictures to classify.");
        if (failed == 0) return ExitCode.Success;
        Terminal.Fail($"{failed} of {all} pictures could not be read.");
        return ExitCode.PartlyFailed;
    }

    private static IEnumerable<string> Expand(string path) => Directory.Exists(path) ? PictureFolder.PicturesIn(path) : [path];

    private static IEnumerable<string> Lines(TextReader reader)
    {
        while (reader.ReadLine() is { } line)
            if (!string.IsNullOrWhiteSpace(line)) yield return line.Trim();
    }
}
