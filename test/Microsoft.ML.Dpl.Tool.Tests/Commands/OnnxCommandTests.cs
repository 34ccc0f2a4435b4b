using System.Text.Json;
using Onnx;

namespace Microsoft.ML.Dpl.Tool.Tests.Commands;

/// <summary><c>dpl onnx</c> in separate processes. The model's results are tested with ONNX Runtime in the library's tests.</summary>
public sealed class OnnxCommandTests(ExportImportTests.SavedModel model) : IClassFixture<ExportImportTests.SavedModel>, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dpl-tool-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_model_is_written_and_described()
    {
        string path = Path.Combine(_folder, "new", "model.onnx");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("onnx", model.Zip, "--output", path)).Expect(0);
        Assert.Empty(outcome.Error);
        foreach (string part in new[] { $"Written: {path}", "float [batch, 3, 48, 48]", "probabilities    float [batch, 3]", "metadata" })
            Assert.Contains(part, outcome.Output);
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        Assert.Equal("pixels", Assert.Single(written.Graph.Input).Name);
        Assert.Equal(["logits", "probabilities"], written.Graph.Output.Select(output => output.Name));
        Assert.Equal(model.Configuration.ToString(), written.MetadataProps.Single(pair => pair.Key == "configuration").Value);

        outcome = (await ToolProcess.Run("onnx", model.Zip, "-o", path, "--input", "image", "--format", "json")).Expect(0);
        JsonElement described = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        Assert.Equal(path, described.GetProperty("path").GetString());
        Assert.Equal(new FileInfo(path).Length, described.GetProperty("bytes").GetInt64());
        Assert.Equal("image", described.GetProperty("input").GetString());
        Assert.Equal(48, described.GetProperty("imageSize").GetInt32());
        Assert.Equal(3, described.GetProperty("classNames").GetArrayLength());
        Assert.Equal("image", Assert.Single(ModelProto.Parser.ParseFrom(File.ReadAllBytes(path)).Graph.Input).Name);
        Assert.Equal([path], Directory.GetFileSystemEntries(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public async Task Without_a_model_the_image_tower_of_a_CLIP_is_written()
    {
        string path = Path.Combine(_folder, "clip.onnx");
        ToolProcess.Outcome outcome = (await ToolProcess.Run("onnx", "--clip", "tiny-drawn", "--output", path)).Expect(0);
        Assert.Empty(outcome.Error);
        Assert.Contains($"Written: {path}", outcome.Output);
        Assert.Matches(@"embedding +float \[batch, \d+\]", outcome.Output);
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        Assert.Equal("embedding", Assert.Single(written.Graph.Output).Name);
        Assert.Equal("true", written.MetadataProps.Single(pair => pair.Key == "normalized").Value);

        outcome = (await ToolProcess.Run("onnx", "--clip", "tiny-drawn", "-o", path, "--format", "json")).Expect(0);
        JsonElement described = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        Assert.Equal(JsonValueKind.Null, described.GetProperty("classNames").ValueKind);
        Assert.Contains(
            "Name a saved model, or with --clip a CLIP",
            Assert.Single((await ToolProcess.Run("onnx", "--output", path)).Expect(2).ErrorLines)
        );
    }

    [Fact]
    public async Task The_text_tower_is_written_where_that_is_asked_for()
    {
        string path = Path.Combine(_folder, "words.onnx");
        string[] command = ["onnx", "--clip", "tiny-drawn", "--tower", "text", "--output", path];
        ToolProcess.Outcome outcome = (await ToolProcess.Run(command)).Expect(0);
        Assert.Empty(outcome.Error);
        Assert.Matches(@"tokens +int64 \[batch, length\], length at most \d+", outcome.Output);
        Assert.Contains("How texts become tokens is in its metadata.", outcome.Output);
        ModelProto written = ModelProto.Parser.ParseFrom(File.ReadAllBytes(path));
        Assert.Equal("tokens", Assert.Single(written.Graph.Input).Name);
        Assert.Equal("embedding", Assert.Single(written.Graph.Output).Name);

        outcome = (await ToolProcess.Run([.. command, "--precision", "int8", "--format", "json"])).Expect(0);
        JsonElement described = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        Assert.Equal(("tokens", "int8"), (described.GetProperty("input").GetString(), described.GetProperty("precision").GetString()));
        Assert.Equal(JsonValueKind.Null, described.GetProperty("imageSize").ValueKind);
        Assert.InRange(described.GetProperty("contextLength").GetInt32(), 2, 77);

        outcome = (await ToolProcess.Run([.. command, "--input", "image"])).Expect(2);
        Assert.Contains("takes tokens, not images: leave out --input", Assert.Single(outcome.ErrorLines));
        outcome = (await ToolProcess.Run("onnx", model.Zip, "--tower", "text", "--output", path)).Expect(2);
        Assert.Contains("--tower text is for plain CLIP", Assert.Single(outcome.ErrorLines));
    }

    [Fact]
    public async Task Weights_go_beside_the_model_where_that_is_asked_for()
    {
        string path = Path.Combine(_folder, "model.onnx"),
            data = path + ".data";
        ToolProcess.Outcome outcome = (await ToolProcess.Run("onnx", model.Zip, "--external-data", "-o", path)).Expect(0);
        Assert.Contains($"Weights, which must stay beside it: {data}", outcome.Output);
        Assert.Equal([path, data], Directory.GetFileSystemEntries(_folder).Order(StringComparer.Ordinal));
        TensorProto outside = ModelProto
            .Parser.ParseFrom(File.ReadAllBytes(path))
            .Graph.Initializer.First(constant => constant.DataLocation == TensorProto.Types.DataLocation.External);
        Assert.Equal("model.onnx.data", outside.ExternalData.Single(entry => entry.Key == "location").Value);

        outcome = (await ToolProcess.Run("onnx", model.Zip, "--external-data", "-o", path, "--format", "json")).Expect(0);
        JsonElement described = JsonSerializer.Deserialize<JsonElement>(outcome.Output);
        Assert.Equal(data, described.GetProperty("dataPath").GetString());
        Assert.Equal(new FileInfo(data).Length, described.GetProperty("dataBytes").GetInt64());
        string zip = Path.Combine(_folder, "odd.data");
        File.Copy(model.Zip, zip);
        Assert.Contains(
            "--output would replace",
            Assert.Single((await ToolProcess.Run("onnx", zip, "--external-data", "-o", Path.Combine(_folder, "odd"))).Expect(2).ErrorLines)
        );
    }

    [Fact]
    public async Task What_is_no_model_or_cannot_be_written_is_told_in_a_sentence()
    {
        string notes = Path.Combine(_folder, "notes.zip"),
            path = Path.Combine(_folder, "model.onnx");
        File.WriteAllText(notes, "no zip");
        Assert.Contains("notes.zip", Assert.Single((await ToolProcess.Run("onnx", notes, "--output", path)).Expect(2).ErrorLines));
        Assert.Contains(
            "--output would replace",
            Assert.Single((await ToolProcess.Run("onnx", model.Zip, "--output", model.Zip)).Expect(2).ErrorLines)
        );
        Assert.Contains(
            "it is a folder",
            Assert.Single((await ToolProcess.Run("onnx", model.Zip, "--output", _folder)).Expect(2).ErrorLines)
        );
        Assert.Contains("--output", (await ToolProcess.Run("onnx", model.Zip)).Expect(2).Error);
        Assert.Equal([notes], Directory.GetFileSystemEntries(_folder));
    }
}
