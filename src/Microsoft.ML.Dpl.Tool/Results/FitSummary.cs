using Microsoft.ML.Dpl.Tool.Options;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>Shows what a fit came to, in short.</summary>
internal static class FitSummary
{
    public static void Write(FitResults results, DplTransformer transformer, OutputFiles files)
    {
        ConfigurationTable.Write(transformer.Configuration, transformer.SearchReport);
        if (transformer.ValidationAccuracy is double accuracy)
            Console.Out.WriteLine($"Validation accuracy: {EvaluationTables.Percent(accuracy)}");
        if (results.Test is { } test)
            Console.Out.WriteLine(
                $"Test accuracy: {EvaluationTables.Percent(test.Accuracy.Accuracy)} ({EvaluationTables.Interval(test.Accuracy)}), "
                    + $"mean over classes {EvaluationTables.Percent(test.MacroAccuracy)}, of {test.Predictions.Count} images"
            );
        foreach (ComparisonRow row in results.Comparison)
            Console.Out.WriteLine(
                $"  {row.Name}: {EvaluationTables.Percent(row.Accuracy.Accuracy)} ({EvaluationTables.Interval(row.Accuracy)})"
            );
        Console.Out.WriteLine($"Model: {files.Main.FullPath}");
        if (files.Results is { } written)
            Console.Out.WriteLine($"Results: {written.FullPath}");
        if (files.Report is { } page)
            Console.Out.WriteLine($"Report: {page.FullPath}");
    }
}
