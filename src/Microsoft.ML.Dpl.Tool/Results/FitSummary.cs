using Microsoft.ML.Dpl.Tool.Display;
using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows a short summary of a fit's results.</summary>
internal static class FitSummary
{
    public static void Write(FitResults results, DplTransformer transformer, OutputFiles files)
    {
        ConfigurationTable.Write(transformer.Configuration, transformer.SearchReport);
        if (results.Design is { } design)
            Terminal.Line($"Design: {design.Summary}");
        if (transformer.ValidationAccuracy is double accuracy)
            Terminal.Line(
                $"Validation accuracy: {EvaluationTables.Percent(accuracy)}"
                    + (results.WasRefitted ? " in the comparison; the final training used these images, too" : "")
            );
        if (results.Test is { } test)
            Terminal.Line(
                $"Test accuracy: {EvaluationTables.Percent(test.Accuracy.Accuracy)} ({EvaluationTables.Interval(test.Accuracy)}), "
                    + $"mean over classes {EvaluationTables.Percent(test.MacroAccuracy)}, of {test.Predictions.Count} images"
            );
        foreach (ComparisonRow row in results.Comparison)
            Terminal.Line($"  {row.Name}: {EvaluationTables.Percent(row.Accuracy.Accuracy)} ({EvaluationTables.Interval(row.Accuracy)})");
        Terminal.Line($"Model: {files.Main.FullPath}");
        if (transformer is { Contents: ModelContents.PromptsOnly or ModelContents.WithOnnx, Backbone.Location: { } location })
            Terminal.Line(
                $"  It names the CLIP at {location} and does not contain it: to predict elsewhere with libtorch, make that CLIP available "
                    + "there (--clip, or DPL_CLIP), or fit with --contents image-tower."
            );
        if (files.Results is { } written)
            Terminal.Line($"Results: {written.FullPath}");
        if (files.Report is { } page)
            Terminal.Line($"Report: {page.FullPath}");
    }
}
