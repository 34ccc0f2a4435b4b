using Microsoft.ML.Dpl.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>This assembly as a process of its own: fits and says a line for every step, so that a test can kill it in the middle.</summary>
internal static class FitHost
{
    /// <param name="arguments">Folder of the CLIP, table of path and label, workspace, zip to write.</param>
    public static void Main(string[] arguments)
    {
        if (arguments is not [string clip, string table, string workspace, string zip]) throw new ArgumentException("Arguments: CLIP folder, table, workspace, zip.");
        var mlContext = new MLContext(1);
        LabelledPicture[] rows = [.. File.ReadLines(table).Select(line => line.Split('\t')).Select(parts => new LabelledPicture { ImagePath = parts[0], Label = parts[1] })];
        DplTrainer.Options options = ResumableFit.Options(ClipBackbone.Open(clip), workspace);
        options.Progress = new Steps();
        using DplTransformer transformer = ResumableFit.Fit(mlContext, options, rows);
        mlContext.Model.Save(transformer, mlContext.Data.LoadFromEnumerable(rows).Schema, zip);
    }

    private sealed class Steps : IProgress<DplProgress>
    {
        public void Report(DplProgress value)
        {
            Console.WriteLine(value);
            Console.Out.Flush();
        }
    }
}
