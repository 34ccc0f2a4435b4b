using System.Diagnostics;
using Microsoft.ML.Dpl.Tests.Clip;

namespace Microsoft.ML.Dpl.Tests.EndToEnd;

/// <summary>A process that is killed again and again in the middle of a fit.</summary>
public sealed class KilledFitTests(SmallBackbone small, ColourPictures pictures) : IClassFixture<SmallBackbone>, IClassFixture<ColourPictures>
{
    [Fact]
    [Trait("Category", "Slow")]
    public async Task A_killed_fit_goes_on_to_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        string table = folder.File("train.tsv"), zip = folder.File("model.zip"), workspace = folder.File("workspace");
        File.WriteAllLines(table, pictures.Train.Select(row => $"{row.ImagePath}\t{row.Label}"));
        string expected;
        var mlContext = new MLContext(1);
        using (DplTransformer transformer = ResumableFit.Fit(mlContext, ResumableFit.Options(small.Backbone, null), pictures.Train)) expected = ResumableFit.Content(mlContext, transformer);

        string? first = null, later = null;
        foreach (int steps in (int[])[5, 4, 7])
        {
            string line = await RunUntil(steps, small.Folder, table, workspace, zip) ?? throw new InvalidOperationException("The fit ended before it was killed.");
            first ??= line;
            later = line;
            Assert.False(File.Exists(zip));
        }
        Assert.StartsWith("Search epoch 2/", first);
        Assert.StartsWith("Training epoch", later);
        Assert.Null(await RunUntil(int.MaxValue, small.Folder, table, workspace, zip));
        using FileStream saved = File.OpenRead(zip);
        Assert.Equal(expected, ResumableFit.Content(saved));
        Assert.DoesNotContain(Directory.GetFiles(workspace), path => path.Contains("checkpoint", StringComparison.Ordinal));
    }

    /// <summary>Starts a fit and kills it without warning once it has said so many steps.</summary>
    /// <returns>The last step's line; null where the fit ended first.</returns>
    private static async Task<string?> RunUntil(int steps, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(KilledFitTests).Assembly.Location, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        using Process process = Process.Start(start)!;
        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        try
        {
            Task<string> errors = process.StandardError.ReadToEndAsync(limit.Token);
            for (int seen = 1; await process.StandardOutput.ReadLineAsync(limit.Token) is { } line; seen++)
                if (seen == steps) return line;
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, await errors);
            return null;
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
    }
}
