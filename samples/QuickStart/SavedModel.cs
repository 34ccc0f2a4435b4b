using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

namespace QuickStart;

/// <summary>Uses a saved model as any ML.NET application would, without referring to any type of the library that trained it.</summary>
internal static class SavedModel
{
    /// <summary>Loads a model zip and prints the three most probable classes of each image.</summary>
    public static int Classify(FileInfo zip, IReadOnlyList<string> images)
    {
        var mlContext = new MLContext();
        ITransformer model = mlContext.Model.Load(zip.FullName, out _);
        using PredictionEngine<Image, Answer> engine = mlContext.Model.CreatePredictionEngine<Image, Answer>(model);
        VBuffer<ReadOnlyMemory<char>> slots = default;
        engine.OutputSchema["Score"].GetSlotNames(ref slots);
        string[] names = [.. slots.DenseValues().Select(name => name.ToString())];

        var table = new Table().Border(TableBorder.Simple).AddColumn("image").AddColumn("class").AddColumn("most probable");
        foreach (string path in images)
        {
            Answer answer = engine.Predict(new Image { ImagePath = Path.GetFullPath(path) });
            var best = names.Zip(answer.Score).OrderByDescending(pair => pair.Second).Take(3);
            table.AddRow(
                Markup.Escape(
                    Path.Combine(Path.GetFileName(Path.GetDirectoryName(answer.ImagePath)) ?? "", Path.GetFileName(answer.ImagePath))
                ),
                Markup.Escape(answer.Class),
                Markup.Escape(string.Join(", ", best.Select(pair => $"{pair.First} {pair.Second:p1}")))
            );
        }
        AnsiConsole.Write(table);
        return 0;
    }

    /// <summary>Runs <see cref="Classify"/> in a separate process.</summary>
    public static async Task<int> ClassifyInFreshProcess(FileInfo zip, IEnumerable<string> images, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false };
        // Under the dotnet host, the program's assembly must be passed as an argument.
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(Environment.GetCommandLineArgs()[0]);
        foreach (string argument in images.Prepend(zip.FullName).Prepend("predict"))
            start.ArgumentList.Add(argument);
        using Process process = Process.Start(start) ?? throw new InvalidOperationException("The second process did not start.");
        await process.WaitForExitAsync(cancellationToken);
        return process.ExitCode;
    }
}
