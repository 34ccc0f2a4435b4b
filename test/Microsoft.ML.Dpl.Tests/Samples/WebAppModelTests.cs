using System.Net.Http.Json;
using EuroSat;
using Microsoft.ML.Dpl.Tests.EndToEnd;

namespace Microsoft.ML.Dpl.Tests.Samples;

/// <summary>The models the web application can start with: one trained on paths, an unsuitable one, and the demo of satellite
/// tiles.</summary>
public sealed class WebAppModelTests(ServedImages served) : IClassFixture<ServedImages>
{
    [Fact]
    public async Task A_model_trained_on_paths_is_served_too_and_a_wrong_one_ends_the_start()
    {
        using var folder = new TemporaryFolder();
        var mlContext = new MLContext(1);
        IDataView rows = mlContext.Data.LoadFromEnumerable(
            new[] { "red", "blue" }.Select(name => new PathRow { ImagePath = served.File1, Label = name })
        );
        var backbone = Dpl.Clip.ClipBackbone.Tiny;
        using (
            DplTransformer model = mlContext
                .MulticlassClassification.Trainers.DifferentiablePromptLearning(
                    backbone,
                    imageColumnName: "ImagePath",
                    configuration: PromptConfiguration.ZeroShot(backbone)
                )
                .Fit(rows)
        )
            mlContext.Model.Save(model, rows.Schema, folder.File("paths.zip"));
        await using (WebServer server = await WebServer.StartReady("--model", folder.File("paths.zip")))
        {
            using HttpResponseMessage response = await server.Client.PostAsync("predict", new ByteArrayContent(served.Images[0]));
            Assert.Equal(2, (await response.Content.ReadFromJsonAsync<ServerAnswer>())!.Classes.Count);
        }

        ITransformer other = mlContext.Transforms.CopyColumns("Copy", "Label").Fit(rows);
        mlContext.Model.Save(other, rows.Schema, folder.File("other.zip"));
        File.WriteAllText(folder.File("text.zip"), "no zip");
        foreach (
            var (model, sentence) in new[]
            {
                ("none.zip", "Train one"),
                ("text.zip", "cannot be served"),
                ("other.zip", "no classifier trained by"),
            }
        )
        {
            SampleProcess.Outcome outcome = await SampleProcess.Run(
                "WebApp",
                new Dictionary<string, string?>(),
                "--urls",
                "http://127.0.0.1:0",
                "--model",
                folder.File(model)
            );
            Assert.Equal(1, outcome.ExitCode);
            Assert.Contains(sentence, outcome.Output + outcome.Error);
            Assert.DoesNotContain("   at ", outcome.Output + outcome.Error);
        }
        SampleProcess.Outcome option = await SampleProcess.Run(
            "WebApp",
            new Dictionary<string, string?>(),
            "--urls",
            "http://127.0.0.1:0",
            "--Classifier:MaxBatch",
            "0"
        );
        Assert.Equal(1, option.ExitCode);
        Assert.Contains("MaxBatch", option.Error);
        SampleProcess.Outcome demo = await SampleProcess.Run(
            "WebApp",
            new Dictionary<string, string?>(),
            "--urls",
            "http://127.0.0.1:0",
            "--demo",
            "cats"
        );
        Assert.Equal(1, demo.ExitCode);
        Assert.Contains("Demo", demo.Error);
    }

    [Fact]
    [Trait("Category", "Slow")]
    public async Task The_demo_of_satellite_tiles_offers_a_tile_of_each_class_and_names_a_class_of_it()
    {
        using var folder = new TemporaryFolder();
        await using WebServer server = await WebServer.StartReady("--demo", "eurosat", "--Classifier:DemoFolder", folder.FullPath);
        string[] classes = [.. EuroSatTiles.Train.Select(tile => tile.Label).Distinct()];
        string[] examples = (await server.Client.GetFromJsonAsync<string[]>("examples"))!;
        Assert.Equal(classes.Select(name => name.Replace(' ', '_') + ".jpg"), examples);
        foreach (string name in examples)
        {
            using HttpResponseMessage example = await server.Client.GetAsync("examples/" + name);
            Assert.Equal("image/jpeg", example.Content.Headers.ContentType?.MediaType);
            using var image = new ByteArrayContent(await example.Content.ReadAsByteArrayAsync());
            using HttpResponseMessage response = await server.Client.PostAsync("predict", image);
            ServerAnswer answer = (await response.Content.ReadFromJsonAsync<ServerAnswer>())!;
            Assert.Equal(classes, answer.Classes.Select(c => c.Name).Order(StringComparer.Ordinal));
        }
        // Each demo keeps its model in a folder of its own.
        Assert.True(File.Exists(folder.File("eurosat/model.zip")));
    }

    private sealed class PathRow
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
