using System.CommandLine;
using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Models;
using Microsoft.ML.Dpl.Tool.Options;
using Microsoft.ML.Dpl.Tool.Report;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl report</c>: the page of a run whose results were kept as JSON.</summary>
internal static class ReportCommand
{
    private const string Nothing = "none";

    public static System.CommandLine.Command Create()
    {
        var results = new Argument<string>("results") { Description = "The results file of a fit, NAME.results.json." };
        var output = new Option<string?>("--output", "-o") { Description = "Where the page goes. Default: beside the results, as NAME.report.html." };
        var model = new Option<string?>("--model") { Description = "The saved model, which draws the heat maps. Default: the one that the results name, if it is still there; none: no heat maps.", HelpName = "file|none" };
        var clip = new ModelOptions(needsClip: false);
        var command = new ExampledCommand(
            "report", "Writes a fit's report as one HTML page: accuracy, alphas, curves, confusions, the worst mistakes with heat maps, calibration, and how to repeat it.",
            "dpl report model.results.json", "dpl report model.results.json --output report.html --model none");
        command.Arguments.Add(results);
        command.Options.Add(output);
        command.Options.Add(model);
        clip.AddTo(command);
        command.SetAction((arguments, cancellation) => Task.FromResult((int)Run(arguments, arguments.GetRequiredValue(results), arguments.GetValue(output), arguments.GetValue(model), clip, cancellation)));
        return command;
    }

    private static ExitCode Run(ParseResult arguments, string path, string? output, string? model, ModelOptions clip, CancellationToken cancellation)
    {
        FitResults results = ResultsJson.ReadFile(path);
        OutputFile page = OutputFile.Check(output ?? PageOf(path), "--output");
        if (page.FullPath == Path.GetFullPath(path)) throw new ArgumentException($"The page would replace the results '{path}': name another file with --output.");
        string? zip = model == Nothing ? null : model ?? (results.ModelPath is string kept && File.Exists(kept) ? kept : null);
        var mlContext = new MLContext();
        if (zip is not null) clip.Apply(arguments, mlContext, cancellation);
        using SavedModel? saved = zip is null ? null : SavedModel.Load(mlContext, zip);
        page.Write(written => ReportPage.Write(results, written, saved?.Transformer));
        Console.Out.WriteLine($"Report: {page.FullPath}");
        return ExitCode.Success;
    }

    /// <summary>Beside the results, under the same name.</summary>
    private static string PageOf(string results)
    {
        const string usual = ".results.json";
        return results.EndsWith(usual, StringComparison.Ordinal) ? results[..^usual.Length] + ".report.html" : Path.ChangeExtension(results, ".report.html");
    }
}
