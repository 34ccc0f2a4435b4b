using System.Text.Json;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary>Tests dpl predict with ONNX Runtime and with libtorch.</summary>
[Collection(DrawnDataCollection.Name)]
public sealed class PredictEngineTests(DrawnData data)
{
    // A folder that does not exist, so that loading libtorch fails.
    private static readonly (string, string)[] WithoutLibTorch = [("DPL_LIBTORCH", "/nowhere/at/all")];

    [Fact]
    public async Task It_needs_no_libtorch_and_says_what_libtorch_says()
    {
        (await data.Fit()).Expect(0);
        string light = (await ToolProcess.Run(null, Predict("--threads", "1"), WithoutLibTorch)).Expect(0).Output,
            heavy = (await ToolProcess.Run(Predict("--engine", "libtorch"))).Expect(0).Output;
        (string Class, double Probability)[] expected = Answers(heavy),
            found = Answers(light);
        Assert.Equal(data.Rows("test").Count, found.Length);
        Assert.Equal(expected.Select(answer => answer.Class), found.Select(answer => answer.Class));
        Assert.All(expected.Zip(found), pair => Assert.Equal(pair.First.Probability, pair.Second.Probability, 1e-5));
        Assert.Equal(light, (await ToolProcess.Run(Predict("--engine", "onnxruntime", "--threads", "1"))).Expect(0).Output);

        (string Class, double Probability)[] rounded = Answers((await ToolProcess.Run(Predict("--precision", "int8"))).Expect(0).Output);
        Assert.All(expected.Zip(rounded), pair => Assert.Equal(pair.First.Probability, pair.Second.Probability, 0.1));
        Assert.NotEqual(found, rounded);
    }

    [Fact]
    public async Task Prompts_alone_are_left_to_libtorch()
    {
        string zip = data.File("prompts-alone.zip");
        string[] fit = ["fit", data.Table("train"), "--clip", "tiny-drawn", "--output", zip, "--contents", "prompts"];
        (await ToolProcess.Run([.. fit, .. DrawnData.Short])).Expect(0);
        string image = data.Rows("test")[0].Path;
        (await ToolProcess.Run("predict", zip, image)).Expect(0);
        foreach (string[] asked in new[] { new[] { "--engine", "onnxruntime" }, ["--precision", "int8"] })
            Assert.Contains(
                "The model zip has neither CLIP's image tower nor a graph for ONNX Runtime.",
                Assert.Single((await ToolProcess.Run(["predict", zip, image, .. asked])).Expect(2).ErrorLines)
            );
    }

    [Fact]
    public async Task Parts_of_one_folder_are_of_one_engine()
    {
        (await data.Fit()).Expect(0);
        string[] Parts(params string[] more) => Predict(["--output", data.File("engines"), .. more]);
        (await ToolProcess.Run(Parts("--engine", "libtorch"))).Expect(0);
        Assert.Contains(
            "were made with another --engine: 'libtorch'.",
            Assert.Single((await ToolProcess.Run(Parts("--resume"))).Expect(2).ErrorLines)
        );
        (await ToolProcess.Run(Parts("--resume", "--engine", "libtorch"))).Expect(0);
        // Versions that supported only libtorch did not record the engine.
        string journal = Path.Combine(data.File("engines"), "shard-1-of-1.json");
        File.WriteAllText(journal, File.ReadAllText(journal).Replace("\"engine\": \"libTorch\",", "", StringComparison.Ordinal));
        Assert.DoesNotContain("engine", File.ReadAllText(journal));
        (await ToolProcess.Run(Parts("--resume", "--engine", "libtorch"))).Expect(0);
    }

    [Theory]
    [InlineData("--engine 'torch' is unknown: give one of auto, libtorch, onnxruntime.", "--engine", "torch")]
    [InlineData("--precision is for ONNX Runtime: leave out --engine libtorch.", "--engine", "libtorch", "--precision", "int8")]
    [InlineData("--device is for libtorch: leave it out, or --engine.", "--engine", "onnxruntime", "--device", "cuda")]
    [InlineData("--clip is for libtorch: leave it out, or --precision.", "--precision", "int8", "--clip", "tiny")]
    [InlineData("--threads must be at least 1; it is 0.", "--threads", "0")]
    public async Task What_does_not_fit_is_told_before_the_model_is_looked_for(string message, params string[] options) =>
        Assert.Contains(message, (await ToolProcess.Run(["predict", "nowhere.zip", "a.png", .. options])).Expect(2).Error);

    private string[] Predict(params string[] more) =>
        ["predict", data.Model, .. data.Rows("test").Select(row => row.Path), "--format", "jsonl", .. more];

    private static (string Class, double Probability)[] Answers(string lines) =>
        [
            .. lines
                .Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => JsonSerializer.Deserialize<JsonElement>(line))
                .Select(line => (line.GetProperty("class").GetString()!, line.GetProperty("probability").GetDouble())),
        ];
}
