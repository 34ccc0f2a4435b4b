using EuroSat;
using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>dpl fit on photographs: the satellite tiles as folders and as tables.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class EuroSatFitTests(DrawnData data)
{
    [Fact]
    public async Task Class_folders_are_fitted_as_they_lie()
    {
        string model = data.File("tiles-folder.zip");
        (await Fit(model, EuroSatTiles.Folder)).Expect(0);
        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(model, ".results.json"));
        Assert.All(results.Data!.Classes, c => Assert.Equal([30], c.Counts));
        IEnumerable<string> folders = Directory.GetDirectories(EuroSatTiles.Folder).Select(path => Path.GetFileName(path));
        Assert.Equal(folders.Order(StringComparer.Ordinal), ModelInfo.Read(model).ClassNames);
    }

    [Fact]
    public async Task Tables_are_fitted_and_every_test_tile_is_answered()
    {
        string model = data.File("tiles-tables.zip");
        ToolProcess.Outcome fit = (await Fit(model, EuroSatTiles.TrainTable, "--test", EuroSatTiles.TestTable)).Expect(0);
        Assert.Contains("Test accuracy:", fit.Output);
        FitResults results = ResultsJson.ReadFile(Path.ChangeExtension(model, ".results.json"));
        Assert.All(results.Data!.Classes, c => Assert.Equal([20, 10], c.Counts));
        Assert.Equal(EuroSatTiles.Test.Select(tile => tile.Label), results.Test!.Predictions.Select(prediction => prediction.True));
    }

    private static Task<ToolProcess.Outcome> Fit(string model, string tiles, params string[] more) =>
        ToolProcess.Run([
            "fit",
            tiles,
            .. more,
            "--clip",
            "tiny-drawn",
            "--template",
            EuroSatTiles.Template,
            "--output",
            model,
            "--report",
            "none",
            .. DrawnData.Short,
        ]);
}
