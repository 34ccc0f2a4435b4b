using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl report</c>: writes the HTML report of a run from its JSON results.</summary>
internal static class ReportCommand
{
    private const string Nothing = "none";

    public static System.CommandLine.Command Create()
    {
        var results = new Argument<string>("results") { Description = "The results file of a fit, NAME.results.json." };
        var output = new Option<string?>("--output", "-o")
        {
            Description = "File for the page. Default: beside the results, as NAME.report.html.",
        };
        var model = new Option<string?>("--model")
        {
            Description =
                "The saved model, for the heat maps. Default: the one that the results name, or NAME.zip beside them, if it still belongs "
                + "to them; none: no heat maps.",
            HelpName = "file|none",
        };
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "report",
            "Writes a fit's report as one HTML page: warnings, accuracy, finalists, alphas, curves, confusions, the worst mistakes "
                + "with heat maps, calibration, and how to repeat it.",
            "dpl report model.results.json",
            "dpl report model.results.json --output report.html --model none"
        );
        command.Arguments.Add(results);
        command.Options.Add(output);
        command.Options.Add(model);
        clip.AddTo(command);
        command.SetAction(
            (arguments, cancellationToken) =>
                Task.FromResult(
                    (int)Run(
                        arguments,
                        arguments.GetRequiredValue(results),
                        arguments.GetValue(output),
                        arguments.GetValue(model),
                        clip,
                        cancellationToken
                    )
                )
        );
        return command;
    }

    private static ExitCode Run(
        ParseResult arguments,
        string path,
        string? output,
        string? model,
        ModelOptions clip,
        CancellationToken cancellationToken
    )
    {
        FitResults results = ResultsJson.ReadFile(path);
        OutputFile page = OutputFile.Check(output ?? PageOf(path), "--output");
        if (page.FullPath == Path.GetFullPath(path))
            throw new ArgumentException($"The page would replace the results '{path}': name another file with --output.");
        var mlContext = new MLContext();
        if (model != Nothing)
            clip.Apply(arguments, mlContext, cancellationToken);
        using SavedModel? saved =
            model == Nothing ? null
            : model is not null ? Named(mlContext, model, results)
            : Kept(mlContext, path, results);
        page.Write(written => ReportPage.Write(results, written, saved?.Transformer));
        Terminal.Line($"Report: {page.FullPath}");
        return ExitCode.Success;
    }

    private static SavedModel Named(MLContext mlContext, string zip, FitResults results)
    {
        SavedModel saved = SavedModel.Load(mlContext, zip);
        if (Difference(saved.Transformer, zip, results) is not { } difference)
            return saved;
        saved.Dispose();
        throw new ArgumentException($"'{zip}' is not the model of these results: {difference}. Name the right one with --model, or none.");
    }

    /// <summary>Loads the model that the results name, or the one next to them; null, with a warning, if it cannot be used, since a report
    /// without heat maps is better than none.</summary>
    private static SavedModel? Kept(MLContext mlContext, string path, FitResults results)
    {
        string? zip = new[] { results.ModelPath, Beside(path, ".zip") }.FirstOrDefault(File.Exists);
        if (zip is null)
            return null;
        try
        {
            return Named(mlContext, zip, results);
        }
        catch (Exception e)
            when (Failure.CauseOf(e)
                    is IOException
                        or InvalidDataException
                        or ArgumentException
                        or InvalidOperationException
                        or UnauthorizedAccessException
            )
        {
            Terminal.Warn($"There will be no heat maps: {Failure.CauseOf(e).Message}");
            return null;
        }
    }

    /// <summary>Describes how a model differs from the one that the results are about, since its file may have been replaced; null if it
    /// is that one, as far as the results tell.</summary>
    private static string? Difference(DplTransformer model, string zip, FitResults results)
    {
        if (
            !model.Configuration.Equals(results.Configuration)
            || (results.Test is not null && !model.ClassNames.SequenceEqual(results.Test.Classes, StringComparer.Ordinal))
        )
            return "its prompt lengths or classes differ";
        return results.ModelSha256 is { } digest && digest != SavedModel.Digest(zip) ? "its SHA-256 is another than that of the fit" : null;
    }

    private static string PageOf(string results) => Beside(results, ".report.html");

    /// <summary>The path of a file next to the results with the same base name.</summary>
    private static string Beside(string results, string extension)
    {
        const string usual = ".results.json";
        return results.EndsWith(usual, StringComparison.Ordinal)
            ? results[..^usual.Length] + extension
            : Path.ChangeExtension(results, extension);
    }
}
