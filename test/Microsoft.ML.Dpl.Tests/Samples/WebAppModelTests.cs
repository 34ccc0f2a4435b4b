using System.Net.Http.Json;
using EuroSat;
using Microsoft.ML.Dpl.Images;
using Microsoft.ML.Dpl.Tests.EndToEnd;
using Microsoft.ML.Dpl.Tests.Images;
using SkiaSharp;

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

    /// <summary>A heat map lies on the image as the model sees it: turned if the model turns images, and as stored otherwise.</summary>
    [Fact]
    public async Task A_heat_map_explains_the_image_as_the_model_turns_it()
    {
        await using (WebServer turning = await WebServer.StartReady("--model", served.SaveTurningModel()))
        {
            Assert.True((await turning.Health()).ApplyExifOrientation);
            for (byte orientation = 1; orientation <= 8; orientation++)
            {
                byte[] file = ServedImages.Oriented(96, 64, orientation);
                RgbImage upright = ImageDecoder.FromBytes(file, "image", applyExifOrientation: true);
                ServerHeatMap expected = await HeatMap(
                    turning,
                    ImageBytes.Png(upright.Width, upright.Height, 8, ImageBytes.Colour, upright.Pixels)
                );
                ServerHeatMap map = await HeatMap(turning, file);
                Assert.Equal((expected.Class, expected.Rows, expected.Columns), (map.Class, map.Rows, map.Columns));
                Assert.All(expected.Relevance.Zip(map.Relevance), pair => Assert.Equal(pair.First, pair.Second, 0.02f));
                using SKBitmap wanted = Drawn(expected),
                    drawn = Drawn(map);
                Assert.Equal((wanted.Width, wanted.Height), (drawn.Width, drawn.Height));
                Assert.InRange(wanted.Pixels.Zip(drawn.Pixels, (a, b) => Math.Abs(a.Red - b.Red)).Average(), 0, 2);
            }
            using SKBitmap shrunk = Drawn(await HeatMap(turning, ServedImages.Oriented(1200, 800, 6)));
            Assert.Equal((512, 768), (shrunk.Width, shrunk.Height));
        }

        await using WebServer plain = await WebServer.StartReady("--model", served.Zip);
        Assert.False((await plain.Health()).ApplyExifOrientation);
        using SKBitmap lying = Drawn(await HeatMap(plain, ServedImages.Oriented(96, 64, 6)));
        Assert.Equal((96, 64), (lying.Width, lying.Height));
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

    private static async Task<ServerHeatMap> HeatMap(WebServer server, byte[] image)
    {
        using HttpResponseMessage response = await server.Client.PostAsync("predict?heatMap=true", new ByteArrayContent(image));
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync());
        return (await response.Content.ReadFromJsonAsync<ServerAnswer>())!.HeatMap!;
    }

    private static SKBitmap Drawn(ServerHeatMap map) =>
        SKBitmap.Decode(Convert.FromBase64String(map.Image["data:image/webp;base64,".Length..]));

    private sealed class PathRow
    {
        public string ImagePath { get; set; } = "";

        public string Label { get; set; } = "";
    }
}
